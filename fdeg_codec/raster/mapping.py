"""Samples to numbers around [0, 1] and back, per band, by a linear map that is stored in the file.

Eight-bit samples keep their whole range. For all others 0 and 1 are percentiles of the valid samples, and what lies
beyond them is mapped beyond: the network carries it, and at equal rate all bands gain from the better use of its range.
What lies further out than REACH is none of the network's business, and kept exactly (masks.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fdeg_codec.container.sections import number, pack_text, unpack_text
from fdeg_codec.errors import BadFileError
from fdeg_codec.ndtypes import Samples

Floats = NDArray[Any]  # float32, or float64 where every machine must agree

REACH = 3.0  # the network is shown numbers from -REACH to 1 + REACH


class Line(NamedTuple):
    """A band's map: the samples that become 0 and 1, and the least and the greatest that may come back."""

    low: float
    high: float
    least: float
    most: float

    @property
    def span(self) -> float:
        return self.high - self.low if self.high > self.low else 1.0

    @property
    def limits(self) -> tuple[float, float]:
        """The samples that the network is shown."""
        return self.low - REACH * self.span, self.low + (1 + REACH) * self.span


@dataclass(frozen=True)
class Mapping:
    """A map per band."""

    dtype: str
    lines: tuple[Line, ...]

    def to_unit(self, samples: Samples) -> NDArray[np.float32]:
        """(band, row, column) as the network sees them."""
        low, span = (_column(f, np.float64) for f in ([y.low for y in self.lines], [y.span for y in self.lines]))
        return ((samples - low) / span).astype(np.float32)

    def from_unit(self, x: Floats) -> Samples:
        """Samples in the file's type, rounded if it is one of integers, within each band's bounds."""
        low, span, least, most = (
            _column(f, x.dtype) for f in zip(*((y.low, y.span, y.least, y.most) for y in self.lines), strict=True)
        )
        values = x * span + low
        if is_integer(self.dtype):
            values = np.floor(values + x.dtype.type(0.5))
        samples: Samples = np.fmin(np.fmax(values, least), most).astype(self.dtype)  # a forged file may give what is no number
        return samples

    def clipped(self, x: Floats) -> Floats:
        """The network's numbers within what each band's bounds become."""
        ends = [((y.least - y.low) / y.span, (y.most - y.low) / y.span) for y in self.lines]
        return np.clip(x, *(_column(end, x.dtype) for end in zip(*ends, strict=True)))

    def select(self, bands: list[int]) -> Mapping:
        return Mapping(self.dtype, tuple(self.lines[b] for b in bands))

    def pack(self) -> bytes:
        """Empty where it is the whole range of an integer type, as for 8 bits."""
        if is_integer(self.dtype) and self == identity(self.dtype, len(self.lines)):
            return b""
        return pack_text([[int(n) if n % 1 == 0 and abs(n) < 2**31 else n for n in line] for line in self.lines])


def is_integer(dtype: str) -> bool:
    return np.dtype(dtype).kind in "iu"


def identity(dtype: str, bands: int) -> Mapping:
    """The whole range of an integer type."""
    least, most = bounds(dtype)
    return Mapping(dtype, (Line(least, most, least, most),) * bands)


def bounds(dtype: str) -> tuple[float, float]:
    info = np.iinfo(dtype) if is_integer(dtype) else np.finfo(dtype)
    return float(info.min), float(info.max)


def unpack(data: bytes | None, dtype: str, bands: int) -> Mapping:
    if not data:
        if not is_integer(dtype):
            raise BadFileError("its samples have no mapping")
        return identity(dtype, bands)
    try:
        lines = tuple(Line(*map(number, line)) for line in unpack_text(data))
    except (TypeError, ValueError, OverflowError) as error:
        raise BadFileError("its sample mapping cannot be read") from error
    if len(lines) != bands:
        raise BadFileError("its sample mapping does not fit its bands")
    least, most = bounds(dtype)
    for line in lines:
        inside = least <= line.least <= line.most <= most and least <= line.low <= line.high <= most
        if not inside or line.span > bounds("float32")[1]:
            raise BadFileError("its sample mapping leaves the range of its type")
        if is_integer(dtype) and not all(n.is_integer() for n in line):
            raise BadFileError("its sample mapping does not fit whole numbers")
    return Mapping(dtype, lines)


def _column(numbers: Any, dtype: Any) -> Floats:
    return np.array(numbers, dtype)[:, None, None]
