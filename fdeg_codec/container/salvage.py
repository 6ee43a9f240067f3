"""What is left of a damaged file. A single flipped bit is put right; beyond that each part is taken where it is whole.

Header, sections and index are there twice in files of several tiles, from the start and from the end; an entry is looked
for at its distance from either, as bytes may be missing in between.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import BinaryIO, TypeVar

from fdeg_codec.container.file import (
    BARE,
    CHECKSUM,
    ZERO,
    Reader,
    copy_of,
    index_length,
    overhead_of,
    size_of,
    starts_of,
    unpack_index,
)
from fdeg_codec.container.header import LENGTHS, Header, unpack
from fdeg_codec.container.mend import mend
from fdeg_codec.container.sections import unpack_sections
from fdeg_codec.errors import BadFileError, FdegError

Part = TypeVar("Part")


class Salvager(Reader):
    """A reader that goes on where it can. `mended` says what was put right."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.size = size_of(stream)
        self.mended: list[str] = []
        self._mended_tiles: set[int] = set()
        self.header = self._header()
        size, sections, index = self.header.size, self.header.sections_length, index_length(self.header)
        ends = self.size - 1 - size - sections  # of its copy, if there is one
        self.sections = self._either("sections", unpack_sections, self._both(sections, size, ends))
        rest = self.size - overhead_of(self.header)
        lengths = partial(unpack_index, rest=rest)
        self.lengths: array[int] = self._either("index", lengths, self._both(index, size + sections, ends - index))
        self._starts = starts_of(self.header, self.lengths)
        copy = len(copy_of(self.header, bytes(sections), bytes(index)))
        self._shift = self.size - copy - self._starts[-1]

    def _header(self) -> Header:
        """The header, whose copy is found by the last byte. Of a damaged one not even the length is known."""
        start, last = self._at(0, LENGTHS[-1]), self._at(max(self.size - 1, 0), 1)
        copy = self._both(last[0], self.size - 1 - last[0]) if last else []
        return self._either("header", unpack, [start, *copy], *(start[:length] for length in LENGTHS))

    def _both(self, length: int, *places: int) -> list[bytes]:
        """What lies in the places that are in the file."""
        return [self._at(place, length) for place in places if 0 <= place <= self.size - length]

    def _either(self, name: str, unpack: Callable[[bytes], Part], found: list[bytes], *guesses: bytes) -> Part:
        """A part as it was found in one of two places, or there, or as one of the guesses, but for a bit."""
        problem: FdegError | None = None
        for k, data in enumerate(chain(found, map(_sealed, chain(found, guesses)))):
            try:
                part = unpack(data)
            except FdegError as error:
                problem = problem or error
                continue
            if k:
                self.mended.append(f"{name}: " + ("a flipped bit was put right" if k >= len(found) else "read from its copy"))
            return part
        raise problem or BadFileError(f"cut off: {self.size} bytes do not hold its {name}")

    def entry(self, tile: int, k: int) -> bytes:
        number = tile * self.header.per_tile + k
        if self.lengths[number] == BARE:
            return ZERO  # whatever is there
        start = self._starts[number]
        try:
            return self._body(number, start)
        except FdegError:
            body = self._moved(number, start + self._shift) or self._mended(number, start) or self._followed(number, start)
            if body is None:
                raise
            return body

    def _moved(self, number: int, start: int) -> bytes | None:
        """The body of an entry that is longer than a byte, if it lies here."""
        try:
            return self._body(number, start) if 0 < start < self.size and self.lengths[number] > BARE else None
        except FdegError:
            return None

    def _followed(self, number: int, start: int) -> bytes | None:
        """The body of a plane alone, in whole words, behind which there are bytes too many."""
        data, crc = self._at(start, self.lengths[number]), number
        for end in range(CHECKSUM + 4, len(data), 4) if index_length(self.header) == 0 else ():
            crc = zlib.crc32(data[end - 4 : end], crc)
            if crc.to_bytes(CHECKSUM, "little") == data[:CHECKSUM]:
                return data[CHECKSUM:end]
        return None

    def _mended(self, number: int, start: int) -> bytes | None:
        """The body of an entry but for a flipped bit."""
        data = self._at(start, self.lengths[number])
        body = mend(data[CHECKSUM:], data[:CHECKSUM], number) if len(data) > CHECKSUM + BARE else None
        if body is not None:
            tile = number // self.header.per_tile
            self.mended += [] if tile in self._mended_tiles else [f"tile {tile}: a flipped bit was put right"]
            self._mended_tiles.add(tile)
        return body


def _sealed(data: bytes) -> bytes:
    """A part that ends in its CRC, but for a flipped bit."""
    body = mend(data[:-4], data[-4:]) if len(data) > 4 else None
    if body is None:
        return data
    return body + zlib.crc32(body).to_bytes(4, "little")
