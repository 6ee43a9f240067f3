"""The golden files: where they lie, and what is compared. Digests are of what must be exact: latents and layers."""

from __future__ import annotations

import hashlib
import lzma
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tests.conformance import decoder, reader
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
    layers = [[np.array([list(row) for row in layer], np.float64) for layer in tile] for tile in file.layers]
    return Content(decoder.latents(file, models[file.header["model"]]), layers)


def digests(content: Content) -> dict[str, list[list[str | None]]]:
    return {name: [[_digest(a) for a in tile] for tile in tiles] for name, tiles in content._asdict().items()}


def _digest(array: Array | None) -> str | None:
    """Of the numbers as they are, in the order (row, column, channel)."""
    if array is None:
        return None
    numbers = np.ascontiguousarray(array, np.float64)
    return hashlib.sha256(repr(numbers.shape).encode() + numbers.astype("<f8").tobytes()).hexdigest()[:16]
