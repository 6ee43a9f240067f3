"""Rounding that every machine repeats.

Two machines compute the same float64 network to about twelve digits, which is enough except where a value lies almost
midway between two integers. Such a value is an exception: the encoder says which way it went
(the idea is that of Tian et al. 2023, arXiv 2309.11276).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

EPSILON = 2.0**-22  # in grid steps; far above the noise of float64, and still rare: one value in two million

Floats = NDArray[np.float64]
Integers = NDArray[np.int32]
Positions = NDArray[np.intp]


def round_guarded(values: Floats) -> tuple[Integers, Positions, Integers]:
    """The integers nearest to `values`, the flat positions of exceptions, and whether each went up (1) or down (0)."""
    floors = np.floor(values)
    above = values - floors
    above -= 0.5
    up = above >= 0
    integers = floors.astype(np.int32)
    integers += up
    np.abs(above, out=above)
    exceptions = np.flatnonzero(above < EPSILON)
    return integers, exceptions, up.ravel()[exceptions].astype(np.int32)


def round_as_told(values: Floats, exceptions: Positions, ups: Integers) -> Integers:
    """The integers nearest to `values`, but for the exceptions what the encoder found."""
    integers = np.floor(values + 0.5).astype(np.int32)
    integers.ravel()[exceptions] = np.floor(values.ravel()[exceptions]).astype(np.int32) + ups
    return integers
