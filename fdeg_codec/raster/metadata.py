"""What a raster says about itself, as the container's sections and back."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import rasterio
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.errors import CRSError
from rasterio.io import MemoryFile
from rasterio.rpc import RPC
from rasterio.transform import Affine

from fdeg_codec.container.sections import Kind, Sections, number, pack_numbers, pack_text, unpack_numbers, unpack_text
from fdeg_codec.errors import BadFileError, UnsupportedError
from fdeg_codec.raster import strict
from fdeg_codec.raster.nowhere import may_lie_nowhere

DERIVED_NAMESPACES = {"IMAGE_STRUCTURE", "DERIVED_SUBDATASETS", "RPC", "GEOLOCATION", "SUBDATASETS"}
DERIVED_DOCUMENTS = ("xml:VRT", "xml:gml")  # where it lies, or what it is made of
COLOUR_PROFILE = "COLOR_PROFILE"  # a namespace
DOCUMENT = "xml:"  # namespaces of a single text, which rasterio has under their names
UNREADABLE = "json:"  # such a text rasterio takes for tags, or crashes on
UNWRITABLE_TAGS = {"bidx", "ns", "self"}  # the names of its arguments
DERIVED_TAGS = "STATISTICS_"  # of the pixels that were, not of those that are decoded
COLOUR_KEY = "NODATA_VALUES"  # the colour that GDAL makes a mask of, which it then lets nobody write
PIXELS = "AREA_OR_POINT"  # what they are; GDAL says Area of every GeoTIFF that does not say Point
MAX_GCPS = 1 << 14  # a reader's time is bounded
OF_BANDS: dict[str, Callable[[Any], Any]] = {
    "colours": strict.colour,
    "descriptions": strict.optional_text,
    "units": strict.optional_text,
    "scales": number,
    "offsets": number,
}
PLAIN_COLOURS = (["gray"], ["red", "green", "blue"])


@dataclass
class Metadata:
    """Geo-referencing, tags and the description of bands."""

    crs: CRS | None = None
    transform: Affine | None = None
    gcps: list[GroundControlPoint] = field(default_factory=list)
    gcps_crs: CRS | None = None
    rpcs: RPC | None = None
    tags: dict[str, dict[str, str]] = field(default_factory=dict)  # by namespace, "" the default one
    band_tags: list[dict[str, dict[str, str]]] = field(default_factory=list)
    colours: list[str] = field(default_factory=list)
    descriptions: list[str | None] = field(default_factory=list)
    units: list[str | None] = field(default_factory=list)
    scales: list[float] = field(default_factory=list)
    offsets: list[float] = field(default_factory=list)
    unknown: str = ""  # the code of a reference system that PROJ does not know here


def describe(source: Any) -> Metadata:
    """The metadata of an open rasterio dataset."""
    gcps, gcps_crs = source.gcps
    return Metadata(
        crs=source.crs,
        transform=None if source.transform == Affine.identity() else source.transform,
        gcps=gcps,
        gcps_crs=gcps_crs,
        rpcs=source.rpcs,
        tags=_tags(source, 0),
        band_tags=[_tags(source, b) for b in source.indexes],
        colours=[c.name for c in source.colorinterp],
        descriptions=list(source.descriptions),
        units=list(source.units),
        scales=[scale if math.isfinite(scale) else 1.0 for scale in source.scales],
        offsets=[offset if math.isfinite(offset) else 0.0 for offset in source.offsets],
    )


def _tags(source: Any, band: int) -> dict[str, dict[str, str]]:
    """The tags of a band, or with 0 of the dataset, by namespace."""
    own = [n for n in source.tag_namespaces(band) if _is_carried(n)]
    tags = {n: _lasting(n, source.tags(band, ns=n or None)) for n in ["", *own]}
    if not band:
        tags[""].pop(COLOUR_KEY, None)
        if tags[""].get(PIXELS) == "Area":
            del tags[""][PIXELS]
    return {n: t for n, t in tags.items() if t}


def to_sections(m: Metadata) -> Sections:
    """Only what is there and not plain."""
    sections: Sections = {}
    if m.crs:
        sections[Kind.CRS] = pack_text(_short(m.crs))
    if m.transform:
        sections[Kind.TRANSFORM] = pack_numbers(m.transform[:6])
    if len(m.gcps) > MAX_GCPS:
        raise UnsupportedError(f"has {len(m.gcps)} ground control points; {MAX_GCPS} at most")
    if m.gcps:
        points = [[p.row, p.col, p.x, p.y, p.z, p.id, p.info] for p in m.gcps]
        sections[Kind.GCPS] = pack_text({"crs": _short(m.gcps_crs) if m.gcps_crs else None, "points": points})
    if m.rpcs:
        sections[Kind.RPCS] = pack_text(m.rpcs.to_gdal())
    if m.tags or any(m.band_tags):
        sections[Kind.TAGS] = pack_text({"tags": m.tags, "bands": m.band_tags if any(m.band_tags) else []})
    bands = _bands(m)
    if bands:
        sections[Kind.BANDS] = pack_text(bands)
    return sections


def from_sections(sections: Sections, bands: int) -> Metadata:
    """The metadata of a file; what contradicts itself is a damaged file."""
    try:
        return _from_sections(sections, bands)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, CRSError) as error:
        raise BadFileError("its metadata cannot be read") from error


def _from_sections(sections: Sections, bands: int) -> Metadata:
    m = Metadata(colours=_plain_colours(bands))
    if Kind.CRS in sections:
        m.crs = _known(m, unpack_text(sections[Kind.CRS]))
    if Kind.TRANSFORM in sections:
        m.transform = Affine(*unpack_numbers(sections[Kind.TRANSFORM], 6))
    if Kind.GCPS in sections:
        table = unpack_text(sections[Kind.GCPS])
        if len(table["points"]) > MAX_GCPS:
            raise ValueError("too many points")
        m.gcps = [strict.point(point) for point in table["points"]]
        m.gcps_crs = _known(m, table["crs"]) if table["crs"] else None
    if Kind.RPCS in sections:
        m.rpcs = RPC.from_gdal(strict.texts(unpack_text(sections[Kind.RPCS])))
    if Kind.TAGS in sections:
        table = unpack_text(sections[Kind.TAGS])
        m.tags, *m.band_tags = [_writable(tags) for tags in (table["tags"], *table["bands"])]
        if len(m.band_tags) not in (0, bands):
            raise ValueError("tags of other bands")
        m.tags.get("", {}).pop(COLOUR_KEY, None)
    for name, values in unpack_text(sections[Kind.BANDS]).items() if Kind.BANDS in sections else ():
        if name in OF_BANDS and len(values) != bands:
            raise ValueError(f"{name} of other bands")
        if name in OF_BANDS:
            setattr(m, name, [OF_BANDS[name](value) for value in values])
    return m


def _known(m: Metadata, text: Any) -> CRS | None:
    """A reference system; of one that is unknown here, `m` keeps the code."""
    try:
        return strict.crs(text)
    except strict.UnknownCodeError as error:
        m.unknown = str(error)
        return None


def _writable(tags: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Tags by namespace, as `_tags` finds them."""
    known = {strict.text(namespace): strict.texts(t) for namespace, t in tags.items()}
    if not all(_is_carried(namespace) and _can_be_written(namespace, t) for namespace, t in known.items()):
        raise ValueError("tags that no encoder writes")
    return known


def apply(m: Metadata, target: Any) -> None:
    """Write into a rasterio dataset open for writing what its creation did not take."""
    if m.gcps:
        drift = _drift() if m.tags.get("", {}).get(PIXELS) == "Point" else 0
        points = [GroundControlPoint(p.row - drift, p.col - drift, p.x, p.y, p.z, p.id, p.info) for p in m.gcps]
        target.gcps = (points, m.gcps_crs or CRS())
    if m.rpcs:
        target.rpcs = m.rpcs
    for band, namespaces in enumerate([m.tags, *m.band_tags]):
        for namespace, tags in namespaces.items():
            target.update_tags(band, ns=namespace or None, **_as_pairs(namespace, tags))
    target.colorinterp = [ColorInterp[c] for c in m.colours]
    if m.scales:
        target.scales = m.scales
    if m.offsets:
        target.offsets = m.offsets
    if m.units:
        target.units = [u or "" for u in m.units]
    for band, description in enumerate(m.descriptions, 1):
        if description:
            target.set_band_description(band, description)


@cache
def _drift() -> float:
    """How far GDAL moves the control points that are written into a GeoTIFF whose pixels are points: by 1 in 3.10."""
    with MemoryFile() as file, may_lie_nowhere():
        with file.open(driver="GTiff", count=1, height=1, width=1, dtype="uint8") as written:
            written.gcps = ([GroundControlPoint(0, 0, 0, 0)], CRS())
            written.update_tags(**{PIXELS: "Point"})
        with file.open() as read:
            return float(read.gcps[0][0].row)


def chosen(m: Metadata, indexes: list[int]) -> Metadata:
    """The metadata of a raster made of some of the bands, counted from 1."""
    names = ("band_tags", "colours", "descriptions", "units", "scales", "offsets")
    some = replace(m)
    for name in names:
        values = getattr(m, name)
        setattr(some, name, [values[n - 1] for n in indexes] if values else [])
    return some if some.colours == m.colours else without_profile(some)


def without_profile(m: Metadata) -> Metadata:
    """A profile is of all the colours that a picture has."""
    return replace(m, tags={namespace: tags for namespace, tags in m.tags.items() if namespace != COLOUR_PROFILE})


def within(m: Metadata, column: int, row: int, scale: int = 1) -> Metadata:
    """The metadata of a picture that begins at `column` and `row` of this one, each of its pixels `scale` x `scale` of it."""
    if (column, row, scale) == (0, 0, 1):
        return m
    moved = replace(m)
    if m.transform:
        moved.transform = m.transform * Affine.translation(column, row) * Affine.scale(scale)
    moved.gcps = [
        GroundControlPoint((p.row - row) / scale, (p.col - column) / scale, p.x, p.y, p.z, p.id, p.info) for p in m.gcps
    ]
    if m.rpcs:
        moved.rpcs = copy(m.rpcs)  # whose pixels have their centres, not their corners, at whole numbers
        moved.rpcs.line_off = (m.rpcs.line_off - row + 0.5) / scale - 0.5
        moved.rpcs.samp_off = (m.rpcs.samp_off - column + 0.5) / scale - 0.5
        moved.rpcs.line_scale = m.rpcs.line_scale / scale
        moved.rpcs.samp_scale = m.rpcs.samp_scale / scale
    return moved


def crs_text(crs: CRS) -> str:
    """The authority's code where it says everything, else WKT."""
    with rasterio.Env():
        code = crs.to_epsg()
        return f"EPSG:{code}" if code and CRS.from_epsg(code).wkt == crs.wkt else str(crs.wkt)


def _short(crs: CRS) -> str:
    """As text that may be read again."""
    text = crs_text(crs)
    if len(text) > strict.LONGEST_CRS:
        raise UnsupportedError(f"has a reference system of {len(text)} characters; {strict.LONGEST_CRS} at most")
    return text


def _bands(m: Metadata) -> dict[str, list[Any]]:
    plain = {
        "colours": m.colours in PLAIN_COLOURS,
        "descriptions": not any(m.descriptions),
        "units": not any(m.units),
        "scales": all(s == 1 for s in m.scales),
        "offsets": all(o == 0 for o in m.offsets),
    }
    return {name: getattr(m, name) for name, is_plain in plain.items() if not is_plain}


def _plain_colours(bands: int) -> list[str]:
    return next((list(c) for c in PLAIN_COLOURS if len(c) == bands), ["undefined"] * bands)


def _is_carried(namespace: str) -> bool:
    return namespace not in DERIVED_NAMESPACES and not namespace.startswith((UNREADABLE, *DERIVED_DOCUMENTS))


def _lasting(namespace: str, tags: dict[str, str]) -> dict[str, str]:
    lasting = {k: v for k, v in tags.items() if not k.startswith(DERIVED_TAGS) and k not in UNWRITABLE_TAGS}
    return lasting if _can_be_written(namespace, lasting) else {}


def _can_be_written(namespace: str, tags: dict[str, str]) -> bool:
    """By rasterio, to whom a document is a name, its first = and a value."""
    if namespace.startswith(DOCUMENT):
        return tags.keys() == {namespace} and "=" in tags[namespace]
    return not UNWRITABLE_TAGS & tags.keys()


def _as_pairs(namespace: str, tags: dict[str, str]) -> dict[str, str]:
    return dict([tags[namespace].split("=", 1)]) if namespace.startswith(DOCUMENT) else tags
