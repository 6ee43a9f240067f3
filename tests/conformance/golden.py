"""The golden files: where they lie, and what is compared. Digests are of what must be exact: latents and layers."""

from __future__ import annotations

import hashlib
import lzma
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tests.conformance import decoder, reader, residuals
from tests.conformance.latents import Words
from tests.conformance.network import Array

FOLDER = Path(__file__).parent / "golden"
TABLE = FOLDER / "digests.json"


Pictures = Callable[[int, int, int], Array]  # of a tile's number, a plane and how many bands: what synthesis makes of it


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


def bounded(file: reader.File, pictures: Pictures) -> list[list[Array | None]]:
    """Of each tile, the samples of its planes (band, row, column), None where empty."""
    shown, kinds = layers(file), file.sections.get("layers", [])
    order = file.sections.get("order", coded(file))
    ends = reader.LEAST[file.header["type"]], reader.MOST[file.header["type"]]
    lines = file.sections.get("mapping", [[*ends, *ends]] * file.header["bands"])
    out: list[list[Array | None]] = []
    for tile, (shape, entries) in enumerate(zip(reader.tile_shapes(file.header), file.residuals, strict=True)):
        out.append([])
        for plane, entry in enumerate(entries):
            if entry is None:
                out[tile].append(None)
                continue
            group = order[3 * plane : 3 * plane + 3]
            flags = [valid(kinds, shown[tile], band, shape).tolist() for band in group]
            bounds = [file.sections["bound"]["bands"][band] for band in group]
            words = Words(entry.words)
            x = pictures(tile, plane, len(group)).tolist()
            samples = residuals.samples(words, x, [lines[band] for band in group], bounds, flags)
            assert words.used_up
            out[tile].append(np.array(samples, np.dtype(file.header["type"]).newbyteorder("<")))
    return out


def crcs(tiles: list[list[Array | None]]) -> list[list[int]]:
    """Of the planes' samples that there are."""
    return [[zlib.crc32(plane.tobytes()) for plane in tile if plane is not None] for tile in tiles]


def coded(file: reader.File) -> list[int]:
    """The bands that planes hold."""
    kinds = file.sections.get("layers", [])
    return [b for b in range(file.header["bands"]) if not any([kind, b] in kinds for kind in reader.ALPHA)]


def raster(file: reader.File, tiles: list[list[Array | None]]) -> Array:
    """The whole raster (band, row, column), once the layers are applied."""
    h, kinds = file.header, file.sections.get("layers", [])
    order = file.sections.get("order", coded(file))
    shapes, shown, parts = reader.tile_shapes(h), layers(file), []
    for shape, planes, pictures in zip(shapes, tiles, shown, strict=True):
        samples = np.zeros((h["bands"], *shape), h["type"])
        for plane, known in enumerate(planes):
            if known is not None:
                samples[list(order[3 * plane : 3 * plane + 3])] = known
        apply_layers(samples, kinds, pictures, coded(file), file.sections.get("nodata"))
        parts.append(samples)
    across = -(-h["width"] // h["tile"])
    return np.concatenate([np.concatenate(parts[k : k + across], 2) for k in range(0, len(parts), across)], 1)


def apply_layers(samples: Array, kinds: list[list[Any]], pictures: list[Array], bands: list[int], nodata: Any) -> None:
    """As FORMAT.md lists it, in place."""
    layers = list(zip(kinds, pictures, strict=True))
    for (kind, band), picture in layers:
        if kind in reader.ALPHA:
            samples[band] = picture * (257 if samples.dtype == np.uint16 else 1)
        if kind == "far":
            samples[band] = np.where(np.isnan(picture), samples[band], picture)
    for band in bands:
        value = nodata[band] if isinstance(nodata, list) else nodata
        said = [picture > 0 for (kind, of), picture in layers if kind == "nodata" and of in (None, band)]
        present = said[0] if said else np.ones(samples.shape[1:], bool)
        if value is not None:
            value = samples.dtype.type(float(value))
            samples[band] = np.where(samples[band] == value, beside(value), samples[band])
            samples[band] = np.where(present, samples[band], value)
        for (kind, of), picture in layers:
            if kind == "nan" and of in (None, band):
                samples[band] = np.where(picture > 0, samples[band], np.nan)
    for (kind, _), picture in layers:
        if kind in ("mask", "alpha"):
            samples[bands] *= picture > 0


def beside(value: Any) -> Any:
    """The next greater sample, or the next smaller one of the greatest."""
    if isinstance(value, np.floating):
        return np.nextafter(value, type(value)(0 if value == np.finfo(value.dtype).max else np.inf))
    return value - 1 if value == np.iinfo(value.dtype).max else value + 1


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
