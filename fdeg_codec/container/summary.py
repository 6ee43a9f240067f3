"""Everything a file says about itself, for `fdeg info`: no pixels, no torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fdeg_codec.container.file import Reader
from fdeg_codec.container.header import VERSION
from fdeg_codec.container.sections import Kind, unpack_numbers, unpack_text
from fdeg_codec.errors import FdegError, RasterError, reason

TEXTS = {Kind.NODATA: "nodata", Kind.CRS: "crs", Kind.GCPS: "gcps", Kind.RPCS: "rpcs", Kind.TAGS: "tags", Kind.BANDS: "band"}


@contextmanager
def opened(path: Path | str) -> Iterator[Reader]:
    """A file to ask; what is wrong with it is said with its name."""
    try:
        with Path(path).open("rb") as stream:
            yield Reader(stream)
    except OSError as error:
        raise RasterError(f"{path}: cannot be read ({reason(error)})") from error
    except FdegError as error:
        raise type(error)(f"{path}: {error}") from error


def summary(reader: Reader) -> dict[str, Any]:
    """Header, sections and the sizes of all entries."""
    h = reader.header
    table: dict[str, Any] = {
        "version": VERSION,
        "model": h.fingerprint.hex(),
        "lambda": round(h.lambda_, 1),
        "dtype": h.dtype,
        "bands": h.bands,
        "height": h.height,
        "width": h.width,
        "tile": h.tile,
        "planes": h.planes,
        "layers": unpack_text(reader.sections[Kind.LAYERS]) if Kind.LAYERS in reader.sections else [],
        "bytes": reader.size,
        "bpp": round(8 * reader.size / (h.height * h.width), 4),
        "overhead": reader.size - sum(reader.lengths),
    }
    if Kind.BOUND in reader.sections:
        bound = unpack_text(reader.sections[Kind.BOUND])
        table["max_error"] = bound.get("max_error") if isinstance(bound, dict) else None
    if Kind.TRANSFORM in reader.sections:
        table["transform"] = tuple(unpack_numbers(reader.sections[Kind.TRANSFORM], 6))
    table |= {name: unpack_text(reader.sections[kind]) for kind, name in TEXTS.items() if kind in reader.sections}
    table["tiles"] = list(_tiles(reader))
    return table


def _tiles(reader: Reader) -> Any:
    h = reader.header
    for number in range(h.tiles):
        row, column = divmod(number, h.tile_columns)
        yield {
            "tile": number,
            "rows": [row * h.tile, min((row + 1) * h.tile, h.height)],
            "columns": [column * h.tile, min((column + 1) * h.tile, h.width)],
            "bytes": reader.lengths[number * h.per_tile : (number + 1) * h.per_tile].tolist(),
        }
