"""What is left of a damaged file, down to the byte; what becomes of its pixels is in tests/codec/test_damage.py."""

from __future__ import annotations

import io
import random
import struct
import tracemalloc
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdeg_codec.container.file import Reader, Writer
from fdeg_codec.container.mend import mend
from fdeg_codec.container.salvage import Salvager
from fdeg_codec.errors import BadFileError, FdegError
from tests.container.test_file import HEADER, SECTIONS, entries, written


@given(st.binary(min_size=1, max_size=3000), st.integers(0, 2**32 - 1), st.data())
def test_any_flipped_bit_is_put_right(data: bytes, start: int, choice: st.DataObject) -> None:
    sealed = bytearray(data + struct.pack("<I", zlib.crc32(data, start)))
    bit = choice.draw(st.integers(0, 8 * len(sealed) - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    assert mend(bytes(sealed[:-4]), bytes(sealed[-4:]), start) == data


def test_what_is_more_than_a_bit_is_not_put_right() -> None:
    rng = random.Random(0)
    for _ in range(2000):
        data = rng.randbytes(200)
        assert mend(rng.randbytes(200), struct.pack("<I", zlib.crc32(data))) is None


def left(data: bytes) -> tuple[list[bytes | None], list[str]]:
    """What is left of the entries, and what was put right."""
    salvager = Salvager(io.BytesIO(data))
    assert salvager.header == Reader(io.BytesIO(written())).header
    assert salvager.sections == SECTIONS
    bodies: list[bytes | None] = []
    for number in range(HEADER.entries):
        try:
            bodies.append(salvager.entry(*divmod(number, HEADER.per_tile)))
        except BadFileError:
            bodies.append(None)
    return bodies, salvager.mended


def test_memory_is_not_taken_for_what_an_index_claims(tmp_path: Path) -> None:
    header = replace(HEADER, layers=0)
    lengths = struct.pack(f"<{header.entries}I", *[2**32 - 1] * header.entries)
    index = lengths + struct.pack("<I", zlib.crc32(lengths))
    head = replace(header, sections_length=0).pack()
    (tmp_path / "x.fdg").write_bytes(head + index + b"abcdefgh" + index + head + bytes([len(head)]))
    with (tmp_path / "x.fdg").open("rb") as stream:
        salvager = Salvager(stream)
        tracemalloc.start()
        with pytest.raises(BadFileError, match="cut off"):
            salvager.entry(0, 0)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 1 << 20


def test_a_whole_file_has_nothing_to_mend() -> None:
    assert left(written()) == (entries(), [])


def test_a_flipped_bit_costs_nothing() -> None:
    data = bytearray(written())
    reader = Reader(io.BytesIO(data))
    starts = [reader.overhead + sum(reader.lengths[:n]) for n in range(HEADER.entries)]
    bare = [8 * start + 5 for start, length in zip(starts, reader.lengths, strict=True) if length == 1]
    assert bare
    for bit in (*bare, *random.Random(0).sample(range(8 * len(data)), 300)):
        data[bit // 8] ^= 1 << bit % 8
        assert left(bytes(data))[0] == entries()
        data[bit // 8] ^= 1 << bit % 8


def test_the_copy_at_the_end_stands_in_for_the_start() -> None:
    data = written()
    reader = Reader(io.BytesIO(data))
    before, size = reader.overhead, reader.header.size
    for start, stop in [(0, size), (size, before), (0, before), (before - 20, before), (3, 5)]:
        bodies, mended = left(data[:start] + bytes(stop - start) + data[stop:])
        assert bodies == entries()
        assert any("copy" in note for note in mended)


def test_a_file_that_ends_too_soon_gives_what_precedes_its_end() -> None:
    data = written()
    reader = Reader(io.BytesIO(data))
    ends = [reader.overhead + sum(reader.lengths[: n + 1]) for n in range(HEADER.entries)]
    for length in range(reader.overhead, len(data)):
        bodies, _ = left(data[:length])
        assert bodies == [body if end <= length or len(body) < 2 else None for body, end in zip(entries(), ends, strict=True)]
    for length in range(reader.overhead):
        with pytest.raises(FdegError):
            Salvager(io.BytesIO(data[:length]))


@pytest.mark.parametrize("change", [1, 7, -1, -7])
def test_bytes_missing_or_too_many_cost_only_the_entry_around_them(change: int) -> None:
    data = written()
    reader = Reader(io.BytesIO(data))
    at = reader.overhead + 10  # in entry 0
    moved = data[:at] + bytes(change) + data[at:] if change > 0 else data[: at + change] + data[at:]
    bodies, _ = left(moved)
    assert bodies[0] is None
    assert bodies[1:] == entries()[1:]


@pytest.mark.parametrize("extra", [1, 4, 500])
def test_bytes_behind_a_plane_alone_cost_nothing(extra: int) -> None:
    stream, plane = io.BytesIO(), random.Random(0).randbytes(4000)
    writer = Writer(stream, replace(HEADER, height=64, width=64, layers=0), {})
    writer.add(plane)
    writer.finish()
    assert Salvager(io.BytesIO(stream.getvalue() + bytes(extra))).entry(0, 0) == plane
    with pytest.raises(BadFileError, match="damaged"):
        Salvager(io.BytesIO(stream.getvalue()[:-4])).entry(0, 0)


def test_nothing_of_a_file_without_any_header() -> None:
    data = written()
    with pytest.raises(FdegError, match=r"not an \.fdg file"):
        Salvager(io.BytesIO(bytes(40) + data[40:-40] + bytes(40)))
