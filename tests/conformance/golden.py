"""The golden files: where they lie, and what is compared. Digests are of what must be exact: latents and layers."""

from __future__ import annotations

import hashlib
import lzma
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tests.conformance import decoder, reader, residuals
from tests.conformance.latents import Words
from tests.conformance.network import Array

FOLDER = Path(__file__).parent / "golden"
TABLE = FOLDER / "digests.json"


class Content(NamedTuple):
    """Of each tile: y of its planes, None where empty, and its layers."""

    latents: list[list[Array | None]]
    layers: list[list[Array]]


def unpack_weights(folder: Path) -> None:
    """The weights where fdeg finds them."""
    for packed in FOLDER.glob("*.xz"):
        (folder / packed.stem).write_bytes(lzma.decompress(packed.read_bytes()))
        shutil.copy(packed.with_suffix("").with_suffix(".json"), folder)


def keep(kind: str, name: str, data: bytes) -> Path:
    path = FOLDER / kind / f"{name}.fdg"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return path


def independent(path: Path, weights: Path) -> Content:
    """What the second decoder makes of a file."""
    file = reader.read(path)
    models = {hashlib.sha256(p.read_bytes()).digest()[:8]: p for p in weights.glob("*.safetensors")}
    return Content(decoder.latents(file, models[file.header["model"]]), layers(file))


def layers(file: reader.File) -> list[list[Array]]:
    """Of each tile, its layers as pictures; those of "far" are nan where no sample is given."""
    kinds = [kind for kind, _ in file.sections.get("layers", [])]
    return [
        [far(rows, width, file) if kind == "far" else np.array([list(row) for row in rows], float) for kind, rows in pairs]
        for (_, width), tile in zip(reader.tile_shapes(file.header), file.layers, strict=True)
        for pairs in [zip(kinds, tile, strict=True)]
    ]


def far(rows: list[bytes], width: int, file: reader.File) -> Array:
    flags = np.unpackbits(np.array([list(row) for row in rows[:-1]], np.uint8), axis=1)[:, :width] > 0
    out = np.full(flags.shape, np.nan)
    out[flags] = np.frombuffer(rows[-1], np.dtype(file.header["type"]).newbyteorder("<"))
    return out


def bounded(file: reader.File, pictures: Callable[[int, int, int], Array]) -> list[list[int]]:
    """Of each tile, the CRCs of its planes' samples. `pictures` synthesises a plane of a tile, and so many bands of it."""
    shown, kinds = layers(file), file.sections.get("layers", [])
    coded = [b for b in range(file.header["bands"]) if not any([kind, b] in kinds for kind in reader.ALPHA)]
    order = file.sections.get("order", coded)
    ends = reader.LEAST[file.header["type"]], reader.MOST[file.header["type"]]
    lines = file.sections.get("mapping", [[*ends, *ends]] * file.header["bands"])
    out: list[list[int]] = []
    for tile, (shape, entries) in enumerate(zip(reader.tile_shapes(file.header), file.residuals, strict=True)):
        out.append([])
        for plane, entry in enumerate(entries):
            if entry is None:
                continue
            group = order[3 * plane : 3 * plane + 3]
            flags = [valid(kinds, shown[tile], band, shape).tolist() for band in group]
            bounds = [file.sections["bound"]["bands"][band] for band in group]
            words = Words(entry.words)
            x = pictures(tile, plane, len(group)).tolist()
            samples = residuals.samples(words, x, [lines[band] for band in group], bounds, flags)
            assert words.used_up
            out[tile].append(zlib.crc32(np.array(samples, np.dtype(file.header["type"]).newbyteorder("<")).tobytes()))
    return out


def valid(kinds: list[list[object]], shown: list[Array], band: int, shape: tuple[int, int]) -> Array:
    """Where a residual speaks of a band."""
    out = np.ones(shape, bool)
    for (kind, of), values in zip(kinds, shown, strict=True):
        if kind in ("mask", "alpha") or (kind in ("nodata", "nan") and of in (None, band)):
            out &= values > 0
        if kind == "far" and of == band:
            out &= np.isnan(values)
    return out


def digests(content: Content) -> dict[str, list[list[str | None]]]:
    return {name: [[_digest(a) for a in tile] for tile in tiles] for name, tiles in content._asdict().items()}


def _digest(array: Array | None) -> str | None:
    """Of the numbers as they are, in the order (row, column, channel)."""
    if array is None:
        return None
    numbers = np.ascontiguousarray(array, np.float64)
    return hashlib.sha256(repr(numbers.shape).encode() + numbers.astype("<f8").tobytes()).hexdigest()[:16]
