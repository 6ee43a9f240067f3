"""Entries that tell whether they were decoded right: a CRC of what was encoded stands before the range coder's words."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TypeVar

from fdeg_codec.entropy.coder import Decoder, Encoder
from fdeg_codec.errors import BadFileError

CRC = struct.Struct("<I")
T = TypeVar("T")


def seal(coder: Encoder, crc: int) -> bytes:
    return CRC.pack(crc) + coder.finish()


def unseal(entry: bytes, read: Callable[[Decoder], T], crc: Callable[[T], int], what: str) -> T:
    """What `read` decodes, checked: damaged bytes and diverging machines are errors, never pictures."""
    if len(entry) < CRC.size:
        raise BadFileError("it holds nothing")
    coder = Decoder(entry[CRC.size :])
    diverged = f"its bytes are whole, but decode to other {what} than were encoded: this machine computes differently"
    try:
        found = read(coder)
        coder.finish()
    except BadFileError as error:
        raise BadFileError(diverged) from error
    if CRC.pack(crc(found)) != entry[: CRC.size]:
        raise BadFileError(diverged)
    return found
