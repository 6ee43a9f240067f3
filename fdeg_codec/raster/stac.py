"""What a STAC item says about a file (core, projection, raster): no pixels."""

from __future__ import annotations

import math
from typing import Any

from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.transform import Affine
from rasterio.warp import transform, transform_bounds

from fdeg_codec.container.file import Reader
from fdeg_codec.container.header import Header
from fdeg_codec.container.sections import Kind
from fdeg_codec.raster import metadata, nodata
from fdeg_codec.raster.metadata import Metadata
from fdeg_codec.raster.nodata import Nodata

Table = dict[str, Any]


def stac(reader: Reader) -> Table:
    """Box and outline in WGS 84, projection and bands."""
    h = reader.header
    m = metadata.from_sections(reader.sections, h.bands)
    a, b, c, d, e, f, *_ = m.transform or Affine.identity()
    corners = [(0, 0), (0, h.height), (h.width, h.height), (h.width, 0)]
    outline = [(a * x + b * y + c, d * x + e * y + f) for x, y in corners]
    projection: Table = {"proj:shape": [h.height, h.width]}
    if m.transform:
        projection |= {"proj:transform": list(m.transform), "proj:bbox": _box(outline)}
    if m.crs:
        projection |= _named(m.crs)
    place = _on_earth(m.crs, outline) if m.transform and m.crs else {"bbox": None, "geometry": None}
    values = nodata.unpack(reader.sections.get(Kind.NODATA), h.dtype, h.bands)
    return {**place, "properties": projection, "raster:bands": _bands(h, m, values)}


def _box(outline: list[tuple[float, float]]) -> list[float]:
    xs, ys = zip(*outline, strict=True)
    return [min(xs), min(ys), max(xs), max(ys)]


def _named(crs: CRS) -> Table:
    """By the authority's code where that says everything."""
    text = metadata.crs_text(crs)
    if text.startswith("EPSG:"):
        return {"proj:code": text, "proj:epsg": int(text.removeprefix("EPSG:"))}
    return {"proj:code": None, "proj:epsg": None, "proj:wkt2": crs.to_wkt(version="WKT2_2019")}


def _on_earth(crs: CRS, outline: list[tuple[float, float]]) -> Table:
    try:
        longitudes, latitudes = transform(crs, "EPSG:4326", *zip(*outline, strict=True))
        box = transform_bounds(crs, "EPSG:4326", *_box(outline))
    except (RasterioError, CPLE_BaseError):  # one that is of no place on earth
        return {"bbox": None, "geometry": None}
    ring = [[x, y] for x, y in zip(longitudes, latitudes, strict=True)]
    return {"bbox": list(box), "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}}


def _bands(h: Header, m: Metadata, nodatavals: Nodata) -> list[Table]:
    """Each band's type, and what else is known of it."""
    known: dict[str, list[Any]] = {"scale": m.scales, "offset": m.offsets, "unit": m.units, "description": m.descriptions}
    bands = []
    for k, value in enumerate(nodatavals):
        band: Table = {"data_type": h.dtype}
        if value is not None:
            band["nodata"] = value if math.isfinite(value) else str(value)
        bands.append(band | {name: values[k] for name, values in known.items() if values and values[k] is not None})
    return bands
