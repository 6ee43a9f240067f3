"""The fixed part: what comes back, and what is refused."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fdeg_codec.container.header import LENGTHS, Header, fixed_point, unpack
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
    body = GOOD.pack()[:-4]
    return sealed(body[:offset] + data + body[offset + len(data) :])


def forged(**fields: int) -> bytes:
    """The good header with impossible numbers."""
    return replace(GOOD, **fields).pack()  # type: ignore[arg-type]


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
    sections, bounded = data.draw(st.integers(0, 2**32 - 1)), data.draw(st.booleans())
    assume(bands * min(64 * tile, height) * min(64 * tile, width) <= 2**27)
    header = Header(fingerprint, dtype, bands, height, width, 64 * tile, level, planes, layers, sections, bounded)
    assert len(header.pack()) == header.size
    assert header.size in LENGTHS
    assert unpack(header.pack()) == header
    assert unpack(header.pack() + b"what follows") == header


def test_fields_lie_where_the_format_says() -> None:
    data = GOOD.pack()
    assert data[:7] == b"\x89FDG\1\2\x08"  # uint16, tiles of 8 * 64
    assert data[7:15] == bytes(range(8))
    assert struct.unpack_from("<H", data, 15) == (9 * 2048,)
    assert data[17:25] == bytes([4, 1000 & 127 | 128, 1000 >> 7, 700 & 127 | 128, 700 >> 7, 2, 1, 77])
    assert struct.unpack("<I", data[25:]) == (zlib.crc32(data[:25]),)
    assert replace(GOOD, bounded=True).pack()[5] == 128 + 2


def test_a_small_picture_has_a_small_header() -> None:
    assert replace(GOOD, bands=3, height=256, width=256, planes=1, layers=0, sections_length=0).size == 29
    most = replace(GOOD, bands=2**16 - 1, height=2**31 - 1, width=2**31 - 1, planes=21845, layers=2**16 - 1)
    assert replace(most, sections_length=2**32 - 1).size == LENGTHS[-1] == 45


def test_tiles_and_entries_are_counted() -> None:
    assert (GOOD.tile_rows, GOOD.tile_columns, GOOD.per_tile, GOOD.entries) == (2, 2, 3, 12)
    assert replace(GOOD, height=1024, width=1025).entries == 2 * 3 * 3


@pytest.mark.parametrize(("lambda_", "stored"), [(128, 7 * 2048), (4096, 12 * 2048), (1024, 10 * 2048), (181.02, 15360)])
def test_lambda_is_stored_as_its_logarithm(lambda_: float, stored: int) -> None:
    assert fixed_point(lambda_) == stored
    assert replace(GOOD, log2_lambda=stored).lambda_ == pytest.approx(lambda_, rel=2e-4)


CONTRADICTIONS: dict[str, dict[str, int]] = {
    "no bands": {"bands": 0},
    "too many bands": {"bands": 2**16, "height": 64, "width": 1},
    "no rows": {"height": 0},
    "too many rows": {"height": 2**31},
    "no columns": {"width": 0},
    "too many columns": {"width": 2**32 - 1},
    "no tile": {"tile": 0},
    "a large tile": {"tile": 2112},
    "too low a lambda": {"log2_lambda": 14335},
    "too high a lambda": {"log2_lambda": 24577},
    "more planes than bands fill": {"planes": 3},
    "too many layers": {"layers": 2**16},
    "more samples in a tile than memory": {"bands": 700},
    "neither planes nor layers": {"planes": 0, "layers": 0},
    "too long sections": {"sections_length": 2**32},
    "a number of any size": {"height": 2**62},
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_contradictions_are_refused_though_the_checksum_fits(name: str) -> None:
    with pytest.raises(BadFileError, match="contradicts itself"):
        unpack(forged(**CONTRADICTIONS[name]))


@pytest.mark.parametrize("version", [0, 2, 3, 255])
def test_an_unknown_version_is_named_even_if_all_else_differs(version: int) -> None:
    data = GOOD.pack()[:4] + bytes([version]) + b"\xaa" * 40
    with pytest.raises(UnsupportedError, match=rf"version {version}\b.*reads version 1"):
        unpack(data)


@pytest.mark.parametrize("value", [0, 5, 128, 133, 255])
def test_unknown_types_ask_for_a_newer_release(value: int) -> None:
    with pytest.raises(UnsupportedError, match="newer release"):
        unpack(altered(5, bytes([value])))


def test_numbers_are_as_short_as_they_can_be() -> None:
    body = GOOD.pack()[:-4]
    with pytest.raises(BadFileError, match="damaged"):
        unpack(sealed(body[:17] + b"\x84\0" + body[18:]))


@pytest.mark.parametrize("data", [b"", b"\x89", b"II*\0" + bytes(60), b"\x89PNG\r\n\x1a\n" + bytes(60), b"\tFDG\1" + bytes(60)])
def test_other_files_are_no_fdg_files(data: bytes) -> None:
    with pytest.raises(BadFileError, match=r"not an \.fdg file"):
        unpack(data)


def test_a_header_that_is_cut_off_is_refused() -> None:
    for length in range(GOOD.size):
        with pytest.raises(BadFileError):
            unpack(GOOD.pack()[:length])


def test_every_flipped_bit_is_noticed() -> None:
    for bit in range(8 * GOOD.size):
        data = bytearray(GOOD.pack())
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(FdegError):
            unpack(bytes(data))
