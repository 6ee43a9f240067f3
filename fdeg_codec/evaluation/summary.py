"""The figures of a run, from its table and run.json alone: mean curves, differences, speeds."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from fdeg_codec.errors import FdegError, UsageError
from fdeg_codec.evaluation import curves
from fdeg_codec.evaluation.curves import Cube
from fdeg_codec.evaluation.run import describe, points_of

ANCHOR = "jpeg2000"
# Metrics that rise with quality and whose curves therefore have a Bjontegaard difference.
RATED = ("psnr", "psnr_bands", "ms_ssim_db", "vifp")


def load(out: Path) -> tuple[dict[str, Any], list[str], list[Cube]]:
    """What run.json says, the pictures that all codecs have, and the codecs: ours first, then the best.

    Flat pictures, which a codec keeps exactly, and empty ones would take PSNR from all: they are among the problems instead.
    """
    about = describe(out)
    asked = set(about["pictures"])  # by the last call; the table may hold more
    points = [p for p in points_of(out) if p.picture in asked]
    left_out = curves.without_psnr(points)
    pictures, found = curves.cubes([p for p in points if p.picture not in left_out] or points)
    about["problems"] |= left_out
    if not pictures:
        raise FdegError(f"{out}: no picture has gone through all codecs yet; --resume goes on")
    own = {name for name, c in about["codecs"].items() if c["ours"]}
    return about, pictures, sorted(found, key=lambda c: (c.codec not in own, -_height(c, found)))


def _height(cube: Cube, others: list[Cube]) -> float:
    """How high a curve lies over the rates it shares with most."""
    low, high = np.median([c.mean("bpp")[[0, -1]] for c in others], 0)
    rates = np.geomspace(low, high, 12)
    values = [curves.at_rate(cube, "psnr", r) if "psnr" in cube.figures else 0.0 for r in rates]
    return float(np.nanmean(values)) if np.isfinite(values).any() else -math.inf


def summarise(about: dict[str, Any], pictures: list[str], found: list[Cube], anchor: str | None = None) -> dict[str, Any]:
    """Everything a table or a plot of ours shows; differences against `anchor`, or JPEG 2000, or whoever is last."""
    by_name = {c.codec: c for c in found}
    anchor = anchor or (ANCHOR if ANCHOR in by_name else found[-1].codec)
    if anchor not in by_name:
        raise UsageError(f"--anchor {anchor}: the run has {', '.join(by_name)}")
    return {
        "pictures": len(pictures),
        "anchor": anchor,
        "curves": {c.codec: mean_curve(c) for c in found},
        "bd_rate": {m: _against(by_name, anchor, m) for m in RATED if _have(found, m)},
        "bd_rate_matrix": _matrix(found) if _have(found, "psnr") else {},
        "speed": {c.codec: speed(c) for c in found},
        "about": about,
    }


def mean_curve(cube: Cube) -> dict[str, list[float]]:
    """By name, the mean of each quality's figures; and the PSNR of the mean error over all samples of all pictures."""
    means = {name: [float(v) for v in cube.mean(name)] for name in cube.figures}
    if "psnr" in cube.figures:
        peaks = cube.figures["mse"] * 10 ** (cube.figures["psnr"] / 10)  # squared, whatever the pictures' ranges are
        pixels = cube.figures["pixels"]
        pooled = (np.average(table, axis=0, weights=pixels) for table in (peaks, cube.figures["mse"]))
        with np.errstate(divide="ignore"):
            means["psnr_pooled"] = [float(v) for v in 10 * np.log10(np.divide(*pooled))]
    return {"quality": list(cube.qualities)} | means


def speed(cube: Cube) -> dict[str, float]:
    """Megapixels a second, over all pictures and qualities."""
    mega = cube.figures["pixels"].sum() / 1e6
    times = {name: cube.figures[f"{name}_seconds"].sum() for name in ("encode", "decode")}
    return {name: float(mega / seconds) for name, seconds in times.items()}


def _against(found: dict[str, Cube], anchor: str, metric: str) -> dict[str, dict[str, Any]]:
    """Each codec beside the anchor: Akima with its interval, PCHIP, without headers, and the difference in quality."""
    table = {}
    for name, cube in found.items():
        if name != anchor:
            base = found[anchor]
            table[name] = asdict(curves.with_interval(base, cube, metric)) | {
                "pchip": curves.bd_rate(base, cube, metric, "pchip"),
                "payload": curves.bd_rate(base, cube, metric, rate="payload_bpp"),
                "quality": curves.bd_quality(base, cube, metric),
                "quality_pchip": curves.bd_quality(base, cube, metric, "pchip"),
            }
    return table


def _matrix(found: list[Cube]) -> dict[str, dict[str, float]]:
    """BD-rate over PSNR of every codec (first) against every other (second)."""
    return {a.codec: {b.codec: curves.bd_rate(b, a, "psnr") for b in found if b is not a} for a in found}


def _have(found: list[Cube], metric: str) -> bool:
    return all(metric in c.figures for c in found)
