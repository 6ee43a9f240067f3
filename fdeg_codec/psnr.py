"""PSNR, as searches, comparisons and evaluations count it: over valid samples, all bands together."""

from __future__ import annotations

import math

import numpy as np

from fdeg_codec.ndtypes import Flags, Samples

PERFECT = 200.0  # decibels, where nothing is wrong or nothing is there


class Range:
    """The range of an original's samples, gathered part by part: 0 to 255 of 8 bits, else that of those that are valid."""

    def __init__(self, dtype: str) -> None:
        self._fixed = (0.0, 255.0) if dtype == "uint8" else None
        self._low, self._high = math.inf, -math.inf

    @property
    def is_known(self) -> bool:
        """Whether no sample would change it."""
        return self._fixed is not None

    def add(self, kept: Samples) -> None:
        """Valid samples."""
        if kept.size:
            self._low, self._high = min(self._low, float(kept.min())), max(self._high, float(kept.max()))

    @property
    def low(self) -> float:
        """What counts as black."""
        low, high = self._fixed or (self._low, self._high)
        return low if low <= high else 0.0

    @property
    def peak(self) -> float:
        low, high = self._fixed or (self._low, self._high)
        return high - low if low < high else 1.0


def decibels(mse: float, peak: float) -> float:
    """Eq. 11 of the paper: 10 log10(peak^2 / mean squared error)."""
    return 10 * math.log10(peak**2 / mse) if mse > 0 else math.inf


class Errors:
    """Gathers what PSNR is made of, over valid samples."""

    def __init__(self, dtype: str) -> None:
        self._range = Range(dtype)
        self._squares, self._count = 0.0, 0

    def add(self, a: Samples, b: Samples, valid: Flags) -> None:
        x, y = a[valid].astype(np.float64), b[valid].astype(np.float64)
        self._squares += float(((x - y) ** 2).sum())
        self._count += x.size
        self._range.add(x)

    @property
    def psnr(self) -> float:
        return min(decibels(self._squares / max(self._count, 1), self._range.peak), PERFECT)
