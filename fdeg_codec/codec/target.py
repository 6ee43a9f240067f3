"""What a file should come to, in bytes or in decibels, and the search for the lambda that gives it.

A few tiles, analysed once, tell what every lambda would give: that is cheap, as analysis does not depend on lambda. The scene
is then encoded whole, and once more if the tiles were not like the rest: what they were wrong by is known then.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

from fdeg_codec.container.header import fixed_point
from fdeg_codec.errors import FdegError, UsageError

SHARE, DECIBELS = 0.01, 0.1  # how far below its size, or above its PSNR, a file may come out
ENCODINGS = 8  # of the whole scene, at most

Measure = Callable[[int], float]  # of log2(lambda) as the header has it: the logarithm of bytes, or decibels


Word = Literal["bpp", "size", "psnr"]


class OutOfReachError(FdegError):
    """No lambda gives what is wanted."""


class Target(NamedTuple):
    """At most so many bits per pixel or bytes, or at least so many decibels."""

    word: Word
    value: float

    def check(self) -> Target:
        if not 0 < self.value < math.inf:
            raise UsageError(f"--{self.word} {self.value:g}: a number above 0")
        return self

    def interval(self, pixels: int) -> tuple[float, float]:
        """What the measure may be."""
        if self.word == "psnr":
            return self.value, self.value + DECIBELS
        size = math.log(self.value) + (math.log(pixels / 8) if self.word == "bpp" else 0)
        return size + math.log(1 - SHARE), size

    def show(self, measured: float, pixels: int) -> str:
        if self.word == "psnr":
            return f"{measured:.2f} dB"
        size = math.exp(measured)
        return f"{8 * size / pixels:.3f} bpp" if self.word == "bpp" else f"{size:.0f} bytes"


class Estimate:
    """A measure that rises, as a few tiles give it; every value is kept."""

    def __init__(self, measure: Measure, lowest: int, highest: int) -> None:
        self._measure = measure
        self._lowest, self._highest = lowest, highest
        self._known: dict[int, float] = {}

    def __call__(self, rate: int) -> float:
        if rate not in self._known:
            self._known[rate] = self._measure(rate)
        return self._known[rate]

    def find(self, wanted: float, precision: float) -> int:
        """Where it is about `wanted`, by interpolation between the nearest values known; an end where it never is."""
        if self(self._lowest) >= wanted:
            return self._lowest
        if self(self._highest) <= wanted:
            return self._highest
        while True:
            low = max(rate for rate, value in self._known.items() if value <= wanted)
            high = min(rate for rate, value in self._known.items() if value > wanted and rate > low)
            if high - low <= 1 or wanted - self(low) <= precision:
                return low
            if self(high) - wanted <= precision:
                return high
            share = (wanted - self(low)) / (self(high) - self(low))
            # Not too near to an end, or an interval that bends would shrink from one side alone.
            self(low + max(1, min(high - low - 1, round((high - low) * min(max(share, 0.05), 0.95)))))


def sides(tried: dict[int, float], low: float, high: float) -> tuple[int | None, int | None]:
    """The highest that was too low, the lowest that was too high."""
    under = max((rate for rate, value in tried.items() if value < low), default=None)
    over = min((rate for rate, value in tried.items() if value > high), default=None)
    return under, over


def between(tried: dict[int, float], low: float, high: float) -> int | None:
    """Where whole encodings on both sides say that the middle lies."""
    under, over = sides(tried, low, high)
    if under is None or over is None or over - under < 2:
        return None
    share = ((low + high) / 2 - tried[under]) / (tried[over] - tried[under])
    return min(max(round(under + share * (over - under)), under + 1), over - 1)


def middle(tried: dict[int, float], low: float, high: float, ends: tuple[int, int]) -> int:
    """Halfway between what is too low and what is too high, or an end."""
    under, over = sides(tried, low, high)
    return ((under or ends[0]) + (over or ends[1]) + 1) // 2


def search(target: Target, pixels: int, estimate: Measure, encode: Measure, lambdas: tuple[float, float]) -> tuple[int, bool]:
    """The lambda, as the header has it, at which `encode` gave what is wanted, and whether it makes use of all that is allowed.

    `lambdas` are the ends of what a model was made for: what is too large, or not good enough, at all of them is an
    OutOfReachError. `encode` writes over what it wrote before.
    """
    low, high = target.interval(pixels)
    ends = fixed_point(lambdas[0]), fixed_point(lambdas[1])
    guess, error = Estimate(estimate, *ends), 0.0
    tried: dict[int, float] = {}
    while len(tried) < ENCODINGS:
        rate = between(tried, low, high) or guess.find((low + high) / 2 - error, (high - low) / 8)
        if rate in tried:
            rate = middle(tried, low, high, ends)
        if rate in tried:
            break
        tried[rate] = encode(rate)
        if low <= tried[rate] <= high:
            return rate, True
        error = tried[rate] - guess(rate)
    kept = [r for r, value in tried.items() if (value >= low if target.word == "psnr" else value <= high)]
    if not kept:
        least, most = (target.show(guess(end) + error, pixels) for end in ends)
        span = "lambda {:g} to {:g}".format(*lambdas)
        raise OutOfReachError(f"--{target.word} {target.value:g}: {span} reach {least} to {most} here")
    rate = min(kept) if target.word == "psnr" else max(kept)
    if rate != list(tried)[-1]:
        encode(rate)
    return rate, False
