"""How an encoder makes integers of latents. A decoder reads whatever was chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fdeg_codec.entropy.mixture import SPARED, Mixtures
from fdeg_codec.entropy.tables import HALVES, STEPS, TOTAL, gaussian_cdf
from fdeg_codec.ndtypes import Flags, Floats, Integers

# Bits that a squared error of one quantiser step is worth. Where a trained network stands, the slope of eq. 3 is the same
# for every latent and lambda: 6 / ln 2 = 8.7 in theory, 7.3 to 8.4 as measured. A choice of each by itself does not see
# that errors to one side add up, so three to four times that serves best; training rounds with it, too.
WORTH = 24.0
SURE = 0.1  # a latent nearer than this to an integer stays there
AUDIBLE = 0.8  # less, where eight channels are else all zeros, is not worth its bits (0.7 and 1.0 do worse)


class Rounding(NamedTuple):
    """How the latents of a tile (row, column, channel) become integers."""

    choose: Callable[[Floats, Mixtures], Integers]  # of some latents (n), once it is known how they are coded
    audible: float  # how far from zero a latent must be for its channel to speak

    def speaking(self, y: Floats) -> Flags:
        return np.abs(y).max((0, 1)) >= self.audible


def nearest(y: Floats, _: Mixtures | None = None) -> Integers:
    """Plain rounding, half up."""
    return np.floor(y + 0.5).astype(np.int32)


def thrifty(y: Floats, mixture: Mixtures) -> Integers:
    """Of the two integers beside each latent (n) the one that costs less in bits and error together."""
    out = nearest(y)
    doubtful = np.flatnonzero(np.abs(y - out) > SURE)
    value = y[doubtful]
    lower = np.floor(value).astype(np.int32)
    saved = _bits_saved(lower, mixture, doubtful)
    lost = WORTH * (2 * (value - lower) - 1)  # by the lower one
    out[doubtful] = lower + (saved < lost)
    return out


def _bits_saved(lower: Integers, mixture: Mixtures, which: NDArray[np.intp]) -> Floats:
    """About how many bits the latents `which` take less as integers `lower` than as the next greater ones."""
    table = gaussian_cdf().ravel()
    first = STEPS * np.clip(lower - mixture.centres.take(which), -HALVES[-1], HALVES[-1] - 1) - STEPS // 2
    edges = np.zeros((3, len(which)))
    for starts, weights in zip(mixture.starts, mixture.weights, strict=True):
        at = starts.take(which) + first
        share = weights.take(which)
        for k in range(len(edges)):
            edges[k] += share * table.take(at + k * STEPS)
    masses = np.diff(edges, axis=0)
    masses += TOTAL * 2.0 ** -(SPARED + 4)
    logs = np.log2(masses)
    return logs[0] - logs[1]


NEAREST = Rounding(nearest, 0.5)
THRIFTY = Rounding(thrifty, AUDIBLE)
