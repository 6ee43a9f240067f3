"""The fixed part: what comes back, and what is refused."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fdeg_codec.container.header import LAYOUT, SIZE, Header, fixed_point, unpack
from fdeg_codec.errors import BadFileError, FdegError, UnsupportedError

GOOD = Header(
    fingerprint=bytes(range(8)),
    dtype="uint16",
    bands=4,
    height=1000,
    width=700,
    tile=512,
    log2_lambda=fixed_point(512),
    planes=2,
    layers=1,
    sections_length=77,
)


def sealed(body: bytes) -> bytes:
    return body + struct.pack("<I", zlib.crc32(body))


def altered(offset: int, data: bytes) -> bytes:
    """The good header with `data` at `offset`, and a CRC that fits."""
    body = GOOD.pack()[: LAYOUT.size]
    return sealed(body[:offset] + data + body[offset + len(data) :])


@given(
    st.binary(min_size=8, max_size=8),
    st.sampled_from(["uint8", "uint16", "int16", "float32"]),
    st.integers(1, 65535),
    st.integers(1, 2**31 - 1),
    st.integers(1, 2**31 - 1),
    st.integers(1, 32),
    st.integers(14336, 24576),
    st.data(),
)
def test_every_possible_header_comes_back(
    fingerprint: bytes, dtype: str, bands: int, height: int, width: int, tile: int, level: int, data: st.DataObject
) -> None:
    planes = data.draw(st.integers(0, -(-bands // 3)))
    layers = data.draw(st.integers(0 if planes else 1, 65535))
    assume(bands * min(64 * tile, height) * min(64 * tile, width) <= 2**27)
    header = Header(fingerprint, dtype, bands, height, width, 64 * tile, level, planes, layers, 12345)
    assert unpack(header.pack()) == header
    assert unpack(header.pack() + b"what follows") == header


def test_fields_lie_where_the_format_says() -> None:
    data = GOOD.pack()
    assert len(data) == SIZE == 45
    assert data[:10] == b"\x89FDG\r\n\x1a\n\1\0"
    assert data[10:18] == bytes(range(8))
    assert struct.unpack_from("<BHIIHHHHI", data, 18) == (2, 4, 1000, 700, 512, 9 * 2048, 2, 1, 77)
    assert struct.unpack_from("<I", data, 41) == (zlib.crc32(data[:41]),)


def test_tiles_and_entries_are_counted() -> None:
    assert (GOOD.tile_rows, GOOD.tile_columns, GOOD.per_tile, GOOD.entries) == (2, 2, 3, 12)
    assert replace(GOOD, height=1024, width=1025).entries == 2 * 3 * 3


@pytest.mark.parametrize(("lambda_", "stored"), [(128, 7 * 2048), (4096, 12 * 2048), (1024, 10 * 2048), (181.02, 15360)])
def test_lambda_is_stored_as_its_logarithm(lambda_: float, stored: int) -> None:
    assert fixed_point(lambda_) == stored
    assert replace(GOOD, log2_lambda=stored).lambda_ == pytest.approx(lambda_, rel=2e-4)


CONTRADICTIONS = {
    "no bands": (19, struct.pack("<H", 0)),
    "no rows": (21, struct.pack("<I", 0)),
    "too many rows": (21, struct.pack("<I", 2**31)),
    "no columns": (25, struct.pack("<I", 0)),
    "too many columns": (25, struct.pack("<I", 2**32 - 1)),
    "no tile": (29, struct.pack("<H", 0)),
    "a small tile": (29, struct.pack("<H", 32)),
    "a crooked tile": (29, struct.pack("<H", 96)),
    "a large tile": (29, struct.pack("<H", 2112)),
    "too low a lambda": (31, struct.pack("<H", 14335)),
    "too high a lambda": (31, struct.pack("<H", 24577)),
    "more planes than bands fill": (33, struct.pack("<H", 3)),
    "more samples in a tile than memory": (19, struct.pack("<H", 700)),
    "neither planes nor layers": (33, struct.pack("<HH", 0, 0)),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_contradictions_are_refused_though_the_checksum_fits(name: str) -> None:
    with pytest.raises(BadFileError, match="contradicts itself"):
        unpack(altered(*CONTRADICTIONS[name]))


@pytest.mark.parametrize("version", [0, 2, 3, 255])
def test_an_unknown_version_is_named_even_if_all_else_differs(version: int) -> None:
    data = GOOD.pack()[:8] + bytes([version]) + b"\xaa" * 36
    with pytest.raises(UnsupportedError, match=rf"version {version}\b.*reads version 1"):
        unpack(data)


@pytest.mark.parametrize(("offset", "value"), [(9, 2), (9, 128), (18, 0), (18, 5), (18, 255)])
def test_unknown_flags_and_types_ask_for_a_newer_release(offset: int, value: int) -> None:
    with pytest.raises(UnsupportedError, match="newer release"):
        unpack(altered(offset, bytes([value])))


def test_text_mode_is_recognised() -> None:
    data = GOOD.pack()
    for damaged in (data.replace(b"\r\n", b"\n"), data.replace(b"\n", b"\r\n"), data.replace(b"\x1a", b"")):
        with pytest.raises(BadFileError, match="text mode"):
            unpack(damaged)


@pytest.mark.parametrize(
    "data", [b"", b"\x89", b"II*\0" + bytes(60), b"\x89PNG\r\n\x1a\n" + bytes(60), b"\tFDG\r\n\x1a\n" + bytes(60)]
)
def test_other_files_are_no_fdg_files(data: bytes) -> None:
    with pytest.raises(BadFileError, match=r"not an \.fdg file"):
        unpack(data)


def test_a_header_that_is_cut_off_is_refused() -> None:
    for length in range(SIZE):
        with pytest.raises(BadFileError):
            unpack(GOOD.pack()[:length])


def test_every_flipped_bit_is_noticed() -> None:
    for bit in range(8 * SIZE):
        data = bytearray(GOOD.pack())
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(FdegError):
            unpack(bytes(data))
