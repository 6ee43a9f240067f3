"""The text reads a pass that fdeg wrote, exceptions among it, though its own numbers differ a little."""

from __future__ import annotations

import numpy as np
import pytest

from fdeg_codec.entropy.coder import Encoder
from fdeg_codec.entropy.mixture import code_latents, mixtures
from tests.conformance.latents import Words

NEAR = 2.0**-22


@pytest.mark.parametrize("seed", range(8))
def test_exceptions_say_which_way_to_go(seed: int) -> None:
    rng = np.random.default_rng(seed)
    grid = np.concatenate((rng.integers(-99, 99, (3, 70)), rng.integers(0, 40, (3, 70)), rng.integers(0, 33, (2, 70)))) + 0.0
    kind = rng.choice(3, grid.shape, p=(0.9, 0.05, 0.05))  # whole numbers, exceptions, and what is almost one
    grid += np.choose(
        kind, (0, 0.5 + NEAR * rng.uniform(-0.99, 0.99, grid.shape), 0.5 + NEAR * rng.choice([-2, 2], grid.shape))
    )
    encoder = Encoder()
    rounded = encoder.round(grid)
    assert encoder.exceptions == (kind == 1).sum() > 10
    values = mixtures(rounded).centres + np.rint(30 * rng.standard_cauchy(70)).astype(np.int32)
    code_latents(encoder, mixtures(rounded), values)
    words = Words(encoder.finish())
    assert words.latents((grid + NEAR * rng.uniform(-0.99, 0.99, grid.shape)).tolist()) == values.tolist()
    assert words.used_up


@pytest.mark.parametrize("share", [0, 0.03, 1])
def test_strays_among_sure_latents(share: float) -> None:
    rng = np.random.default_rng(9)
    grid = np.concatenate((np.tile(16 * rng.integers(-9, 9, 90), (3, 1)), rng.integers(0, 12, (3, 90)), np.full((2, 90), 20)))
    encoder = Encoder()
    mixture = mixtures(encoder.round(grid + 0.0))
    assert 20 < (mixture.windows == 0).sum() < 90
    values = mixture.centres + (rng.random(90) < share) * rng.integers(-50, 50, 90, np.int32)
    code_latents(encoder, mixture, values)
    words = Words(encoder.finish())
    assert words.latents(grid.tolist()) == values.tolist()
    assert words.used_up


def test_numbers_of_every_length() -> None:
    groups = [[], [0], [2**31 - 2, 0, 1], [2**k - j for k in range(1, 31) for j in (2, 1, 0)], list(range(300))]
    encoder = Encoder()
    for group in groups:
        encoder.numbers(len(group), np.array(group, np.int32))
    words = Words(encoder.finish())
    assert [words.numbers(len(group)) for group in groups] == groups
    assert words.used_up


@pytest.mark.parametrize("marks", [[2 * 7], [2 * 8 + 1], [1, 2 * 7], [0] * 9])
def test_what_an_encoder_does_not_write_is_refused(marks: list[int]) -> None:
    """A value far from a half, positions beyond the end, more exceptions than positions."""
    encoder = Encoder()
    encoder.symbols(np.array([[31.0, 1.0]]) * 2**17, np.array([1], np.int32))
    encoder.numbers(1, np.array([len(marks) - 1], np.int32))
    encoder.numbers(len(marks), np.array(marks, np.int32))
    with pytest.raises(AssertionError, match=r"no exception|beyond the end|more than positions"):
        Words(encoder.finish()).latents([[0.5]] * 7 + [[3.0]])
