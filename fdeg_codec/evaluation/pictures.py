"""The pictures of an evaluation: found in folders, of one kind, small enough to be held in memory one at a time."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fdeg_codec.codec.windows import Window
from fdeg_codec.errors import FdegError, RasterError, UsageError
from fdeg_codec.evaluation.compare import find_ndvi, sample_range
from fdeg_codec.evaluation.views import view
from fdeg_codec.ndtypes import Flags
from fdeg_codec.psnr import decibels
from fdeg_codec.raster.masks import fill
from fdeg_codec.training.data import files_below

SUFFIXES = {".png", ".webp", ".tif", ".tiff", ".jp2", ".jpg", ".jpeg"}
MAX_PIXELS = 64 << 20  # what several codecs and metrics can hold at once


class Kind(NamedTuple):
    """What all pictures of a run have in common."""

    bands: int
    dtype: str

    def __str__(self) -> str:
        return f"{self.bands} band{'s' * (self.bands > 1)} of {self.dtype}"


RGB = Kind(3, "uint8")


def is_rgb(kind: Kind) -> bool:
    return kind == RGB


@dataclass(frozen=True)
class Picture:
    """A picture in a file. Its samples are (band, row, column), without alpha."""

    path: Path
    name: str

    @property
    def samples(self) -> NDArray[Any]:
        return _content(self.path).samples

    @property
    def filled(self) -> NDArray[Any]:
        """Its samples, those that are not valid filled smoothly: as fdeg fills them, and others are given them."""
        return _filled(self.path)

    @property
    def valid(self) -> Flags:
        return _content(self.path).valid

    @property
    def low(self) -> float:
        return _content(self.path).low

    @property
    def peak(self) -> float:
        return _content(self.path).peak

    @property
    def bands(self) -> list[int]:
        """The numbers that they have in the file, from 1."""
        return _content(self.path).bands

    @property
    def digest(self) -> str:
        """Of the file's bytes: whether a picture of that name is the same."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()[:16]

    @property
    def pixels(self) -> int:
        return int(self.samples[0].size)

    @property
    def kind(self) -> Kind:
        return Kind(len(self.samples), str(self.samples.dtype))

    def psnr(self, samples: NDArray[Any]) -> float:
        """Of what a codec made of it: all bands together, what is valid."""
        mse = float(np.mean((samples.astype(np.float64) - self.samples)[self.valid] ** 2))
        return decibels(mse, self.peak)

    def ndvi(self, asked: tuple[int, int] | None) -> tuple[int, int] | None:
        return find_ndvi(_content(self.path).names, asked)


class Content(NamedTuple):
    """A picture in memory."""

    samples: NDArray[Any]
    valid: Flags
    low: float
    peak: float
    names: list[str]  # of bands
    bands: list[int]


@lru_cache(maxsize=1)
def _content(path: Path) -> Content:
    """That of the latest picture only, as one may be large."""
    with view(path) as data:
        _, height, width = data.shape
        span = sample_range(data)
        return Content(*data.read(Window(0, 0, width, height)), span.low, span.peak, data.names, data.bands)


@lru_cache(maxsize=1)
def _filled(path: Path) -> NDArray[Any]:
    samples, valid, *_ = _content(path)
    return samples if valid.all() else np.stack([fill(band, seen) for band, seen in zip(samples, valid, strict=True)])


def find(sources: list[Path], limit: int | None = None, without: Path | None = None) -> list[Picture]:
    """The pictures in these files and folders, but for the folder `without`, by name and number.

    With a limit every k-th of them, k as small as it allows.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"--limit {limit}: at least one picture")
    paths = [p for source in sources for p in _below(source, without)]
    names = [p.name for p in paths]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UsageError(f"{twice}: two pictures of this name; results go by name")
    step = 1 if limit is None else -(-len(paths) // limit)
    return [Picture(p, p.name) for p in paths[::step]]


def _below(source: Path, without: Path | None) -> list[Path]:
    if not source.exists():
        raise RasterError(f"{source}: no such file or folder")
    if not source.is_dir():
        return [source]
    paths = sorted(files_below(source, SUFFIXES, without), key=_by_number)
    if not paths:
        raise FdegError(f"{source}: holds no pictures ({', '.join(sorted(SUFFIXES))})")
    return paths


def _by_number(path: Path) -> tuple[str, list[tuple[int, str]]]:
    """Words as words and numbers as numbers: beach4 before beach14."""
    return str(path.parent), [(int(part or -1), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.stem)]


def kind_of(pictures: list[Picture]) -> Kind:
    """The one kind of all pictures, read from their headers."""
    kinds: dict[Kind, str] = {}
    for picture in pictures:
        with view(picture.path) as data:
            bands, height, width = data.shape
            if height * width > MAX_PIXELS:
                raise FdegError(
                    f"{picture.path}: has {height * width >> 20} megapixels; evaluate pieces of it (fdeg compare takes all)"
                )
            kinds.setdefault(Kind(bands, data.dtype), picture.name)
    if len(kinds) > 1:
        (a, first), (b, second) = list(kinds.items())[:2]
        raise UsageError(f"{first} has {a} and {second} has {b}: means over both say nothing; evaluate them apart")
    return next(iter(kinds))
