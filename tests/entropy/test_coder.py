"""The bits of a tile: what goes in comes out, and garbage is a bad file, nothing worse."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdeg_codec.entropy.coder import Coder, Decoder, Encoder
from fdeg_codec.entropy.guard import EPSILON
from fdeg_codec.entropy.tables import TOTAL
from fdeg_codec.errors import BadFileError
from fdeg_codec.ndtypes import Floats, Integers

SIZES = (4, 10, 34, 64, 514)


def rows(count: int, size: int) -> Floats:
    """Frequencies made by arithmetic alone: the same for ever."""
    i, k = np.mgrid[:count, :size]
    table = ((i * 7 + k * k * 13) % 97) ** 2 * (1 << 8) // size
    table[:, -1] = TOTAL - table[:, :-1].sum(1)
    return table.astype(np.float64)


def symbols(count: int, size: int) -> Integers:
    i = np.arange(count)
    return ((i * i + 3 * i) % size).astype(np.int32)


def begun(count: int) -> Encoder:
    """An encoder that has said how many exceptions there are."""
    encoder = Encoder()
    encoder.symbols(np.array([[31.0, 1.0]]) * 2**17, np.array([count > 0], np.int32))
    if count:
        encoder.numbers(1, np.array([count - 1], np.int32))
    return encoder


def exceptions(*marks: int) -> bytes:
    """A list of exceptions."""
    encoder = begun(len(marks))
    encoder.numbers(len(marks), np.array(marks, np.int32))
    return encoder.finish()


GOLDEN = "07000000f9269647607ecc08e807e1e07d1e219d92c351d6"
GOLDEN_HASH = "23de41c9263316cda13ce71539f589b43974a5e4e1e9e2e00e41a50976a81f13"


def test_golden_words() -> None:
    """Files decode for ever: should a release of constriction give other words for these, it cannot be used."""
    encoder = Encoder()
    encoder.symbols(rows(24, 10), symbols(24, 10))
    assert encoder.finish().hex() == GOLDEN


def test_golden_hash_of_every_size_of_row() -> None:
    encoder = Encoder()
    for size in SIZES:
        encoder.symbols(rows(2000, size), symbols(2000, size))
    assert hashlib.sha256(encoder.finish()).hexdigest() == GOLDEN_HASH


MOST = 2**31 - 2
NUMBERS = st.integers(0, MOST) | st.integers(0, 31).map(lambda k: min(2**k - 1, MOST)) | st.integers(0, 9)
STEPS = st.lists(
    st.tuples(st.just("symbols"), st.tuples(st.integers(1, 50), st.sampled_from(SIZES)))
    | st.tuples(st.just("numbers"), st.lists(NUMBERS, max_size=20))
    | st.tuples(
        st.just("round"), st.lists(st.floats(-1000, 1000) | st.sampled_from([0.5, -7.5, 3.5 - EPSILON / 2]), max_size=20)
    ),
    max_size=8,
)


def take(coder: Coder, step: str, what: object, known: bool) -> list[int]:
    """One step, in either direction."""
    if step == "symbols":
        count, size = what  # type: ignore[misc]
        return coder.symbols(rows(count, size), symbols(count, size) if known else None).tolist()
    if step == "numbers":
        return coder.numbers(len(what), np.array(what, np.int32) if known else None).tolist()  # type: ignore[arg-type]
    return coder.round(np.array(what, np.float64)).tolist()


@given(STEPS)
def test_any_mixture_of_steps_comes_back(steps: list[tuple[str, object]]) -> None:
    encoder = Encoder()
    sent = [take(encoder, *step, known=True) for step in steps]
    decoder = Decoder(encoder.finish())
    assert [take(decoder, *step, known=False) for step in steps] == sent
    decoder.finish()


def test_nothing_takes_no_byte() -> None:
    encoder = Encoder()
    encoder.numbers(0, np.array([], np.int32))
    encoder.symbols(rows(0, 10), symbols(0, 10))
    assert encoder.finish() == b""
    Decoder(b"").finish()


def test_golden_numbers() -> None:
    encoder = Encoder()
    encoder.numbers(12, np.array([0, 1, 2, 3, 10, 100, 1000, 10**6, MOST, 2**21 - 1, 0, 0], np.int32))
    assert encoder.finish().hex() == "41c8ef56ee0ac96d6fd4ffff3c581fc1fdffff17000000d0"


@pytest.mark.parametrize(
    ("number", "bits"),
    [(0, 1), (1, 3), (2, 3), (3, 5), (6, 5), (7, 7), (1000, 19), (2**14 - 1, 29), (2**15 - 1, 34), (MOST, 49)],
)
def test_a_number_takes_two_bits_for_each_of_its_own_but_one(number: int, bits: int) -> None:
    encoder = Encoder()
    encoder.numbers(1000, np.full(1000, number, np.int32))
    assert len(encoder.finish()) == pytest.approx(125 * bits, rel=0.01, abs=8)


def test_bit_lengths_come_first_then_all_lower_bits_from_the_highest() -> None:
    """5 + 1 = 0b110, 0 + 1 = 0b1, 12 + 1 = 0b1101."""
    encoder = Encoder()
    encoder.numbers(3, np.array([5, 0, 12], np.int32))
    lengths = [float(1 << k) for k in range(21, 6, -1)] + [8.0] * 16
    halves = [TOTAL / 2] * 2
    judge = Encoder()
    judge.symbols(np.array([lengths] * 3), np.array([2, 0, 3], np.int32))
    judge.symbols(np.array([halves] * 5), np.array([1, 0, 1, 0, 1], np.int32))
    assert encoder.finish() == judge.finish()


def test_exceptions_are_counted_and_sent() -> None:
    encoder = Encoder()
    values = np.array([[1.0, 2.5], [3.5 - 1e-12, 4.25]])
    assert encoder.round(values).tolist() == [[1, 3], [3, 4]]
    assert encoder.exceptions == 2
    assert encoder.finish() == exceptions(2 * 1 + 1, 2 * 0 + 0)  # two, at 1 and 2; up, down


def test_an_exception_says_how_many_were_skipped_and_which_way_it_went() -> None:
    values = np.array([[0.0] * 70, [7.0] * 70])
    values.ravel()[[0, 65, 66, 139]] = 2.5, -1.5 - 1e-9, 8.5 - 1e-9, -3.5
    encoder = Encoder()
    rounded = encoder.round(values)
    assert rounded.ravel()[[0, 65, 66, 139]].tolist() == [3, -2, 8, -3]
    data = encoder.finish()
    assert data == exceptions(2 * 0 + 1, 2 * 64 + 0, 2 * 0 + 0, 2 * 72 + 1)
    np.testing.assert_array_equal(Decoder(data).round(values + 1e-8), rounded)


@pytest.mark.parametrize("length", [1, 2, 3, 5, 4095])
def test_parts_of_words_are_refused(length: int) -> None:
    with pytest.raises(BadFileError, match="whole number of words"):
        Decoder(bytes(length))


def test_more_exceptions_than_values_are_refused() -> None:
    values = np.full((2, 2), 0.5)
    assert Decoder(exceptions(0, 0, 0, 1)).round(values).tolist() == [[0, 0], [0, 1]]
    for count in (5, 1000, MOST + 1):
        with pytest.raises(BadFileError, match="more exceptions than values"):
            Decoder(begun(count).finish()).round(values)


def test_no_exceptions_cost_a_twentieth_of_a_bit() -> None:
    encoder = Encoder()
    for _ in range(640):
        encoder.round(np.zeros(9))
    assert 8 * len(encoder.finish()) <= 640 / 20 + 32


def test_exceptions_of_the_largest_tiles_may_lie_far_apart() -> None:
    values = np.zeros(3 << 20)
    values[-1] = 0.5
    encoder = Encoder()
    assert encoder.round(values)[-1] == 1
    assert Decoder(encoder.finish()).round(values)[-1] == 1


def test_an_exception_beyond_the_end_is_refused() -> None:
    values = np.full((2, 2), 0.5)
    for marks in ([2 * 4], [2 * 4 + 1], [2 * 3, 0], [0, 2 * 3 + 1], [127], [MOST], [MOST] * 4):
        with pytest.raises(BadFileError, match="where there is none"):
            Decoder(exceptions(*marks)).round(values)
    assert Decoder(exceptions(2 * 3)).round(values).tolist() == [[1, 1], [1, 0]]


@pytest.mark.parametrize("up", [0, 1])
@pytest.mark.parametrize("position", [0, 3, 6, 7])
def test_an_exception_that_no_encoder_makes_is_refused(position: int, up: int) -> None:
    """Values that lie far from a half."""
    values = np.array([[0.2], [0.5], [0.5], [63.0], [63.0], [63.0], [64.0], [0.0]])
    with pytest.raises(BadFileError, match="where there is none"):
        Decoder(exceptions(2 * position + up)).round(values)
    among_others = exceptions(2 * 1, 2 * (position - 2) + up) if position > 1 else exceptions(up, 0)
    with pytest.raises(BadFileError, match="where there is none"):
        Decoder(among_others).round(values)


@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize("whole", [-32767, -1, 0, 8])
def test_an_exception_may_lie_twice_as_far_from_a_half_as_the_encoder_looks(whole: int, side: int) -> None:
    for far, up in ((0.999, 0), (0.999, 1), (1.999, 0), (1.999, 1)):
        assert Decoder(exceptions(up)).round(np.array([whole + 0.5 + side * far * EPSILON])).tolist() == [whole + up]
    for far in (2, 2.001):
        with pytest.raises(BadFileError, match="where there is none"):
            Decoder(exceptions(1)).round(np.array([whole + 0.5 + side * far * EPSILON]))


@pytest.mark.parametrize("up", [0, 1])
def test_an_exception_decides_what_lies_near_a_half(up: int) -> None:
    for noise in (-1e-10, 0, 1e-10):
        assert Decoder(exceptions(up)).round(np.array([8.5 + noise])).tolist() == [8 + up]


def test_what_is_left_over_is_refused() -> None:
    encoder = Encoder()
    encoder.numbers(1, np.array([5], np.int32))
    encoder.symbols(rows(50, 10), symbols(50, 10))
    data = encoder.finish()
    for damaged, numbers, count in ((data, 0, 50), (data, 1, 25), (data + bytes(8), 1, 50)):
        decoder = Decoder(damaged)
        decoder.numbers(numbers, None)
        decoder.symbols(rows(count, 10), None)
        with pytest.raises(BadFileError, match="more than its symbols"):
            decoder.finish()


@pytest.mark.parametrize("first", range(0, 1000, 250))
def test_garbage_is_a_bad_file_or_decodes_to_something(first: int) -> None:
    outcomes = set()
    for seed in range(first, first + 250):
        rng = np.random.default_rng(seed)
        data = rng.bytes(4 * int(rng.integers(0, 20)))
        if seed % 2:
            data = exceptions(*rng.integers(0, 40, rng.integers(0, 3)).tolist()) + data
        data = data if seed % 5 else data + b"."
        try:
            decoder = Decoder(data)
            values = decoder.round(rng.normal(0, 9, (8, 6)))
            assert (values.shape, values.dtype) == ((8, 6), np.int32)
            decoded = decoder.symbols(rows(20, SIZES[seed % 5]), None)
            assert (decoded >= 0).all()
            assert (decoded < SIZES[seed % 5]).all()
            decoder.numbers(int(rng.integers(0, 3)), None)
            decoder.finish()
            outcomes.add("decoded")
        except BadFileError as error:
            outcomes.add(str(error))
    assert len(outcomes) > 3


def test_words_that_no_encoder_writes_are_a_bad_file() -> None:
    with pytest.raises(BadFileError, match="cannot be decoded"):
        Decoder(b"\xff" * 8).symbols(rows(1, 4), None)
