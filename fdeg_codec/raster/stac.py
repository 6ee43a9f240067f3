"""What a STAC item says about a file (core, projection, raster), from what `fdeg info` finds: no pixels."""

from __future__ import annotations

from typing import Any

Table = dict[str, Any]


def stac(table: Table) -> Table:
    """Box and outline in WGS 84, projection and bands; rasterio is imported only where there is something to project."""
    a, b, c, d, e, f = table.get("transform", (1, 0, 0, 0, 1, 0))
    width, height = table["width"], table["height"]
    corners = [(x, y) for x, y in ((0, 0), (0, height), (width, height), (width, 0))]
    outline = [(a * x + b * y + c, d * x + e * y + f) for x, y in corners]
    projection: Table = {"proj:shape": [height, width]}
    item: Table = {"bbox": None, "geometry": None, "properties": projection, "raster:bands": _bands(table)}
    if "transform" in table:
        projection["proj:transform"] = [a, b, c, d, e, f, 0, 0, 1]
        projection["proj:bbox"] = _box(outline)
    if "crs" in table:
        projection |= _named(table["crs"])
    if "transform" in table and "crs" in table:
        item |= _on_earth(table["crs"], outline)
    return item


def _box(outline: list[tuple[float, float]]) -> list[float]:
    xs, ys = zip(*outline, strict=True)
    return [min(xs), min(ys), max(xs), max(ys)]


def _named(crs: str) -> Table:
    """By the authority's code where it has one."""
    if crs.startswith("EPSG:"):
        return {"proj:code": crs, "proj:epsg": int(crs.removeprefix("EPSG:"))}
    return {"proj:code": None, "proj:epsg": None, "proj:wkt2": crs}


def _on_earth(crs: str, outline: list[tuple[float, float]]) -> Table:
    from rasterio._err import CPLE_BaseError
    from rasterio.errors import RasterioError
    from rasterio.warp import transform, transform_bounds

    try:
        longitudes, latitudes = transform(crs, "EPSG:4326", *zip(*outline, strict=True))
        box = transform_bounds(crs, "EPSG:4326", *_box(outline))
    except (RasterioError, CPLE_BaseError):  # one that is of no place on earth
        return {}
    ring = [[x, y] for x, y in zip(longitudes, latitudes, strict=True)]
    return {"bbox": list(box), "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}}


def _bands(table: Table) -> list[Table]:
    """Each band's type, and what else is known of it."""
    said = table.get("band", {})
    bands = []
    for k in range(table["bands"]):
        band: Table = {"data_type": table["dtype"]}
        if "nodata" in table:
            band["nodata"] = table["nodata"]
        names = {"scales": "scale", "offsets": "offset", "units": "unit", "descriptions": "description"}
        band |= {name: said[words][k] for words, name in names.items() if said.get(words) and said[words][k] is not None}
        bands.append(band)
    return bands
