"""The entries of a file, tile by tile: latents, layers and residuals."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fdeg_codec.codec.contents import Contents
from fdeg_codec.codec.engine import Engine
from fdeg_codec.codec.tile import decode_plane
from fdeg_codec.codec.tiles import Tile
from fdeg_codec.codec.workers import Workers, failed, finished
from fdeg_codec.container.file import Reader
from fdeg_codec.errors import BadFileError
from fdeg_codec.ndtypes import Integers
from fdeg_codec.raster import masks
from fdeg_codec.raster.masks import Far, Found, Layer, Layer8


class Entries:
    """Reads and decodes entries. Latents are kept while neighbouring tiles may still ask for them."""

    def __init__(self, reader: Reader, contents: Contents, engine: Engine) -> None:
        self._reader = reader
        self._header = reader.header
        self._contents = contents
        self._engine = engine
        self._known: OrderedDict[tuple[int, int], Future[Integers | None]] = OrderedDict()  # about in their order
        self._hidden: OrderedDict[int, bool] = OrderedDict()  # by tile

    def latents(self, tile: Tile, plane: int) -> Integers | None:
        """y of a tile, or None where nothing in it is valid."""
        self.request(tile, plane, None)
        return self._known[tile.number, plane].result()

    def request(self, tile: Tile, plane: int, workers: Workers | None) -> None:
        """Have a tile's latents decoded, by `workers` or at once."""
        key = tile.number, plane
        if key not in self._known:
            try:
                with naming(tile, f"plane {plane}"):
                    entry = self._reader.entry(*key)
                    empty = not entry and self._is_hidden(tile)
                job = partial(self._decode, tile, plane, None if empty else entry)
                self._known[key] = workers.submit(job) if workers else finished(job())
            except BadFileError as error:
                self._known[key] = failed(error)

    def begin(self, first: Tile, last: Tile) -> None:
        """Of an earlier window, keep the latents that tiles from one to another see, with which the next one begins."""
        reach = self._header.tile_columns + 1
        seen = range(first.number - reach, last.number + reach + 1)
        self._known = OrderedDict((key, self._known[key]) for key in sorted(self._known) if key[0] in seen)
        self._hidden.clear()

    def forget(self, tile: Tile) -> None:
        """Drop latents that no tile from this one on sees: those above."""
        while self._known and next(iter(self._known))[0] < tile.number - self._header.tile_columns - 1:
            self._known.popitem(last=False)
        while self._hidden and next(iter(self._hidden)) < tile.number:
            self._hidden.popitem(last=False)

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Forget all latents of a window that was broken off: some were cancelled, some failed."""
        try:
            yield
        except BaseException:
            self._known.clear()
            raise

    def layers(self, tile: Tile, bands: set[int]) -> Found:
        """The layers over a tile's core that say something of some bands, and alpha."""
        layers = enumerate(self._contents.layers)
        wanted = {y: k for k, y in layers if y.band is None or y.band in bands or y.kind in masks.ALPHA}
        return {layer: self._layer(tile, layer, k) for layer, k in wanted.items()}

    def _layer(self, tile: Tile, layer: Layer, k: int) -> Layer8 | Far:
        with naming(tile, f"layer {k}"):
            entry, shape = self._reader.entry(tile.number, self._header.planes + k), (tile.rows.size, tile.columns.size)
            if layer.kind == "far":
                return masks.unpack_far(entry, *shape, self._header.dtype)
            return masks.unpack_layer(entry, *shape)

    def residual(self, tile: Tile, plane: int) -> bytes:
        """The coded residuals of a plane; none where nothing in a tile is valid."""
        with naming(tile, f"residual {plane}"):
            entry = self._reader.entry(tile.number, self._header.planes + self._header.layers + plane)
            if bool(entry) == (self.latents(tile, plane) is None):
                raise BadFileError("it is empty, or is not, unlike its plane")
            return entry

    def _decode(self, tile: Tile, plane: int, entry: bytes | None) -> Integers | None:
        if entry is None:
            return None
        with naming(tile, f"plane {plane}"):
            y = decode_plane(self._engine.predictor(self._header.log2_lambda), entry, *tile.latents)
            small: NDArray[Any] = y.astype(np.int8)  # as nearly all of them are, and rows of tiles are kept
            return small if np.array_equal(small, y) else y

    def _is_hidden(self, tile: Tile) -> bool:
        """Whether a tile's layers say that nothing in it is valid."""
        if tile.number not in self._hidden:
            entries = [self._reader.entry(tile.number, self._header.planes + k) for k in range(self._header.layers)]
            found = dict(zip(self._contents.layers, entries, strict=True))
            self._hidden[tile.number] = masks.is_hidden(found, self._contents.order)
        return self._hidden[tile.number]


@contextmanager
def naming(tile: Tile, what: str) -> Iterator[None]:
    """Say where in the picture the damage is."""
    try:
        yield
    except BadFileError as error:
        rows, columns = (f"{s.start} to {s.stop - 1}" for s in (tile.rows, tile.columns))
        raise BadFileError(f"tile {tile.number} (rows {rows}, columns {columns}), {what}: {error}") from error
