"""Mean curves and Bjontegaard's differences between them, from a table of points alone."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fdeg_codec.evaluation.table import COSTS, FIGURES, Point
from fdeg_codec.ndtypes import Floats

Method = Literal["akima", "pchip"]

DRAWS = 400  # of the bootstrap
SEED = 1
SPAN = (2.5, 97.5)  # per cent: the interval that is reported


@dataclass(frozen=True)
class Cube:
    """One codec's figures by name: (picture, quality), for the pictures that all codecs have."""

    codec: str
    qualities: tuple[float, ...]
    figures: dict[str, Floats]

    def mean(self, name: str, rows: NDArray[np.intp] | None = None) -> Floats:
        """The mean curve, over some rows of pictures or all."""
        values = self.figures[name] if rows is None else self.figures[name][rows]
        return np.asarray(values.mean(0))


@dataclass(frozen=True)
class Difference:
    """How much less or more rate (per cent), or quality, a codec takes than an anchor; with an interval."""

    value: float
    low: float
    high: float


def without_psnr(points: list[Point]) -> dict[str, str]:
    """The pictures that have no place on a curve over PSNR, where that was measured, and why."""
    if not any(math.isfinite(p.values["psnr"]) for p in points):
        return {}
    return {p.picture: _no_psnr(p) for p in points if not math.isfinite(p.values["psnr"])}


def _no_psnr(point: Point) -> str:
    if math.isnan(point.values["psnr"]):
        return "has no valid sample, and so no PSNR"
    return f"{point.codec} keeps it exactly, and so has no finite PSNR"


def cubes(points: list[Point]) -> tuple[list[str], list[Cube]]:
    """The pictures that every codec has at all its qualities, and each codec's figures on them."""
    codecs: dict[str, dict[tuple[str, float], Point]] = {}
    for point in points:
        codecs.setdefault(point.codec, {})[point.picture, point.quality] = point
    pictures = list(dict.fromkeys(point.picture for point in points))
    whole = [p for p in pictures if all((p, q) in found for found in codecs.values() for q in {q for _, q in found})]
    return whole, [_cube(codec, found, whole) for codec, found in codecs.items()] if whole else []


def _cube(codec: str, found: dict[tuple[str, float], Point], pictures: list[str]) -> Cube:
    qualities = list(dict.fromkeys(q for _, q in found))
    names = (*COSTS, *FIGURES)
    values = np.array([[[found[p, q].values[n] for n in names] for q in qualities] for p in pictures])
    order = np.argsort(values[..., names.index("bpp")].mean(0))
    figures = {n: values[:, order, k] for k, n in enumerate(names) if np.isfinite(values[..., k]).all()}
    return Cube(codec, tuple(qualities[k] for k in order), figures)


def bd_rate(anchor: Cube, test: Cube, metric: str, method: Method = "akima", rate: str = "bpp") -> float:
    """The mean difference in rate, in per cent, over the qualities that both mean curves reach."""
    return _bd_rate((anchor.mean(rate), anchor.mean(metric)), (test.mean(rate), test.mean(metric)), method)


def bd_quality(anchor: Cube, test: Cube, metric: str, method: Method = "akima") -> float:
    """The mean difference in quality over the rates that both mean curves reach: BD-PSNR and its like."""
    from bjontegaard import bd_psnr

    curves = (_rising(cube.mean("bpp"), cube.mean(metric)) for cube in (anchor, test))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about curves that overlap little
        return float(bd_psnr(*next(curves), *next(curves), method=method, require_matching_points=False, min_overlap=0))


def with_interval(anchor: Cube, test: Cube, metric: str) -> Difference:
    """BD-rate with the interval that drawing other pictures of the same sort would mostly give: a bootstrap over pictures."""
    rng = np.random.default_rng(SEED)
    count = len(anchor.figures["bpp"])
    value = bd_rate(anchor, test, metric)
    if count < 2:
        return Difference(value, math.nan, math.nan)
    drawn = []
    for _ in range(DRAWS):
        rows = rng.integers(0, count, count)
        curves = [(c.mean("bpp", rows), c.mean(metric, rows)) for c in (anchor, test)]
        drawn.append(_bd_rate(curves[0], curves[1], "akima"))
    low, high = np.nanpercentile(drawn, SPAN) if np.isfinite(drawn).any() else (np.nan, np.nan)
    return Difference(value, float(low), float(high))


def at_rate(cube: Cube, metric: str, bpp: float) -> float:
    """The mean curve's quality at a rate within it (Akima over the logarithm of the rate); else not a number."""
    rates, figures = _rising(cube.mean("bpp"), cube.mean(metric))
    if len(rates) < 2:
        return math.nan
    from scipy.interpolate import Akima1DInterpolator

    return float(Akima1DInterpolator(np.log(rates), figures)(np.log(bpp), extrapolate=False))


def _bd_rate(anchor: tuple[Floats, Floats], test: tuple[Floats, Floats], method: Method) -> float:
    from bjontegaard import bd_rate

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(bd_rate(*_rising(*anchor), *_rising(*test), method=method, require_matching_points=False, min_overlap=0))


def _rising(rates: Floats, qualities: Floats) -> tuple[Floats, Floats]:
    """A curve without the points at which no more rate or quality came, as interpolation needs it."""
    kept = [0]
    for k in range(1, len(rates)):
        if qualities[k] > qualities[kept[-1]] and rates[k] > rates[kept[-1]]:
            kept.append(k)
    return rates[kept], qualities[kept]
