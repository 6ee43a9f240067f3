"""Figures of merit of a decoded raster beside its original, gathered block by block over the pixels that count.

Errors are exact sums. MS-SSIM and VIFp need whole neighbourhoods: they are means, by area, over the largest rectangles of a
block that hold no invalid pixel, and so the usual figure where a picture is one block without any.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fdeg_codec.errors import UsageError
from fdeg_codec.evaluation import lpips
from fdeg_codec.evaluation.vif import vifp
from fdeg_codec.ndtypes import Flags, Floats
from fdeg_codec.psnr import decibels

SMALLEST = 161  # the shortest side on which MS-SSIM has five scales
SCALE = 255.0  # the range that structure is measured in


def msssim(a: Floats, b: Floats) -> float:
    """Multi-scale structural similarity (Wang et al. 2003) of (band, row, column) in 0..255, mean over the bands."""
    import torch
    from pytorch_msssim import ms_ssim

    return float(ms_ssim(torch.from_numpy(a)[None], torch.from_numpy(b)[None], data_range=SCALE))


STRUCTURAL: dict[str, tuple[Callable[[Floats, Floats], float], Callable[[], str]]] = {
    "ms_ssim": (msssim, lambda: _needs("pytorch_msssim")),
    "vifp": (vifp, lambda: _needs("scipy")),
    "lpips": (lpips.measure, lpips.missing),
}
ERRORS = ("psnr", "max_error", "sam", "ndvi")
NAMES = (*ERRORS, *STRUCTURAL)


def _needs(module: str) -> str:
    return "" if importlib.util.find_spec(module) else f"needs the package {module.replace('_', '-')}: pip install 'fdeg[eval]'"


def missing(names: tuple[str, ...]) -> dict[str, str]:
    """Which of these metrics cannot be had here, and why."""
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise UsageError(f"--metrics {unknown[0]}: metrics are {', '.join(NAMES)}")
    reasons = {name: STRUCTURAL[name][1]() for name in names if name in STRUCTURAL}
    return {name: reason for name, reason in reasons.items() if reason}


class Tally:
    """Takes blocks of an original and of what became of it; `result` is the figures over all of them.

    `peak` is the range of the samples, of which the first is `low`; `ndvi` are the positions of red and near-infrared.
    """

    def __init__(self, bands: int, peak: float, low: float, names: tuple[str, ...], ndvi: tuple[int, int] | None) -> None:
        self.peak, self.low, self.names, self.ndvi = peak, low, names, ndvi
        self.pixels = self.differ = 0
        self.counts, self.squares, self.sums = np.zeros(bands, np.int64), np.zeros(bands), np.zeros(bands)
        self.largest = np.zeros(bands)
        self.angles = _Mean()
        self.indices = _Mean()
        self.structures = {name: _Mean() for name in names if name in STRUCTURAL}

    def add(self, a: NDArray[Any], b: NDArray[Any], valid_a: Flags, valid_b: Flags) -> None:
        """Blocks (band, row, column) and the validity of each sample."""
        valid = valid_a & valid_b
        self.pixels += valid[0].size
        self.differ += int((valid_a != valid_b).any(0).sum())
        x, y = (np.where(valid, s, 0).astype(np.float64) for s in (a, b))
        error = y - x
        self.counts += valid.sum((1, 2))
        self.squares += (error**2).sum((1, 2))
        self.sums += error.sum((1, 2))
        self.largest = np.maximum(self.largest, np.abs(error).max((1, 2)))
        together: Flags = np.all(valid, axis=0)
        if "sam" in self.names and len(x) > 1:
            self.angles.add(spectral_angles(x[:, together], y[:, together]))
        if "ndvi" in self.names and self.ndvi:
            self.indices.add(np.abs(ndvi(*y[np.ix_(self.ndvi)][:, together]) - ndvi(*x[np.ix_(self.ndvi)][:, together])))
        for rows, columns in rectangles(together) if self.structures else ():
            parts = [(s[:, rows, columns] - self.low) * (SCALE / self.peak) for s in (x, y)]
            for name, mean in self.structures.items():
                mean.add(np.array([STRUCTURAL[name][0](*parts)]), parts[0][0].size)

    def result(self) -> dict[str, float | None]:
        """By name; None where there is nothing to measure it on. Errors are in units of the samples, angles in degrees."""
        mse = self.squares / np.maximum(self.counts, 1)
        seen = self.counts > 0
        found: dict[str, float | None] = {"valid": float(self.counts.sum() / max(self.pixels * len(seen), 1))}
        found["validity_differs"] = self.differ
        if "psnr" in self.names:
            over_all = self.squares.sum() / max(self.counts.sum(), 1)
            found["mse"] = float(over_all) if seen.any() else None
            found["psnr"] = decibels(over_all, self.peak) if seen.any() else None
            found["psnr_bands"] = float(np.mean([decibels(m, self.peak) for m in mse[seen]])) if seen.any() else None
        if "max_error" in self.names:
            found["max_error"] = float(self.largest.max()) if seen.any() else None
        found |= {"sam": self.angles.value} if "sam" in self.names else {}
        found |= {"ndvi": self.indices.value} if "ndvi" in self.names else {}
        for name, mean in self.structures.items():
            found[name] = mean.value
            if name == "ms_ssim":
                found["ms_ssim_db"] = None if mean.value is None else _decibels_of_similarity(mean.value)
        return found

    def bands(self) -> list[dict[str, float | None]]:
        """Each band by itself: PSNR, root of the mean squared error, mean error (its sign says which way), largest error."""
        table: list[dict[str, float | None]] = []
        for count, square, total, largest in zip(self.counts, self.squares, self.sums, self.largest, strict=True):
            if not count:
                table.append({"psnr": None, "rmse": None, "bias": None, "max_error": None})
                continue
            mse = square / count
            rmse, bias = math.sqrt(mse), float(total / count)
            table.append({"psnr": decibels(mse, self.peak), "rmse": rmse, "bias": bias, "max_error": float(largest)})
        return table


class _Mean:
    def __init__(self) -> None:
        self.total = self.weight = 0.0

    def add(self, values: Floats, each: float = 1) -> None:
        kept = values[np.isfinite(values)]
        self.total += float(kept.sum()) * each
        self.weight += kept.size * each

    @property
    def value(self) -> float | None:
        return self.total / self.weight if self.weight else None


def spectral_angles(a: Floats, b: Floats) -> Floats:
    """Degrees between the spectra (band, pixel); not a number where one of them is zero in all bands and the other is not."""
    lengths = np.sqrt((a**2).sum(0)), np.sqrt((b**2).sum(0))
    with np.errstate(invalid="ignore", divide="ignore"):
        # Half angles from the chord of the unit vectors: arccos of a cosine near 1 would lose half of the digits.
        chord = np.sqrt(((a / lengths[0] - b / lengths[1]) ** 2).sum(0))
    angles = np.degrees(2 * np.arcsin(np.minimum(chord / 2, 1)))
    return np.where((lengths[0] == 0) & (lengths[1] == 0), 0.0, angles)


def ndvi(red: Floats, infrared: Floats) -> Floats:
    """The vegetation index; not a number where both are zero."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return (infrared - red) / (infrared + red)


def rectangles(valid: Flags) -> Iterator[tuple[slice, slice]]:
    """The largest parts of a block, halving both sides, in which every pixel is valid."""
    yield from _parts(valid, 0, 0)


def _parts(valid: Flags, top: int, left: int) -> Iterator[tuple[slice, slice]]:
    height, width = valid.shape
    if min(height, width) < SMALLEST:
        return
    if valid.all():
        yield slice(top, top + height), slice(left, left + width)
        return
    for rows in (slice(0, height // 2), slice(height // 2, height)):
        for columns in (slice(0, width // 2), slice(width // 2, width)):
            yield from _parts(valid[rows, columns], top + rows.start, left + columns.start)


def _decibels_of_similarity(value: float) -> float:
    return -10 * math.log10(1 - value) if value < 1 else math.inf
