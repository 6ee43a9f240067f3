"""Numbers in as few bytes as they need."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdeg_codec.container.varint import read_varint, write_varint
from fdeg_codec.errors import BadFileError

COUNTS = st.integers(0, 2**63 - 1) | st.integers(0, 300)


def written(*values: int) -> bytes:
    out = bytearray()
    for value in values:
        write_varint(out, value)
    return bytes(out)


@given(st.lists(COUNTS, min_size=1))
def test_numbers_come_back_one_after_the_other(values: list[int]) -> None:
    data, at = written(*values), 0
    for value in values:
        decoded, at = read_varint(data, at)
        assert decoded == value
    assert at == len(data)


@pytest.mark.parametrize(
    ("value", "data"),
    [(0, "00"), (1, "01"), (127, "7f"), (128, "8001"), (300, "ac02"), (16384, "808001"), (2**63 - 1, "ff" * 8 + "7f")],
)
def test_known_bytes(value: int, data: str) -> None:
    assert written(value).hex() == data
    assert read_varint(bytes.fromhex(data), 0) == (value, len(data) // 2)


@given(COUNTS)
def test_a_number_takes_a_byte_for_every_seven_bits(value: int) -> None:
    assert len(written(value)) == max(1, -(-value.bit_length() // 7))


@given(COUNTS, st.integers(0, 8))
def test_a_number_that_is_cut_off_is_refused(value: int, cut: int) -> None:
    data = written(value)
    with pytest.raises(BadFileError):
        read_varint(data[: min(cut, len(data) - 1)], 0)


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff" * 9 + b"\x01", b"\x80" * 40])
def test_a_number_without_an_end_is_refused(data: bytes) -> None:
    with pytest.raises(BadFileError, match="cut off"):
        read_varint(data, 0)


@pytest.mark.parametrize("data", ["8000", "808000", "ff00", "ffff00", "80" * 8 + "00"])
def test_a_number_that_is_longer_than_it_needs_to_be_is_refused(data: str) -> None:
    with pytest.raises(BadFileError, match="longer than it needs"):
        read_varint(bytes.fromhex(data), 0)
