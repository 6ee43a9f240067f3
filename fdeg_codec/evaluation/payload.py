"""How many bytes of a file are coded samples, the rest being headers: what a small picture pays for its container."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path


def all_of(path: Path) -> int:
    """For bare streams whose header is a few bits."""
    return path.stat().st_size


def of_jpeg(path: Path) -> int:
    """From the first scan on, without the end marker."""
    data = path.read_bytes()
    return len(data) - data.index(b"\xff\xda") - 2


def of_jpeg2000(path: Path) -> int:
    """Behind the first tile-part's header, without the end marker. Bare codestreams of one tile."""
    data = path.read_bytes()
    return len(data) - data.index(b"\xff\x93") - 4


def of_webp(path: Path) -> int:
    """The VP8 chunk's content."""
    data = path.read_bytes()
    return int(struct.unpack_from("<I", data, data.index(b"VP8 ") + 4)[0])


def of_isobmff(path: Path) -> int:
    """The content of the boxes named mdat."""
    data, at, found = path.read_bytes(), 0, 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        found += size - 8 if kind == b"mdat" else 0
        at += size or len(data)
    return found


def of_hevc(path: Path) -> int:
    """NAL units of types below 32: slices, no parameter sets."""
    return sum(len(unit) for unit in _units(path) if unit[0] >> 1 & 63 < 32)


def of_vvc(path: Path) -> int:
    """NAL units of types below 12: slices, no parameter sets."""
    return sum(len(unit) for unit in _units(path) if unit[1] >> 3 < 12)


def of_tiff(path: Path) -> int:
    """The strips' or tiles' bytes."""
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        return sum(sum(page.databytecounts) for page in tiff.pages)


def of_fdg(path: Path) -> int:
    """All entries: what is neither header nor section nor index."""
    from fdeg_codec.container.summary import opened

    with opened(path) as reader:
        return int(sum(reader.lengths))


def _units(path: Path) -> Iterator[bytes]:
    for unit in path.read_bytes().split(b"\0\0\1")[1:]:
        yield unit.rstrip(b"\0")
