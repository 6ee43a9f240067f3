"""What is cut out of a raster for a tile, to the tile's entries."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from fdeg_codec.codec import exact, planes
from fdeg_codec.codec.effort import encode_picture
from fdeg_codec.codec.engine import Engine
from fdeg_codec.codec.exact import encode_residual
from fdeg_codec.codec.tiles import Tile
from fdeg_codec.errors import RasterError
from fdeg_codec.networks.fdegcnet import STRIDE
from fdeg_codec.raster import masks
from fdeg_codec.raster.mapping import Mapping
from fdeg_codec.raster.masks import Layer
from fdeg_codec.raster.source import Source
from fdeg_codec.raster.validity import Cut


def window_of(tile: Tile) -> Window:
    return Window(tile.columns.start, tile.rows.start, tile.columns.size, tile.rows.size)


def encode_tile(
    engine: Engine, log2_lambda: int, effort: int, groups: list[list[int]], raster: Source, cut: Cut
) -> list[bytes]:
    """The entries of a tile: its planes, then its layers, then, if errors are bounded, the residuals of its planes."""
    layers = layers_of(raster, cut)
    if masks.is_hidden(layers, raster.coded):
        return [b""] * len(groups) + [*layers.values()] + [b""] * len(groups) * bool(raster.bounds)
    entries, residuals = [], []
    for group in groups:
        entry, y = encode_picture(engine, picture_of(raster, cut, group), partial(counted, cut, group), log2_lambda, effort)
        entries.append(entry)
        if raster.max_error is not None:
            x = exact.picture(engine, y, log2_lambda, (len(group), *cut.samples.shape[1:]))
            try:
                residuals.append(encode_residual(x, known(raster, cut, group), cut.samples[group], raster.max_error))
            except RasterError as error:
                raise RasterError(f"{raster.path}: {error}") from error
    return [*entries, *layers.values(), *residuals]


def order_of(raster: Source) -> list[int]:
    """The coded bands as planes take them, three by three."""
    return planes.order(raster.coded, raster.metadata.colours, raster.likeness)


def groups_of(raster: Source) -> list[list[int]]:
    """The bands of each plane."""
    return planes.groups(order_of(raster))


def layers_of(raster: Source, cut: Cut) -> dict[Layer, bytes]:
    """The entries of a tile's layers."""
    return {layer: pack_layer(cut, layer) for layer in raster.layers}


def picture_of(raster: Source, cut: Cut, group: list[int]) -> NDArray[np.float32]:
    """What analysis sees of the bands of a plane."""
    bands = np.stack([fill(cut, band, raster.mapping) for band in group])
    return planes.spread(extended(raster.mapping.select(group).to_unit(bands)))


def counted(cut: Cut, group: list[int]) -> NDArray[np.float32]:
    """1 where an error in what analysis sees, plane by plane, is one in the scene, else 0."""
    valid = np.stack([cut.valid(band) for band in group])
    return planes.spread(np.pad(valid, _to_whole_latents(valid)).astype(np.float32))


def known(raster: Source, cut: Cut, group: list[int]) -> list[exact.Band]:
    """What a decoder knows of the bands of a plane, too."""
    return [exact.Band(raster.mapping.lines[b], raster.bounds[b], cut.valid(b), raster.rules.nodata[b]) for b in group]


def pack_layer(cut: Cut, layer: Layer) -> bytes:
    flags = cut.flags(layer)
    if layer.kind == "far":
        return masks.pack_far(flags == 0, cut.samples[layer.band])
    return masks.pack_layer(flags)


def fill(cut: Cut, band: int, mapping: Mapping) -> NDArray[Any]:
    """One band, smooth where it is not valid."""
    valid = cut.valid(band)
    if not valid.any():
        return np.full_like(cut.samples[band], mapping.lines[band].low)
    return masks.fill(cut.samples[band], valid)


def extended(unit: NDArray[np.float32]) -> NDArray[np.float32]:
    """A tile filled up to whole latents by its mirror image."""
    return np.pad(unit, _to_whole_latents(unit), "reflect")


def _to_whole_latents(bands: NDArray[Any]) -> tuple[tuple[int, int], ...]:
    """What (band, row, column) lack on each side."""
    return (0, 0), *((0, -n % STRIDE) for n in bands.shape[1:])
