"""A visual comparison: the original and each codec at one rate, each with a magnified crop, as papers show it."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fdeg_codec.evaluation.codec import Codec
from fdeg_codec.evaluation.pictures import Picture

CROP, MAGNIFY, GAP, LINE, ACROSS = 80, 3, 8, 22, 5
MAX_SIDE = 1024  # of the part of a large picture that is shown
STEPS = 9  # of the search for a rate
TYPICAL = 0.5  # which picture is shown: the one whose rate lies at this quantile


class Panel(NamedTuple):
    """One codec's result."""

    words: str
    figures: str
    pixels: NDArray[np.uint8]


def draw(picture: Picture, codecs: list[Codec], labels: dict[str, str], bpp: float, target: Path) -> None:
    """The sheet of a picture at about `bpp`."""
    panels = [Panel("original", f"{8 * picture.samples.itemsize * len(picture.samples)} bpp", _shown(picture, picture.samples))]
    for codec in codecs:
        size, samples = nearest(picture, codec, bpp)
        panels.append(
            Panel(
                labels[codec.name], f"{8 * size / picture.pixels:.3f} bpp, {_psnr(picture, samples)}", _shown(picture, samples)
            )
        )
    _sheet(panels, _busiest(panels[0].pixels)).save(target, optimize=True)


def nearest(picture: Picture, codec: Codec, bpp: float) -> tuple[int, NDArray[Any]]:
    """Bytes and samples of the file whose rate comes nearest to the wanted one."""
    best: tuple[float, int, NDArray[Any]] | None = None
    low, high = 0.0, 1.0
    with tempfile.TemporaryDirectory(prefix="fdeg-eval-") as folder:
        for step in range(STEPS):
            middle = (low + high) / 2
            file = Path(folder) / f"{step}{codec.suffix}"
            codec.encode(picture, file, codec.between(middle))
            size = file.stat().st_size
            away = abs(8 * size / picture.pixels - bpp)
            if best is None or away < best[0]:
                best = away, size, codec.decode(file)
            low, high = (middle, high) if 8 * size / picture.pixels < bpp else (low, middle)
    assert best is not None
    return best[1:]


def typical(pictures: list[Picture], rates: list[float]) -> Picture:
    """A picture as costly as most."""
    order = np.argsort(rates)
    return pictures[int(order[int(TYPICAL * (len(order) - 1))])]


def _sheet(panels: list[Panel], corner: tuple[int, int]) -> Image.Image:
    side = CROP * MAGNIFY
    down = -(-len(panels) // ACROSS)
    across = min(len(panels), ACROSS)
    cell = 2 * LINE + 2 * side + 2 * GAP
    sheet = Image.new("RGB", (across * (side + GAP) - GAP, down * cell), "white")
    pen, font, small = ImageDraw.Draw(sheet), ImageFont.load_default(15), ImageFont.load_default(13)
    row, column = corner
    for k, panel in enumerate(panels):
        left, top = k % ACROSS * (side + GAP), k // ACROSS * cell
        pen.text((left, top + 2), panel.words, "black", font)
        pen.text((left, top + LINE), panel.figures, "#444444", small)
        image = Image.fromarray(panel.pixels)
        tall = max(side * image.height // image.width, 1)
        whole = image.resize((side, tall), Image.Resampling.LANCZOS).crop((0, 0, side, side))
        sheet.paste(whole, (left, top + 2 * LINE))
        ratio = side / image.width
        corners = [left + column * ratio, top + 2 * LINE + row * ratio]
        pen.rectangle([*corners, corners[0] + CROP * ratio, corners[1] + CROP * ratio], outline="#FFFF00", width=2)
        crop = image.crop((column, row, column + CROP, row + CROP)).resize((side, side), Image.Resampling.NEAREST)
        sheet.paste(crop, (left, top + 2 * LINE + side + GAP))
    return sheet


def _busiest(pixels: NDArray[np.uint8]) -> tuple[int, int]:
    """The corner of the crop with the most edges."""
    gray = pixels.astype(np.float64).mean(2)
    edges = np.abs(np.diff(gray, axis=0, append=gray[-1:])) + np.abs(np.diff(gray, axis=1, append=gray[:, -1:]))
    height, width = gray.shape
    places = [(r, c) for r in range(0, max(height - CROP, 0) + 1, 8) for c in range(0, max(width - CROP, 0) + 1, 8)]
    return max(places, key=lambda p: float(edges[p[0] : p[0] + CROP, p[1] : p[1] + CROP].sum()))


def _shown(picture: Picture, samples: NDArray[Any]) -> NDArray[np.uint8]:
    """Three bands in 8 bits: as they are, or stretched from the 2nd to the 98th percentile of the original."""
    bands = [0, 1, 2] if len(samples) > 2 else [0, 0, 0]
    part = samples[bands, :MAX_SIDE, :MAX_SIDE].astype(np.float64)
    if samples.dtype != np.uint8:
        for k, band in enumerate(bands):
            known = picture.samples[band][picture.valid[band]]
            low, high = np.percentile(known, (2, 98)) if known.size else (0, 1)
            part[k] = (part[k] - low) * 255 / max(high - low, 1)
    return np.clip(part + 0.5, 0, 255).astype(np.uint8).transpose(1, 2, 0)


def _psnr(picture: Picture, samples: NDArray[Any]) -> str:
    found = picture.psnr(samples)
    return f"{found:.2f} dB" if math.isfinite(found) else "no error"
