"""A raster to encode: what it is, which pixels count, and its windows as the network wants them."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from fdeg_codec.container.header import CODES
from fdeg_codec.errors import FdegError, RasterError, UnsupportedError
from fdeg_codec.raster import mapping, masks, metadata
from fdeg_codec.raster.masks import Layer

MAX_BANDS = 4
SCAN_ROWS = 512
CACHE_BYTES = 256 << 20  # GDAL's own cache; its default is a share of all memory

Samples = NDArray[Any]

logging.getLogger("rasterio").addHandler(logging.NullHandler())


class Source:
    """An open raster. `coded` are the bands the network codes; `layers` are kept exactly."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            raise RasterError(f"{path}: no such file")
        self._env = rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES)
        self._env.__enter__()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NotGeoreferencedWarning)
                self._data = rasterio.open(path)
            self._examine()
        except RasterioError as error:
            self._env.__exit__()
            raise RasterError(f"{path}: not a raster that can be read ({_first_line(error)})") from error
        except FdegError:
            self._env.__exit__()
            raise

    def __enter__(self) -> Source:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._data.close()
        self._env.__exit__()

    def _examine(self) -> None:
        d = self._data
        if d.count == 0:
            raise UnsupportedError(f"{self.path}: holds {len(d.subdatasets)} rasters and none of its own; extract one of them")
        if len(set(d.dtypes)) > 1 or d.dtypes[0] not in CODES:
            kinds = ", ".join(sorted(set(d.dtypes)))
            raise UnsupportedError(f"{self.path}: samples are {kinds}; uint8 and uint16 can be encoded")
        if d.count > MAX_BANDS:
            raise UnsupportedError(f"{self.path}: has {d.count} bands; up to {MAX_BANDS} can be encoded")
        if ColorInterp.palette in d.colorinterp:
            raise UnsupportedError(f"{self.path}: holds class numbers behind a colour table, which a lossy codec would blur")
        if len(set(d.nodatavals)) > 1:
            raise UnsupportedError(f"{self.path}: its bands have different nodata values {d.nodatavals}; give them one")
        self.dtype: str = d.dtypes[0]
        self.height, self.width, self.bands = d.height, d.width, d.count
        self.metadata = metadata.describe(d)
        self.coded = [b for b, c in enumerate(d.colorinterp) if c is not ColorInterp.alpha]
        if not self.coded:
            raise UnsupportedError(f"{self.path}: holds transparency and nothing else")
        alpha = [b for b in range(d.count) if b not in self.coded]
        self.nodata = self._nodata()
        flags = d.mask_flag_enums[0]
        masked = MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags
        self.layers = [Layer("mask", None)] * masked + [Layer("alpha", b) for b in alpha]
        self._scan()

    def _nodata(self) -> float | None:
        """The nodata value, if samples of the type can have it."""
        value = self._data.nodata
        info = np.iinfo(self.dtype)
        return value if value is not None and value.is_integer() and info.min <= value <= info.max else None

    def _scan(self) -> None:
        """Once over the raster, where needed: the range of valid samples, and whether any is nodata."""
        lows, highs = np.full(self.bands, np.inf), np.full(self.bands, -np.inf)
        missing = np.zeros(self.bands, bool)
        together = True
        if self.dtype != "uint8" or self.nodata is not None:
            for samples in self._strips():
                valid = self._valid(samples)
                flat = valid.reshape(self.bands, -1)
                missing |= ~flat.all(1)
                together &= bool((flat[self.coded] == flat[self.coded[:1]]).all())
                for b in range(self.bands):
                    kept = samples[b][valid[b]]
                    if kept.size:
                        lows[b], highs[b] = min(lows[b], kept.min()), max(highs[b], kept.max())
        if missing[self.coded].any():
            self.layers += [Layer("nodata", None)] if together else [Layer("nodata", b) for b in self.coded]
        empty = lows > highs
        lows[empty], highs[empty] = 0, 0
        if self.dtype == "uint8":
            self.mapping = mapping.identity(self.dtype, self.bands)
        else:
            self.mapping = mapping.Mapping(self.dtype, tuple(map(float, lows)), tuple(map(float, highs)))

    def _strips(self) -> Iterator[Samples]:
        for row in range(0, self.height, SCAN_ROWS):
            yield self._read(Window(0, row, self.width, min(SCAN_ROWS, self.height - row)))

    def _valid(self, samples: Samples) -> NDArray[np.bool_]:
        return np.ones(samples.shape, bool) if self.nodata is None else samples != self.nodata

    def _read(self, window: Window) -> Samples:
        with self._whole():
            return self._data.read(window=window)

    def _mask(self, window: Window) -> masks.Layer8:
        with self._whole():
            return self._data.dataset_mask(window=window)

    @contextmanager
    def _whole(self) -> Iterator[None]:
        try:
            yield
        except RasterioError as error:
            raise RasterError(
                f"{self.path}: damaged, or changed while it was read ({_first_line(error.__cause__ or error)})"
            ) from error

    def truth(self, window: Window) -> tuple[Samples, NDArray[np.bool_]]:
        """The samples of all bands in a window, and which of them count."""
        samples = self._read(window)
        valid = self._valid(samples)
        if any(layer.kind == "mask" for layer in self.layers):
            valid &= self._mask(window) > 0
        return samples, valid

    def unit(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float32]:
        """The coded bands at `rows` and `columns` in [0, 1], filled where invalid: what analysis sees."""
        window, inside = _bounding(rows, columns)
        samples, valid = self.truth(window)
        for b in self.coded:
            samples[b] = masks.fill(samples[b], valid[b])
        return self.mapping.to_unit(samples)[np.ix_(np.array(self.coded), *inside)]

    def exact(self, layer: Layer, window: Window) -> masks.Layer8:
        """A layer's values in a window: 255 where valid."""
        if layer.kind == "mask":
            return self._mask(window)
        samples = self._read(window)
        if layer.kind == "alpha":
            assert layer.band is not None
            return self._alpha(samples[layer.band])
        valid = self._valid(samples)[self.coded[0] if layer.band is None else layer.band]
        return valid.astype(np.uint8) * np.uint8(255)

    def _alpha(self, samples: Samples) -> masks.Layer8:
        top = np.iinfo(self.dtype).max
        if self.dtype != "uint8" and not np.isin(samples, (0, top)).all():
            raise UnsupportedError(f"{self.path}: its alpha band is 16-bit and half transparent; make it 8-bit or drop it")
        return samples if self.dtype == "uint8" else (samples > 0).astype(np.uint8) * np.uint8(255)


def reflected(start: int, stop: int, size: int) -> NDArray[np.intp]:
    """The positions start..stop-1 of a line of `size` pixels that continues as its mirror image."""
    period = max(2 * (size - 1), 1)
    folded = np.abs(np.arange(start, stop)) % period
    return np.minimum(folded, period - folded) if size > 1 else np.zeros(stop - start, np.intp)


def _bounding(rows: NDArray[np.intp], columns: NDArray[np.intp]) -> tuple[Window, tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """The smallest window that holds `rows` and `columns`, and where they lie in it."""
    (top, bottom), (left, right) = ((int(a.min()), int(a.max()) + 1) for a in (rows, columns))
    return Window(left, top, right - left, bottom - top), (rows - top, columns - left)


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
