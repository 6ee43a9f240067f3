"""What a trained network is worth: real files of validation pictures, and the log as a plot."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from fdeg_codec import weights
from fdeg_codec.codec.aim import decibels
from fdeg_codec.codec.encode import encode
from fdeg_codec.codec.engine import load_engine
from fdeg_codec.codec.goal import presets
from fdeg_codec.raster.source import Source
from fdeg_codec.training.data import pictures_in
from fdeg_codec.training.loop import rows_of

NAMED = 8  # validations that a plot names; all are drawn


def check(pictures: Path) -> None:
    """Refuse pictures that cannot be encoded before hours of training, not after."""
    for path in pictures_in(pictures):
        with Source(path):
            pass


def table(folder: Path, name: str, pictures: Path) -> list[dict[str, float]]:
    """Bits per pixel of whole files and PSNR of what they hold, means over the pictures, per lambda, of a model in `folder`."""
    paths = pictures_in(pictures)
    with weights.also_in(folder), tempfile.TemporaryDirectory() as scratch:
        return [_row(name, paths, value, Path(scratch) / "x.fdg") for value in presets(weights.by_name(name))]


def _row(name: str, paths: list[Path], value: float, target: Path) -> dict[str, float]:
    rates, qualities = [], []
    for path in paths:
        report = encode(path, target, model=name, lambda_=value, overwrite=True)
        rates.append(report.bpp)
        with Source(path) as raster:
            qualities.append(decibels(raster, load_engine(name, "auto", "auto"), target))
    means = value, float(np.mean(rates)), float(np.mean(qualities))
    return dict(zip(("lambda", "bpp", "psnr"), (round(mean, 4) for mean in means), strict=True))


def plot(log: Path, target: Path) -> None:
    """Loss, rates and validation over the steps of a training log, as a picture."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    rows = rows_of(log)
    steps, checks = [r for r in rows if "loss" in r], [r for r in rows if "validation" in r]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    at = [r["step"] for r in steps]
    for key, words, colour in (
        ("loss", "loss (eq. 3)", "#999999"),
        ("y_bpp", "y, bpp", "#0072B2"),
        ("z_bpp", "z, bpp", "#D55E00"),
    ):
        left.plot(at, _smooth([r[key] for r in steps]), color=colour, label=words)
    left.set(xlabel="step", yscale="log", title="training (mean of ten entries of the log)")
    left.legend(frameon=False)
    named = set(np.linspace(0, len(checks) - 1, NAMED).round())
    for k, (check, shade) in enumerate(zip(checks, np.linspace(0.8, 0.0, len(checks)), strict=True)):
        points = [(row["bpp"], row["psnr"]) for row in check["validation"]]
        label = f"step {check['step']}" if k in named else None
        right.plot(*zip(*points, strict=True), marker="o", color=str(shade), label=label)
    right.set(xlabel="bits per pixel", ylabel="PSNR (dB)", title="validation, estimated rates")
    if checks:
        right.legend(frameon=False, fontsize="small")
    figure.savefig(target, dpi=110)
    pyplot.close(figure)


def _smooth(values: list[float], over: int = 10) -> list[Any]:
    return [np.mean(values[max(0, k + 1 - over) : k + 1]) for k in range(len(values))]
