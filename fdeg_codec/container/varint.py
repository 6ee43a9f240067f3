"""Lengths in as few bytes as they need: seven bits each, low ones first (LEB128)."""

from __future__ import annotations

from fdeg_codec.errors import BadFileError

MAX_BYTES = 9


def write_varint(out: bytearray, value: int) -> None:
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The value at `at`, and where the next begins."""
    value = 0
    for k, byte in enumerate(data[at : at + MAX_BYTES]):
        value |= (byte & 0x7F) << 7 * k
        if byte < 0x80:
            if byte == 0 and k:
                raise BadFileError("a number is longer than it needs to be")
            return value, at + k + 1
    raise BadFileError("a number is cut off")
