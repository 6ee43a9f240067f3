"""What a file says of its bands, checked before any tile is looked at."""

from __future__ import annotations

from typing import NamedTuple

from fdeg_codec.codec import planes
from fdeg_codec.container.file import Reader
from fdeg_codec.container.sections import Kind, unpack_text
from fdeg_codec.errors import BadFileError
from fdeg_codec.raster import bound, mapping, masks
from fdeg_codec.raster import nodata as nodatas
from fdeg_codec.raster.bound import Bound
from fdeg_codec.raster.mapping import Mapping
from fdeg_codec.raster.masks import Layer
from fdeg_codec.raster.nodata import Nodata


class Contents(NamedTuple):
    """The sections that pixels depend on."""

    layers: list[Layer]
    order: list[int]  # the bands that planes carry, one after the other
    groups: list[list[int]]  # the same, plane by plane
    mapping: Mapping
    bounds: list[Bound]  # none where errors are not bounded
    nodata: Nodata


def contents(reader: Reader) -> Contents:
    h, sections = reader.header, reader.sections
    layers = _layers(reader)
    order = planes.unpack(sections.get(Kind.ORDER), h.bands, {y.band for y in layers if y.kind in masks.ALPHA})
    groups = planes.groups(order)
    if h.planes != len(groups):
        raise BadFileError("its planes do not fit its bands")
    maps = mapping.unpack(sections.get(Kind.MAPPING), h.dtype, h.bands)
    return Contents(layers, order, groups, maps, _bounds(reader), nodatas.unpack(sections.get(Kind.NODATA), h.dtype, h.bands))


def _bounds(reader: Reader) -> list[Bound]:
    data = reader.sections.get(Kind.BOUND)
    if (data is not None) != reader.header.bounded:
        raise BadFileError("its bounds do not fit its header")
    return bound.unpack(data, reader.header.dtype, reader.header.bands) if data is not None else []


def _layers(reader: Reader) -> list[Layer]:
    """The layers of a file, each of which must make sense."""
    data = reader.sections.get(Kind.LAYERS)
    try:
        layers = [Layer(kind, band) for kind, band in unpack_text(data)] if data else []
    except (TypeError, ValueError) as error:
        raise BadFileError("its layers cannot be read") from error
    plain = all(isinstance(y.kind, str) and type(y.band) in (int, type(None)) for y in layers)
    fitting = plain and all(_possible(layer, reader) for layer in layers)
    if not fitting or len(layers) != reader.header.layers or _overlap(layers):
        raise BadFileError("its layers do not fit its header")
    return layers


def _possible(layer: Layer, reader: Reader) -> bool:
    """Whether a file may have such a layer."""
    whole, single = layer.band is None, layer.band in range(reader.header.bands)
    match layer.kind:
        case "nodata":
            return (whole or single) and Kind.NODATA in reader.sections
        case "nan":
            return (whole or single) and reader.header.dtype == "float32"
        case "far":
            return single
        case kind if kind in masks.ALPHA:
            return single and reader.header.dtype in ("uint8", "uint16")
    return whole and layer.kind in masks.MASK


def _overlap(layers: list[Layer]) -> bool:
    """Whether something is said twice of a band, or anything else of a band that is alpha."""
    said = {(layer.kind.removesuffix("-only"), layer.band) for layer in layers}
    alphas = {band for kind, band in said if kind == "alpha"}
    return len(said) < len(layers) or any(
        kind != "alpha" and (band in alphas or (band is not None and (kind, None) in said)) for kind, band in said
    )
