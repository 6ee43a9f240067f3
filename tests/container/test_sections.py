"""Sections and texts: back as they were, unknown ones skipped or refused, bombs defused."""

from __future__ import annotations

import json
import math
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdeg_codec.container.sections import (
    MAX_TEXT,
    Kind,
    Sections,
    pack_numbers,
    pack_sections,
    pack_text,
    unpack_numbers,
    unpack_sections,
    unpack_text,
)
from fdeg_codec.container.varint import write_varint
from fdeg_codec.errors import BadFileError, UnsupportedError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


def raw(*sections: tuple[int, bytes]) -> bytes:
    """Sections of any kind with a CRC that fits."""
    out = bytearray()
    for kind, data in sections:
        out.append(kind)
        write_varint(out, len(data))
        out += data
    return bytes(out) + struct.pack("<I", zlib.crc32(out))


@given(st.dictionaries(st.sampled_from(list(Kind)), st.binary(max_size=300)))
def test_sections_come_back(sections: Sections) -> None:
    assert unpack_sections(pack_sections(sections)) == sections


def test_none_take_no_bytes() -> None:
    assert pack_sections({}) == b""


def test_sections_lie_in_the_order_of_their_kinds() -> None:
    packed = pack_sections({Kind.BANDS: b"b", Kind.MAPPING: b"m" * 200, Kind.CRS: b""})
    assert packed == raw((1, b"m" * 200), (129, b""), (134, b"b"))


@pytest.mark.parametrize("kind", [0x80, 0x87, 0xFF])
def test_an_unknown_section_that_may_be_skipped_is_skipped(kind: int) -> None:
    data = raw(*sorted([(1, b"map"), (kind, b"of the future"), (133, b"tags")]))
    assert unpack_sections(data) == {Kind.MAPPING: b"map", Kind.TAGS: b"tags"}


@pytest.mark.parametrize("kind", [0, 0x70, 0x7F])
def test_an_unknown_section_that_matters_is_refused_by_its_number(kind: int) -> None:
    with pytest.raises(UnsupportedError, match=rf"section {kind}\b"):
        unpack_sections(raw(*sorted([(1, b""), (kind, b"of the future"), (129, b"")])))


@pytest.mark.parametrize("kinds", [(1, 1), (2, 1), (0xFF, 0xFF), (0xFF, 1), (1, 129, 2), (1, 2, 129, 129)])
def test_sections_that_do_not_rise_are_refused(kinds: tuple[int, ...]) -> None:
    with pytest.raises(BadFileError, match="out of order"):
        unpack_sections(raw(*[(kind, b"") for kind in kinds]))


@given(st.lists(st.floats(allow_nan=False)))
def test_numbers_come_back_to_the_last_bit(numbers: list[float]) -> None:
    back = unpack_numbers(pack_numbers(numbers), len(numbers))
    assert [struct.pack("<d", n) for n in back] == [struct.pack("<d", n) for n in numbers]


def test_a_common_transform_takes_few_bytes() -> None:
    packed = pack_numbers([10.0, 0.0, 600000.0, 0.0, -10.0, 5300040.0])
    assert packed.hex() == "024024000441224f800002c02404415437d2"


@pytest.mark.parametrize("data", [b"", b"\x01", b"\2\x40\x24\1", b"\2\x40\0\0", b"\x09" + bytes(8) + b"\1\0", b"\0\0\0"])
def test_numbers_that_no_encoder_writes_are_refused(data: bytes) -> None:
    with pytest.raises(BadFileError):
        unpack_numbers(data, 2)


def test_a_section_whose_length_is_longer_than_it_needs_to_be_is_refused() -> None:
    body = b"\x01\x83\x00map"
    with pytest.raises(BadFileError, match="longer than it needs"):
        unpack_sections(body + struct.pack("<I", zlib.crc32(body)))


@pytest.mark.parametrize("body", [b"\x01", b"\x01\x80", b"\x01\x05abcd", b"\x81\xff\xff\xff\xff\x7f", b"\x01\x00\x02"])
def test_sections_longer_than_their_bytes_are_refused(body: bytes) -> None:
    with pytest.raises(BadFileError):
        unpack_sections(body + struct.pack("<I", zlib.crc32(body)))


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
def test_too_few_bytes_for_a_checksum_are_refused(length: int) -> None:
    with pytest.raises(BadFileError, match="damaged"):
        unpack_sections(b"\x01" * length)


@given(JSON)
def test_text_comes_back(value: Any) -> None:
    assert unpack_text(pack_text(value)) == value


def test_text_is_deflated_where_that_is_smaller() -> None:
    assert pack_text("EPSG:32633") == b'\0"EPSG:32633"'
    long = pack_text(["again"] * 1000)
    assert long[:1] == b"\1"
    assert len(long) < 100
    assert json.loads(zlib.decompress(long[1:])) == ["again"] * 1000


def test_a_bomb_is_refused() -> None:
    bomb = b"\1" + zlib.compress(b" " * (2 * MAX_TEXT) + b"1", 9)
    assert len(bomb) < 1 << 18
    with pytest.raises(BadFileError, match="wrong size"):
        unpack_text(bomb)


@pytest.mark.parametrize("mark", [0, 1])
def test_text_has_at_most_2_to_the_22_bytes(mark: int) -> None:
    for length in (MAX_TEXT, MAX_TEXT + 1):
        text = b" " * (length - 1) + b"7"
        data = bytes([mark]) + (zlib.compress(text, 1) if mark else text)
        if length == MAX_TEXT:
            assert unpack_text(data) == 7
        else:
            with pytest.raises(BadFileError, match="wrong size"):
                unpack_text(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"\0{",
        b'\0"\xff"',
        b"\1not deflated",
        b"\1" + zlib.compress(b"{"),
        b"\1" + zlib.compress(b"[1, 2, 3]")[:-3],
        b"\1" + zlib.compress(b"[1, 2, 3]") + b"\0",
        b"\1" + zlib.compress(b"[1, 2, 3]") * 2,
        b"\2" + b"[1, 2, 3]",
        b"[1, 2, 3]",
        b"\0" + b"[" * 100_000,
        b"\0[NaN]",
        b"\0[-Infinity]",
        b"\0" + "[1]".encode("utf-16"),
        b"\0" + "[1]".encode("utf-8-sig"),
    ],
)
def test_text_that_cannot_be_read_is_a_bad_file(data: bytes) -> None:
    with pytest.raises(BadFileError):
        unpack_text(data)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_are_none_become_no_text(value: float) -> None:
    with pytest.raises(UnsupportedError, match="a number that is none"):
        pack_text({"a": [value]})
