"""Latents under integer Gaussian mixtures: windows of symbols around each one's mean, and what lies outside them.

A latent is coded in the narrowest of a few windows that its mixture cannot be expected to leave, since most latents are
nearly certain and wide windows take time. A value outside its window is an escape: how far outside follows as a number.
Where the window is a single value the latent is sure and takes no symbol at all: the few that are elsewhere are listed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fdeg_codec.entropy.tables import FAR, HALVES, REACH, STEPS, TOTAL, gaussian_cdf, narrowest, reach
from fdeg_codec.errors import BadFileError
from fdeg_codec.grid import COMPONENTS, WEIGHT_STEPS
from fdeg_codec.ndtypes import Floats, Integers

if TYPE_CHECKING:
    from fdeg_codec.entropy.coder import Coder

# 2^-13 of all probability is set aside for what the mixture thinks impossible: half of it or less is shared evenly, the
# rest goes to the escape. Trained networks are wrong more often than their tails say.
SPARED = 13
_HALVES = np.array(HALVES, np.int32)
CHUNK = 1 << 18  # frequencies made at once, so that they stay in the cache; the bytes do not depend on it


class Mixtures(NamedTuple):
    """Integer mixtures of n latents: their components (3, n), and the windows in which the latents are coded."""

    starts: Integers  # where a component has the middle of the latent's window in the table of gaussian_cdf()
    weights: Integers  # in 1/64
    centres: Integers
    windows: NDArray[np.int8]  # index into HALVES


def mixtures(grid: Integers) -> Mixtures:
    """The mixtures of a rounded grid (8, n): three means in 1/16, three scale indices, two weights in 1/64."""
    means, scales = grid[:COMPONENTS], grid[COMPONENTS : 2 * COMPONENTS]
    first = grid[2 * COMPONENTS]
    second = np.minimum(grid[2 * COMPONENTS + 1], WEIGHT_STEPS - first)
    weights = np.stack((first, second, WEIGHT_STEPS - first - second))
    # The mean of the mixture, in 1/1024, to the nearest integer.
    centres = ((weights * means).sum(0, dtype=np.int32) + STEPS * WEIGHT_STEPS // 2) >> 10
    offsets = STEPS * centres - means
    needed = (np.abs(offsets) + reach().ravel().take(weights * reach().shape[1] + scales)).max(0)
    windows = narrowest().take(needed, mode="clip")
    starts = scales * np.int32(gaussian_cdf().shape[1])
    starts += np.clip(offsets, -FAR, FAR, out=offsets)
    starts += REACH
    return Mixtures(starts, weights, centres, windows)


def frequencies(mixture: Mixtures, which: NDArray[np.intp], half: int) -> Floats:
    """A row per latent: the windows's 2 half + 1 values, then the escape; integers in float64 that sum to 2^22."""
    table = gaussian_cdf().ravel()
    edges = STEPS * np.arange(-half, half + 2)[:, None] - STEPS // 2
    cumulative = np.zeros((len(edges), len(which)), np.int32)
    for starts, weights in zip(mixture.starts, mixture.weights, strict=True):
        found = table.take(starts.take(which) + edges, mode="clip")  # all lie inside; "clip" spares the check
        found *= weights.take(which)
        cumulative += found
    cumulative -= cumulative >> SPARED
    least = (TOTAL >> SPARED) // (2 * len(edges))
    masses = np.empty_like(cumulative)
    np.subtract(cumulative[1:], cumulative[:-1], out=masses[:-1])
    masses[:-1] += least
    np.subtract(TOTAL - least * (len(edges) - 1) + cumulative[0], cumulative[-1], out=masses[-1])
    return masses.T.astype(np.float64, order="C")


def code_latents(coder: Coder, mixture: Mixtures, values: Integers | None) -> Integers:
    """Code the values (n) of latents, in either direction: window by window, then how far out those are that escaped."""
    order = np.argsort(mixture.windows, kind="stable")
    counts = np.bincount(mixture.windows, minlength=len(HALVES))
    halves = np.repeat(_HALVES, counts)
    distances = None if values is None else (values - mixture.centres).take(order)
    known = None if distances is None else _symbols(distances, halves)
    symbols = np.empty(len(order), np.int32)
    if sure := int(counts[0]):
        symbols[:sure] = _code_strays(coder, sure, None if known is None else known[:sure])
    for some, half in _chunks(counts.tolist()):
        rows = frequencies(mixture, order[some], half)
        symbols[some] = coder.symbols(rows, None if known is None else known[some])
    out = mixture.centres.copy()
    out[order] += _code_distances(coder, symbols, halves, distances)
    return out


def _chunks(counts: list[int]) -> Iterator[tuple[slice, int]]:
    """Latents that come one after the other when those of narrower windows come first, and the half-width of theirs."""
    start = counts[0]
    for half, count in zip(HALVES[1:], counts[1:], strict=True):
        rows, end = CHUNK // (2 * half + 2), start + count
        for first in range(start, end, rows):
            yield slice(first, min(first + rows, end)), half
        start = end


def code_rows(coder: Coder, rows: Floats, values: Integers | None) -> Integers:
    """Code values under given frequencies (n, 2 half + 2) centred at zero: the hyper-latents."""
    halves = np.full(len(rows), rows.shape[1] // 2 - 1, np.int32)
    symbols = coder.symbols(rows, None if values is None else _symbols(values, halves))
    return _code_distances(coder, symbols, halves, values)


def _symbols(distances: Integers, halves: Integers) -> Integers:
    """A value's place in its window, or the escape behind the last."""
    return np.where(np.abs(distances) > halves, 2 * halves + 1, distances + halves)


def _code_strays(coder: Coder, count: int, symbols: Integers | None) -> Integers:
    """The symbols of `count` sure latents, whose windows are a single value: where the few are that escaped."""
    strays = None if symbols is None else np.flatnonzero(symbols)
    found = int(coder.numbers(1, None if strays is None else np.array([len(strays)], np.int32))[0])
    if found > count:
        raise BadFileError("it holds more strays than latents")
    width = (count // max(found, 1)).bit_length() - 1  # so many low bits of a gap are as good as random
    gaps = None if strays is None else np.diff(strays, prepend=-1) - 1
    high = coder.numbers(found, None if gaps is None else (gaps >> width).astype(np.int32)).astype(np.int64)
    gaps = (high << width) + coder.bits(found, width, None if gaps is None else gaps & ((1 << width) - 1))
    where = np.cumsum(np.minimum(gaps, count) + 1) - 1
    if found and where[-1] >= count:
        raise BadFileError("it holds a stray beyond the latents")
    out = np.zeros(count, np.int32)
    out[where] = 1
    return out


def _code_distances(coder: Coder, symbols: Integers, halves: Integers, known: Integers | None) -> Integers:
    """Distances from the centres of windows: what the symbols say, and for those that escaped numbers."""
    out: Integers = symbols - halves
    outside = np.flatnonzero(out > halves)
    least = halves[outside] + 1
    beyond = None if known is None else known[outside]
    numbers = coder.numbers(len(outside), None if beyond is None else 2 * (np.abs(beyond) - least) + (beyond < 0))
    out[outside] = ((numbers >> 1) + least) * (1 - 2 * (numbers & 1))
    return out
