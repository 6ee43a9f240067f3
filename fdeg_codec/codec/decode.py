"""A file to pixels: any window of it, reading only the tiles that it needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fdeg_codec.codec import planes
from fdeg_codec.codec.engine import Engine
from fdeg_codec.codec.tile import decode_plane
from fdeg_codec.codec.tiles import Grid, Span, Tile, synthesis_span
from fdeg_codec.container.file import Reader
from fdeg_codec.container.sections import Kind, unpack_text
from fdeg_codec.errors import BadFileError
from fdeg_codec.networks.fdegcnet import STRIDE
from fdeg_codec.raster import mapping, masks
from fdeg_codec.raster.masks import Layer, Layer8

Integers = NDArray[np.int32]
Samples = NDArray[Any]


@dataclass(frozen=True)
class Piece:
    """Decoded pixels (band, row, column) of one tile within a window, at `row` and `column` of the picture."""

    samples: Samples
    mask: Layer8 | None
    row: int
    column: int


class Decoder:
    """Decodes tiles of an open file. Latents are kept while neighbouring tiles may still ask for them."""

    def __init__(self, reader: Reader, engine: Engine) -> None:
        self._reader = reader
        self._engine = engine
        h = self.header = reader.header
        self.layers = _layers(reader)
        self._order = planes.unpack(
            reader.sections.get(Kind.ORDER), h.bands, {y.band for y in self.layers if y.kind == "alpha"}
        )
        if h.planes != len(planes.groups(self._order)):
            raise BadFileError("its planes do not fit its bands")
        self._mapping = mapping.unpack(reader.sections.get(Kind.MAPPING), h.dtype, h.bands)
        self.nodata = nodata_of(reader)
        self._grid = Grid(h.height, h.width, h.tile)
        self._predictor = engine.predictor(h.log2_lambda)
        self._known: dict[tuple[int, int], Integers | None] = {}

    def pieces(self, rows: Span, columns: Span) -> Iterator[Piece]:
        """The tiles that a window touches, in rows, cut to it."""
        for tile in self._grid.touching(rows, columns):
            self.forget(tile)
            samples, mask = self._tile(tile)
            cut = [_cut(core, span) for core, span in zip((tile.rows, tile.columns), (rows, columns), strict=True)]
            row, column = max(tile.rows.start, rows.start), max(tile.columns.start, columns.start)
            yield Piece(samples[:, *cut], None if mask is None else mask[*cut], row, column)

    def latents(self, tile: Tile, plane: int) -> Integers | None:
        """y of a tile, or None where nothing in it is valid."""
        key = tile.number, plane
        if key not in self._known:
            entry = self._reader.entry(*key)
            if not entry and self.layers:
                self._known[key] = None
            else:
                try:
                    self._known[key] = decode_plane(self._predictor, entry, *tile.latents)
                except BadFileError as error:
                    raise BadFileError(
                        f"tile {tile.number} (rows {tile.rows.start} to {tile.rows.stop - 1}, columns "
                        f"{tile.columns.start} to {tile.columns.stop - 1}), plane {plane}: {error}"
                    ) from error
        return self._known[key]

    def layer(self, tile: Tile, k: int) -> Layer8:
        entry = self._reader.entry(tile.number, self.header.planes + k)
        return masks.unpack_layer(entry, tile.rows.size, tile.columns.size)

    def forget(self, tile: Tile) -> None:
        """Drop latents that no tile from `tile` on can see: those above its neighbours."""
        oldest = tile.number - self._grid.across - 1
        for key in [k for k in self._known if k[0] < oldest]:
            del self._known[key]

    def _tile(self, tile: Tile) -> tuple[Samples, Layer8 | None]:
        """All bands of a tile's core, and the dataset's mask."""
        h = self.header
        shape = tile.rows.size, tile.columns.size
        samples = np.zeros((h.bands, *shape), h.dtype)
        for plane, group in enumerate(planes.groups(self._order)):
            if self.latents(tile, plane) is None:
                continue
            picture = planes.gather(self._picture(tile, plane), len(group))
            samples[group] = self._mapping.select(group).from_unit(picture)
        return self._masked(tile, samples)

    def _picture(self, tile: Tile, plane: int) -> NDArray[np.float32]:
        """The network's three channels over a tile's core."""
        rows, columns = synthesis_span(tile.rows, self.header.height), synthesis_span(tile.columns, self.header.width)
        y = np.zeros((rows.size, columns.size, self._engine.latent), np.int32)
        pixels = [Span(s.start * STRIDE, s.stop * STRIDE) for s in (rows, columns)]
        for neighbour in self._grid.touching(*pixels):
            known = self.latents(neighbour, plane)
            if known is None:
                continue
            top, left = neighbour.rows.start // STRIDE, neighbour.columns.start // STRIDE
            height, width = neighbour.latents
            here = [_cut(s, Span(a, a + n)) for s, a, n in ((rows, top, height), (columns, left, width))]
            there = [_cut(Span(a, a + n), s) for s, a, n in ((rows, top, height), (columns, left, width))]
            y[*here] = known[*there]
        x = self._engine.synthesise(y, self.header.log2_lambda)
        core = [Span(0, t.size) for t in (tile.rows, tile.columns)]
        offsets = tile.rows.start - pixels[0].start, tile.columns.start - pixels[1].start
        return x[:, *(slice(o, o + s.size) for o, s in zip(offsets, core, strict=True))]

    def _masked(self, tile: Tile, samples: Samples) -> tuple[Samples, Layer8 | None]:
        """Nodata, alpha and mask as they were."""
        mask: Layer8 | None = None
        for k, layer in enumerate(self.layers):
            values = self.layer(tile, k)
            if layer.kind == "mask":
                mask = values
                samples[:, values == 0] = 0
            elif layer.kind == "alpha":
                samples[layer.band] = values if samples.dtype == np.uint8 else values.astype(samples.dtype) * 257
            else:
                for band in self._order if layer.band is None else [layer.band]:
                    samples[band] = masks.avoid(samples[band], self.nodata or 0, values > 0)
        if self.nodata is not None and not any(layer.kind == "nodata" for layer in self.layers):
            for band in self._order:
                samples[band] = masks.avoid(samples[band], self.nodata, np.ones(samples.shape[1:], bool))
        return samples, mask


def nodata_of(reader: Reader) -> float | None:
    data = reader.sections.get(Kind.NODATA)
    if data is None:
        return None
    try:
        value = float(unpack_text(data))
        info = np.iinfo(reader.header.dtype)
        if not info.min <= value <= info.max or value != int(value):
            raise ValueError
    except (ValueError, TypeError) as error:
        raise BadFileError("its nodata value cannot be read") from error
    return value


def _layers(reader: Reader) -> list[Layer]:
    data = reader.sections.get(Kind.LAYERS)
    try:
        layers = [Layer(kind, band) for kind, band in unpack_text(data)] if data else []
        bands = range(reader.header.bands)
        known = all(
            y.kind in ("nodata", "mask", "alpha") and (y.band in bands or (y.band is None and y.kind != "alpha"))
            for y in layers
        )
    except (TypeError, ValueError) as error:
        raise BadFileError("its layers cannot be read") from error
    if not known or len(layers) != reader.header.layers:
        raise BadFileError("its layers do not fit its header")
    return layers


def _cut(outer: Span, inner: Span) -> slice:
    """The part of `outer` that `inner` covers, counted from the start of `outer`."""
    return slice(max(inner.start - outer.start, 0), min(inner.stop, outer.stop) - outer.start)
