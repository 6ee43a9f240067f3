"""Latents under integer Gaussian mixtures: windows of symbols around each one's mean, and what lies outside them.

A latent is coded in the narrowest of a few windows that its mixture cannot be expected to leave, since most latents are
nearly certain and wide windows take time. A value outside its window is an escape: how far outside follows as a number.
Where the window is a single value the latent is sure and takes no symbol at all: the few that are elsewhere are listed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fdeg_codec.entropy.guard import Floats, Integers
from fdeg_codec.entropy.tables import FAR, HALVES, REACH, STEPS, TOTAL, gaussian_cdf, narrowest, reach
from fdeg_codec.errors import BadFileError
from fdeg_codec.grid import COMPONENTS, WEIGHT_STEPS

if TYPE_CHECKING:
    from fdeg_codec.entropy.coder import Coder

# 2^-13 of all probability is set aside for what the mixture thinks impossible: half of it or less is shared evenly, the
# rest goes to the escape. Trained networks are wrong more often than their tails say.
SPARED = 13
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
    """Code the values (n) of latents, in either direction."""
    out = mixture.centres.copy()
    distances = None if values is None else values - out
    for window, half in enumerate(HALVES):
        members = np.flatnonzero(mixture.windows == window)
        known = None if distances is None else distances[members]
        if half:
            chunk = CHUNK // (2 * half + 2)
            chunks = [members[start : start + chunk] for start in range(0, len(members), chunk)]
            rows = (frequencies(mixture, some, half) for some in chunks)
            out[members] += _code_distances(coder, rows, half, known)
        else:
            strays, far = _code_strays(coder, len(members), known)
            out[members[strays]] += far
    return out


def code_rows(coder: Coder, rows: Floats, values: Integers | None) -> Integers:
    """Code values under given frequencies (n, 2 half + 2) centred at zero: the hyper-latents."""
    return _code_distances(coder, [rows], rows.shape[1] // 2 - 1, values)


def _code_strays(coder: Coder, count: int, values: Integers | None) -> tuple[NDArray[np.intp], Integers]:
    """Which of `count` sure latents are off their centres, and their distances from them."""
    if not count:
        return np.empty(0, np.intp), np.empty(0, np.int32)
    strays = None if values is None else np.flatnonzero(values)
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
    return where, _code_beyond(coder, found, 0, None if values is None else values[where])


def _code_distances(coder: Coder, rows: Iterable[Floats], half: int, values: Integers | None) -> Integers:
    """Distances from the centres of windows: a symbol each, then a number for each that escaped its window."""
    escape = 2 * half + 1
    known = None
    if values is not None:
        known = values + half
        known[(known < 0) | (known > 2 * half)] = escape
    coded, done = [np.empty(0, np.int32)], 0
    for some in rows:
        coded.append(coder.symbols(some, None if known is None else known[done : done + len(some)]))
        done += len(some)
    symbols = np.concatenate(coded)
    out: Integers = symbols - half
    outside = np.flatnonzero(symbols == escape)
    out[outside] = _code_beyond(coder, len(outside), half, None if values is None else values[outside])
    return out


def _code_beyond(coder: Coder, count: int, half: int, values: Integers | None) -> Integers:
    """Distances greater than `half`."""
    known = None if values is None else 2 * (np.abs(values) - half - 1) + (values < 0)
    numbers = coder.numbers(count, known)
    return ((numbers >> 1) + half + 1) * (1 - 2 * (numbers & 1))
