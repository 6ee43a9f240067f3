"""Whole files of any entries: written, read in any order, and damaged in every way."""

from __future__ import annotations

import io
import os
import struct
import zlib
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from fdeg_codec.container.file import Reader, Writer
from fdeg_codec.container.header import Header
from fdeg_codec.container.sections import Kind, Sections, pack_text
from fdeg_codec.errors import BadFileError, FdegError
from fdeg_codec.raster.masks import pack_layer, unpack_layer

HEADER = Header(bytes(8), "uint8", 3, 100, 70, 64, 9 * 2048, planes=1, layers=1)
SECTIONS: Sections = {Kind.LAYERS: pack_text([["mask", None]]), Kind.NODATA: pack_text(0.0), Kind.CRS: pack_text("EPSG:4326")}
SIDES = [(64, 64), (64, 6), (36, 64), (36, 6)]


def entries() -> list[bytes]:
    """A plane and a layer for each tile, one of each coding of a layer."""
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 2, SIDES[0]) * 255, np.full(SIDES[1], 255), np.zeros(SIDES[2]), rng.integers(0, 256, SIDES[3])]
    layers = [pack_layer(p.astype(np.uint8)) for p in pictures]
    planes = [b"" if k == 2 else rng.bytes(24 + 12 * (k > 1)) for k in range(4)]
    return [entry for pair in zip(planes, layers, strict=True) for entry in pair]


def stored(entry: bytes, number: int) -> bytes:
    """An entry as it lies in the file."""
    return entry if len(entry) < 2 else struct.pack("<I", zlib.crc32(entry, number)) + entry


def all_stored() -> list[bytes]:
    return [stored(entry, number) for number, entry in enumerate(entries())]


def written(header: Header = HEADER, sections: Sections | None = None) -> bytes:
    stream = io.BytesIO()
    writer = Writer(stream, header, SECTIONS if sections is None else sections)
    for entry in entries():
        writer.add(entry)
    writer.finish()
    assert stream.tell() == len(stream.getvalue())
    return stream.getvalue()


def examine(data: bytes) -> None:
    """All that reading checks short of the network: raises FdegError, or every byte was believed."""
    reader = Reader(io.BytesIO(data))
    for tile, side in enumerate(SIDES):
        reader.entry(tile, 0)
        unpack_layer(reader.entry(tile, 1), *side)


def test_entries_come_back_in_any_order() -> None:
    reader = Reader(io.BytesIO(written()))
    assert replace(reader.header, sections_length=0) == HEADER
    assert reader.sections == SECTIONS
    for number, entry in reversed(list(enumerate(entries()))):
        assert reader.entry(*divmod(number, 2)) == entry
    before, size = written()[: reader.overhead], reader.header.size
    assert written() == before + b"".join(all_stored()) + before[-36:] + before[size:-36] + before[:size] + bytes([size])


def test_without_sections_the_index_follows_the_header() -> None:
    data = written(sections={})
    lengths = struct.pack("<8I", *map(len, all_stored()))
    index = lengths + struct.pack("<I", zlib.crc32(lengths))
    head = HEADER.pack()
    assert data == head + index + b"".join(all_stored()) + index + head + bytes([len(head)])


def test_a_picture_of_one_tile_has_no_copy() -> None:
    stream = io.BytesIO()
    writer = Writer(stream, replace(HEADER, height=64, width=64), SECTIONS)
    writer.add(b"plane")
    writer.add(b"")
    writer.finish()
    assert stream.getvalue().endswith(b"plane")
    Reader(stream)


def test_a_plane_alone_has_no_index() -> None:
    stream, header = io.BytesIO(), replace(HEADER, height=64, width=64, layers=0)
    writer = Writer(stream, header, {})
    writer.add(b"plane")
    writer.finish()
    assert stream.getvalue() == header.pack() + stored(b"plane", 0)
    assert Reader(stream).entry(0, 0) == b"plane"
    data = stream.getvalue()
    for damaged in (*(data[:n] for n in range(len(data)) if n not in (header.size, header.size + 1)), data + b"\0"):
        with pytest.raises(FdegError):  # those two have a body of a byte or none, which no plane has
            Reader(io.BytesIO(damaged)).entry(0, 0)


def test_a_layer_alone_has_an_index_for_it_may_be_empty() -> None:
    stream, header = io.BytesIO(), replace(HEADER, height=64, width=64, planes=0)
    writer = Writer(stream, header, SECTIONS)
    writer.add(b"")
    writer.finish()
    assert Reader(stream).entry(0, 0) == b""
    assert len(stream.getvalue()) == Reader(stream).header.size + Reader(stream).header.sections_length + 8


@pytest.mark.parametrize("number", [0, 1, 7])
def test_only_entries_of_two_bytes_or_more_have_a_checksum(number: int) -> None:
    for entry in (b"", b"\0", b"\1", b"\0\0", b"four", bytes(1000)):
        stream = io.BytesIO()
        writer = Writer(stream, HEADER, {})
        for k in range(8):
            writer.add(entry if k == number else b"")
        writer.finish()
        assert stream.getvalue()[HEADER.size + 36 : -HEADER.size - 37] == stored(entry, number)
        if entry == b"\1":  # says nothing
            with pytest.raises(BadFileError, match="damaged"):
                Reader(stream).entry(*divmod(number, 2))
        else:
            assert Reader(stream).entry(*divmod(number, 2)) == entry


def joined(parts: list[bytes]) -> bytes:
    """A file of entries as they are to lie in it."""
    lengths = struct.pack("<8I", *map(len, parts))
    index = lengths + struct.pack("<I", zlib.crc32(lengths))
    return HEADER.pack() + index + b"".join(parts) + index + HEADER.pack() + bytes([HEADER.size])


@pytest.mark.parametrize(("first", "second"), list(combinations(range(8), 2)))
def test_entries_that_changed_places_are_noticed(first: int, second: int) -> None:
    """Of equal length, with or without their place in the index: even if they say the same."""
    parts = [stored(b"all of one size and sense", number) for number in range(8)]
    examined = Reader(io.BytesIO(joined(parts)))
    assert {examined.entry(*divmod(number, 2)) for number in range(8)} == {b"all of one size and sense"}
    parts[first], parts[second] = parts[second], parts[first]
    swapped = Reader(io.BytesIO(joined(parts)))
    for number in range(8):
        if number in (first, second):
            with pytest.raises(BadFileError, match="damaged"):
                swapped.entry(*divmod(number, 2))
        else:
            swapped.entry(*divmod(number, 2))


@pytest.mark.parametrize("length", [2, 3])
def test_entries_too_short_for_a_checksum_are_refused(length: int) -> None:
    short = struct.pack("<I", zlib.crc32(b""))[:length]
    with pytest.raises(BadFileError, match="damaged"):
        Reader(io.BytesIO(joined([short, *[b""] * 7]))).entry(0, 0)


def test_a_whole_file_passes() -> None:
    examine(written())


def test_every_truncation_is_refused() -> None:
    data = written()
    for length in range(len(data)):
        with pytest.raises(FdegError):
            Reader(io.BytesIO(data[:length]))


def test_every_flipped_bit_is_noticed() -> None:
    data = bytearray(written())
    for bit in range(8 * len(data)):
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(FdegError):
            examine(bytes(data))
        data[bit // 8] ^= 1 << bit % 8
    examine(bytes(data))


@pytest.mark.parametrize("extra", [b"\0", b"\n", written()])
def test_bytes_after_the_end_are_refused(extra: bytes) -> None:
    with pytest.raises(BadFileError, match=f"followed by {len(extra)} bytes"):
        Reader(io.BytesIO(written() + extra))


def test_a_small_file_that_claims_a_huge_picture_is_refused_at_once() -> None:
    huge = replace(HEADER, height=2**31 - 1, width=2**31 - 1, layers=65535)
    with pytest.raises(BadFileError, match="cut off"):
        Reader(io.BytesIO(huge.pack() + bytes(1000)))
    long = replace(HEADER, sections_length=2**32 - 1)
    with pytest.raises(BadFileError, match="cut off"):
        Reader(io.BytesIO(long.pack() + bytes(1000)))


def test_an_index_that_reaches_beyond_the_file_is_refused() -> None:
    data = written(sections={})
    lengths = struct.pack("<8I", *[2**32 - 1] * 8)
    forged = data[: HEADER.size] + lengths + struct.pack("<I", zlib.crc32(lengths)) + data[HEADER.size + 36 :]
    with pytest.raises(BadFileError, match="cut off"):
        Reader(io.BytesIO(forged))


def test_a_file_that_shrinks_while_it_is_read_is_noticed() -> None:
    stream = io.BytesIO(written())
    reader = Reader(stream)
    stream.truncate(reader.overhead + sum(reader.lengths) - 1)
    with pytest.raises(BadFileError, match="cut off"):
        reader.entry(3, 1)


def test_a_missing_entry_is_a_mistake_of_the_program() -> None:
    writer = Writer(io.BytesIO(), HEADER, {})
    writer.add(b"one of eight")
    with pytest.raises(AssertionError, match="1 entries of 8"):
        writer.finish()


def test_reading_entries_leaves_the_file_where_it_was(tmp_path: Path) -> None:
    """Processes that were forked with a file open share its position."""
    (tmp_path / "x.fdg").write_bytes(written())
    with (tmp_path / "x.fdg").open("rb") as stream:
        reader = Reader(stream)
        place = os.lseek(stream.fileno(), 5, os.SEEK_SET)
        for tile in range(4):
            assert [reader.entry(tile, k) for k in range(2)] == entries()[2 * tile : 2 * tile + 2]
        assert os.lseek(stream.fileno(), 0, os.SEEK_CUR) == place
