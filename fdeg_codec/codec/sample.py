"""A few tiles of a scene, analysed once: what all of it would cost, or how it would look, at any lambda."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np
from torch import Tensor

from fdeg_codec.codec import planes
from fdeg_codec.codec.cuts import groups_of, layers_of, picture_of, window_of
from fdeg_codec.codec.engine import Engine
from fdeg_codec.codec.tile import encode_plane
from fdeg_codec.codec.tiles import Tile
from fdeg_codec.codec.workers import Workers
from fdeg_codec.container.file import stored_length
from fdeg_codec.entropy.rounding import NEAREST, THRIFTY
from fdeg_codec.ndtypes import Integers, Samples
from fdeg_codec.psnr import Errors
from fdeg_codec.raster import masks
from fdeg_codec.raster.source import Source
from fdeg_codec.raster.validity import Cut

PLANES = 48  # analysed at most, 1.3 MB each at 512 pixels; two tiles in any case

T = TypeVar("T")


class Tested(NamedTuple):
    """A tile as every lambda sees it."""

    tile: Tile
    latents: list[Tensor]  # y of each plane in natural units; none where nothing is valid
    layers: int  # bytes


class Sample:
    """Tiles spread over a scene; `framing` is what its file has besides their entries, in bytes.

    What an effort beyond 1 gains is not counted: it is nearly the same for all tiles, and so is put right with the rest.
    """

    def __init__(self, raster: Source, engine: Engine, tiles: list[Tile], effort: int, framing: int) -> None:
        """Analyses some of all `tiles`."""
        self._raster, self._engine, self._framing = raster, engine, framing
        self._rounding = THRIFTY if effort else NEAREST
        self._groups = groups_of(raster)
        count = min(len(tiles), max(2, PLANES // len(self._groups)))
        chosen = [tiles[round(k)] for k in np.linspace(0, len(tiles) - 1, count)]
        self._share = sum(map(_pixels, tiles)) / sum(map(_pixels, chosen))
        self._most = max(map(_pixels, chosen))
        # Cut in this thread: a raster is read by one at a time.
        jobs = (partial(self._analysed, tile, self._raster.cut(window_of(tile))) for tile in chosen)
        self._tested = self._side_by_side(jobs, count)

    def size(self, rate: int) -> float:
        """The logarithm of the whole file's bytes."""
        jobs = (partial(self._bytes, tested, rate) for tested in self._tested)
        return math.log(self._framing + self._share * sum(self._side_by_side(jobs, len(self._tested))))

    def psnr(self, rate: int) -> float:
        """Of the tiles, each synthesised alone."""
        errors = Errors(self._raster.dtype)
        jobs = (partial(self._decoded, tested, rate) for tested in self._tested)
        for tested, samples in zip(self._tested, self._side_by_side(jobs, len(self._tested)), strict=True):
            truth, valid = self._raster.truth(window_of(tested.tile))
            errors.add(truth[self._raster.coded], samples, valid[self._raster.coded])
        return errors.psnr

    def _side_by_side(self, jobs: Iterable[Callable[[], T]], count: int) -> list[T]:
        tile_bytes = self._most * self._raster.bands * np.dtype(self._raster.dtype).itemsize
        with Workers(self._engine.device, count, tile_bytes, self._engine.work_bytes(self._most, exactly=False)) as workers:
            return list(workers.in_order(jobs))

    def _analysed(self, tile: Tile, cut: Cut) -> Tested:
        layers = layers_of(self._raster, cut)
        groups = [] if masks.is_hidden(layers, self._raster.coded) else self._groups
        latents = [self._engine.analyse(picture_of(self._raster, cut, group)) for group in groups]
        return Tested(tile, latents, sum(stored_length(len(entry)) for entry in layers.values()))

    def _bytes(self, tested: Tested, rate: int) -> int:
        return tested.layers + sum(self._coded(y, rate)[0] for y in tested.latents)

    def _coded(self, y: Tensor, rate: int) -> tuple[int, Integers]:
        """The bytes of a plane, and its latents."""
        entry, rounded = encode_plane(self._engine.predictor(rate), *self._engine.scale(y, rate), self._rounding)
        return stored_length(len(entry)), rounded

    def _decoded(self, tested: Tested, rate: int) -> Samples:
        """The coded bands of a tile, nothing masked."""
        height, width = tested.tile.rows.size, tested.tile.columns.size
        samples = np.zeros((len(self._raster.coded), height, width), self._raster.dtype)
        for group, y in zip(self._groups, tested.latents, strict=bool(tested.latents)):
            x = self._engine.synthesise(self._coded(y, rate)[1], rate)[:, :height, :width]
            places = [self._raster.coded.index(band) for band in group]
            samples[places] = self._raster.mapping.select(group).from_unit(planes.gather(x, len(group)))
        return samples


def _pixels(tile: Tile) -> int:
    return tile.rows.size * tile.columns.size
