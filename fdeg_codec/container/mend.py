"""One flipped bit, found by the checksum that it broke: a CRC-32 of any length up to 2^32 bits says which bit it was."""

from __future__ import annotations

import struct
import zlib
from functools import cache

POLYNOMIAL = 0xEDB88320  # of zlib's CRC-32, low bits first


def mend(data: bytes, crc: bytes, start: int = 0) -> bytes | None:
    """`data` as it was if one bit of it, or of its `crc`, was flipped; else None."""
    broken = zlib.crc32(data, start) ^ struct.unpack("<I", crc)[0]
    if broken.bit_count() <= 1:
        return data
    flips, table, places = _tables()
    for at in range(len(data) - 1, -1, -1):
        if broken in flips:
            return data[:at] + bytes([data[at] ^ flips[broken]]) + data[at + 1 :]
        top = places[broken >> 24]  # what this would be had the data ended a byte earlier
        broken = (broken ^ table[top]) << 8 & 0xFFFFFFFF | top
    return None


@cache
def _tables() -> tuple[dict[int, int], list[int], list[int]]:
    """What a flipped bit of the last byte does to the CRC; the CRC's step by a byte, and that step's reverse."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (POLYNOMIAL if value & 1 else 0)  # noqa: PLW2901
        table.append(value)
    places = [0] * 256
    for k, value in enumerate(table):
        places[value >> 24] = k
    return {table[1 << bit]: 1 << bit for bit in range(8)}, table, places
