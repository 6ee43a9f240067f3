"""Whole files: header, sections, index, then the entries. FORMAT.md describes every byte."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import replace
from typing import BinaryIO

from fdeg_codec.container.header import SIZE, Header, unpack
from fdeg_codec.container.sections import Sections, pack_sections, unpack_sections
from fdeg_codec.errors import BadFileError

BARE = 1  # entries up to this length have no checksum: they mean "nothing here" or "all alike"


class Writer:
    """Writes entries as they come; the index is filled in at the end, so `stream` must be seekable."""

    def __init__(self, stream: BinaryIO, header: Header, sections: Sections) -> None:
        packed = pack_sections(sections)
        self._stream = stream
        self._header = replace(header, sections_length=len(packed))
        self._lengths: list[int] = []
        stream.write(self._header.pack() + packed)
        self._index_at = stream.tell()
        stream.write(bytes(4 * header.entries + 4))

    def add(self, entry: bytes) -> None:
        """The next entry: tile by tile in rows, in each tile the planes, then the layers."""
        if len(entry) > BARE:
            entry = _crc(entry, len(self._lengths)) + entry
        self._stream.write(entry)
        self._lengths.append(len(entry))

    def finish(self) -> None:
        if len(self._lengths) != self._header.entries:
            raise AssertionError(f"{len(self._lengths)} entries of {self._header.entries} were written")
        index = struct.pack(f"<{len(self._lengths)}I", *self._lengths)
        self._stream.seek(self._index_at)
        self._stream.write(index + struct.pack("<I", zlib.crc32(index)))
        self._stream.seek(0, io.SEEK_END)


class Reader:
    """A file's header and sections, and any of its entries. Every size is checked before it is believed."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.size = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        self.header = unpack(stream.read(SIZE))
        index_length = 4 * self.header.entries + 4
        if SIZE + self.header.sections_length + index_length > self.size:
            raise BadFileError(f"cut off: {self.size} bytes do not hold its index")
        self.sections = unpack_sections(stream.read(self.header.sections_length))
        index = stream.read(index_length)
        if struct.pack("<I", zlib.crc32(index[:-4])) != index[-4:]:
            raise BadFileError("its index is damaged (checksum)")
        self.lengths = struct.unpack(f"<{self.header.entries}I", index[:-4])
        self._starts = [SIZE + self.header.sections_length + index_length]
        for length in self.lengths:
            self._starts.append(self._starts[-1] + length)
        if self._starts[-1] > self.size:
            raise BadFileError(f"cut off: it has {self.size} bytes of {self._starts[-1]}")
        if self._starts[-1] < self.size:
            raise BadFileError(f"followed by {self.size - self._starts[-1]} bytes that do not belong to it")

    @property
    def overhead(self) -> int:
        """The bytes before the first entry."""
        return self._starts[0]

    def entry(self, tile: int, k: int) -> bytes:
        """The k-th entry (planes, then layers) of a tile, counted in rows."""
        number = tile * self.header.per_tile + k
        self._stream.seek(self._starts[number])
        data = self._stream.read(self.lengths[number])
        if len(data) != self.lengths[number]:
            raise BadFileError("cut off while it was read")
        if len(data) <= BARE:
            return data
        if len(data) <= 4 + BARE or _crc(data[4:], number) != data[:4]:
            raise BadFileError("its bytes are damaged (checksum)")
        return data[4:]


def _crc(entry: bytes, number: int) -> bytes:
    """An entry's checksum; begun with its number, so that no entry passes for another."""
    return struct.pack("<I", zlib.crc32(entry, number))
