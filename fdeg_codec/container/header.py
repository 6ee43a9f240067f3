"""The fixed part of a file: what it holds, of which size, and which weights decode it."""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass, replace

from fdeg_codec.errors import BadFileError, UnsupportedError

SIGNATURE = b"\x89FDG\r\n\x1a\n"
VERSION = 1
LAYOUT = struct.Struct("<8sBB8sBHIIHHHHI")
SIZE = LAYOUT.size + 4  # and its CRC

LEVEL_STEPS = 2048  # log2(lambda) is stored in these fractions
MIN_LAMBDA, MAX_LAMBDA = 128, 4096
TILE_UNIT = 64
MAX_TILE = 2048
MAX_SIDE = 2**31 - 1
MAX_PIXELS = 2**32  # decoded at once unless asked for: a few kilobytes may claim far more than any disk holds
MAX_SAMPLES = 2**27  # of a tile, all bands together
PLANE_BANDS = 3

BOUNDED = 1  # the one flag

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
        return self.tile_rows * self.tile_columns * self.per_tile

    def pack(self) -> bytes:
        body = LAYOUT.pack(
            *(SIGNATURE, VERSION, BOUNDED if self.bounded else 0, self.fingerprint, CODES[self.dtype]),
            *(self.bands, self.height, self.width, self.tile, self.log2_lambda),
            *(self.planes, self.layers, self.sections_length),
        )
        return body + struct.pack("<I", zlib.crc32(body))


def fixed_point(lambda_: float) -> int:
    """log2(lambda) as the header stores it."""
    return round(math.log2(lambda_) * LEVEL_STEPS)


def unpack(data: bytes) -> Header:
    """The header at the start of `data`, checked."""
    if data[: len(SIGNATURE)] != SIGNATURE:
        if data[:4] == SIGNATURE[:4]:
            raise BadFileError("its signature is damaged, as by a transfer in text mode")
        raise BadFileError("not an .fdg file")
    if len(data) < SIZE:
        raise BadFileError("cut off within its header")
    if data[8] != VERSION:
        raise UnsupportedError(
            f"written in format version {data[8]}, this fdeg reads version {VERSION}: use a release that knows it"
        )
    body, crc = data[: LAYOUT.size], data[LAYOUT.size : SIZE]
    if struct.pack("<I", zlib.crc32(body)) != crc:
        raise BadFileError("its header is damaged (checksum)")
    _, _, flags, fingerprint, dtype, *numbers = LAYOUT.unpack(body)
    if flags & ~BOUNDED or dtype not in DTYPES:
        raise UnsupportedError("uses a feature that this version of fdeg does not know: use a newer release")
    header = replace(Header(fingerprint, DTYPES[dtype], *numbers), bounded=bool(flags))
    _check(header)
    return header


def _check(h: Header) -> None:
    possible = (
        1 <= h.height <= MAX_SIDE
        and 1 <= h.width <= MAX_SIDE
        and h.bands >= 1
        and h.planes <= -(-h.bands // PLANE_BANDS)
        and h.planes + h.layers >= 1
        and TILE_UNIT <= h.tile <= MAX_TILE
        and h.tile % TILE_UNIT == 0
        and h.samples <= MAX_SAMPLES
        and fixed_point(MIN_LAMBDA) <= h.log2_lambda <= fixed_point(MAX_LAMBDA)
    )
    if not possible:
        raise BadFileError("its header contradicts itself")
