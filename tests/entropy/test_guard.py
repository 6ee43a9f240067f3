"""Two machines that differ a little round alike."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from fdeg_codec.entropy.guard import CHUNK, EPSILON, are_exceptions, round_as_told, round_guarded
from fdeg_codec.ndtypes import Floats

NEAR = st.sampled_from([0.0, 2.0**-40, EPSILON / 3, EPSILON * 0.999, EPSILON, EPSILON * 1.001, 0.01])
MIDWAY = st.builds(lambda n, d, s: n + 0.5 + s * d, st.integers(-32767, 32766), NEAR, st.sampled_from([-1, 1]))
VALUES = npst.arrays(np.float64, npst.array_shapes(max_dims=2, max_side=20), elements=MIDWAY | st.floats(-32767, 32767))


@given(VALUES, st.integers(0, 2**32), st.floats(0, 0.99))
def test_noise_below_epsilon_changes_nothing(values: Floats, seed: int, size: float) -> None:
    integers, exceptions, ups = round_guarded(values)
    noise = size * EPSILON * np.random.default_rng(seed).choice([-1, -0.5, 0, 0.5, 1], values.shape)
    np.testing.assert_array_equal(round_as_told(values + noise, exceptions, ups), integers)
    assert are_exceptions(values + noise, exceptions)


@given(VALUES)
def test_integers_are_the_nearest_and_halves_go_up(values: Floats) -> None:
    before = values.copy()
    integers, _, _ = round_guarded(values)
    np.testing.assert_array_equal(integers, np.floor(values) + (values - np.floor(values) >= 0.5))
    assert integers.dtype == np.int32
    np.testing.assert_array_equal(values, before)


@given(VALUES)
def test_exceptions_are_what_lies_within_epsilon_of_a_half(values: Floats) -> None:
    integers, exceptions, ups = round_guarded(values)
    close = np.abs(values - np.floor(values) - 0.5) < EPSILON
    np.testing.assert_array_equal(exceptions, np.flatnonzero(close))
    np.testing.assert_array_equal(ups, (integers - np.floor(values))[close])


def test_without_its_exceptions_a_value_midway_would_differ() -> None:
    values = np.array([7.5 - 1e-12, 2.0])
    integers, exceptions, ups = round_guarded(values)
    nothing = exceptions[:0], ups[:0]
    assert exceptions.tolist() == [0]
    assert round_as_told(values + 2e-12, *nothing).tolist() != integers.tolist()
    assert round_as_told(values + 2e-12, exceptions, ups).tolist() == integers.tolist()


def test_exceptions_are_found_wherever_they_lie_among_many_values() -> None:
    values = np.random.default_rng(0).integers(-99, 99, (8, 3 * CHUNK // 8 + 1)).astype(np.float64)
    where = np.array([0, 1, CHUNK - 1, CHUNK, 2 * CHUNK + 5, 3 * CHUNK - 1, 3 * CHUNK, 3 * CHUNK + 7])
    values.ravel()[where] += 0.5 + EPSILON / 2 * np.tile([-1, 1], 4)
    integers, exceptions, ups = round_guarded(values)
    assert exceptions.tolist() == where.tolist()
    assert ups.tolist() == [0, 1] * 4
    np.testing.assert_array_equal(integers, np.floor(values + 0.5))


def test_one_value_far_from_a_half_is_enough_to_doubt_exceptions() -> None:
    values = np.array([[0.5, 1.5 - EPSILON, 7.0], [3.5 + 1.9 * EPSILON, 9.5 + 2.1 * EPSILON, -2.5]])
    assert are_exceptions(values, np.array([0, 1, 3, 5]))
    assert are_exceptions(values, np.array([], np.intp))
    for wrong in (2, 4):
        assert not are_exceptions(values, np.array([0, 1, wrong, 5]))


def test_exceptions_are_rare() -> None:
    values = np.random.default_rng(0).uniform(-1000, 1000, 4_000_000)
    assert len(round_guarded(values)[1]) < 12  # 2 in expectation
