"""Samples to numbers in [0, 1] and back, per band, by a linear map that is stored in the file."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fdeg_codec.errors import BadFileError

Samples = NDArray[Any]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Mapping:
    """Per band, the sample that becomes 0 and the sample that becomes 1."""

    dtype: str
    lows: tuple[float, ...]
    highs: tuple[float, ...]

    def to_unit(self, samples: Samples) -> Floats:
        """(band, row, column) in [0, 1]; what lies outside a band's bounds is invalid anyway."""
        low, span = self._columns()
        return np.clip((samples - low) / span, 0, 1).astype(np.float32)

    def from_unit(self, x: Floats) -> Samples:
        """Samples in the file's type, rounded, within each band's bounds."""
        low, span = self._columns()
        values = np.floor(np.clip(x, 0, 1) * span + low + np.float32(0.5))
        return np.minimum(values, np.array(self.highs, np.float32)[:, None, None]).astype(self.dtype)

    def _columns(self) -> tuple[Floats, Floats]:
        lows = np.array(self.lows, np.float32)[:, None, None]
        highs = np.array(self.highs, np.float32)[:, None, None]
        return lows, np.maximum(highs - lows, 1)

    def select(self, bands: list[int]) -> Mapping:
        return Mapping(self.dtype, tuple(self.lows[b] for b in bands), tuple(self.highs[b] for b in bands))

    def pack(self) -> bytes:
        """Empty where the map is that of every 8-bit raster."""
        if self == identity(self.dtype, len(self.lows)):
            return b""
        return struct.pack(f"<{2 * len(self.lows)}d", *self.lows, *self.highs)


def identity(dtype: str, bands: int) -> Mapping:
    """The whole range of an integer type."""
    return Mapping(dtype, (0.0,) * bands, (float(np.iinfo(dtype).max),) * bands)


def unpack(data: bytes | None, dtype: str, bands: int) -> Mapping:
    if not data:
        return identity(dtype, bands)
    if len(data) != 16 * bands:
        raise BadFileError("its sample mapping does not fit its bands")
    numbers = struct.unpack(f"<{2 * bands}d", data)
    mapping = Mapping(dtype, numbers[:bands], numbers[bands:])
    top = float(np.iinfo(dtype).max)
    if not all(0 <= low <= high <= top for low, high in zip(mapping.lows, mapping.highs, strict=True)):
        raise BadFileError("its sample mapping leaves the range of its type")
    return mapping
