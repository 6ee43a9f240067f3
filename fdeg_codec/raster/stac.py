"""What a STAC item says about a file (core, projection, raster): no pixels."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import rasterio
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
Point = tuple[float, float]


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
        with rasterio.Env():
            longitudes, latitudes = transform(crs, "EPSG:4326", *zip(*outline, strict=True))
            box = transform_bounds(crs, "EPSG:4326", *_box(outline))
    except (RasterioError, CPLE_BaseError):  # one that is of no place on earth
        return {"bbox": None, "geometry": None}
    if not all(map(math.isfinite, box)):
        return {"bbox": None, "geometry": None}
    west, south, east, north = box
    around = east - west >= 360  # the whole earth, or a pole
    width, west = (360.0, -180.0) if around else ((east - west) % 360, west - 360 * math.floor((west + 180) / 360))
    middle, east = west + width / 2, west + width
    if around or not all(map(math.isfinite, (*longitudes, *latitudes))):  # the outline says nothing: the box, then
        ring = [(west, south), (east, south), (east, north), (west, north)]
    else:
        ring = [(x + 360 * round((middle - x) / 360), y) for x, y in zip(longitudes, latitudes, strict=True)]
    if east <= 180:
        return {"bbox": [west, south, east, north], "geometry": _polygon(ring)}
    sides = [_beyond_180(ring, -1), [(x - 360, y) for x, y in _beyond_180(ring, 1)]]
    geometry = {"type": "MultiPolygon", "coordinates": [_polygon(side)["coordinates"] for side in sides]}
    return {"bbox": [west, south, east - 360, north], "geometry": geometry}


def _polygon(ring: list[Point]) -> Table:
    return {"type": "Polygon", "coordinates": [[list(point) for point in [*ring, ring[0]]]]}


def _beyond_180(ring: list[Point], sign: int) -> list[Point]:
    """The part of a ring that lies east, or with -1 west, of the antimeridian."""
    out = []
    for (x, y), (next_x, next_y) in pairwise([*ring, ring[0]]):
        here, there = sign * (x - 180), sign * (next_x - 180)
        if here >= 0:
            out.append((x, y))
        if here * there < 0:
            out.append((180.0, y + (next_y - y) * here / (here - there)))
    return out


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
