"""Rasters to test with, and the way from a raster through an .fdg file to a raster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import ColorInterp

import fdeg_codec
from fdeg_codec.ndtypes import Samples
from tests.pictures import landscape

Setup = Callable[[Any], None]


def samples(bands: int, dtype: str = "uint8", height: int = 70, width: int = 90) -> Samples:
    """A landscape whose forms other than uint8 use an odd part of the range."""
    picture = landscape(height, width, bands)
    if dtype == "uint8":
        return picture
    steep, start = {"uint16": (37, 501), "int16": (37, -2000), "float32": (0.0137, -1.7)}[dtype]
    return (picture * np.float64(steep) + start).astype(dtype)


def coloured(*names: str) -> Setup:
    def setup(target: Any) -> None:
        target.colorinterp = [ColorInterp[name] for name in names]

    return setup


def write(
    path: Path, data: Samples, setup: Setup | None = None, mask: Samples | None = None, driver: str = "GTiff", **profile: Any
) -> Path:
    bands, height, width = data.shape
    shape = {"count": bands, "height": height, "width": width, "dtype": data.dtype}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", driver=driver, **shape, **profile) as target,
    ):
        if setup:
            setup(target)
        target.write(data)
        if mask is not None:
            target.write_mask(mask)
    return path


def with_nodata(folder: Path, data: Samples, values: Sequence[float | None]) -> Path:
    """A raster of bytes with a nodata value, or none, for each band: a VRT, for a GeoTIFF has but one."""
    write(folder / "a.tif", data)
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{b}">{f"<NoDataValue>{v}</NoDataValue>" if v is not None else ""}<SimpleSource>'
        f'<SourceFilename relativeToVRT="1">a.tif</SourceFilename><SourceBand>{b}</SourceBand></SimpleSource></VRTRasterBand>'
        for b, v in enumerate(values, 1)
    )
    path = folder / "a.vrt"
    path.write_text(f'<VRTDataset rasterXSize="{data.shape[2]}" rasterYSize="{data.shape[1]}">{bands}</VRTDataset>')
    return path


def trip(
    source: Path, ending: str = ".tif", window: tuple[int, int, int, int] | None = None, tile: int = 64, **words: Any
) -> Path:
    """Encode and decode with the tiny model; the decoded raster's path, beside the file's."""
    file = source.with_name("trip.fdg")
    fdeg_codec.encode(source, file, model="tiny", tile=tile, overwrite=True, **words)
    target = source.with_name(f"decoded{ending}")
    fdeg_codec.decode(file, target, window=window, overwrite=True)
    return target
