"""What a codec takes for a wanted PSNR: its range of qualities is halved until two lie close on either side of it."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from fdeg_codec.evaluation.codec import Codec
from fdeg_codec.evaluation.pictures import Picture

NEAR = 2.0  # decibels between two settings, over which the logarithm of the rate rises evenly
FINEST = 2.0**-8  # of the range of qualities: closer ones may be the same

Point = tuple[float, float]  # decibels, and the logarithm of the bits per pixel


def rates_at(codec: Codec, picture: Picture, wanted: Sequence[float]) -> list[float]:
    """Bits per pixel at which a codec has these PSNRs; not a number where no quality has."""
    with tempfile.TemporaryDirectory(prefix="fdeg-eval-") as folder:
        file = Path(folder) / f"x{codec.suffix}"

        @cache
        def point(share: float) -> Point:
            codec.encode(picture, file, codec.between(share))
            return picture.psnr(codec.decode(file)), math.log(8 * file.stat().st_size / picture.pixels)

        return [_rate_at(point, psnr) for psnr in wanted]


def _rate_at(point: Callable[[float], Point], psnr: float) -> float:
    low, high = 0.0, 1.0
    if not point(low)[0] <= psnr <= point(high)[0]:
        return math.nan
    while point(high)[0] - point(low)[0] > NEAR and high - low > FINEST:
        middle = (low + high) / 2
        low, high = (middle, high) if point(middle)[0] <= psnr else (low, middle)
    decibels, rates = zip(point(low), point(high), strict=True)
    return math.exp(np.interp(psnr, decibels, rates))
