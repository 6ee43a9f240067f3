"""A plane's residual, samples to bytes and back: with it every error keeps within the bound, on every machine.

The picture it is a residual of is synthesised in float64, from the tile's own latents alone (a preview sees those around it,
too), and rounded as the encoder did. That takes some five times as long as in float32 (1.2 s of one core for 512 x 512), in
which nothing can be promised: other kernels, or bfloat16, differ by more than exceptions could mend.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

import numpy as np

from fdeg_codec.codec import planes
from fdeg_codec.codec.engine import Engine
from fdeg_codec.codec.seal import seal, unseal
from fdeg_codec.entropy.coder import Coder, Encoder
from fdeg_codec.entropy.residual import Plane, code_band
from fdeg_codec.errors import RasterError
from fdeg_codec.ndtypes import Flags, Floats, Integers, Longs, Samples
from fdeg_codec.raster import masks
from fdeg_codec.raster.bound import Bound
from fdeg_codec.raster.mapping import Line

EPSILON = 2.0**-16  # in units: float64 networks agree to 1e-12 of a span, of at most 2^21 (survey.WHOLE)


class Band(NamedTuple):
    """What both sides know of a band before its residual."""

    line: Line
    bound: Bound
    valid: Flags
    nodata: float | None


def picture(engine: Engine, y: Integers, log2_lambda: int, shape: tuple[int, ...]) -> Floats:
    """The bands (band, row, column) of a tile from its own latents alone, alike to many digits on all machines."""
    count, height, width = shape
    return planes.gather(engine.synthesise_exactly(y, log2_lambda)[:, :height, :width], count)


def encode_residual(x: Floats, bands: list[Band], samples: Samples, max_error: float) -> bytes:
    """The entry of a plane's residual: the CRC of its samples, then the range coder's words."""
    coder = Encoder()
    found = _walk(coder, x, bands, samples, str(samples.dtype))
    for band, before, after in zip(bands, samples, found, strict=True):
        if band.nodata is not None:
            after = masks.avoid(after, band.nodata, band.valid)  # noqa: PLW2901
        distance = np.abs(after[band.valid].astype(np.float64) - before[band.valid])
        if distance.size and distance.max() > max_error:
            raise RasterError(f"changed while it was read: a sample is {distance.max():g} off, and {max_error:g} is the bound")
    return seal(coder, _crc(found))


def decode_residual(x: Floats, bands: list[Band], entry: bytes, dtype: str) -> Samples:
    """The samples of a plane (band, row, column), 0 where not valid."""
    return unseal(entry, lambda coder: _walk(coder, x, bands, None, dtype), _crc, "samples")


def _walk(coder: Coder, x: Floats, bands: list[Band], samples: Samples | None, dtype: str) -> Samples:
    units = np.stack([band.bound.units(picture, band.line) for band, picture in zip(bands, x, strict=True)])
    base = coder.round(units, EPSILON).astype(np.int64)
    earlier: list[Plane] = []
    out = np.zeros(x.shape, dtype)
    for k, band in enumerate(bands):
        known = None if samples is None else _wanted(band, samples[k], base[k])
        earlier.append(code_band(coder, base[k], band.valid, earlier, known))
        found = band.bound.samples(base[k], earlier[k].residual, band.line, dtype)
        out[k][band.valid] = found[band.valid]
    return out


def _wanted(band: Band, samples: Samples, base: Longs) -> Longs:
    """The residual of a band; where the step before nodata is nearer than nodata's successor, that."""
    residual = band.bound.residual(np.where(band.valid, samples, samples.dtype.type(0)), base, band.line)
    if band.nodata is not None and band.bound.step:
        found, before = (band.bound.samples(base, r, band.line, str(samples.dtype)) for r in (residual, residual - 1))
        moved = masks.avoid(found, band.nodata, band.valid)
        off, off_before = (np.abs(choice.astype(np.float64) - samples) for choice in (moved, before))
        residual -= (found != moved) & band.valid & (off > off_before)
    return residual


def _crc(samples: Samples) -> int:
    return zlib.crc32(np.ascontiguousarray(samples, samples.dtype.newbyteorder("<")).tobytes())
