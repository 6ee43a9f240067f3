"""A tile's two streams, for both directions: symbols in a range coder, rare numbers beside it.

`Encoder` and `Decoder` answer the same calls, so that one walk over a tile serves both (codec/tile.py). The range coder is
constriction's queue with 24 bits of precision. Its `Categorical(perfect=False)` turns frequencies that sum to 2^22
into the cumulative (c * (2^24 - n) >> 22) + i, for the i-th of n symbols with c below it: integers all the way.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import constriction
import numpy as np
from numpy.typing import NDArray

from fdeg_codec.container.varint import read_varint, unzigzag, write_varint, zigzag
from fdeg_codec.entropy.guard import Floats, Integers, are_exceptions, round_as_told, round_guarded
from fdeg_codec.errors import BadFileError

_MODEL = constriction.stream.model.Categorical(perfect=False)


class Coder(Protocol):
    """One direction of coding. What a decoder does not know yet is None."""

    def symbols(self, frequencies: Floats, symbols: Integers | None) -> Integers:
        """Code one symbol per row of `frequencies`."""

    def numbers(self, count: int, numbers: Integers | None) -> Integers:
        """Code `count` signed numbers."""

    def positions(self, positions: NDArray[np.intp] | None, size: int) -> NDArray[np.intp]:
        """Code a rising list of positions below `size`, its length included."""

    def round(self, values: Floats) -> Integers:
        """Round as the encoder did."""


class Encoder:
    """Gathers a tile's streams."""

    def __init__(self) -> None:
        self._range = constriction.stream.queue.RangeEncoder()
        self._aside = bytearray()
        self.exceptions = 0

    def symbols(self, frequencies: Floats, symbols: Integers | None) -> Integers:
        assert symbols is not None
        self._range.encode(symbols, _MODEL, frequencies)
        return symbols

    def numbers(self, count: int, numbers: Integers | None) -> Integers:
        assert numbers is not None
        for n in numbers.tolist():
            write_varint(self._aside, zigzag(n))
        return numbers

    def positions(self, positions: NDArray[np.intp] | None, size: int) -> NDArray[np.intp]:
        assert positions is not None
        write_varint(self._aside, len(positions))
        for gap in np.diff(positions, prepend=-1).tolist():
            write_varint(self._aside, gap - 1)
        return positions

    def round(self, values: Floats) -> Integers:
        integers, exceptions, ups = round_guarded(values)
        write_varint(self._aside, len(exceptions))
        for gap, up in zip(np.diff(exceptions, prepend=-1).tolist(), ups.tolist(), strict=True):
            write_varint(self._aside, 2 * (gap - 1) + up)
        self.exceptions += len(exceptions)
        return integers

    def finish(self) -> bytes:
        """Both streams: the length of the numbers, the numbers, the range coder's words."""
        head = bytearray()
        write_varint(head, len(self._aside))
        return bytes(head + self._aside) + self._range.get_compressed().astype("<u4").tobytes()


class Decoder:
    """Reads a tile's streams. Whatever damaged bytes make of it, it raises nothing but BadFileError."""

    def __init__(self, payload: bytes) -> None:
        length, start = read_varint(payload, 0)
        words = payload[start + length :]
        if start + length > len(payload) or len(words) % 4:
            raise BadFileError("its streams have impossible lengths")
        self._aside = payload[start : start + length]
        self._at = 0
        self._range = constriction.stream.queue.RangeDecoder(np.frombuffer(words, "<u4").astype(np.uint32))

    def symbols(self, frequencies: Floats, symbols: Integers | None) -> Integers:
        try:
            decoded: Integers = self._range.decode(_MODEL, frequencies)
        except (ValueError, AssertionError) as error:
            raise BadFileError("its symbols cannot be decoded") from error
        return decoded

    def _varints(self, count: int) -> Iterator[int]:
        for _ in range(count):
            value, self._at = read_varint(self._aside, self._at)
            yield value

    def _count(self) -> int:
        (count,) = self._varints(1)
        if count > len(self._aside) - self._at:  # each takes a byte at least
            raise BadFileError("its numbers are cut off")
        return count

    def numbers(self, count: int, numbers: Integers | None) -> Integers:
        values = [unzigzag(v) for v in self._varints(count)]
        if any(abs(v) >> 30 for v in values):
            raise BadFileError("it holds a number that no latent can have")
        return np.array(values, np.int32)

    def positions(self, positions: NDArray[np.intp] | None, size: int) -> NDArray[np.intp]:
        return _rising(list(self._varints(self._count())), size)

    def round(self, values: Floats) -> Integers:
        marks = list(self._varints(self._count()))
        exceptions = _rising([mark >> 1 for mark in marks], values.size)
        if not are_exceptions(values, exceptions):
            raise BadFileError("it holds an exception where there is none to make")
        return round_as_told(values, exceptions, np.array([mark & 1 for mark in marks], np.int32))

    def finish(self) -> None:
        """Everything must have been read."""
        if self._at != len(self._aside) or not self._range.maybe_exhausted():
            raise BadFileError("it holds more than its symbols")


def _rising(gaps: list[int], size: int) -> NDArray[np.intp]:
    """Positions from the number of others between each and the one before."""
    if sum(gaps) + len(gaps) > size:
        raise BadFileError("it holds a position beyond its end")
    return np.cumsum(np.array(gaps, np.intp) + 1) - 1
