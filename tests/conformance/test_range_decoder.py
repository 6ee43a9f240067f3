"""The range decoder of FORMAT.md reads what constriction writes."""

from __future__ import annotations

import constriction
import numpy as np
import pytest

from tests.conformance.range_decoder import TOTAL, RangeDecoder

MODEL = constriction.stream.model.Categorical(perfect=False)


def frequency_rows(rng: np.random.Generator, count: int, size: int) -> np.ndarray:
    """Rows that sum to 2^22: even ones, steep ones, and some of zeros but for one entry."""
    shares = rng.dirichlet(np.full(size, 10 ** rng.uniform(-3, 1)), count)
    rows = np.floor(np.nan_to_num(shares) * TOTAL).astype(np.int64)
    rows[np.arange(count), rng.integers(0, size, count)] += TOTAL - rows.sum(1)
    return rows


@pytest.mark.parametrize("seed", range(20))
def test_random_rows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    batches = []
    encoder = constriction.stream.queue.RangeEncoder()
    for _ in range(rng.integers(1, 8)):
        rows = frequency_rows(rng, int(rng.integers(1, 40)), int(rng.choice([4, 10, 34, 64, 514])))
        symbols = rng.integers(0, rows.shape[1], len(rows)).astype(np.int32)  # improbable ones, too
        likely = rng.random(len(rows)) < 0.7
        symbols[likely] = rows[likely].argmax(1)
        encoder.encode(symbols, MODEL, rows.astype(np.float64))
        batches.append((rows.tolist(), symbols.tolist()))
    decoder = RangeDecoder(encoder.get_compressed().tolist())
    for rows, symbols in batches:
        assert [decoder.symbol(row) for row in rows] == symbols
    assert decoder.used_up


@pytest.mark.parametrize("surplus", range(5))
def test_what_is_left_over_is_noticed_as_constriction_notices_it(surplus: int) -> None:
    rows = frequency_rows(np.random.default_rng(0), 30, 10)
    encoder = constriction.stream.queue.RangeEncoder()
    encoder.encode(np.arange(30, dtype=np.int32) % 10, MODEL, rows.astype(np.float64))
    words = [*encoder.get_compressed().tolist(), *[1] * surplus]
    decoder, judge = RangeDecoder(words), constriction.stream.queue.RangeDecoder(np.array(words, np.uint32))
    judge.decode(MODEL, rows.astype(np.float64))
    for row in rows.tolist():
        decoder.symbol(row)
    assert decoder.used_up == judge.maybe_exhausted()
    assert decoder.used_up == (surplus < 2)  # the decoder reads a word ahead


def test_one_symbol_of_almost_no_information() -> None:
    encoder = constriction.stream.queue.RangeEncoder()
    encoder.encode(np.array([1], np.int32), MODEL, np.array([[0.0, TOTAL, 0.0, 0.0]]))
    words = encoder.get_compressed().tolist()
    decoder = RangeDecoder(words)
    assert len(words) == 1
    assert decoder.symbol([0, TOTAL, 0, 0]) == 1
    assert decoder.used_up
