"""Files taken apart and put together again with checksums that fit, so that what lies behind them is reached."""

from __future__ import annotations

import io
import json
import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from fdeg_codec.container.file import Reader
from fdeg_codec.container.header import LAYOUT
from fdeg_codec.container.varint import read_varint, write_varint
from fdeg_codec.errors import FdegError

FIXED = 6  # fields before the varints
EDGES = (0, 1, 2, 3, 4, 63, 64, 127, 128, 255, 256, 2047, 2048, 65535, 65536, 2**20, 2**31 - 1, 2**31, 2**32 - 1)
WORDS = (
    "",
    "\0",
    "\ud800",
    "x" * 300,
    "EPSG:4326",
    "EPSG:99999999",
    "alpha",
    "nodata",
    "mask",
    "gray",
    "ns",
    "bidx",
    "\x1b[2J",
)
ODD = (None, True, -1, 0, 0.5, 1e-320, 1e308, float("nan"), float("inf"), 10**30, [], {}, [[]], *WORDS)


@dataclass
class Parts:
    """A file's fields (those of the header's layout, then its varints), sections and bodies of entries."""

    fields: list[int | bytes]
    sections: list[tuple[int, bytes]]
    bodies: list[bytes]

    def join(self) -> bytes:
        """The file, each number cut to the width of its field."""
        sections = bytearray()
        for kind, data in self.sections:
            sections.append(kind)
            write_varint(sections, len(data))
            sections += data
        packed = sealed(bytes(sections)) if sections else b""
        letters = [c for c in LAYOUT.format if c.isalpha() and c != "s"]
        widths = iter(struct.calcsize(f"<{c}") for c in letters)
        fixed = self.fields[:FIXED]
        head = bytearray(LAYOUT.pack(*(f if isinstance(f, bytes) else f % (1 << 8 * next(widths)) for f in fixed)))
        for number in (*self.fields[FIXED:-1], len(packed)):
            write_varint(head, number)  # type: ignore[arg-type]
        start = sealed(bytes(head))
        entries = [stored(body, number) for number, body in enumerate(self.bodies)]
        index = sealed(struct.pack(f"<{len(entries)}I", *map(len, entries)))
        height, width, planes = (self.fields[FIXED + k] for k in (1, 2, 3))
        tile = 64 * (self.fields[3] % 256)  # type: ignore[operator]
        alone = max(height, width) <= tile  # type: ignore[operator]
        if len(entries) == planes == 1:
            index = b""
        return start + packed + index + b"".join(entries) + (b"" if alone else index + packed + start + bytes([len(start)]))


def fields(data: bytes) -> tuple[list[int | bytes], int]:
    """Of a header, and where they end."""
    numbers: list[int | bytes] = [*LAYOUT.unpack_from(data)]
    at = LAYOUT.size
    for _ in range(6):
        number, at = read_varint(data, at)
        numbers.append(number)
    return numbers, at


def sealed(data: bytes) -> bytes:
    return data + struct.pack("<I", zlib.crc32(data))


def stored(body: bytes, number: int) -> bytes:
    return body if len(body) < 2 else struct.pack("<I", zlib.crc32(body, number)) + body


def apart(data: bytes) -> Parts | None:
    """The parts of a whole file; None if it is none."""
    try:
        reader = Reader(io.BytesIO(data))
        h = reader.header
        bodies = [reader.entry(*divmod(n, h.per_tile)) for n in range(h.entries)]
    except FdegError:
        return None
    return Parts(fields(data)[0], [(int(k), v) for k, v in reader.sections.items()], bodies)


def mutate(data: bytes, rng: random.Random, scramble: Callable[[bytes], bytes]) -> bytes:
    """Another file: now and then any bytes, else parts exchanged behind checksums that fit. `scramble` changes some bytes."""
    parts = apart(data)
    if parts is None or rng.random() < 0.1:
        return resealed(scramble(data))
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        rng.choice((_number, _section, _section, _section, _body, _body, _count))(parts, rng, scramble)
    return parts.join()


def resealed(data: bytes) -> bytes:
    """The bytes with a header's checksum that fits."""
    try:
        _, at = fields(data)
    except (FdegError, struct.error):
        return data
    return sealed(data[:at]) + data[at + 4 :]


def _number(parts: Parts, rng: random.Random, scramble: Callable[[bytes], bytes]) -> None:
    k = rng.randrange(1, len(parts.fields))
    old = parts.fields[k]
    parts.fields[k] = scramble(old)[: len(old)].ljust(len(old)) if isinstance(old, bytes) else rng.choice((*EDGES, old + 1))


def _section(parts: Parts, rng: random.Random, scramble: Callable[[bytes], bytes]) -> None:
    if not parts.sections or rng.random() < 0.2:
        kind = rng.choice((*range(1, 6), *range(128, 136)))
        parts.sections = sorted([(kind, packed(rng.choice(ODD), rng)), *((k, v) for k, v in parts.sections if k != kind)])
        return
    k = rng.randrange(len(parts.sections))
    kind, data = parts.sections[k]
    value = unpacked(data)
    changed = scramble(data) if value is None or rng.random() < 0.2 else packed(_turned(value, rng), rng)
    parts.sections[k] = kind, changed
    if rng.random() < 0.1:
        del parts.sections[k]


def packed(value: object, rng: random.Random) -> bytes:
    text = json.dumps(value).encode()
    return b"\1" + zlib.compress(text) if rng.random() < 0.3 else b"\0" + text


def unpacked(data: bytes) -> object:
    """What a section says, if it is text."""
    try:
        return json.loads(zlib.decompress(data[1:]) if data[:1] == b"\1" else data[1:])
    except (ValueError, zlib.error, RecursionError):
        return None


def _turned(value: object, rng: random.Random) -> object:
    """A value with something in it exchanged."""
    if rng.random() < 0.2:
        return rng.choice(ODD)
    if isinstance(value, list) and value:
        k = rng.randrange(len(value))
        return [*value[:k], *([_turned(value[k], rng)] if rng.random() < 0.8 else [value[k]] * 2), *value[k + 1 :]]
    if isinstance(value, dict) and value:
        key = rng.choice(list(value))
        return value | {key if rng.random() < 0.8 else rng.choice(WORDS): _turned(value[key], rng)}
    if isinstance(value, str) and value:
        k = rng.randrange(len(value))
        return value[:k] + rng.choice(("", *WORDS, value[k:])) + value[k + 1 :]
    return rng.choice(ODD) if rng.random() < 0.5 or not isinstance(value, (int, float)) else rng.choice(EDGES)


def _body(parts: Parts, rng: random.Random, scramble: Callable[[bytes], bytes]) -> None:
    if parts.bodies:
        k = rng.randrange(len(parts.bodies))
        body = parts.bodies[k]
        try:  # a layer: what it inflates to
            plain = zlib.decompress(body[1:])
            parts.bodies[k] = body[:1] + zlib.compress(scramble(plain) if rng.random() < 0.7 else bytes(rng.choice(EDGES[:16])))
        except zlib.error:
            parts.bodies[k] = rng.choice((b"", b"\0", b"\1", scramble(body), body[:-4]))


def _count(parts: Parts, rng: random.Random, scramble: Callable[[bytes], bytes]) -> None:
    """Sizes of the picture changed together with the number of entries, so that the index fits again."""
    k = rng.randrange(len(parts.fields) - 1)
    if not isinstance(parts.fields[k], int):
        return
    parts.fields[k] = rng.choice((1, 2, 3, 5, 64, 65, 128, 300, 2048))
    units, height, width, planes, layers = (parts.fields[n] for n in (3, *range(FIXED + 1, FIXED + 5)))
    assert all(isinstance(n, int) for n in (units, height, width, planes, layers))
    side = 64 * max(units, 1)  # type: ignore[operator, type-var]
    wanted = -(-height // side) * -(-width // side) * (planes + layers)  # type: ignore[operator]
    if parts.bodies and wanted < 4096:
        parts.bodies = [parts.bodies[n % len(parts.bodies)] for n in range(wanted)]
