"""Latents under integer Gaussian mixtures: windows of symbols around each one's mean, and what lies outside them.

A latent is coded in the narrowest of six windows that its mixture cannot be expected to leave. Most latents are
nearly certain and have a window of one value: they cost no symbol at all, and the few that surprise are listed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fdeg_codec.entropy.coder import Coder
from fdeg_codec.entropy.guard import Floats, Integers
from fdeg_codec.entropy.tables import FAR, HALVES, REACH, STEPS, TOTAL, WEIGHT_ONE, gaussian_cdf, reach

COMPONENTS = 3
ROWS = 3 * COMPONENTS - 1  # of the grid: means, scales, all weights but the last
CHUNK = 1 << 18  # frequencies made at once, so that they stay in the cache; the bytes do not depend on it


class Mixtures(NamedTuple):
    """Integer mixtures of n latents: means in 1/16, scale indices, weights in 1/64, each (3, n); and their windows."""

    means: Integers
    scales: Integers
    weights: Integers
    centres: Integers
    windows: NDArray[np.int8]  # index into HALVES


def mixtures(grid: Integers) -> Mixtures:
    """The mixtures of a rounded grid (8, n)."""
    means, scales = grid[:COMPONENTS], grid[COMPONENTS : 2 * COMPONENTS]
    first = grid[2 * COMPONENTS]
    second = np.minimum(grid[2 * COMPONENTS + 1], WEIGHT_ONE - first)
    weights = np.stack((first, second, WEIGHT_ONE - first - second))
    # The mean of the mixture, in 1/1024, to the nearest integer.
    centres = ((weights * means).sum(0, dtype=np.int32) + STEPS * WEIGHT_ONE // 2) >> 10
    reaches = np.take(reach().ravel(), weights * reach().shape[1] + scales)
    needed = (np.abs(means - STEPS * centres) + reaches).max(0)
    windows = np.zeros(needed.shape, np.int8)
    for half in HALVES[:-1]:
        windows += needed > STEPS * half + STEPS // 2
    return Mixtures(means, scales, weights, centres, windows)


def frequencies(mixture: Mixtures, which: NDArray[np.intp], half: int) -> Floats:
    """A row per latent: the windows's 2 half + 1 values, then the escape; integers in float64 that sum to 2^22."""
    table = gaussian_cdf()
    edges = STEPS * np.arange(-half - 1, half + 1)[:, None] + STEPS // 2
    centres = STEPS * mixture.centres[which]
    cumulative = np.zeros((len(edges), len(which)), np.int32)
    for component in range(COMPONENTS):
        offsets = centres - mixture.means[component][which]
        np.clip(offsets, -FAR, FAR, out=offsets)
        starts = mixture.scales[component][which].astype(np.intp) * table.shape[1] + REACH + offsets
        found = table.ravel().take(starts + edges, mode="clip")  # all lie inside; "clip" spares the check
        found *= mixture.weights[component][which]
        cumulative += found
    masses = np.empty_like(cumulative)
    np.subtract(cumulative[1:], cumulative[:-1], out=masses[:-1])
    np.subtract(TOTAL + cumulative[0], cumulative[-1], out=masses[-1])
    return masses.T.astype(np.float64, order="C")


def code_latents(coder: Coder, grid: Integers, values: Integers | None) -> Integers:
    """Code the latents of a rounded grid (8, n): their values, in either direction."""
    mixture = mixtures(grid)
    out = mixture.centres.copy()
    for window, half in enumerate(HALVES):
        members = np.flatnonzero(mixture.windows == window)
        if half == 0:
            _code_certain(coder, out, members, values)
            continue
        chunk = CHUNK // (2 * half + 2)
        for start in range(0, len(members), chunk):
            _code_window(coder, mixture, out, members[start : start + chunk], half, values)
    return out


def _code_certain(coder: Coder, out: Integers, members: NDArray[np.intp], values: Integers | None) -> None:
    """Latents of one likely value: list those that have another."""
    surprises = None if values is None else np.flatnonzero(values[members] != out[members])
    where = members[coder.positions(surprises, len(members))]
    out[where] += coder.numbers(len(where), None if values is None else values[where] - out[where])


def _code_window(
    coder: Coder, mixture: Mixtures, out: Integers, members: NDArray[np.intp], half: int, values: Integers | None
) -> None:
    """Latents with a window of 2 half + 1 values: a symbol each, and a number for those outside."""
    escape = 2 * half + 1
    symbols = None
    if values is not None:
        symbols = values[members] - mixture.centres[members] + half
        symbols[(symbols < 0) | (symbols > 2 * half)] = escape
    symbols = coder.symbols(frequencies(mixture, members, half), symbols)
    out[members] += symbols - half
    outside = members[symbols == escape]
    if len(outside):
        centres = mixture.centres[outside]
        out[outside] = centres + coder.numbers(len(outside), None if values is None else values[outside] - centres)


def code_rows(coder: Coder, rows: Floats, values: Integers | None) -> Integers:
    """Code values under given frequencies (n, 2 half + 2), centred at zero: the hyper-latents."""
    half = rows.shape[1] // 2 - 1
    symbols = None
    if values is not None:
        symbols = values + half
        symbols[(symbols < 0) | (symbols > 2 * half)] = 2 * half + 1
    symbols = coder.symbols(rows, symbols)
    out: Integers = symbols - half
    outside = np.flatnonzero(symbols == 2 * half + 1)
    out[outside] = coder.numbers(len(outside), None if values is None else values[outside])
    return out
