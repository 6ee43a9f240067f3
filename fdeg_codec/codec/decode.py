"""A file to pixels: any window of it, reading only the tiles that it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fdeg_codec.codec import planes
from fdeg_codec.codec.damage import Damage, Loss
from fdeg_codec.codec.engine import Engine
from fdeg_codec.codec.smaller import LINEAR_FROM, means, shrink_layer, shrink_span
from fdeg_codec.codec.tile import decode_plane
from fdeg_codec.codec.tiles import Grid, Span, Tile, synthesis_span
from fdeg_codec.codec.workers import Workers, failed, finished
from fdeg_codec.container.file import Reader
from fdeg_codec.container.sections import Kind, unpack_text
from fdeg_codec.errors import BadFileError
from fdeg_codec.networks.fdegcnet import STRIDE
from fdeg_codec.raster import mapping, masks
from fdeg_codec.raster.masks import Layer, Layer8

Integers = NDArray[np.int32]
Samples = NDArray[Any]
Layers = dict[Layer, Layer8]


class View(NamedTuple):
    """How a window is looked at."""

    scale: int
    planes: list[int]


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
        return self.layers.get(Layer("mask", None))

    def valid(self, band: int) -> NDArray[np.bool_]:
        """Which pixels of a band are neither nodata nor masked nor wholly transparent."""
        valid = np.ones(self.samples.shape[1:], bool)
        if Layer("alpha", band) not in self.layers:
            for layer, values in self.layers.items():
                if layer.kind != "nodata" or layer.band in (None, band):
                    valid &= values > 0
        return valid


class Decoder:
    """Decodes tiles of an open file. Latents are kept while neighbouring tiles may still ask for them.

    With `damage` to note it in, a tile that cannot be decoded becomes nodata; without, it is an error.
    """

    def __init__(self, reader: Reader, engine: Engine, damage: Damage | None = None) -> None:
        self._reader = reader
        self._damage = damage
        self._broken: dict[int, BadFileError] = {}  # by tile
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
        self._known: dict[tuple[int, int], Future[Integers | None]] = {}

    def pieces(self, rows: Span, columns: Span, scale: int = 1, bands: list[int] | None = None) -> Iterator[Piece]:
        """The tiles that a window touches, in rows, cut to it, and shrunk `scale` times; `bands` are all that matter."""
        groups = enumerate(planes.groups(self._order))
        view = View(scale, [k for k, group in groups if bands is None or not set(group).isdisjoint(bands)])
        tiles = self._grid.touching(rows, columns)
        wanted = [shrink_span(span, scale) for span in (rows, columns)]
        with self._undisturbed(), Workers(self._engine.device, len(tiles)) as workers:
            for tile, (samples, layers) in zip(tiles, workers.in_order(self._jobs(tiles, workers, view)), strict=True):
                cores = [shrink_span(core, scale) for core in (tile.rows, tile.columns)]
                cut = [_cut(core, span) for core, span in zip(cores, wanted, strict=True)]
                row, column = (max(core.start, span.start) for core, span in zip(cores, wanted, strict=True))
                yield Piece(samples[:, *cut], {y: values[*cut] for y, values in layers.items()}, row, column)

    @contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """Forget all latents of a window that was broken off: some were cancelled, some failed."""
        try:
            yield
        except BaseException:
            self._known.clear()
            raise

    def _jobs(self, tiles: list[Tile], workers: Workers, view: View) -> Iterator[Callable[[], tuple[Samples, Layers]]]:
        """Each tile's synthesis, once the latents it sees are under way: those of a tile ahead keep the workers busy."""
        for tile, following in zip(tiles, [*tiles[1:], tiles[-1]], strict=True):
            self.forget(tile)
            for known in (tile, following):
                for neighbour in self._seen(known, view.scale):
                    for plane in view.planes:
                        self._request(neighbour, plane, workers)
            latents = {plane: [self._left_of(n, plane) for n in self._seen(tile, view.scale)] for plane in view.planes}
            layers = self._layers_left(tile)
            if self._is_lost(tile, view.scale):
                yield partial(self._blank, tile, view.scale)
            else:
                yield partial(self._tile, tile, latents, layers, view.scale)

    def latents(self, tile: Tile, plane: int) -> Integers | None:
        """y of a tile, or None where nothing in it is valid."""
        self._request(tile, plane, None)
        return self._known[tile.number, plane].result()

    def _left_of(self, tile: Tile, plane: int) -> Integers | None:
        """y of a tile, or None where that is lost and loss is only noted."""
        try:
            return self.latents(tile, plane)
        except BadFileError as error:
            self._note(tile, error)
            return None

    def _layers_left(self, tile: Tile) -> list[Layer8]:
        try:
            return [self.layer(tile, k) for k in range(self.header.layers)]
        except BadFileError as error:
            self._note(tile, error)
            return []

    def _note(self, tile: Tile, error: BadFileError) -> None:
        if self._damage is None:
            raise error
        self._broken.setdefault(tile.number, error)

    def _is_lost(self, tile: Tile, scale: int) -> bool:
        """Whether a tile of the window is lost; if not, it may still lie beside one that is."""
        if self._damage is None:
            return False
        if tile.number in self._broken:
            known = {loss.tile for loss in self._damage.lost}
            loss = Loss(tile.number, tile.rows, tile.columns, str(self._broken[tile.number]))
            self._damage.lost += [] if tile.number in known else [loss]
        elif tile.number not in self._damage.beside and any(n.number in self._broken for n in self._seen(tile, scale)):
            self._damage.beside.append(tile.number)
        return tile.number in self._broken

    def _request(self, tile: Tile, plane: int, workers: Workers | None) -> None:
        """Have a tile's latents decoded, by `workers` or at once."""
        key = tile.number, plane
        if key not in self._known:
            try:
                with _naming(tile, f"plane {plane}"):
                    entry = self._reader.entry(*key)
                    empty = not entry and self._is_hidden(tile)
                job = partial(self._decode, tile, plane, None if empty else entry)
                self._known[key] = workers.submit(job) if workers else finished(job())
            except BadFileError as error:
                self._known[key] = failed(error)

    def _decode(self, tile: Tile, plane: int, entry: bytes | None) -> Integers | None:
        if entry is None:
            return None
        with _naming(tile, f"plane {plane}"):
            return decode_plane(self._engine.predictor(self.header.log2_lambda), entry, *tile.latents)

    def _is_hidden(self, tile: Tile) -> bool:
        """Whether a tile's layers say that nothing in it is valid."""
        entries = [self._reader.entry(tile.number, self.header.planes + k) for k in range(self.header.layers)]
        empty = {layer.band for layer, entry in zip(self.layers, entries, strict=True) if entry == masks.EMPTY}
        return None in empty or empty.issuperset(self._order)

    def _neighbours(self, tile: Tile) -> list[Tile]:
        """The tiles whose latents a tile's synthesis sees, itself among them."""
        rows, columns = synthesis_span(tile.rows, self.header.height), synthesis_span(tile.columns, self.header.width)
        return self._grid.touching(*(Span(s.start * STRIDE, s.stop * STRIDE) for s in (rows, columns)))

    def _seen(self, tile: Tile, scale: int) -> list[Tile]:
        """The tiles whose latents a tile's pixels at a scale are made from."""
        return [tile] if self._is_linear(scale) else self._neighbours(tile)

    def _is_linear(self, scale: int) -> bool:
        return scale >= LINEAR_FROM and self._engine.has_linear_path

    def layer(self, tile: Tile, k: int) -> Layer8:
        with _naming(tile, f"layer {k}"):
            entry = self._reader.entry(tile.number, self.header.planes + k)
            return masks.unpack_layer(entry, tile.rows.size, tile.columns.size)

    def forget(self, tile: Tile) -> None:
        """Drop latents that neither `tile` nor the next one sees: those above, and those below that an earlier window left."""
        reach = self._grid.across + 1
        for key in [k for k in self._known if not -reach <= k[0] - tile.number <= reach + 1]:
            del self._known[key]

    def _tile(
        self, tile: Tile, latents: dict[int, list[Integers | None]], layers: list[Layer8], scale: int
    ) -> tuple[Samples, Layers]:
        """The bands of some planes of a tile's core, and its layers, from the latents it sees."""
        h = self.header
        height, width = (shrink_span(core, scale).size for core in (tile.rows, tile.columns))
        samples = np.zeros((h.bands, height, width), h.dtype)
        own = self._seen(tile, scale).index(tile)
        groups = planes.groups(self._order)
        for plane, known in latents.items():
            y = known[own]
            if y is None:
                continue
            group = groups[plane]
            if self._is_linear(scale):
                picture = planes.gather(self._engine.preview(y, h.log2_lambda, scale)[:, :height, :width], len(group))
            else:
                picture = means(planes.gather(self._picture(tile, known), len(group)), scale)
            samples[group] = self._mapping.select(group).from_unit(picture)
        smaller = {y: shrink_layer(y.kind, values, scale) for y, values in zip(self.layers, layers, strict=True)}
        return self._masked(samples, smaller)

    def _blank(self, tile: Tile, scale: int) -> tuple[Samples, Layers]:
        """A tile that is lost: nodata if there is such a value, transparent, masked."""
        shape = tuple(shrink_span(core, scale).size for core in (tile.rows, tile.columns))
        samples = np.zeros((self.header.bands, *shape), self.header.dtype)
        if self.nodata is not None:
            samples[self._order] = self.nodata
        layers = [*self.layers, Layer("mask", None)] if self._has_mask() else self.layers
        return samples, {layer: np.zeros(shape, np.uint8) for layer in layers}

    def _has_mask(self) -> bool:
        """Whether a mask comes with the samples: the file's, or one of what is lost where nothing else can say so."""
        kinds = {layer.kind for layer in self.layers}
        return "mask" in kinds or (self._damage is not None and self.nodata is None and "alpha" not in kinds)

    def _picture(self, tile: Tile, latents: list[Integers | None]) -> NDArray[np.float32]:
        """The network's three channels over a tile's core."""
        h = self.header
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

    def _masked(self, samples: Samples, found: Layers) -> tuple[Samples, Layers]:
        """Alpha and nodata as they were, then the mask, below which all coded bands are 0."""
        for layer, values in found.items():
            if layer.kind == "alpha":
                samples[layer.band] = values if samples.dtype == np.uint8 else values.astype(samples.dtype) * 257
        if self.nodata is not None:
            everything = np.full(samples.shape[1:], 255, np.uint8)
            for band in self._order:
                valid = found.get(Layer("nodata", None), found.get(Layer("nodata", band), everything))
                samples[band] = masks.avoid(samples[band], self.nodata, valid > 0)
        mask = found.get(Layer("mask", None))
        if mask is not None:
            samples[np.ix_(self._order)] *= (mask > 0).astype(samples.dtype)
        elif self._has_mask():
            found[Layer("mask", None)] = np.full(samples.shape[1:], 255, np.uint8)
        return samples, found


def nodata_of(reader: Reader) -> float | None:
    data = reader.sections.get(Kind.NODATA)
    if data is None:
        return None
    try:
        value = unpack_text(data)
        info = np.iinfo(reader.header.dtype)
        if type(value) not in (int, float) or not info.min <= value <= info.max or value != int(value):
            raise BadFileError("its nodata value cannot be one")
    except OverflowError as error:
        raise BadFileError("its nodata value cannot be one") from error
    return float(value)


def _layers(reader: Reader) -> list[Layer]:
    """The layers of a file, each of which must make sense."""
    data = reader.sections.get(Kind.LAYERS)
    try:
        layers = [Layer(kind, band) for kind, band in unpack_text(data)] if data else []
    except (TypeError, ValueError) as error:
        raise BadFileError("its layers cannot be read") from error
    bands = range(reader.header.bands)
    allowed = {Layer("mask", None)} | {Layer("alpha", b) for b in bands}
    if Kind.NODATA in reader.sections:
        allowed |= {Layer("nodata", b) for b in [None, *bands]}
    together = Layer("nodata", None) in layers
    for layer in layers:  # what speaks for a band that has its say already
        if layer.kind == "nodata" and layer.band is not None:
            allowed -= {layer} if together or Layer("alpha", layer.band) in layers else set()
    plain = all(isinstance(y.kind, str) and type(y.band) in (int, type(None)) for y in layers)
    if not plain or not allowed.issuperset(layers) or len({*layers}) != len(layers) or len(layers) != reader.header.layers:
        raise BadFileError("its layers do not fit its header")
    return layers


@contextmanager
def _naming(tile: Tile, what: str) -> Iterator[None]:
    """Say where in the picture the damage is."""
    try:
        yield
    except BadFileError as error:
        rows, columns = (f"{s.start} to {s.stop - 1}" for s in (tile.rows, tile.columns))
        raise BadFileError(f"tile {tile.number} (rows {rows}, columns {columns}), {what}: {error}") from error


def _cut(outer: Span, inner: Span) -> slice:
    """The part of `outer` that `inner` covers, counted from the start of `outer`."""
    return slice(max(inner.start - outer.start, 0), min(inner.stop, outer.stop) - outer.start)
