"""Rasters as evaluation sees them: samples without alpha, and which of them count. An .fdg file reads like any other.

What is infinite, or of a size that nothing measures, does not count: with one undeclared -3.4e38 in the range that PSNR
takes for its peak, any other error would look like none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import rasterio
from rasterio import windows
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError

from fdeg_codec.codec.windows import Window
from fdeg_codec.container.header import SIGNATURE
from fdeg_codec.errors import RasterError, reason
from fdeg_codec.ndtypes import Flags, Samples
from fdeg_codec.raster.nowhere import may_lie_nowhere
from fdeg_codec.raster.source import is_missing, readable, reading
from fdeg_codec.raster.validity import sane
from fdeg_codec.scene import Scene

BLOCK = 1024  # what is read at a time
CACHE_BYTES = 128 << 20


class View(Protocol):
    """An open raster without its alpha bands. `names` are what its bands are called, "" where they are not.

    `bands` are their numbers in the file, from 1.
    """

    path: Path | str
    dtype: str
    bands: list[int]
    names: list[str]
    shape: tuple[int, int, int]

    def read(self, box: Window) -> tuple[Samples, Flags]:
        """Samples and their validity (band, row, column)."""


class _Raster:
    def __init__(self, path: Path | str, data: Any) -> None:
        self.path, self._data = path, data
        self._alphas = [b for b, c in zip(data.indexes, data.colorinterp, strict=True) if c is ColorInterp.alpha]
        self.bands = [b for b in data.indexes if b not in self._alphas]
        if not self.bands:
            raise RasterError(f"{path}: holds no band besides transparency")
        self.dtype: str = data.dtypes[self.bands[0] - 1]
        if self.dtype.startswith("complex"):
            raise RasterError(f"{path}: samples are {self.dtype}, whose errors have no order; take their real bands")
        self.names = [_name(data.descriptions[b - 1], data.colorinterp[b - 1].name) for b in self.bands]
        self.shape = (len(self.bands), data.height, data.width)
        self._nodata = [data.nodatavals[b - 1] for b in self.bands]

    def read(self, box: Window) -> tuple[Samples, Flags]:
        window = windows.Window(*box)
        with _naming(self.path):
            samples = self._data.read(self.bands, window=window)
            valid = self._data.read_masks(self.bands, window=window) > 0
            for band in self._alphas:  # of which GDAL's masks know nothing where there is nodata, too
                valid &= self._data.read(band, window=window) > 0
        for band, value in enumerate(self._nodata):  # which a mask in the file would hide
            if value is not None:
                valid[band] &= samples[band] != value
        return samples, valid & sane(samples)


class _Fdg:
    def __init__(self, path: Path | str, scene: Scene) -> None:
        self.path, self._scene = path, scene
        bands, colours = range(scene.shape[0]), scene.metadata.colours
        self.bands = [b + 1 for b in bands if colours[b] != "alpha"]
        self.dtype = scene.dtype
        described = scene.metadata.descriptions or [None] * len(bands)
        self.names = [_name(described[b - 1], colours[b - 1]) for b in self.bands]
        self.shape = (len(self.bands), *scene.shape[1:])

    def read(self, box: Window) -> tuple[Samples, Flags]:
        found = self._scene.read(self.bands, window=(*box,), masked=True)
        samples = np.ma.getdata(found)
        return samples, ~np.ma.getmaskarray(found) & sane(samples)


def _is_fdg(path: Path | str) -> bool:
    """By its name, or else by how it begins."""
    if Path(path).suffix.lower() == ".fdg":
        return True
    with suppress(OSError), Path(path).open("rb") as stream:  # GDAL knows other names than files have
        return stream.read(len(SIGNATURE)) == SIGNATURE
    return False


@contextmanager
def view(path: Path | str) -> Iterator[View]:
    """A raster or an .fdg file, open."""
    if is_missing(path):
        raise RasterError(f"{path}: no such file")
    if _is_fdg(path):
        with Scene(path) as scene:
            yield _Fdg(path, scene)
        return
    with may_lie_nowhere(), reading(CACHE_BYTES), ExitStack() as opened:
        with readable(path):
            raster = _Raster(path, opened.enter_context(rasterio.open(path)))
        yield raster


@contextmanager
def _naming(path: Path | str) -> Iterator[None]:
    """Errors in the block are those of this raster, whichever others are open."""
    try:
        yield
    except RasterioError as error:
        raise RasterError(f"{path}: cannot be read ({reason(error.__cause__ or error)})") from error


def boxes(height: int, width: int) -> list[Window]:
    """The picture in blocks that begin where tiles do, lest these be decoded twice; what is left over is no sliver."""
    rows, columns = (_spans(n) for n in (height, width))
    return [Window(left, top, right - left, bottom - top) for top, bottom in rows for left, right in columns]


def _spans(size: int) -> list[tuple[int, int]]:
    edges = range(0, max(size - BLOCK // 4, 1), BLOCK)
    return list(pairwise([*edges, size]))


def _name(description: str | None, colour: str) -> str:
    return (description or (colour if colour not in ("undefined", "") else "")).lower()
