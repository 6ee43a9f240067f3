"""What a raster carries besides pixels, as a list of (kind, length, bytes).

A reader that meets a kind it does not know skips it if the kind has its high bit set, and refuses the file if not.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable
from enum import IntEnum
from typing import Any

from fdeg_codec.container.varint import read_varint, write_varint
from fdeg_codec.errors import BadFileError, UnsupportedError

SKIPPABLE = 0x80
MAX_TEXT = 1 << 22  # bytes after decompression
MAX_DEPTH = 8  # of lists and objects in each other


class Kind(IntEnum):
    """Sections this version writes. Without the first five, pixels would be wrong; the rest may be skipped."""

    MAPPING = 1
    NODATA = 2
    LAYERS = 3
    ORDER = 4
    BOUND = 5
    CRS = SKIPPABLE | 1
    TRANSFORM = SKIPPABLE | 2
    GCPS = SKIPPABLE | 3
    RPCS = SKIPPABLE | 4
    TAGS = SKIPPABLE | 5
    BANDS = SKIPPABLE | 6


Sections = dict[Kind, bytes]


def pack_sections(sections: Sections) -> bytes:
    """The sections in the order of their kinds, and their CRC; nothing at all for none."""
    out = bytearray()
    for kind in sorted(sections):
        out.append(kind)
        write_varint(out, len(sections[kind]))
        out += sections[kind]
    return bytes(out) + struct.pack("<I", zlib.crc32(out)) if out else b""


def unpack_sections(data: bytes) -> Sections:
    if not data:
        return {}
    body = data[:-4]
    if struct.pack("<I", zlib.crc32(body)) != data[-4:]:
        raise BadFileError("its sections are damaged (checksum)")
    sections: Sections = {}
    at, last = 0, -1
    while at < len(body):
        kind = body[at]
        if kind <= last:
            raise BadFileError("its sections are out of order")
        last = kind
        length, start = read_varint(body, at + 1)
        at = start + length
        if at > len(body):
            raise BadFileError("a section is longer than the file says")
        if kind in Kind.__members__.values():
            sections[Kind(kind)] = body[start:at]
        elif not kind & SKIPPABLE:
            raise UnsupportedError(f"needs section {kind}, which this version of fdeg does not know: use a newer release")
    return sections


def pack_numbers(values: Iterable[float]) -> bytes:
    """Doubles without the zero bytes at their low ends, which most have in geo-referencing: of each a length, then the rest."""
    parts = [struct.pack(">d", value).rstrip(b"\0") for value in values]
    return b"".join(bytes([len(part)]) + part for part in parts)


def unpack_numbers(data: bytes, count: int) -> list[float]:
    values, at = [], 0
    for _ in range(count):
        length = data[at] if at < len(data) else 9
        part = data[at + 1 : at + 1 + length]
        if len(part) != length or length > 8 or part.endswith(b"\0"):
            raise BadFileError("a number cannot be read")
        values.append(struct.unpack(">d", part.ljust(8, b"\0"))[0])
        at += 1 + length
    if at < len(data):
        raise BadFileError("a section holds more than its numbers")
    return values


def pack_text(value: Any) -> bytes:
    """A value as JSON: plain behind a 0, or deflated behind a 1 where that is smaller."""
    try:
        plain = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:
        raise UnsupportedError("carries metadata with a number that is none (NaN, or infinite)") from error
    if len(plain) > MAX_TEXT:
        raise UnsupportedError(f"carries {len(plain)} bytes of metadata of one kind; {MAX_TEXT} at most")
    small = zlib.compress(plain, 9)
    return b"\1" + small if len(small) < len(plain) else b"\0" + plain


def unpack_text(data: bytes) -> Any:
    if len(data) > MAX_TEXT + 1:
        raise BadFileError("a text section has the wrong size")
    try:
        if data[:1] == b"\1":
            inflater = zlib.decompressobj()
            text = inflater.decompress(data[1:], MAX_TEXT)
            if not inflater.eof or inflater.unused_data:
                raise BadFileError("a text section has the wrong size")
        elif data[:1] == b"\0":
            text = data[1:]
        else:
            raise BadFileError("a text section cannot be read")
        value = json.loads(text.decode(), parse_constant=_refuse)
    except (zlib.error, ValueError, RecursionError) as error:
        raise BadFileError("a text section cannot be read") from error
    if not _shallow(value, MAX_DEPTH):
        raise BadFileError("a text section is nested too deep")
    return value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def number(value: Any) -> float:
    """A value of such a text that must be a number, or a ValueError."""
    if type(value) not in (int, float):
        raise ValueError("no number")
    return float(value)


def _shallow(value: Any, depth: int) -> bool:
    """Whether `value` has at most `depth` floors."""
    if not isinstance(value, (list, dict)):
        return True
    return depth > 0 and all(_shallow(v, depth - 1) for v in (value.values() if isinstance(value, dict) else value))
