"""The start of a file: what it holds, of which size, and which weights decode it."""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass

from fdeg_codec.container.varint import read_varint, write_varint
from fdeg_codec.errors import BadFileError, UnsupportedError

SIGNATURE = b"\x89FDG"
VERSION = 1
LAYOUT = struct.Struct("<4sBBB8sH")  # what has a fixed size; six varints and a CRC follow
LENGTHS = range(LAYOUT.size + 6 + 4, LAYOUT.size + 3 * 3 + 3 * 5 + 4 + 1)  # of a whole header, in bytes

LEVEL_STEPS = 2048  # log2(lambda) is stored in these fractions
MIN_LAMBDA, MAX_LAMBDA = 128, 4096
TILE_UNIT = 64
MAX_TILE = 2048
MAX_SIDE = 2**31 - 1
MAX_COUNT = 2**16 - 1  # of bands, planes, layers
MAX_SECTIONS = 2**32 - 1  # their length in bytes
MAX_PIXELS = 2**32  # decoded at once unless asked for: a few kilobytes may claim far more than any disk holds
MAX_SAMPLES = 2**27  # of a tile, all bands together
PLANE_BANDS = 3

BOUNDED = 0x80  # beside the sample type

DTYPES = {1: "uint8", 2: "uint16", 3: "int16", 4: "float32"}
CODES = {name: code for code, name in DTYPES.items()}


@dataclass(frozen=True)
class Header:
    """What every reader needs before anything else. Entries are what the index lists: `per_tile` of them for each tile."""

    fingerprint: bytes
    dtype: str
    bands: int
    height: int
    width: int
    tile: int
    log2_lambda: int  # in LEVEL_STEPS
    planes: int
    layers: int = 0
    sections_length: int = 0
    bounded: bool = False  # whether each plane has a residual

    @property
    def lambda_(self) -> float:
        return 2.0 ** (self.log2_lambda / LEVEL_STEPS)

    @property
    def tile_rows(self) -> int:
        return -(-self.height // self.tile)

    @property
    def tile_columns(self) -> int:
        return -(-self.width // self.tile)

    @property
    def tiles(self) -> int:
        return self.tile_rows * self.tile_columns

    @property
    def per_tile(self) -> int:
        return self.planes + self.layers + self.residuals

    @property
    def residuals(self) -> int:
        return self.planes if self.bounded else 0

    @property
    def samples(self) -> int:
        """Of the largest tile, all bands together."""
        return self.bands * min(self.tile, self.height) * min(self.tile, self.width)

    @property
    def entries(self) -> int:
        return self.tiles * self.per_tile

    def pack(self) -> bytes:
        kind = CODES[self.dtype] | (BOUNDED if self.bounded else 0)
        fixed = (SIGNATURE, VERSION, kind, self.tile // TILE_UNIT, self.fingerprint, self.log2_lambda)
        body = bytearray(LAYOUT.pack(*fixed))
        for number in (self.bands, self.height, self.width, self.planes, self.layers, self.sections_length):
            write_varint(body, number)
        return bytes(body) + struct.pack("<I", zlib.crc32(body))

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.pack())


def fixed_point(lambda_: float) -> int:
    """log2(lambda) as the header stores it."""
    return round(math.log2(lambda_) * LEVEL_STEPS)


def unpack(data: bytes) -> Header:
    """The header at the start of `data`, checked."""
    if data[: len(SIGNATURE)] != SIGNATURE:
        raise BadFileError("not an .fdg file")
    if len(data) < LENGTHS[0]:
        raise BadFileError("cut off within its header")
    _, version, kind, tile, fingerprint, log2_lambda = LAYOUT.unpack_from(data)
    if version != VERSION:
        raise UnsupportedError(
            f"written in format version {version}, this fdeg reads version {VERSION}: use a release that knows it"
        )
    numbers, end = _numbers(data)
    if struct.pack("<I", zlib.crc32(data[:end])) != data[end : end + 4]:
        raise BadFileError("its header is damaged (checksum)")
    if kind & ~BOUNDED not in DTYPES:
        raise UnsupportedError("uses a sample type that this version of fdeg does not know: use a newer release")
    (bands, height, width, planes, layers, sections), bounded = numbers, bool(kind & BOUNDED)
    shape = bands, height, width, TILE_UNIT * tile
    header = Header(fingerprint, DTYPES[kind & ~BOUNDED], *shape, log2_lambda, planes, layers, sections, bounded)
    _check(header)
    return header


def _numbers(data: bytes) -> tuple[list[int], int]:
    """The numbers behind the fixed fields, and where they end."""
    numbers, at = [], LAYOUT.size
    try:
        for _ in range(6):
            number, at = read_varint(data, at)
            numbers.append(number)
    except BadFileError as error:
        raise BadFileError("its header is damaged or cut off") from error
    return numbers, at


def _check(h: Header) -> None:
    possible = (
        1 <= h.height <= MAX_SIDE
        and 1 <= h.width <= MAX_SIDE
        and 1 <= h.bands <= MAX_COUNT
        and h.planes <= -(-h.bands // PLANE_BANDS)
        and h.layers <= MAX_COUNT
        and h.planes + h.layers >= 1
        and h.sections_length <= MAX_SECTIONS
        and TILE_UNIT <= h.tile <= MAX_TILE
        and h.samples <= MAX_SAMPLES
        and fixed_point(MIN_LAMBDA) <= h.log2_lambda <= fixed_point(MAX_LAMBDA)
    )
    if not possible:
        raise BadFileError("its header contradicts itself")
