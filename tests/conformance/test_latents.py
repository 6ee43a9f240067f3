"""The text reads a pass that fdeg wrote, exceptions among it, though its own numbers differ a little."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from fdeg_codec.entropy.coder import Encoder
from fdeg_codec.entropy.mixture import code_latents, mixtures
from tests.conformance.latents import Streams

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
    values = mixtures(rounded).centres + np.rint(rng.standard_cauchy(70)).astype(np.int32)
    code_latents(encoder, rounded, values)
    streams = Streams(encoder.finish())
    assert streams.latents((grid + NEAR * rng.uniform(-0.99, 0.99, grid.shape)).tolist()) == values.tolist()
    assert streams.used_up


@pytest.mark.parametrize("aside", [[1, 2 * 7], [1, 2 * 8 + 1], [2, 1, 2 * 7], [1, 128, 0]])
def test_what_an_encoder_does_not_write_is_refused(aside: list[int]) -> None:
    """A value far from a half, positions beyond the end, a varint longer than it needs to be."""
    data = bytes([len(aside), *aside]) + struct.pack("<II", 0, 0)
    with pytest.raises(AssertionError):
        Streams(data).latents([[0.5]] * 7 + [[3.0]])
