"""Which pixels count: found in a raster, filled before analysis, stored exactly, and put back."""

from __future__ import annotations

import zlib
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fdeg_codec.errors import BadFileError

Layer8 = NDArray[np.uint8]

FULL, EMPTY = b"", b"\0"
BITS, BYTES = 1, 2


class Layer(NamedTuple):
    """One exactly stored picture: the validity of all bands or of one, the dataset's mask, or an alpha band."""

    kind: Literal["nodata", "mask", "alpha"]
    band: int | None  # from 0; None where it speaks for all bands


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


def unpack_layer(entry: bytes, height: int, width: int) -> Layer8:
    if entry in (FULL, EMPTY):
        return np.full((height, width), 255 if entry == FULL else 0, np.uint8)
    if entry[0] not in (BITS, BYTES):
        raise BadFileError("it holds a mask of an unknown kind")
    columns = width if entry[0] == BYTES else -(-width // 8)
    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(entry[1:], height * columns + 1)
    except zlib.error as error:
        raise BadFileError("its mask cannot be inflated") from error
    if len(plain) != height * columns or not inflater.eof or inflater.unused_data:
        raise BadFileError("its mask has the wrong size")
    rows = np.frombuffer(plain, np.uint8).reshape(height, columns)
    if entry[0] == BITS:
        return np.unpackbits(rows, axis=1, count=width) * np.uint8(255)
    return np.cumsum(rows, axis=1, dtype=np.uint8)


def fill(samples: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[Any]:
    """Invalid pixels of one band (row, column) filled smoothly from their valid neighbours, near and far."""
    if valid.all() or not valid.any():
        return samples
    filled = _pyramid(np.where(valid, samples, 0).astype(np.float64), valid.astype(np.float64))
    return np.where(valid, samples, np.rint(filled).astype(samples.dtype))


def _pyramid(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means over ever larger blocks, the smallest block with a valid pixel winning. `values` are already weighted."""
    if weights.all() or weights.size == 1:
        return values / np.maximum(weights, 1e-12)
    pad = [(0, n % 2) for n in values.shape]
    coarse = [_halve(np.pad(a, pad)) for a in (values, weights)]
    behind = _pyramid(*coarse).repeat(2, 0).repeat(2, 1)[: values.shape[0], : values.shape[1]]
    return np.where(weights > 0, values / np.maximum(weights, 1e-12), behind)


def _halve(a: NDArray[np.float64]) -> NDArray[np.float64]:
    return a.reshape(a.shape[0] // 2, 2, a.shape[1] // 2, 2).sum((1, 3))


def avoid(samples: NDArray[Any], value: float, valid: NDArray[np.bool_]) -> NDArray[Any]:
    """`samples` of one band with `value` where invalid, and nowhere else: a valid pixel that came out so moves by one."""
    neighbour = value + 1 if value < np.iinfo(samples.dtype).max else value - 1
    samples = np.where(samples == value, samples.dtype.type(neighbour), samples)
    return np.where(valid, samples, samples.dtype.type(value))
