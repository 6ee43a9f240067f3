"""A decoded raster on its way to disk: GeoTIFF written strip by strip, other formats made from that."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from fdeg_codec.errors import FdegError, RasterError, UsageError
from fdeg_codec.raster import metadata
from fdeg_codec.raster.metadata import Metadata
from fdeg_codec.raster.source import CACHE_BYTES

# Formats that lose nothing more, by the ending of the file's name.
DRIVERS = {".tif": "GTiff", ".tiff": "GTiff", ".png": "PNG", ".jp2": "JP2OpenJPEG", ".webp": "WEBP"}
OPTIONS: dict[str, dict[str, str]] = {
    "PNG": {},
    "JP2OpenJPEG": {"REVERSIBLE": "YES", "QUALITY": "100"},
    "WEBP": {"LOSSLESS": "YES"},
}
BLOCK = 512


def driver_of(path: Path) -> str:
    try:
        return DRIVERS[path.suffix.lower()]
    except KeyError:
        known = ", ".join(DRIVERS)
        raise UsageError(f"{path}: the ending of its name must be one of {known}") from None


class Sink:
    """Takes windows in any order of a raster of known size; `close` completes the file at `path`."""

    def __init__(
        self, path: Path, driver: str, shape: tuple[int, int, int], dtype: str, nodata: float | None, described: Metadata
    ) -> None:
        self._path, self._driver = path, driver
        self._draft = path if driver == "GTiff" else path.with_suffix(".draft")
        bands, height, width = shape
        layout = {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK} if min(height, width) > BLOCK else {}
        squeeze = {"compress": "deflate", "predictor": 2, "zlevel": 6} if driver == "GTiff" else {}
        self._env = rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES, GDAL_TIFF_INTERNAL_MASK=True)
        self._env.__enter__()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            try:
                self._data = rasterio.open(
                    self._draft,
                    "w",
                    driver="GTiff",
                    count=bands,
                    height=height,
                    width=width,
                    dtype=dtype,
                    nodata=nodata,
                    crs=described.crs,
                    transform=described.transform,
                    bigtiff="if_safer",
                    **layout,
                    **squeeze,
                )
                metadata.apply(described, self._data)
            except RasterioError as error:
                self._env.__exit__()
                raise RasterError(f"cannot be written ({error})") from error

    def write(self, samples: NDArray[Any], row: int, column: int, mask: NDArray[np.uint8] | None) -> None:
        """Samples (band, row, column) and the dataset's mask at a place."""
        window = Window(column, row, samples.shape[2], samples.shape[1])
        self._data.write(samples, window=window)
        if mask is not None:
            self._data.write_mask(mask, window=window)

    def __enter__(self) -> Sink:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self._data.close()
            if kind is None and self._driver != "GTiff":
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", NotGeoreferencedWarning)
                    rasterio.shutil.copy(self._draft, self._path, driver=self._driver, **OPTIONS[self._driver])
        except RasterioError as problem:
            raise FdegError(f"{self._driver} cannot hold this raster ({problem})") from problem
        finally:
            self._env.__exit__()
            if self._draft != self._path:
                self._draft.unlink(missing_ok=True)
