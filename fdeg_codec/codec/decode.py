"""A file to pixels: any window of it, reading only the tiles that it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fdeg_codec.codec import exact, planes
from fdeg_codec.codec.contents import contents
from fdeg_codec.codec.damage import Damage, Losses
from fdeg_codec.codec.engine import Engine
from fdeg_codec.codec.entries import Entries, naming
from fdeg_codec.codec.smaller import LINEAR_FROM, means, shrink_far, shrink_layer, shrink_span
from fdeg_codec.codec.tiles import Grid, Span, Tile, synthesis_span
from fdeg_codec.codec.workers import Workers
from fdeg_codec.container.file import Reader
from fdeg_codec.errors import BadFileError
from fdeg_codec.ndtypes import Flags, Integers, Samples
from fdeg_codec.networks.fdegcnet import STRIDE
from fdeg_codec.raster import masks
from fdeg_codec.raster.masks import Far, Found, Layer, Layer8
from fdeg_codec.raster.nodata import Nodata

Layers = dict[Layer, Layer8]


class View(NamedTuple):
    """How a window is looked at."""

    scale: int
    planes: list[int]
    nodata: Nodata
    bounded: bool  # whether residuals are decoded


@dataclass(frozen=True)
class Piece:
    """Decoded pixels (band, row, column) of one tile within a window, at `row` and `column` of the (smaller) picture."""

    samples: Samples  # all bands; those that were not asked for mean nothing
    layers: Layers
    row: int
    column: int

    @property
    def mask(self) -> Layer8 | None:
        """The dataset's mask."""
        return next((self.layers[y] for y in self.layers if y.kind in masks.MASK), None)

    def of(self, bands: list[int], nodata: float | None) -> tuple[Samples, Layer8 | None]:
        """The samples of `bands`, and the mask beside them. What an alpha hides that is not among them is nodata, or masked."""
        samples, mask = self.samples[bands], self.mask
        for layer, values in self.layers.items():
            if layer.kind in masks.ALPHA and layer.band not in bands:
                if nodata is not None:
                    samples[:, values == 0] = nodata
                else:
                    mask = np.where(values == 0, 0, 255 if mask is None else mask).astype(np.uint8)
        return samples, mask

    def valid(self, bands: list[int]) -> Flags:
        """Which samples of `bands` are numbers, not nodata, not masked, not wholly transparent; an alpha's all are."""
        shown = np.ones(self.samples.shape[1:], bool)
        own: dict[int, Flags] = {}
        for layer, values in self.layers.items():
            if layer.kind in masks.MISSING and layer.band is not None:
                own[layer.band] = own.get(layer.band, True) & (values > 0)
            else:
                shown &= values > 0
        alphas = {layer.band for layer in self.layers if layer.kind in masks.ALPHA}
        out = np.ones((len(bands), *shown.shape), bool)
        for k, band in enumerate(bands):
            if band not in alphas:
                out[k] = shown & own.get(band, True)
        return out


class Decoder:
    """Decodes tiles of an open file.

    With `damage` to note it in, a tile that cannot be decoded becomes nodata; without, it is an error.
    """

    def __init__(self, reader: Reader, engine: Engine, damage: Damage | None = None, preview: bool = False) -> None:
        h = self._header = reader.header
        self._engine = engine
        self._bounded = h.bounded and not preview
        self._losses = Losses(damage)
        self._contents = contents(reader)
        self._grid = Grid.of(h)
        self.entries = Entries(reader, self._contents, engine)

    def pieces(
        self, rows: Span, columns: Span, scale: int = 1, bands: list[int] | None = None, nodata: Nodata | None = None
    ) -> Iterator[Piece]:
        """The tiles that a window touches, in rows, cut to it, and shrunk `scale` times.

        Bands that are not among `bands` may hold anything. `nodata` replaces the file's values. A smaller picture is that of
        a preview: it does without residuals.
        """
        groups = enumerate(self._contents.groups)
        some = [k for k, group in groups if bands is None or not set(group).isdisjoint(bands)]
        view = View(scale, some, nodata or self._contents.nodata, self._bounded and scale == 1)
        self._losses.begin()
        tiles = self._grid.touching(rows, columns)
        wanted = [shrink_span(span, scale) for span in (rows, columns)]
        with self.entries.undisturbed(), self._workers(tiles, view) as workers:
            for tile, (samples, layers) in zip(tiles, workers.in_order(self._jobs(tiles, workers, view)), strict=True):
                self._losses.note(tile)
                cores = [shrink_span(core, scale) for core in (tile.rows, tile.columns)]
                cut = [_cut(core, span) for core, span in zip(cores, wanted, strict=True)]
                row, column = (max(core.start, span.start) for core, span in zip(cores, wanted, strict=True))
                yield Piece(samples[:, *cut], {y: values[*cut] for y, values in layers.items()}, row, column)

    def check(self) -> Iterator[Tile]:
        """Each tile, once all its entries are decoded. Pixels are made only where residuals need them."""
        tiles = list(self._grid)
        view = View(1, list(range(self._header.planes)), self._contents.nodata, self._bounded)
        with self.entries.undisturbed(), self._workers(tiles, view) as workers:
            jobs = self._jobs(tiles, workers, view)
            for tile, _ in zip(tiles, workers.in_order(jobs) if view.bounded else jobs, strict=True):
                yield tile

    def _workers(self, tiles: list[Tile], view: View) -> Workers:
        h = self._header
        tile_bytes = h.samples * np.dtype(h.dtype).itemsize // view.scale**2
        return Workers(self._engine.device, len(tiles), tile_bytes, self._engine.work_bytes(h.samples // h.bands, view.bounded))

    def _requested(self, tiles: list[Tile], workers: Workers, view: View) -> Iterator[Tile]:
        """Each tile, once the latents it sees are under way, and those of tiles ahead, which keep the workers busy."""
        asked = 0
        for number, tile in enumerate(tiles):
            following = tiles[asked : number + 1 + workers.ahead]
            asked += len(following)
            if number:
                self.entries.forget(tile)
            else:
                self.entries.begin(tile, tiles[asked - 1])
            for neighbour in (n for later in following for n in self._seen(later, view)):
                for plane in view.planes:
                    self.entries.request(neighbour, plane, workers)
            yield tile

    def _jobs(self, tiles: list[Tile], workers: Workers, view: View) -> Iterator[Callable[[], tuple[Samples, Layers]]]:
        """Each tile's synthesis."""
        for tile in self._requested(tiles, workers, view):
            seen = self._seen(tile, view)
            left = self._losses.left
            latents = {plane: [left(n, partial(self.entries.latents, n, plane)) for n in seen] for plane in view.planes}
            layers = left(tile, partial(self.entries.layers, tile, self._bands(view)))
            residuals = left(tile, partial(self._residuals, tile, view))
            if layers is None or residuals is None or tile in self._losses:
                yield partial(self._blank, tile, view)
                continue
            if any(n in self._losses for n in seen):
                self._losses.note_beside(tile)
            yield partial(self._tile, tile, latents, layers, residuals, view)

    def _residuals(self, tile: Tile, view: View) -> dict[int, bytes]:
        return {k: self.entries.residual(tile, k) for k in view.planes} if view.bounded else {}

    def _neighbours(self, tile: Tile) -> list[Tile]:
        """The tiles whose latents a tile's synthesis sees, itself among them."""
        rows, columns = synthesis_span(tile.rows, self._header.height), synthesis_span(tile.columns, self._header.width)
        return self._grid.touching(*(Span(s.start * STRIDE, s.stop * STRIDE) for s in (rows, columns)))

    def _seen(self, tile: Tile, view: View) -> list[Tile]:
        """The tiles whose latents a tile's pixels are made from."""
        return [tile] if view.bounded or self._is_linear(view.scale) else self._neighbours(tile)

    def _is_linear(self, scale: int) -> bool:
        return scale >= LINEAR_FROM and self._engine.has_linear_path

    def _tile(
        self,
        tile: Tile,
        latents: dict[int, list[Integers | None]],
        found: Found,
        residuals: dict[int, bytes],
        view: View,
    ) -> tuple[Samples, Layers]:
        """The bands of some planes of a tile's core, and its layers, from the latents it sees."""
        h, scale = self._header, view.scale
        height, width = (shrink_span(core, scale).size for core in (tile.rows, tile.columns))
        samples = np.zeros((h.bands, height, width), h.dtype)
        hidden = masks.hidden_by(found, (tile.rows.size, tile.columns.size))
        own = self._seen(tile, view).index(tile)
        groups = self._contents.groups
        for plane, known in latents.items():
            y = known[own]
            if y is None:
                continue
            group, maps = groups[plane], self._contents.mapping.select(groups[plane])
            if view.bounded:
                try:
                    with naming(tile, f"residual {plane}"):
                        samples[group] = self._exactly(y, group, found, hidden, residuals[plane])
                except BadFileError as error:
                    self._losses.add(tile, error)
                    return self._blank(tile, view)
                continue
            if self._is_linear(scale):
                picture = planes.gather(self._engine.preview(y, h.log2_lambda, scale)[:, :height, :width], len(group))
            else:
                picture = planes.gather(self._picture(tile, known), len(group))
                picture = picture if scale == 1 else means(maps.clipped(picture), scale)
            samples[group] = maps.from_unit(picture)
        return self._masked(samples, found if scale == 1 else _smaller(found, scale), view)

    def _bands(self, view: View) -> set[int]:
        """Those of the planes that are looked at."""
        return {band for plane in view.planes for band in self._contents.groups[plane]}

    def _exactly(self, y: Integers, group: list[int], found: Found, hidden: Flags, entry: bytes) -> Samples:
        """The bands of a group with every error within the bound."""
        x = exact.picture(self._engine, y, self._header.log2_lambda, (len(group), *hidden.shape))
        lines, bounds = self._contents.mapping.lines, self._contents.bounds
        bands = [exact.Band(lines[b], bounds[b], masks.valid(found, b, hidden), self._contents.nodata[b]) for b in group]
        return exact.decode_residual(x, bands, entry, self._header.dtype)

    def _blank(self, tile: Tile, view: View) -> tuple[Samples, Layers]:
        """A tile that is lost: nodata if there is such a value, transparent, masked."""
        shape = tuple(shrink_span(core, view.scale).size for core in (tile.rows, tile.columns))
        samples = np.zeros((self._header.bands, *shape), self._header.dtype)
        for band in self._contents.order:
            samples[band] = view.nodata[band] or 0
        layers = [y for y in self._contents.layers if y.kind != "far"]
        layers.append(Layer("mask" if self._needs_mask(view.nodata) else "nodata", None))
        return samples, {layer: np.zeros(shape, np.uint8) for layer in layers}

    def _needs_mask(self, nodata: Nodata) -> bool:
        """Whether nothing but a mask of its own could say what is lost."""
        if not self._losses.are_allowed or any(y.kind in (*masks.MASK, *masks.ALPHA) for y in self._contents.layers):
            return False
        return any(nodata[band] is None for band in self._contents.order)

    def _picture(self, tile: Tile, latents: list[Integers | None]) -> NDArray[np.float32]:
        """The network's three channels over a tile's core."""
        h = self._header
        rows, columns = synthesis_span(tile.rows, h.height), synthesis_span(tile.columns, h.width)
        y = np.zeros((rows.size, columns.size, self._engine.latent), np.int32)
        for neighbour, known in zip(self._neighbours(tile), latents, strict=True):
            if known is not None:
                corner = neighbour.rows.start // STRIDE, neighbour.columns.start // STRIDE
                spans = [Span(a, a + n) for a, n in zip(corner, neighbour.latents, strict=True)]
                here = _cut(rows, spans[0]), _cut(columns, spans[1])
                y[here] = known[_cut(spans[0], rows), _cut(spans[1], columns)]
        x = self._engine.synthesise(y, h.log2_lambda)
        top, left = tile.rows.start - rows.start * STRIDE, tile.columns.start - columns.start * STRIDE
        return x[:, top : top + tile.rows.size, left : left + tile.columns.size]

    def _masked(self, samples: Samples, found: Found, view: View) -> tuple[Samples, Layers]:
        """Samples under their layers, and those layers that say something of all pixels."""
        masks.restore(samples, found, {band: view.nodata[band] for band in self._bands(view)})
        layers = {layer: values for layer, values in found.items() if not isinstance(values, Far)}
        if self._needs_mask(view.nodata):
            layers[Layer("mask", None)] = np.full(samples.shape[1:], 255, np.uint8)
        return samples, layers


def _smaller(found: Found, scale: int) -> Found:
    return {
        y: shrink_far(values, scale) if isinstance(values, Far) else shrink_layer(y.kind, values, scale)
        for y, values in found.items()
    }


def _cut(outer: Span, inner: Span) -> slice:
    """The part of `outer` that `inner` covers, counted from the start of `outer`."""
    return slice(max(inner.start - outer.start, 0), min(inner.stop, outer.stop) - outer.start)
