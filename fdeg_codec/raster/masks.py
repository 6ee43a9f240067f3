"""Which pixels count: what does not is filled before analysis, stored exactly, and put back."""

from __future__ import annotations

import zlib
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fdeg_codec.container.file import ZERO
from fdeg_codec.errors import BadFileError
from fdeg_codec.ndtypes import Flags, Floats, Samples

Layer8 = NDArray[np.uint8]

FULL, EMPTY = b"", ZERO
BITS, BYTES, SAMPLES = 1, 2, 3


LayerKind = Literal["nodata", "nan", "far", "mask", "mask-only", "alpha", "alpha-only"]


class Layer(NamedTuple):
    """One exactly stored picture, of a band (from 0) or, with None, of all coded ones.

    alpha: a band. mask: the dataset's. Both hide what lies below their zeros, unless "-only" is said.
    nodata: where samples are valid. nan: where they are numbers. far: samples beyond the network's reach.
    """

    kind: LayerKind
    band: int | None


MISSING: tuple[LayerKind, ...] = ("nodata", "nan")
MASK: tuple[LayerKind, ...] = ("mask", "mask-only")
ALPHA: tuple[LayerKind, ...] = ("alpha", "alpha-only")


class Far(NamedTuple):
    """Samples kept exactly: where, and in the order of rows what they are."""

    flags: Flags
    samples: Samples


Found = dict[Layer, Layer8 | Far]  # of a tile


def pack_layer(values: Layer8) -> bytes:
    """(row, column): nothing if all are 255, one byte if all are 0, else deflated bits or bytes."""
    if (values == 255).all():
        return FULL
    if not values.any():
        return EMPTY
    if ((values == 0) | (values == 255)).all():
        kind, plain = BITS, np.packbits(values > 0, axis=1)
    else:
        kind, plain = BYTES, np.diff(values, axis=1, prepend=0).astype(np.uint8)
    return bytes([kind]) + zlib.compress(np.ascontiguousarray(plain).tobytes(), 9)


def pack_far(flags: Flags, samples: Samples) -> bytes:
    """Nothing if there are none, else where they are, one bit each, and their samples, all deflated."""
    if not flags.any():
        return FULL
    plain = np.packbits(flags, axis=1).tobytes() + samples[flags].astype(samples.dtype.newbyteorder("<")).tobytes()
    return bytes([SAMPLES]) + zlib.compress(plain, 9)


def unpack_layer(entry: bytes, height: int, width: int) -> Layer8:
    if entry in (FULL, EMPTY):
        return np.full((height, width), 255 if entry == FULL else 0, np.uint8)
    if entry[0] not in (BITS, BYTES):
        raise BadFileError("it holds a mask of an unknown kind")
    columns = width if entry[0] == BYTES else -(-width // 8)
    plain = _inflate(entry[1:], height * columns)
    if len(plain) != height * columns:
        raise BadFileError("its mask has the wrong size")
    rows = np.frombuffer(plain, np.uint8).reshape(height, columns)
    if entry[0] == BITS:
        return np.unpackbits(rows, axis=1, count=width) * np.uint8(255)
    return np.cumsum(rows, axis=1, dtype=np.uint8)


def unpack_far(entry: bytes, height: int, width: int, dtype: str) -> Far:
    if entry == FULL:
        return Far(np.zeros((height, width), bool), np.empty(0, dtype))
    if entry[0] != SAMPLES:
        raise BadFileError("it holds samples of an unknown kind")
    stride, kind = -(-width // 8), np.dtype(dtype).newbyteorder("<")
    plain = _inflate(entry[1:], height * (stride + width * kind.itemsize))
    rows = np.frombuffer(plain[: height * stride], np.uint8)
    if rows.size < height * stride:
        raise BadFileError("its samples have the wrong size")
    flags = np.unpackbits(rows.reshape(height, stride), axis=1, count=width).astype(bool)
    if len(plain) != height * stride + np.count_nonzero(flags) * kind.itemsize:
        raise BadFileError("its samples have the wrong size")
    return Far(flags, np.frombuffer(plain[height * stride :], kind).astype(dtype))


def _inflate(data: bytes, most: int) -> bytes:
    """A zlib stream of at most `most` bytes that nothing follows."""
    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(data, most + 1)
    except zlib.error as error:
        raise BadFileError("it cannot be inflated") from error
    if len(plain) > most or not inflater.eof or inflater.unused_data:
        raise BadFileError("it has the wrong size")
    return plain


def fill(samples: Samples, valid: Flags) -> Samples:
    """Invalid pixels of one band (row, column) filled smoothly from their valid neighbours, near and far."""
    if valid.all() or not valid.any():
        return samples
    filled = _pyramid(np.where(valid, samples, 0).astype(np.float64), valid.astype(np.float64))
    if samples.dtype.kind in "iu":
        filled = np.rint(filled)
    return np.where(valid, samples, filled.astype(samples.dtype))


def _pyramid(values: Floats, weights: Floats) -> Floats:
    """Means over ever larger blocks, the smallest block with a valid pixel winning. `values` are already weighted."""
    if weights.all() or weights.size == 1:
        return values / np.maximum(weights, 1e-12)
    pad = [(0, n % 2) for n in values.shape]
    coarse = [_halve(np.pad(a, pad)) for a in (values, weights)]
    behind = _pyramid(*coarse).repeat(2, 0).repeat(2, 1)[: values.shape[0], : values.shape[1]]
    return np.where(weights > 0, values / np.maximum(weights, 1e-12), behind)


def _halve(a: Floats) -> Floats:
    return a.reshape(a.shape[0] // 2, 2, a.shape[1] // 2, 2).sum((1, 3))


def avoid(samples: Samples, value: float, valid: Flags) -> Samples:
    """`samples` of one band with `value` where invalid, and nowhere else: a valid one that came out so moves to the next."""
    kind = samples.dtype
    if not np.isnan(value):
        samples = np.where(samples == kind.type(value), _beside(value, kind), samples)
    return np.where(valid, samples, kind.type(value))


def _beside(value: float, kind: np.dtype[Any]) -> Any:
    """The sample after `value`, or the one before it if there is none."""
    if kind.kind == "f":
        return np.nextafter(kind.type(value), kind.type(np.inf if value < np.finfo(kind).max else 0))
    return kind.type(value + 1 if value < np.iinfo(kind).max else value - 1)


def valid(found: Found, band: int, hidden: Flags) -> Flags:
    """Where the network was asked for a band."""
    out = _passed(found, "nodata", band, hidden.shape) & _passed(found, "nan", band, hidden.shape) & ~hidden
    far = found.get(Layer("far", band))
    return out & ~far.flags if isinstance(far, Far) else out


def hidden_by(found: Found, shape: tuple[int, ...]) -> Flags:
    """Where mask or alpha hide all coded bands."""
    hidden = np.zeros(shape, bool)
    for layer, values in found.items():
        if layer.kind in ("alpha", "mask") and not isinstance(values, Far):
            hidden |= values == 0
    return hidden


def restore(samples: Samples, found: Found, nodata: dict[int, float | None]) -> None:
    """Put layers over decoded `samples` (band, row, column) in place. `nodata` of the coded bands that are wanted."""
    hidden = hidden_by(found, samples.shape[1:])
    for layer, values in found.items():
        if layer.kind in ALPHA and not isinstance(values, Far):
            samples[layer.band] = values if samples.dtype == np.uint8 else values.astype(samples.dtype) * 257
    for band, value in nodata.items():
        far = found.get(Layer("far", band))
        if isinstance(far, Far):
            samples[band][far.flags] = far.samples
        if value is not None:
            samples[band] = avoid(samples[band], value, _passed(found, "nodata", band, hidden.shape))
        if samples.dtype.kind == "f":
            samples[band][~_passed(found, "nan", band, hidden.shape)] = np.nan
    for band in nodata:
        samples[band][hidden] = 0


def is_hidden(entries: dict[Layer, bytes], coded: list[int]) -> bool:
    """Whether a tile's layers say that nothing in it is valid."""
    empty = {layer for layer, entry in entries.items() if entry == EMPTY}
    if any(layer.kind in ("mask", "alpha") for layer in empty):
        return True
    return any(Layer(kind, None) in empty or all(Layer(kind, b) in empty for b in coded) for kind in MISSING)


def _passed(found: Found, kind: LayerKind, band: int, shape: tuple[int, ...]) -> Flags:
    """Where a layer of bands, or of one, lets samples pass."""
    flags = found.get(Layer(kind, None), found.get(Layer(kind, band)))
    return np.ones(shape, bool) if flags is None or isinstance(flags, Far) else flags > 0
