"""The results of a run as a CSV file: one row per picture, codec and quality. Every other figure is made from it alone."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from fdeg_codec.errors import FdegError

KEYS = ("picture", "codec", "quality")
COSTS = ("pixels", "bytes", "payload", "bpp", "payload_bpp", "encode_seconds", "decode_seconds")
FIGURES = (
    "mse",
    "psnr",
    "psnr_bands",
    "max_error",
    "sam",
    "ndvi",
    "ms_ssim",
    "ms_ssim_db",
    "vifp",
    "lpips",
    "scene_right",
    "original_right",
)
COLUMNS = (*KEYS, *COSTS, *FIGURES)


class Point(NamedTuple):
    """A picture coded once. Figures that were not measured are not a number."""

    picture: str
    codec: str
    quality: float
    values: dict[str, float]


def append(path: Path, points: Iterable[Point]) -> None:
    """Add rows, with the head where the file is new."""
    new = not path.exists()
    with path.open("a", newline="") as stream:
        writer = csv.writer(stream)
        if new:
            writer.writerow(COLUMNS)
        for point in points:
            values = [point.values.get(name, math.nan) for name in (*COSTS, *FIGURES)]
            numbers = [repr(point.quality), *("" if math.isnan(v) else repr(v) for v in values)]
            writer.writerow([point.picture, point.codec, *numbers])
        stream.flush()


def read(path: Path) -> list[Point]:
    """All rows. A last line that an interruption cut short is taken away from the file, too."""
    whole = path.read_bytes()
    kept = whole[: whole.rfind(b"\n") + 1]
    if len(kept) < len(whole):
        path.write_bytes(kept)
    try:
        rows = list(csv.reader(io.StringIO(kept.decode(), newline="")))
        if not rows or tuple(rows[0]) != COLUMNS:
            raise FdegError(f"{path}: not a table of this version's results; --overwrite begins anew")
        return [_point(row) for row in rows[1:]]
    except (ValueError, IndexError, csv.Error) as error:
        raise FdegError(f"{path}: holds a line that cannot be read ({error}); --overwrite begins anew") from error


def _point(row: list[str]) -> Point:
    if len(row) != len(COLUMNS):
        raise ValueError(f"{len(row)} cells")
    values = {name: float(cell) if cell else math.nan for name, cell in zip(COLUMNS[3:], row[3:], strict=True)}
    return Point(row[0], row[1], float(row[2]), values)
