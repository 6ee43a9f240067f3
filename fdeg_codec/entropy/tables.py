"""The one table of the format: the Gaussian cumulative distribution in integers.

CDF[scale, t] = floor(65536 * Phi(t / (16 * sigma)) + 1/2) for offsets t in sixteenths, where
sigma = 0.05 * 2000^(scale / 63). No entry lies near enough to a rounding boundary for two implementations of erf to
disagree; the hash makes sure of it.
"""

from __future__ import annotations

import hashlib
import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from fdeg_codec.errors import FdegError
from fdeg_codec.grid import MEAN_STEPS, SCALE_MAX, SCALE_MIN, SCALES, WEIGHT_STEPS
from fdeg_codec.ndtypes import Integers

STEPS = MEAN_STEPS  # offsets per unit
ONE = 1 << 16
TOTAL = ONE * WEIGHT_STEPS  # a row of frequencies sums to this
HALVES = (0, 1, 2, 3, 5, 8, 16, 32, 64, 128, 256)  # half-widths of the symbol windows
FAR = 8192  # a component further than this from the window's centre counts as this far
REACH = FAR + STEPS * HALVES[-1] + STEPS // 2  # the largest offset that is looked up
TAIL = 32  # of 65536: what a component may leave outside its window, on each side
NEVER = -(1 << 24)  # the reach of a component of no weight

SHA256 = "da6661520b162c05d9f1e28acd4ef6cbee623585fc67528a653bb5fae020b875"


def sigma(scale: int) -> float:
    return SCALE_MIN * (SCALE_MAX / SCALE_MIN) ** (scale / (SCALES - 1))


@cache
def gaussian_cdf() -> Integers:
    """The table (scale, REACH + offset)."""
    table = np.empty((SCALES, 2 * REACH + 1), np.int32)
    for scale in range(SCALES):
        unit = STEPS * sigma(scale) * math.sqrt(2)
        upper = np.full(REACH + 1, ONE, np.int32)
        for t in range(REACH + 1):
            value = math.floor(ONE * (1 + math.erf(t / unit)) / 2 + 0.5)
            if value == ONE:
                break
            upper[t] = value
        table[scale, REACH:] = upper
        table[scale, :REACH] = ONE - upper[:0:-1]
    if hashlib.sha256(table.astype("<i4").tobytes()).hexdigest() != SHA256:
        raise FdegError("this machine's erf() gives another Gaussian table than the format's: files cannot be exchanged")
    table.setflags(write=False)
    return table


@cache
def reach() -> Integers:
    """How far a component of a weight and scale reaches (weight, scale), in sixteenths: its tail beyond is at most TAIL."""
    outside = ONE - gaussian_cdf()[:, REACH:].astype(np.int64)
    weights = np.arange(WEIGHT_STEPS + 1)
    table = np.empty((WEIGHT_STEPS + 1, SCALES), np.int32)
    for scale in range(SCALES):
        # outside[] falls, so the first offset that is small enough comes from a search in its reverse.
        allowed = TAIL * WEIGHT_STEPS // np.maximum(weights, 1)
        table[:, scale] = REACH + 1 - np.searchsorted(outside[scale, ::-1], allowed, side="right")
    table[0] = NEVER
    table.setflags(write=False)
    return table


@cache
def narrowest() -> NDArray[np.int8]:
    """The first of HALVES that is wide enough for a need, in sixteenths; the last for all beyond the table."""
    limits = STEPS * np.array(HALVES[:-1]) + STEPS // 2
    table = np.searchsorted(limits, np.arange(limits[-1] + 2)).astype(np.int8)
    table.setflags(write=False)
    return table
