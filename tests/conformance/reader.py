"""A second reader of .fdg files, written from FORMAT.md: everything but the latents. Plain Python, nothing of fdeg."""

from __future__ import annotations

import json
import struct
import zlib
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, NamedTuple

FIELDS = ["version", "type", "tile", "model", "rate"]
NUMBERS = ["bands", "height", "width", "planes", "layers", "sections"]
KINDS = {1: "mapping", 2: "nodata", 3: "layers", 4: "order", 5: "bound"}
KINDS |= {129: "crs", 130: "transform", 131: "gcps", 132: "rpcs", 133: "tags", 134: "bands"}
ALPHA, MASK = ("alpha", "alpha-only"), ("mask", "mask-only")
SIZE = {"uint8": 1, "uint16": 2, "int16": 2, "float32": 4}
MOST = {"uint8": 255, "uint16": 65535, "int16": 32767, "float32": (2 - 2**-23) * 2.0**127}
LEAST = {"uint8": 0, "uint16": 0, "int16": -32768, "float32": -MOST["float32"]}


class Plane(NamedTuple):
    """The body of a plane's entry."""

    latents_crc: int
    words: bytes


class File(NamedTuple):
    """A file, taken apart. Entries are those of each tile in turn, planes (None where empty), then layers."""

    header: dict[str, Any]
    sections: dict[str, Any]
    planes: list[list[Plane | None]]
    layers: list[list[list[bytes]]]  # tile, layer, row; of "far", rows of bits, then one of samples
    overhead: int
    residuals: list[list[Plane | None]]  # a CRC of samples in place of that of latents


def read(path: Path) -> File:
    data = path.read_bytes()
    header, start = read_header(data)
    h, at = header, start + header["sections"]
    sections = read_sections(data[start:at], header)
    count = -(-h["height"] // h["tile"]) * -(-h["width"] // h["tile"]) * (h["planes"] * (1 + h["bounded"]) + h["layers"])
    size = 0 if count == h["planes"] == 1 else 4 * count + 4
    assert at + size <= len(data)
    shapes = tile_shapes(h)
    index, at = data[at : at + size], at + size
    lengths = struct.unpack(f"<{count}I", sealed(index)) if index else [len(data) - at]
    ends = list(accumulate(lengths, initial=at))
    copy = index + data[start : at - size] + data[:start] + bytes([start])
    assert data[ends[-1] :] == (copy if len(shapes) > 1 else b"")
    entries = iter([body(data[a:b], number) for number, (a, b) in enumerate(pairwise(ends))])
    planes: list[list[Plane | None]] = []
    layers: list[list[list[bytes]]] = []
    residuals: list[list[Plane | None]] = []
    for shape in shapes:
        bodies = [[next(entries) for _ in range(n)] for n in (h["planes"], h["layers"], h["planes"] * h["bounded"])]
        kinds = sections.get("layers", [])
        hidden = nothing_is_valid(kinds, bodies[1], h["bands"])
        planes.append([read_plane(entry, hidden) for entry in bodies[0]])
        layers.append(
            [
                (read_far if kind == "far" else read_layer)(entry, *shape, h)
                for (kind, _), entry in zip(kinds, bodies[1], strict=True)
            ]
        )
        residuals.append([read_plane(entry, not plane) for plane, entry in zip(bodies[0], bodies[2], strict=False)])
        assert not h["bounded"] or [not entry for entry in bodies[0]] == [not entry for entry in bodies[2]]
    return File(header, sections, planes, layers, at, residuals)


def body(entry: bytes, number: int) -> bytes:
    """What an entry says, once its checksum is found right."""
    if entry in (b"", b"\0"):
        return entry
    assert len(entry) > 5
    assert struct.pack("<I", zlib.crc32(entry[4:], number)) == entry[:4]
    return entry[4:]


def read_header(data: bytes) -> tuple[dict[str, Any], int]:
    """Its fields, and where what follows begins."""
    assert data[:4] == bytes.fromhex("89464447")
    header: dict[str, Any] = dict(zip(FIELDS, struct.unpack_from("<4x BBB 8s H", data), strict=True))
    assert header["version"] == 1
    at = 17
    for name in NUMBERS:
        header[name], at = varint(data, at)
    sealed(data[: at + 4])
    header["bounded"], header["type"] = divmod(header["type"], 128)
    header["tile"] *= 64
    tile = header["tile"]
    assert 64 <= tile <= 2048
    assert header["bands"] * min(tile, header["height"]) * min(tile, header["width"]) <= 2**27
    header["type"] = {1: "uint8", 2: "uint16", 3: "int16", 4: "float32"}[header["type"]]
    return header, at + 4


def read_sections(data: bytes, header: dict[str, Any]) -> dict[str, Any]:
    body = sealed(data) if data else b""
    sections: dict[str, Any] = {}
    at, last = 0, -1
    while at < len(body):
        kind = body[at]
        assert kind > last
        last = kind
        length, start = varint(body, at + 1)
        at = start + length
        assert at <= len(body)
        assert kind in KINDS or kind & 0x80
        if kind in KINDS:
            sections[KINDS[kind]] = section(KINDS[kind], body[start:at])
    read_mapping(sections, header)
    assert ("bound" in sections) == header["bounded"]
    if header["bounded"]:
        assert len(sections["bound"]["bands"]) == header["bands"]
        for unit, step in sections["bound"]["bands"]:
            assert unit >= 1e-200
            assert step >= (header["type"] != "float32")
            assert header["type"] == "float32" or unit % 1 == step % 1 == 0
    layers = sections.get("layers", [])
    assert len(layers) == header["layers"]
    bands = range(header["bands"])
    alphas = [band for kind, band in layers if kind in ALPHA]
    said = [(kind.removesuffix("-only"), band) for kind, band in layers]
    assert all(said.count(one) == 1 for one in said)
    assert not any(band in alphas or (band is not None and (kind, None) in said) for kind, band in said if kind != "alpha")
    for kind, band in layers:
        assert band in bands if kind in (*ALPHA, "far") else band is None if kind in MASK else band is None or band in bands
        assert kind != "nodata" or "nodata" in sections
        assert kind != "nan" or header["type"] == "float32"
        assert kind not in ALPHA or header["type"] in ("uint8", "uint16")
        assert kind in (*ALPHA, *MASK, "far", "nodata", "nan")
    if "nodata" in sections:
        each = sections["nodata"] if isinstance(sections["nodata"], list) else [sections["nodata"]] * len(bands)
        assert len(each) == len(bands)
        for value in each:
            unreal = header["type"] == "float32" and value in ("nan", "inf", "-inf")
            assert value is None or unreal or isinstance(value, int | float)
            assert value is None or unreal or LEAST[header["type"]] <= value <= MOST[header["type"]]
            assert value is None or unreal or header["type"] == "float32" or value % 1 == 0
    return sections


def read_mapping(sections: dict[str, Any], header: dict[str, Any]) -> None:
    """Every band's low, high, least and most, where nothing is said the whole range of the type."""
    ends = LEAST[header["type"]], MOST[header["type"]]
    lines = sections.get("mapping", [[*ends, *ends]] * header["bands"])
    assert "mapping" in sections or header["type"] != "float32"
    assert len(lines) == header["bands"]
    for low, high, least, most in lines:
        assert ends[0] <= least <= most <= ends[1]
        assert ends[0] <= low <= high <= ends[1]
        assert high - low <= MOST["float32"]
        assert header["type"] == "float32" or not any(n % 1 for n in (low, high, least, most))


def section(name: str, data: bytes) -> Any:
    if name == "transform":
        return numbers(data)
    if name == "order":
        return struct.unpack(f"<{len(data) // 2}H", data)
    text = {0: bytes, 1: inflate}[data[0]](data[1:])
    assert len(text) <= 2**22
    return shallow(json.loads(text.decode(), parse_constant=int), 8)


def numbers(data: bytes) -> tuple[float, ...]:
    """Each by its length and its high bytes."""
    if not data:
        return ()
    size = data[0]
    assert size <= 8
    assert len(data) > size
    assert not size or data[size]
    return struct.unpack(">d", data[1 : 1 + size] + bytes(8 - size)) + numbers(data[1 + size :])


def shallow(value: Any, depth: int) -> Any:
    """The value, once it is found to have no more floors than that."""
    if isinstance(value, (list, dict)):
        assert depth
        for inner in value.values() if isinstance(value, dict) else value:
            shallow(inner, depth - 1)
    return value


def tile_shapes(h: dict[str, Any]) -> list[tuple[int, int]]:
    """The height and width of each tile."""
    rows, columns = ([min(h["tile"], h[side] - s) for s in range(0, h[side], h["tile"])] for side in ("height", "width"))
    return [(r, c) for r in rows for c in columns]


def nothing_is_valid(kinds: list[list[Any]], bodies: list[bytes], bands: int) -> bool:
    """Whether the planes of a tile with these layers may be empty."""
    zero = [kind for kind, entry in zip(kinds, bodies, strict=True) if entry == b"\0"]
    coded = [band for band in range(bands) if not any([kind, band] in kinds for kind in ALPHA)]
    if any(kind in ("alpha", "mask") for kind, _ in zero):
        return True
    return any([kind, None] in zero or all([kind, band] in zero for band in coded) for kind in ("nodata", "nan"))


def read_plane(entry: bytes, may_be_empty: bool) -> Plane | None:
    if not entry:
        assert may_be_empty
        return None
    assert len(entry) % 4 == 0
    return Plane(*struct.unpack_from("<I", entry), entry[4:])


def read_far(entry: bytes, height: int, width: int, h: dict[str, Any]) -> list[bytes]:
    stride = -(-width // 8)
    if not entry:
        return [bytes(stride)] * height + [b""]
    assert entry[0] == 3
    plain = inflate(entry[1:])
    rows = [plain[k : k + stride] for k in range(0, height * stride, stride)]
    pixels = sum(row[c // 8] >> 7 - c % 8 & 1 for row in rows for c in range(width))
    assert len(plain) == height * stride + pixels * SIZE[h["type"]]
    return [*rows, plain[height * stride :]]


def read_layer(entry: bytes, height: int, width: int, h: dict[str, Any]) -> list[bytes]:
    if entry in (b"", b"\0"):
        return [(entry or b"\xff") * width] * height
    plain = inflate(entry[1:])
    stride = {1: -(-width // 8), 2: width}[entry[0]]
    assert len(plain) == height * stride
    rows = [plain[k : k + stride] for k in range(0, len(plain), stride)]
    if entry[0] == 2:
        return [bytes(v % 256 for v in accumulate(row)) for row in rows]
    return [bytes(255 * (row[c // 8] >> 7 - c % 8 & 1) for c in range(width)) for row in rows]


def sealed(data: bytes) -> bytes:
    """What lies before the CRC at the end of `data`."""
    assert struct.pack("<I", zlib.crc32(data[:-4])) == data[-4:]
    return data[:-4]


def inflate(data: bytes) -> bytes:
    """A zlib stream that nothing follows."""
    inflater = zlib.decompressobj()
    plain = inflater.decompress(data)
    assert inflater.eof
    assert not inflater.unused_data
    return plain


def varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at `at`, and where the next begins."""
    end = next(k for k in range(at, at + 9) if data[k] < 0x80)
    assert data[end] or end == at
    return sum((data[k] & 0x7F) << 7 * (k - at) for k in range(at, end + 1)), end + 1
