"""Codecs for what is not 8-bit RGB: other depths and numbers of bands, as geographers store them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from fdeg_codec.evaluation import payload
from fdeg_codec.evaluation.codec import Codec, listed
from fdeg_codec.evaluation.pictures import Kind, Picture
from fdeg_codec.raster.nowhere import may_lie_nowhere

JXL_EFFORT = 7
TILE = 512


def is_wide(kind: Kind) -> bool:
    return kind.dtype in ("uint8", "uint16") and kind != Kind(3, "uint8")


def jpeg2000() -> Codec:
    def encode(picture: Picture, target: Path, quality: float) -> None:
        options = {"QUALITY": f"{quality:g}", "CODEC": "J2K", "REVERSIBLE": "NO", "YCBCR420": "NO"}
        write(picture.filled, target, "JP2OpenJPEG", **options)
        Path(f"{target}.aux.xml").unlink(missing_ok=True)

    qualities = (0.4, 0.8, 1.5, 3.0, 5.0, 8.0, 12.0)
    about = _about("JP2OpenJPEG: irreversible, bare codestream, QUALITY (per cent of the raw size)", qualities)
    return Codec("jpeg2000", "JPEG 2000", about, ".j2k", qualities, (0.2, 60), encode, read, payload.of_jpeg2000, is_wide)


def lerc() -> Codec:
    """Limited error raster compression: a bound on the error of every sample, here in units of the samples' range / 4096."""

    def encode(picture: Picture, target: Path, quality: float) -> None:
        bound = f"{max(quality * picture.peak / 4096, 0):.6g}"
        write(picture.filled, target, "GTiff", COMPRESS="LERC_ZSTD", ZSTD_LEVEL="22", MAX_Z_ERROR=bound, **tiles(picture))

    qualities = (192.0, 96.0, 48.0, 24.0, 12.0, 6.0, 3.0)
    about = _about(f"LERC_ZSTD in GeoTIFF: tiles of {TILE}, ZSTD_LEVEL 22, MAX_Z_ERROR in 1/4096 of the range", qualities)
    return Codec("lerc", "LERC", about, ".tif", qualities, (1024, 0.5), encode, read, payload.of_tiff, is_wide)


def jpegxl() -> Codec | dict[str, str]:
    if not importlib.util.find_spec("imagecodecs") or not importlib.util.find_spec("tifffile"):
        return {"jxl": "needs the packages imagecodecs and tifffile: pip install 'fdeg[eval]'"}
    import imagecodecs
    import tifffile

    def encode(picture: Picture, target: Path, quality: float) -> None:
        """One codestream per band in a TIFF: as bands of one codestream those beyond the third are coded badly."""
        settings = {"distance": quality, "lossless": quality == 0, "effort": JXL_EFFORT, "numthreads": 1}
        with tifffile.TiffWriter(target) as tiff:
            tiff.write(
                picture.filled,
                photometric="minisblack",
                planarconfig="separate" if len(picture.samples) > 1 else None,
                rowsperstrip=picture.samples.shape[1],
                compression="jpegxl",
                compressionargs=settings,
                metadata=None,
                software=False,
            )

    def decode(path: Path) -> NDArray[Any]:
        samples = tifffile.imread(path)
        return samples if samples.ndim == 3 else samples[None]

    qualities = (14.0, 8.0, 5.0, 3.0, 1.5, 0.8, 0.4)
    about = f"{imagecodecs.jpegxl_version()} in TIFF, bands apart: effort={JXL_EFFORT}, distance {listed(qualities)}"
    return Codec("jxl", "JPEG XL", about, ".tif", qualities, (25, 0.05), encode, decode, payload.of_tiff, is_wide)


def tiles(picture: Picture) -> dict[str, str]:
    """Of a GeoTIFF: LERC and ZSTD lose a quarter in the strips of a few rows that GDAL makes unasked."""
    rows, columns = (min(-(-n // 16) * 16, TILE) for n in picture.samples.shape[1:])
    return {"TILED": "YES", "BLOCKXSIZE": f"{columns}", "BLOCKYSIZE": f"{rows}", "INTERLEAVE": "PIXEL"}


def _about(words: str, qualities: tuple[float, ...]) -> str:
    return f"GDAL {rasterio.__gdal_version__}, {words} {listed(qualities)}"


def write(samples: NDArray[Any], target: Path, driver: str, **options: str) -> None:
    bands, height, width = samples.shape
    shape: dict[str, Any] = {"count": bands, "height": height, "width": width, "dtype": samples.dtype}
    with may_lie_nowhere(), rasterio.open(target, "w", driver=driver, **shape, **options) as data:
        data.write(samples)


def read(path: Path) -> NDArray[Any]:
    with may_lie_nowhere(), rasterio.open(path) as data:
        return np.asarray(data.read())
