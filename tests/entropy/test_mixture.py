"""Latents under integer mixtures: back whatever they are, at the price that the mixtures set."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fdeg_codec.entropy import mixture
from fdeg_codec.entropy.coder import Decoder, Encoder
from fdeg_codec.entropy.mixture import code_latents, code_rows, frequencies, mixtures
from fdeg_codec.entropy.tables import HALVES, ONE, STEPS, TAIL, TOTAL, sigma
from fdeg_codec.errors import BadFileError
from fdeg_codec.grid import WEIGHT_STEPS
from fdeg_codec.ndtypes import Integers
from tests.conformance.latents import Latent

ERF = np.vectorize(math.erf, otypes=[float])
SIGMAS = np.array([sigma(s) for s in range(64)])

MEANS = st.integers(-32767, 32767) | st.integers(-200, 200)
WEIGHTS = st.integers(0, 64) | st.sampled_from([0, 64])
COLUMN = st.tuples(*[MEANS] * 3, *[st.integers(0, 63)] * 3, WEIGHTS, WEIGHTS)
VALUES = st.integers(-100_000, 100_000) | st.sampled_from([-100_000, 100_000])


def round_trip(grid: Integers, values: Integers) -> bytes:
    encoder = Encoder()
    sent = code_latents(encoder, mixtures(grid), values)
    np.testing.assert_array_equal(sent, values)
    data = encoder.finish()
    decoder = Decoder(data)
    np.testing.assert_array_equal(code_latents(decoder, mixtures(grid), None), values)
    decoder.finish()
    return data


def random_grid(rng: np.random.Generator, count: int, spread: int = 400, scales: tuple[int, int] = (0, 64)) -> Integers:
    """Mixtures whose components lie up to spread / 16 from one another's middle."""
    centre = rng.integers(-320, 320, count)
    means = centre + rng.integers(-spread, spread + 1, (3, count))
    weights = rng.multinomial(WEIGHT_STEPS, rng.dirichlet(np.ones(3), count)).T[:2]
    return np.concatenate((means, rng.integers(*scales, (3, count)), weights)).astype(np.int32)


def mass(grid: Integers, values: NDArray[np.int_]) -> NDArray[np.float64]:
    """The probability of each value (n) under the mixtures of a grid, in floating point."""
    weights = np.concatenate((grid[6:], WEIGHT_STEPS - grid[6:].sum(0, keepdims=True))) / WEIGHT_STEPS
    widths = SIGMAS[grid[3:6]] * math.sqrt(2)
    low, high = ((values + side - grid[:3] / STEPS) / widths for side in (-0.5, 0.5))
    return (weights * (ERF(high) - ERF(low)) / 2).sum(0)


def draw(rng: np.random.Generator, grid: Integers) -> Integers:
    """A value from each mixture."""
    ladder = np.cumsum(grid[6:], axis=0)
    which = (rng.integers(0, WEIGHT_STEPS, grid.shape[1]) >= ladder).sum(0)
    mean, scale = (np.take_along_axis(grid[k : k + 3], which[None], 0)[0] for k in (0, 3))
    return np.floor(rng.normal(mean / STEPS, SIGMAS[scale]) + 0.5).astype(np.int32)


@given(st.lists(st.tuples(COLUMN, VALUES), max_size=40), st.lists(st.booleans(), min_size=40, max_size=40))
def test_wild_values_under_wild_mixtures_come_back(latents: list[tuple[tuple[int, ...], int]], tame: list[bool]) -> None:
    grid = np.array([column for column, _ in latents], np.int32).reshape(-1, 8).T
    values = np.array([value for _, value in latents], np.int32)
    centres = mixtures(grid).centres
    near = centres + values % 5 - 2
    round_trip(grid, np.where(tame[: len(values)], near, values).astype(np.int32))


def test_more_latents_than_are_coded_at_once_come_back() -> None:
    rng = np.random.default_rng(0)
    grid = random_grid(rng, 60_000)
    values = draw(rng, grid)
    values[::97] += rng.integers(-100_000, 100_000, len(values[::97]), dtype=np.int32)
    round_trip(grid, values)


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_the_edges_of_every_window(half: int, beyond: int) -> None:
    grid = random_grid(np.random.default_rng(half), 20_000, spread=3000)
    grid = np.concatenate((grid, random_grid(np.random.default_rng(half), 5000, 3, (0, 30))), axis=1)
    inside = mixtures(grid).windows == HALVES.index(half)
    grid = np.ascontiguousarray(grid[:, inside][:, :50])
    assert grid.shape[1] > 3
    centres = mixtures(grid).centres
    round_trip(grid, centres - half - beyond)
    round_trip(grid, centres + half + beyond)


def test_mixtures_are_those_of_the_text() -> None:
    rng = np.random.default_rng(3)
    grid = np.concatenate((random_grid(rng, 250), random_grid(rng, 100, 32000), random_grid(rng, 150, 20, (0, 20))), axis=1)
    grid[6:, ::5] = np.array([[64, 0, 0, 40, 64], [0, 64, 0, 64, 64]])[:, np.arange(len(grid[0, ::5])) % 5]
    ours = mixtures(grid)
    for n in range(grid.shape[1]):
        text = Latent(grid[:, n].tolist())
        assert (text.centre, text.half) == (ours.centres[n], HALVES[ours.windows[n]])
        assert frequencies(ours, np.array([n]), text.half).tolist() == [text.frequencies()]


def test_frequencies_are_the_mass_of_each_value_and_what_is_set_aside() -> None:
    rng = np.random.default_rng(4)
    grid = np.concatenate((random_grid(rng, 300, 150), random_grid(rng, 200, 4000), random_grid(rng, 200, 8, (0, 9))), axis=1)
    ours = mixtures(grid)
    assert set(ours.windows.tolist()) == set(range(len(HALVES)))
    for n in range(grid.shape[1]):
        half = HALVES[ours.windows[n]]
        if half == 0:
            continue
        row = frequencies(ours, np.array([n]), half)[0]
        assert row.sum() == TOTAL
        least = 128 // (half + 1)
        assert row[:-1].min() >= least
        assert row[-1] >= 512 - least * (2 * half + 1) >= 256
        values = ours.centres[n] + np.arange(-half, half + 1)
        exact = mass(np.repeat(grid[:, n : n + 1], len(values), 1), values)
        np.testing.assert_allclose((row[:-1] - least) / TOTAL, exact * (1 - 2.0**-13), atol=1.02 / ONE)


def test_little_is_left_outside_a_window() -> None:
    grid = random_grid(np.random.default_rng(5), 3000, 100)
    ours = mixtures(grid)
    for window, half in enumerate(HALVES[:-1]):
        members = np.flatnonzero(ours.windows == window)
        inside = sum(mass(grid[:, members], ours.centres[members] + k) for k in range(-half, half + 1))
        assert (1 - inside <= 3 * 2 * (TAIL + 0.51) / ONE).all()  # three components, two sides, TAIL and what rounding hides


@pytest.mark.parametrize("spread", [8, 60])
def test_the_cost_is_the_cross_entropy(spread: int) -> None:
    """Half of one per cent pays for integers, windows, escapes and what is set aside."""
    rng = np.random.default_rng(6)
    grid = random_grid(rng, 50_000, spread)
    grid[3:6, :30_000] //= 3  # most latents are small
    values = draw(rng, grid)
    ideal = -np.log2(mass(grid, values)).sum() / 8
    assert len(round_trip(grid, values)) < 1.005 * ideal + 16


def certain(count: int) -> Integers:
    """Mixtures that leave no doubt."""
    rng = np.random.default_rng(7)
    grid = random_grid(rng, count, 1, (0, 4))
    grid[:3] = grid[0] // STEPS * STEPS
    assert set(mixtures(grid).windows.tolist()) == {0}
    return grid


def test_certain_latents_cost_next_to_nothing() -> None:
    grid = certain(50_000)
    values = draw(np.random.default_rng(8), grid)
    assert len(round_trip(grid, values)) <= 16


@pytest.mark.parametrize(("far", "bits"), [(1, 1), (-1, 3), (2, 3), (-2, 5), (-5, 7), (100, 15)])
def test_a_stray_costs_two_numbers(far: int, bits: int) -> None:
    grid = certain(1000)
    values = mixtures(grid).centres
    all_of_them = len(round_trip(grid, values + far))
    assert all_of_them == pytest.approx(125 * (1 + bits), abs=8)  # none is skipped
    some = values.copy()
    some[5::10] += far
    assert len(round_trip(grid, some)) == pytest.approx(12.5 * (3 + 3 + bits), abs=8)  # gaps of 9: a number 1, and three bits


@pytest.mark.parametrize("gaps", [[10], [3, 6], [2**31 - 2], [2**31 - 2] * 10, [0] * 11])
def test_strays_that_cannot_be_are_refused(gaps: list[int]) -> None:
    grid = certain(10)
    encoder = Encoder()
    width = max((10 // len(gaps)).bit_length() - 1, 0)
    encoder.numbers(1, np.array([len(gaps)], np.int32))
    encoder.numbers(len(gaps), np.array(gaps, np.int32) >> width)
    encoder.bits(len(gaps), width, np.array(gaps, np.int64) & (1 << width) - 1)
    with pytest.raises(BadFileError, match="stray"):
        code_latents(Decoder(encoder.finish()), mixtures(grid), None)


@pytest.mark.parametrize(("far", "bits"), [(2, 0), (-2, 2), (3, 2), (-5, 6), (100, 14)])
def test_a_surprise_costs_what_was_set_aside_for_it(far: int, bits: int) -> None:
    """14.68 bits for the escape and the first of the number."""
    grid = certain(1000)
    grid[:3] += STEPS // 2  # between two integers: a window of three
    assert set(mixtures(grid).windows.tolist()) == {1}
    surprised = mixtures(grid).centres + far
    assert len(round_trip(grid, surprised)) == pytest.approx(125 * (bits + 14.68), rel=0.01)


def test_no_latents_take_no_bytes() -> None:
    assert round_trip(np.empty((8, 0), np.int32), np.empty(0, np.int32)) == b""


def test_the_bytes_do_not_depend_on_how_many_are_coded_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(9)
    grid = random_grid(rng, 5000)
    values = mixtures(grid).centres + np.rint(40 * rng.standard_cauchy(5000)).astype(np.int32)
    at_once = round_trip(grid, values)
    for chunk in (514, 5000):
        monkeypatch.setattr(mixture, "CHUNK", chunk)
        assert round_trip(grid, values) == at_once


@given(st.lists(VALUES | st.integers(-40, 40), min_size=1, max_size=60), st.sampled_from([1, 4, 31]))
def test_hyper_latents_come_back(numbers: list[int], half: int) -> None:
    rng = np.random.default_rng(half)
    rows = rng.multinomial(TOTAL, rng.dirichlet(np.full(2 * half + 2, 0.2)), len(numbers)).astype(np.float64)
    values = np.array(numbers, np.int32)
    encoder = Encoder()
    code_rows(encoder, rows, values)
    decoder = Decoder(encoder.finish())
    np.testing.assert_array_equal(code_rows(decoder, rows, None), values)
    decoder.finish()
