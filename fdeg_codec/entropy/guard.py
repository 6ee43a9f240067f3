"""Rounding that every machine repeats.

Two machines compute the same float64 network to about twelve digits, which is enough except where a value lies almost
midway between two integers. Such a value is an exception: the encoder says which way it went
(the idea is that of Tian et al. 2023, arXiv 2309.11276).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fdeg_codec.ndtypes import Floats, Integers

CHUNK = 1 << 14  # values that stay in the cache from one step to the next
EPSILON = 2.0**-22  # in grid steps; far above the noise of float64, and still rare: one value in two million

Positions = NDArray[np.intp]


def round_guarded(values: Floats, epsilon: float = EPSILON) -> tuple[Integers, Positions, Integers]:
    """The integers nearest to `values`, the flat positions of exceptions, and whether each went up (1) or down (0)."""
    integers = np.empty(values.shape, np.int32)
    flat, out = values.ravel(), integers.ravel()
    exceptions = [np.empty(0, np.intp)]
    for start in range(0, values.size, CHUNK):
        rest = flat[start : start + CHUNK] + 0.5
        nearest = np.floor(rest)
        out[start : start + CHUNK] = nearest
        rest -= nearest
        rest -= 0.5
        np.abs(rest, out=rest)  # 0.5 on a boundary
        if rest.max() > 0.5 - epsilon:
            exceptions.append(start + np.flatnonzero(rest > 0.5 - epsilon))
    positions = np.concatenate(exceptions)
    return integers, positions, out[positions] - np.floor(flat[positions]).astype(np.int32)


def are_exceptions(values: Floats, positions: Positions, epsilon: float = EPSILON) -> bool:
    """Whether an encoder may have found `values` at `positions` too near to a boundary."""
    told = values.ravel()[positions]
    return bool((np.abs(told - np.floor(told) - 0.5) < 2 * epsilon).all())


def round_as_told(values: Floats, exceptions: Positions, ups: Integers) -> Integers:
    """The integers nearest to `values`, but for the exceptions what the encoder found."""
    integers = np.empty(values.shape, np.int32)
    flat, out = values.ravel(), integers.ravel()
    for start in range(0, values.size, CHUNK):
        out[start : start + CHUNK] = np.floor(flat[start : start + CHUNK] + 0.5)
    out[exceptions] = np.floor(flat[exceptions]).astype(np.int32) + ups
    return integers
