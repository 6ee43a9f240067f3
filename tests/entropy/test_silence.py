"""Which channels speak: what was said comes back, and no more than eights of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdeg_codec.entropy.coder import Decoder, Encoder
from fdeg_codec.entropy.silence import EIGHT, code_speaking
from fdeg_codec.errors import BadFileError


@given(st.lists(st.booleans(), min_size=1, max_size=70))
def test_who_speaks_comes_back(flags: list[bool]) -> None:
    speaking = np.array(flags)
    encoder = Encoder()
    told = code_speaking(encoder, len(flags), speaking)
    decoder = Decoder(encoder.finish())
    assert (code_speaking(decoder, len(flags), None) == told).all()
    decoder.finish()
    assert told[speaking].all()
    for start in range(0, len(flags), EIGHT):
        eight = told[start : start + EIGHT]
        assert eight.all() == eight.any() == (speaking[start : start + EIGHT].any() or (start == 0 and speaking.any()))


def test_silence_and_one_run_take_a_few_bits() -> None:
    encoder = Encoder()
    for _ in range(100):
        code_speaking(encoder, 320, np.zeros(320, bool))
    assert 8 * len(encoder.finish()) < 100 + 64
    encoder = Encoder()
    for _ in range(100):
        code_speaking(encoder, 320, np.arange(320) < 192)
    assert 8 * len(encoder.finish()) < 100 * (3 + 9) + 64


@pytest.mark.parametrize("runs", [(0, 0, 0, 0), (3,), (1, 0, 0), (2**31 - 2, 2**31 - 2)])
def test_more_than_there_is_is_refused(runs: tuple[int, ...]) -> None:
    encoder = Encoder()
    encoder.numbers(1, np.array([len(runs)], np.int32))
    encoder.numbers(len(runs), np.array(runs, np.int32))
    with pytest.raises(BadFileError, match="more"):
        code_speaking(Decoder(encoder.finish()), 20, None)
