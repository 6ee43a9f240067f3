"""A decoded raster on its way to disk: GeoTIFF written strip by strip, other formats made from that."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError, RasterioIOError
from rasterio.io import MemoryFile
from rasterio.windows import Window

from fdeg_codec.errors import UsageError
from fdeg_codec.raster import beside, metadata
from fdeg_codec.raster.metadata import Metadata
from fdeg_codec.raster.nowhere import may_lie_nowhere
from fdeg_codec.raster.recorder import Recorder
from fdeg_codec.raster.source import CACHE_BYTES

# Formats that lose nothing more, by the ending of the file's name.
DRIVERS = {".tif": "GTiff", ".tiff": "GTiff", ".png": "PNG", ".jp2": "JP2OpenJPEG", ".webp": "WEBP"}
OPTIONS: dict[str, dict[str, str]] = {
    "PNG": {},
    "JP2OpenJPEG": {"REVERSIBLE": "YES", "QUALITY": "100"},
    # A Cloud Optimized GeoTIFF: with overviews, in the order in which it is read over a network.
    "COG": {"COMPRESS": "DEFLATE", "PREDICTOR": "YES", "BIGTIFF": "IF_SAFER", "OVERVIEW_RESAMPLING": "AVERAGE"},
    "WEBP": {"LOSSLESS": "YES", "EXACT": "1"},  # exact: also the colours of transparent pixels
}
# A JPEG 2000 file turns rows that run northwards, and has a reference system invented where there is none, unless that is
# written into .aux.xml beside it.
BESIDE = {"GMLJP2": "NO", "GeoJP2": "NO"}
PICTURES = ("PNG", "WEBP")  # take the last of two or four bands for transparency, whatever it is
WEBP_SIDE = 16383
BLOCK = 512
TRIAL = 64  # pixels each way of a raster that a format is tried with
GDAL_ERRORS = (RasterioError, CPLE_BaseError, SystemError)  # the last is what a failed copy without a message gives


def driver_of(path: Path, cog: bool = False) -> str:
    driver = DRIVERS.get(path.suffix.lower())
    if driver is None:
        raise UsageError(f"{path}: the ending of its name must be one of {', '.join(DRIVERS)}")
    if cog and driver != "GTiff":
        raise UsageError(f"{path}: the ending of its name must be .tif with --cog")
    return "COG" if cog else driver


class Sink:
    """Takes windows in any order of a raster of known size, and completes the file at `path` when its block ends.

    What cannot be written is an OSError.
    """

    def __init__(
        self, path: Path, driver: str, shape: tuple[int, int, int], dtype: str, nodata: float | None, described: Metadata
    ) -> None:
        bands, height, width = shape
        described = _fitting(driver, shape, dtype, described)
        self._path, self._driver, self._nodata = path, driver, nodata
        self._tiff = path if driver == "GTiff" else Path(f"{path}.tif")
        self._files = Recorder()
        layout = {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK} if min(height, width) > BLOCK else {}
        squeeze = {"compress": "deflate", "predictor": 3 if dtype == "float32" else 2, "zlevel": 4} if driver == "GTiff" else {}
        try:
            with ExitStack() as opened, may_lie_nowhere():
                opened.enter_context(rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES, GDAL_TIFF_INTERNAL_MASK=True))
                self._data = rasterio.open(
                    self._tiff,
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
                    opener=self._files,
                    **layout,
                    **squeeze,
                )
                try:
                    metadata.apply(described, self._data)
                except BaseException:
                    self._data.close()
                    raise
                self._settings = opened.pop_all()
        except GDAL_ERRORS as error:
            raise self._files.problem or RasterioIOError(str(error)) from error
        except UnicodeEncodeError as error:
            raise RasterioIOError("the name of its folder is not UTF-8, as GDAL wants it") from error

    def write(self, samples: NDArray[Any], row: int, column: int, mask: NDArray[np.uint8] | None) -> None:
        """Samples (band, row, column) and the dataset's mask at a place."""
        window = Window(column, row, samples.shape[2], samples.shape[1])
        try:
            self._data.write(samples, window=window)
            if mask is not None:
                self._data.write_mask(mask, window=window)
        except GDAL_ERRORS as error:
            raise self._files.problem or RasterioIOError(str(error)) from error

    def __enter__(self) -> Sink:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self._data.close()
            if kind is None:
                if self._files.problem:
                    raise self._files.problem
                if self._driver != "GTiff":
                    self._convert()
        except GDAL_ERRORS as problem:
            if self._is_full():
                raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}; {self._driver}: {problem}") from problem
            raise RasterioIOError(f"{self._driver} cannot hold this raster: {problem}") from problem
        finally:
            self._settings.close()

    def _is_full(self) -> bool:
        """Whether the disk has no room for what a driver might make of the GeoTIFF, which it does not say itself."""
        return shutil.disk_usage(self._path.parent).free < 2 * self._tiff.stat().st_size

    def _convert(self) -> None:
        """The GeoTIFF into the format that was asked for; then it is read again, as a driver may hide a full disk."""
        with may_lie_nowhere():
            self._copy()
            if self._driver == "JP2OpenJPEG" and not self._lies_there():
                self._copy(**BESIDE)
                self._note_rest()
            other = self._other()
            if other == "masks" and self._driver == "PNG" and self._nodata is not None:
                self._note_nodata(self._nodata)
                other = self._other()
            if other:
                raise RasterioIOError(f"it holds other {other} than were written")

    def _copy(self, **options: str) -> None:
        rasterio.shutil.copy(self._tiff, self._path, driver=self._driver, **OPTIONS[self._driver], **options)

    def _note_rest(self) -> None:
        """What else is lost where all that a .jp2 says of its place is left out, and GDAL does not write beside it."""
        with rasterio.open(self._tiff) as data:
            if pixels := data.tags().get(metadata.PIXELS):
                beside.note_tags(self._path, {metadata.PIXELS: pixels})
            if data.rpcs:
                beside.note_tags(self._path, data.rpcs.to_gdal(), "RPC")

    def _note_nodata(self, value: float) -> None:
        """In a PNG of several bands only a colour, all bands together, can be no data: leave it out, and say it beside."""
        with rasterio.open(self._tiff, "r+") as data:
            data.nodata = None
        self._copy()
        with rasterio.open(self._tiff, "r+") as data:
            data.nodata = value
            beside.note_nodata(self._path, value, data.count)

    def _other(self) -> str:
        """What the file has otherwise than the GeoTIFF, the first that is found."""
        with rasterio.open(self._tiff) as wanted, rasterio.open(self._path) as written:
            for row in range(0, wanted.height, BLOCK):
                strip = Window(0, row, wanted.width, min(BLOCK, wanted.height - row))
                if not np.array_equal(wanted.read(window=strip), written.read(window=strip), equal_nan=True):
                    return "samples"
                if not np.array_equal(wanted.read_masks(window=strip), written.read_masks(window=strip)):
                    return "masks"
        return ""

    def _lies_there(self) -> bool:
        """Whether the file says where on the ground it lies as the GeoTIFF does."""
        with rasterio.open(self._tiff) as wanted, rasterio.open(self._path) as written:
            same = np.allclose(wanted.transform, written.transform, rtol=1e-9, atol=0)
            return bool(same) and wanted.crs == written.crs


def _fitting(driver: str, shape: tuple[int, int, int], dtype: str, described: Metadata) -> Metadata:
    """The metadata without a colour profile that the format does not take.

    Refused now is what it could not hold in the end, and to have a band shown as transparency that is none.
    """
    colours = described.colours
    if driver in PICTURES and len(colours) in (2, 4) and colours[-1] != "alpha":
        raise RasterioIOError(f"{driver} takes band {len(colours)} of {len(colours)} for transparency; .tif and .jp2 do not")
    if driver == "WEBP" and max(shape[1:]) > WEBP_SIDE:
        raise RasterioIOError(f"{driver} holds {WEBP_SIDE} pixels each way at most; .tif, .png and .jp2 hold more")
    if driver in ("GTiff", "COG"):
        return described
    problem = _problem(driver, shape[0], dtype, described.tags.get(metadata.COLOUR_PROFILE, {}))
    if problem and metadata.COLOUR_PROFILE in described.tags:
        described = metadata.without_profile(described)
        problem = _problem(driver, shape[0], dtype, {})
    if problem:
        raise RasterioIOError(f"{driver} cannot hold this raster: {problem}") from problem
    return described


def _problem(driver: str, bands: int, dtype: str, profile: dict[str, str]) -> Exception | None:
    """What a format has against such rasters."""
    with MemoryFile() as tiff, MemoryFile() as small, may_lie_nowhere():
        with tiff.open(driver="GTiff", count=bands, height=TRIAL, width=TRIAL, dtype=dtype) as raster:
            raster.update_tags(ns=metadata.COLOUR_PROFILE, **profile)
        try:
            rasterio.shutil.copy(tiff.name, small.name, driver=driver, **OPTIONS[driver])
        except GDAL_ERRORS as problem:
            return problem
    return None
