"""The bound on every sample's error: what of a residual is kept, and how it comes back.

The network's reconstruction is rounded to whole multiples of a unit, the same on every machine. A sample is that plus a whole
number of steps. In float32 without loss (step 0) the distance is counted in floats instead: their bits, read as integers, rise
as the numbers do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fdeg_codec.container.sections import number, pack_text, unpack_text
from fdeg_codec.errors import BadFileError
from fdeg_codec.ndtypes import Floats, Longs, Samples
from fdeg_codec.raster import mapping
from fdeg_codec.raster.mapping import Line

RESOLUTION = 16  # bits of a band's span: the unit is never finer, so that rounding stays sure
MOST_UNITS = 1 << 30
LEAST_UNIT = 1e-200  # what it divides stays finite
MARGIN = 2.0**-22  # of the largest number: what rounding to float32 may add to an error


class Bound(NamedTuple):
    """Of one band: the unit of its reconstruction, and the step of its residual; step 0 counts floats."""

    unit: float
    step: float

    def units(self, x: Floats, line: Line) -> Floats:
        """The network's numbers in units above the origin, to be rounded."""
        origin = self._origin(line)
        values = (x * line.span + (line.low - origin)) / self.unit
        least = max(math.floor((line.least - origin) / self.unit), -MOST_UNITS)
        most = min(math.ceil((line.most - origin) / self.unit), MOST_UNITS)
        return np.clip(values, least, most)

    def _origin(self, line: Line) -> float:
        """A whole multiple of the unit near to `low`, so that the number of units above it stays small."""
        return math.floor(line.low / self.unit) * self.unit

    def residual(self, samples: Samples, base: Longs, line: Line) -> Longs:
        """The number of steps from the reconstruction to samples."""
        values = self._values(base, line)
        if self.step == 0:
            return _order(samples) - _order(values.astype(np.float32))
        return np.floor((samples.astype(np.float64) - values) / self.step + 0.5).astype(np.int64)

    def samples(self, base: Longs, residual: Longs, line: Line, dtype: str) -> Samples:
        values = self._values(base, line)
        if self.step == 0:
            return _unorder(_order(values.astype(np.float32)) + residual)
        return np.clip(values + residual * self.step, line.least, line.most).astype(dtype)

    def _values(self, base: Longs, line: Line) -> Floats:
        return base.astype(np.float64) * self.unit + self._origin(line)


def choose(line: Line, max_error: float, whole: bool, nodata: float | None) -> Bound:
    """The bound that keeps every error of a band within `max_error`; `whole` says that its samples are whole numbers."""
    if whole:
        # A valid sample that comes out as nodata moves on by one: a step of 2E leaves room for that.
        inside = nodata is not None and line.least < nodata < line.most
        return Bound(1.0, max(2.0 * math.floor(max_error) + (0.0 if inside else 1.0), 1.0))
    finest = line.span / (1 << RESOLUTION)
    step = 2 * max_error - MARGIN * max(abs(line.least), abs(line.most))
    if step <= MARGIN * max(abs(line.least), abs(line.most)):
        return Bound(finest, 0.0)
    return Bound(max(step / 8, finest), step)


def pack(max_error: float, bounds: Sequence[Bound]) -> bytes:
    return pack_text({"max_error": max_error, "bands": [list(b) for b in bounds]})


def unpack(data: bytes, dtype: str, bands: int) -> list[Bound]:
    try:
        bounds = [Bound(*map(number, pair)) for pair in unpack_text(data)["bands"]]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise BadFileError("its bounds cannot be read") from error
    least = 1.0 if mapping.is_integer(dtype) else 0.0
    if len(bounds) != bands or not all(LEAST_UNIT <= b.unit < math.inf and least <= b.step < math.inf for b in bounds):
        raise BadFileError("its bounds do not fit its bands")
    if mapping.is_integer(dtype) and not all(n.is_integer() for b in bounds for n in b):
        raise BadFileError("its bounds do not fit whole numbers")
    return bounds


def _order(samples: NDArray[np.float32]) -> Longs:
    """Floats as integers that rise with them; -0 lies just below 0."""
    bits = np.ascontiguousarray(samples, np.float32).view(np.int32).astype(np.int64)
    return np.where(bits < 0, -(bits + (1 << 31)) - 1, bits)


def _unorder(order: Longs) -> NDArray[np.float32]:
    bits = np.where(order < 0, -(order + 1) - (1 << 31), order)
    return np.clip(bits, -(1 << 31), (1 << 31) - 1).astype(np.int32).view(np.float32)
