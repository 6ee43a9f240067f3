"""How well, or how small: the lambda that is wished for, or the target that finds it."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

from fdeg_codec.choices import DEFAULT_EFFORT, DEFAULT_QUALITY, DEFAULT_TILE, EFFORTS, QUALITIES
from fdeg_codec.codec.target import Target, Word
from fdeg_codec.container.header import MAX_LAMBDA, MAX_TILE, MIN_LAMBDA, TILE_UNIT
from fdeg_codec.errors import UsageError
from fdeg_codec.raster.source import Source
from fdeg_codec.weights import Model

LAMBDAS = tuple(MIN_LAMBDA * 2.0**k for k in range(len(QUALITIES)))  # of the qualities
MOST_ERROR = 1e38
FINE_BOUND, COARSE_BOUND = 1 / 256, 1 / 32  # of a band's span


def goal_of(
    quality: int | None = None,
    lambda_: float | None = None,
    bpp: float | None = None,
    size: int | None = None,
    psnr: float | None = None,
    effort: int = DEFAULT_EFFORT,
    tile: int = DEFAULT_TILE,
    max_error: float | None = None,
    **_: Any,
) -> float | Target:
    """The lambda, or the target, that the words of `encode` ask for, once they make sense."""
    for name, number in (("quality", DEFAULT_QUALITY if quality is None else quality), ("effort", effort), ("tile", tile)):
        if not isinstance(number, Integral):
            raise UsageError(f"--{name} {number!r}: a whole number")
    for name, value in (("lambda", lambda_), ("bpp", bpp), ("size", size), ("psnr", psnr), ("max-error", max_error)):
        if value is not None and not isinstance(value, Real):
            raise UsageError(f"--{name} {value!r}: a number")
    if effort not in EFFORTS:
        raise UsageError(f"--effort {effort}: efforts are {EFFORTS[0]} to {EFFORTS[-1]}")
    if tile % TILE_UNIT or not TILE_UNIT <= tile <= MAX_TILE:
        raise UsageError(f"--tile {tile}: a multiple of {TILE_UNIT} up to {MAX_TILE}")
    words: tuple[tuple[Word, float | None], ...] = (("bpp", bpp), ("size", size), ("psnr", psnr))
    given = [Target(word, value) for word, value in words if value is not None]
    if len(given) + (quality is not None) + (lambda_ is not None) > 1:
        raise UsageError("--quality, --lambda, --bpp, --size and --psnr exclude each other")
    if max_error is not None and not 0 <= max_error <= MOST_ERROR:
        raise UsageError(f"--max-error {max_error:g}: a number from 0 to {MOST_ERROR:g}")
    if max_error is not None and given:
        raise UsageError(f"--max-error and --{given[0].word} exclude each other")
    return given[0].check() if given else lambda_of(quality, lambda_)


def lambda_of(quality: int | None, lambda_: float | None) -> float:
    """The lambda that a quality or a lambda asks for."""
    if lambda_ is None:
        wanted = DEFAULT_QUALITY if quality is None else quality
        if wanted not in QUALITIES:
            raise UsageError(f"--quality {wanted}: qualities are {QUALITIES[0]} to {QUALITIES[-1]}")
        return LAMBDAS[QUALITIES.index(wanted)]
    if not MIN_LAMBDA <= lambda_ <= MAX_LAMBDA:
        raise UsageError(f"--lambda {lambda_:g}: lambda lies between {MIN_LAMBDA} and {MAX_LAMBDA}")
    return float(lambda_)


def presets(model: Model) -> tuple[float, ...]:
    """The lambdas of the qualities that a model was made for, or its lowest if it was made for none of them."""
    low, high = model.lambdas
    return tuple(value for value in LAMBDAS if low <= value <= high) or (low,)


def lambda_within(raster: Source, lambdas: tuple[float, float]) -> float:
    """Which of a model's lambdas makes files with a bound small.

    Measured on aerial, Sentinel-2 and Landsat scenes, for E over a band's span. The finer the bound, the more of the file is
    noise that no network predicts, and the less lambda matters.
    """
    shares = [(raster.max_error or 0) / raster.mapping.lines[b].span for b in raster.coded]
    share = sorted(shares)[len(shares) // 2]
    wanted = 1024.0 if share < FINE_BOUND else min(2048 * (COARSE_BOUND / share) ** 2, 2048.0)
    low, high = lambdas
    return min(max(wanted, low), high)
