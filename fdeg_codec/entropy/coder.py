"""A tile's bits, for both directions: everything goes through one range coder.

`Encoder` and `Decoder` answer the same calls, so that one walk over a tile serves both (codec/tile.py). The range coder is
constriction's queue with 24 bits of precision. Its `Categorical(perfect=False)` turns frequencies that sum to 2^22
into the cumulative (c * (2^24 - n) >> 22) + i, for the i-th of n symbols with c below it: integers all the way.
"""

from __future__ import annotations

from typing import Any, Protocol

import constriction
import numpy as np
from numpy.typing import NDArray

from fdeg_codec.entropy.guard import EPSILON, are_exceptions, round_as_told, round_guarded
from fdeg_codec.entropy.tables import TOTAL
from fdeg_codec.errors import BadFileError
from fdeg_codec.ndtypes import Floats, Integers, Longs

Model = Any  # constriction's

_MODEL = constriction.stream.model.Categorical(perfect=False)


def _model(frequencies: list[int]) -> Model:
    """For symbols whose frequencies are always these."""
    return constriction.stream.model.Categorical(np.array(frequencies, np.float64), perfect=False)


# Numbers without a model of their own: bit length b of v + 1 has probability 2^-b, but for the longest, which share
# what is left; the bits below the highest are even odds.
_LENGTHS = _model([TOTAL >> b for b in range(1, 16)] + [8] * 16)
_EVEN = _model([TOTAL // 2, TOTAL // 2])
_RARE = _model([TOTAL - TOTAL // 32, TOTAL // 32])  # of exceptions: most lists are empty


class Coder(Protocol):
    """One direction of coding. What a decoder does not know yet is None."""

    def symbols(self, frequencies: Floats, symbols: Integers | None) -> Integers:
        """Code one symbol per row of `frequencies`, which are integers that sum to 2^22."""

    def alike(self, model: Model, count: int, symbols: Integers | None) -> Integers:
        """Code `count` symbols under one model."""

    def numbers(self, count: int, numbers: Integers | None) -> Integers:
        """Code `count` numbers from 0 to 2^31 - 2, small ones in few bits."""

    def bits(self, count: int, width: int, numbers: Longs | None) -> Longs:
        """Code `count` numbers of `width` bits, all equally probable."""

    def round(self, values: Floats, epsilon: float = EPSILON) -> Integers:
        """Round as the encoder did: what it found nearer than `epsilon` to a boundary is coded as a list of exceptions."""


def _code_numbers(coder: Coder, count: int, numbers: Integers | None) -> Integers:
    """Bit lengths first, then all lower bits, from the highest: Elias's gamma code (1975) as symbols."""
    if count == 0:
        return np.empty(0, np.int32)
    plus = None if numbers is None else numbers.astype(np.int64) + 1
    known = None if plus is None else np.frexp(plus)[1].astype(np.int32) - 1
    extra = coder.alike(_LENGTHS, count, known)
    owner = np.repeat(np.arange(count), extra)
    place = np.repeat(np.cumsum(extra), extra) - np.arange(len(owner)) - 1  # of each bit in its number
    bits = coder.alike(_EVEN, len(owner), None if plus is None else plus[owner] >> place & 1)
    out = np.left_shift(np.int64(1), extra)
    np.add.at(out, owner, bits.astype(np.int64) << place)
    return (out - 1).astype(np.int32)


def _code_bits(coder: Coder, count: int, width: int, numbers: Longs | None) -> Longs:
    """All bits of the first number, highest first, then those of the next."""
    places = np.arange(width - 1, -1, -1)
    known = None if numbers is None else (numbers[:, None] >> places & 1).ravel()
    bits = coder.alike(_EVEN, count * width, known).astype(np.int64).reshape(count, width)
    return (bits << places).sum(1, dtype=np.int64)


def _code_count(coder: Coder, count: int | None) -> int:
    """How many exceptions: whether any, and how many more than one."""
    (some,) = coder.alike(_RARE, 1, None if count is None else np.array([count > 0], np.int32))
    (more,) = coder.numbers(1, None if count is None else np.array([count - 1], np.int32)) if some else (-1,)
    return int(more) + 1


class Encoder:
    """Gathers a tile's bits."""

    def __init__(self) -> None:
        self._range = constriction.stream.queue.RangeEncoder()
        self.exceptions = 0

    def symbols(self, frequencies: Floats, symbols: Integers | None) -> Integers:
        assert symbols is not None
        self._range.encode(symbols.astype(np.int32, copy=False), _MODEL, frequencies)
        return symbols

    def alike(self, model: Model, count: int, symbols: Integers | None) -> Integers:
        assert symbols is not None
        self._range.encode(symbols.astype(np.int32, copy=False), model)
        return symbols

    def numbers(self, count: int, numbers: Integers | None) -> Integers:
        return _code_numbers(self, count, numbers)

    def bits(self, count: int, width: int, numbers: Longs | None) -> Longs:
        return _code_bits(self, count, width, numbers)

    def round(self, values: Floats, epsilon: float = EPSILON) -> Integers:
        integers, exceptions, ups = round_guarded(values, epsilon)
        gaps = np.diff(exceptions, prepend=-1) - 1
        _code_count(self, len(exceptions))
        self.numbers(len(exceptions), (2 * gaps + ups).astype(np.int32))
        self.exceptions += len(exceptions)
        return integers

    def finish(self) -> bytes:
        """The range coder's words."""
        words: bytes = self._range.get_compressed().astype("<u4").tobytes()
        return words


class Decoder:
    """Reads a tile's bits. Whatever damaged bytes make of it, it raises nothing but BadFileError."""

    def __init__(self, payload: bytes) -> None:
        if len(payload) % 4:
            raise BadFileError("it is no whole number of words")
        self._range = constriction.stream.queue.RangeDecoder(np.frombuffer(payload, "<u4").astype(np.uint32))

    def symbols(self, frequencies: Floats, symbols: Integers | None) -> Integers:
        return self._decode(_MODEL, frequencies)

    def alike(self, model: Model, count: int, symbols: Integers | None) -> Integers:
        return self._decode(model, count)

    def _decode(self, *what: Any) -> Integers:
        try:
            decoded: Integers = self._range.decode(*what)
        except (ValueError, AssertionError) as error:
            raise BadFileError("its symbols cannot be decoded") from error
        return decoded

    def numbers(self, count: int, numbers: Integers | None) -> Integers:
        return _code_numbers(self, count, None)

    def bits(self, count: int, width: int, numbers: Longs | None) -> Longs:
        return _code_bits(self, count, width, None)

    def round(self, values: Floats, epsilon: float = EPSILON) -> Integers:
        count = _code_count(self, None)
        if count > values.size:
            raise BadFileError("it holds more exceptions than values")
        marks = self.numbers(count, None)
        exceptions: NDArray[np.intp] = np.cumsum((marks >> 1).astype(np.intp) + 1) - 1
        if count and (exceptions[-1] >= values.size or not are_exceptions(values, exceptions, epsilon)):
            raise BadFileError("it holds an exception where there is none to make")
        return round_as_told(values, exceptions, marks & 1)

    def finish(self) -> None:
        """Everything must have been read."""
        if not self._range.maybe_exhausted():
            raise BadFileError("it holds more than its symbols")
