"""Whole files: header, sections, index, the entries, and a copy of what precedes them. FORMAT.md describes every byte."""

from __future__ import annotations

import io
import os
import struct
import sys
import zlib
from array import array
from dataclasses import replace
from typing import BinaryIO

from fdeg_codec.container.header import LENGTHS, Header, unpack
from fdeg_codec.container.sections import Sections, pack_sections, unpack_sections
from fdeg_codec.errors import BadFileError, reason

MAX_ENTRY = 2**32 - 1
CHECKSUM = 4  # bytes before an entry
BARE = 1  # entries up to this length have no checksum: there is nothing that they could say but one thing
ZERO = b"\0"  # the only entry of one byte


class Writer:
    """Writes entries as they come; the index is filled in at the end, so `stream` must be seekable."""

    def __init__(self, stream: BinaryIO, header: Header, sections: Sections) -> None:
        self._packed = pack_sections(sections)
        self._stream = stream
        self._header = replace(header, sections_length=len(self._packed))
        self._lengths: list[int] = []
        stream.write(self._header.pack() + self._packed)
        self._index_at = stream.tell()
        stream.write(bytes(index_length(header)))

    def add(self, entry: bytes) -> None:
        """The next entry: tile by tile in rows, in each tile the planes, the layers, then the planes' residuals."""
        if len(entry) > BARE:
            entry = _crc(entry, len(self._lengths)) + entry
        self._stream.write(entry)
        self._lengths.append(len(entry))

    def finish(self) -> None:
        if len(self._lengths) != self._header.entries:
            raise AssertionError(f"{len(self._lengths)} entries of {self._header.entries} were written")
        lengths = struct.pack(f"<{len(self._lengths)}I", *self._lengths)
        index = lengths + struct.pack("<I", zlib.crc32(lengths)) if index_length(self._header) else b""
        self._stream.write(copy_of(self._header, self._packed, index))
        self._stream.seek(self._index_at)
        self._stream.write(index)
        self._stream.seek(0, io.SEEK_END)


class Reader:
    """A file's header and sections, and any of its entries. Every size is checked before it is believed."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.size = size_of(stream)
        stream.seek(0)
        self.header = unpack(stream.read(LENGTHS[-1]))
        overhead = overhead_of(self.header)
        if overhead > self.size:
            raise BadFileError(f"cut off: {self.size} bytes do not hold its index")
        stream.seek(self.header.size)
        packed = stream.read(self.header.sections_length)
        self.sections = unpack_sections(packed)
        index = stream.read(index_length(self.header))
        self.lengths = unpack_index(index, self.size - overhead)
        self._starts = starts_of(self.header, self.lengths)
        copy = copy_of(self.header, packed, index)
        end = self._starts[-1] + len(copy)
        if end > self.size:
            raise BadFileError(f"cut off: it has {self.size} bytes of {end}")
        if end < self.size:
            raise BadFileError(f"followed by {self.size - end} bytes that do not belong to it")
        stream.seek(self._starts[-1])
        if stream.read(len(copy)) != copy:
            raise BadFileError("the copy of its index at its end is damaged")

    @property
    def overhead(self) -> int:
        """The bytes before the first entry."""
        return self._starts[0]

    def entry(self, tile: int, k: int) -> bytes:
        """The k-th entry (planes, layers, then residuals) of a tile, counted in rows."""
        number = tile * self.header.per_tile + k
        return self._body(number, self._starts[number])

    def _at(self, place: int, length: int) -> bytes:
        """What the file has of so many bytes from a place; processes may share its position that were forked with it open."""
        length = min(length, max(self.size - place, 0))  # as memory is taken before it is known what there is
        try:
            if isinstance(self._stream, io.BytesIO) or not hasattr(os, "pread"):
                self._stream.seek(place)
                return self._stream.read(length)
            return os.pread(self._stream.fileno(), length, place)
        except OSError as error:
            raise BadFileError(f"cannot be read ({reason(error)})") from error

    def _body(self, number: int, start: int) -> bytes:
        data = self._at(start, self.lengths[number])
        if len(data) != self.lengths[number]:
            raise BadFileError("cut off")
        if data in (b"", ZERO):
            return data
        entry = data[CHECKSUM:]
        if len(entry) <= BARE or _crc(entry, number) != data[:CHECKSUM]:
            raise BadFileError("its bytes are damaged (checksum)")
        return entry


def size_of(stream: BinaryIO) -> int:
    """In bytes."""
    if not stream.seekable():
        raise BadFileError("a pipe, in which nothing can be looked up (- is standard input)")
    return stream.seek(0, io.SEEK_END)


def copy_of(header: Header, packed: bytes, index: bytes) -> bytes:
    """What ends a file of several tiles: all that precedes the entries, the other way round, found from the last byte."""
    return index + packed + header.pack() + bytes([header.size]) if header.tiles > 1 else b""


def index_length(header: Header) -> int:
    """In bytes. A plane alone needs no index: it is what is left of the file, and its checksum says whether all of it is."""
    return 0 if header.entries == header.planes == 1 else 4 * header.entries + 4


def overhead_of(header: Header) -> int:
    """The bytes before the first entry."""
    return header.size + header.sections_length + index_length(header)


def framing_of(header: Header, sections: Sections) -> int:
    """The bytes of a file besides its entries."""
    packed = pack_sections(sections)
    header = replace(header, sections_length=len(packed))
    return overhead_of(header) + len(copy_of(header, packed, bytes(index_length(header))))


def stored_length(length: int) -> int:
    """What an entry of so many bytes takes, its checksum with it."""
    return length + (CHECKSUM if length > BARE else 0)


def unpack_index(data: bytes, rest: int) -> array[int]:
    """The length of each entry; without an index, of the one that is the rest of the file."""
    if not data:
        if rest > MAX_ENTRY:
            raise BadFileError("too long for its one entry")
        return array("I", [rest])
    if struct.pack("<I", zlib.crc32(data[:-4])) != data[-4:]:
        raise BadFileError("its index is damaged (checksum)")
    lengths = array("I", data[:-4])
    if sys.byteorder == "big":
        lengths.byteswap()
    return lengths


def starts_of(header: Header, lengths: array[int]) -> array[int]:
    """Where each entry begins, and where the last one ends."""
    starts = array("Q", [overhead_of(header)])
    for length in lengths:
        starts.append(starts[-1] + length)
    return starts


def _crc(entry: bytes, number: int) -> bytes:
    """An entry's checksum; begun with its number, so that no entry passes for another."""
    return struct.pack("<I", zlib.crc32(entry, number))
