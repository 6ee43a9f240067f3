"""Bands to planes of three and back: red, green and blue first, a group of one or two filled by repeating its bands."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fdeg_codec.container.header import PLANE_BANDS
from fdeg_codec.errors import BadFileError

SLOTS = {1: (0, 0, 0), 2: (0, 1, 0), 3: (0, 1, 2)}
NATURAL = ("red", "green", "blue")


def order(coded: list[int], colours: list[str]) -> list[int]:
    """The coded bands in the order they are grouped in."""
    natural = [b for colour in NATURAL for b in coded if colours[b] == colour]
    return natural + [b for b in coded if b not in natural]


def groups(ordered: list[int]) -> list[list[int]]:
    return [ordered[k : k + PLANE_BANDS] for k in range(0, len(ordered), PLANE_BANDS)]


def spread(bands: NDArray[np.float32]) -> NDArray[np.float32]:
    """One to three bands as the network's three."""
    return bands[list(SLOTS[len(bands)])]


def gather(plane: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """The network's three channels as `count` bands, repeated ones averaged."""
    slots = np.array(SLOTS[count])
    return np.stack([plane[slots == k].mean(0) for k in range(count)])


def pack(ordered: list[int]) -> bytes:
    """The order, where it is not simply that of the file."""
    return b"" if ordered == list(range(len(ordered))) else struct.pack(f"<{len(ordered)}H", *ordered)


def unpack(data: bytes | None, bands: int, exact: set[int | Any]) -> list[int]:
    """The order of a file's coded bands, those not in `exact`."""
    coded = [b for b in range(bands) if b not in exact]
    if not data:
        return coded
    if len(data) != 2 * len(coded):
        raise BadFileError("its order of bands does not fit its bands")
    ordered = list(struct.unpack(f"<{len(coded)}H", data))
    if sorted(ordered) != coded:
        raise BadFileError("its order of bands does not name each band once")
    return ordered
