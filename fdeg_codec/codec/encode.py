"""A raster to a file, tile by tile."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from fdeg_codec.codec import planes
from fdeg_codec.codec.effort import DEFAULT_EFFORT, PASSES, encode_picture
from fdeg_codec.codec.engine import Engine, load_engine
from fdeg_codec.codec.target import Target, Word
from fdeg_codec.codec.tiles import Grid, Tile, whole
from fdeg_codec.codec.workers import Workers
from fdeg_codec.container.file import Writer
from fdeg_codec.container.header import MAX_LAMBDA, MAX_SAMPLES, MAX_TILE, MIN_LAMBDA, TILE_UNIT, Header, fixed_point
from fdeg_codec.container.sections import Kind, Sections, pack_text
from fdeg_codec.devices import DeviceName, Precision
from fdeg_codec.errors import UsageError
from fdeg_codec.raster import masks, metadata
from fdeg_codec.raster.atomic import replacing
from fdeg_codec.raster.source import Source, reflected
from fdeg_codec.weights import DEFAULT_MODEL

Progress = Callable[[int, int], None]

DEFAULT_QUALITY = 4
DEFAULT_TILE = 512


@dataclass(frozen=True)
class Report:
    """What encoding gave."""

    source: str
    target: str
    model: str
    lambda_: float
    width: int
    height: int
    bands: int
    tiles: int
    bytes: int
    bpp: float  # bits per pixel, all bands together, all bytes counted
    seconds: float
    met: bool  # false if the file came out smaller, or better, than a target allows: no lambda makes use of it all

    def as_dict(self) -> dict[str, object]:
        return {k.rstrip("_"): v for k, v in asdict(self).items()}


def goal_of(
    quality: int | None = None,
    lambda_: float | None = None,
    bpp: float | None = None,
    size: int | None = None,
    psnr: float | None = None,
    effort: int = DEFAULT_EFFORT,
    tile: int = DEFAULT_TILE,
    **_: Any,
) -> float | Target:
    """The lambda, or the target, that the words of `encode` ask for, once they make sense."""
    if not 0 <= effort < len(PASSES):
        raise UsageError(f"--effort {effort}: efforts are 0 to {len(PASSES) - 1}")
    if tile % TILE_UNIT or not TILE_UNIT <= tile <= MAX_TILE:
        raise UsageError(f"--tile {tile}: a multiple of {TILE_UNIT} up to {MAX_TILE}")
    words: tuple[tuple[Word, float | None], ...] = (("bpp", bpp), ("size", size), ("psnr", psnr))
    given = [Target(word, value) for word, value in words if value is not None]
    if len(given) + (quality is not None) + (lambda_ is not None) > 1:
        raise UsageError("--quality, --lambda, --bpp, --size and --psnr exclude each other")
    return given[0].check() if given else lambda_of(quality, lambda_)


def lambda_of(quality: int | None, lambda_: float | None) -> float:
    """The lambda that a quality or a lambda asks for."""
    if lambda_ is None:
        wanted = DEFAULT_QUALITY if quality is None else quality
        if not 1 <= wanted <= 6:
            raise UsageError(f"--quality {wanted}: qualities are 1 to 6")
        return float(MIN_LAMBDA * 2 ** (wanted - 1))
    if not MIN_LAMBDA <= lambda_ <= MAX_LAMBDA:
        raise UsageError(f"--lambda {lambda_:g}: lambda lies between {MIN_LAMBDA} and {MAX_LAMBDA}")
    return float(lambda_)


def encode(
    source: Path | str,
    target: Path | str,
    *,
    model: str = DEFAULT_MODEL,
    quality: int | None = None,
    lambda_: float | None = None,
    bpp: float | None = None,
    size: int | None = None,
    psnr: float | None = None,
    effort: int = DEFAULT_EFFORT,
    device: DeviceName = "auto",
    precision: Precision = "auto",
    tile: int = DEFAULT_TILE,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Compress a raster into an .fdg file.

    `quality`, 1 to 6, or `lambda_` say how well; or let them be found for a file of at most `bpp` bits per pixel or `size`
    bytes, and at most 1 % less, or of at least `psnr` decibels, and at most 0.1 more.
    """
    source, target = Path(source), Path(target)
    goal = goal_of(quality, lambda_, bpp, size, psnr, effort, tile)
    begin = time.monotonic()
    with Source(source) as raster, replacing(target, overwrite) as draft:
        engine = load_engine(model, device, precision)
        if isinstance(goal, Target):
            from fdeg_codec.codec.aim import aim

            header, met = aim(goal, raster, engine, effort, tile, draft, progress)
        else:
            met, header = True, write_at(fixed_point(goal), raster, engine, effort, tile, draft, progress)
        written = draft.stat().st_size
    return Report(
        source=str(source),
        target=str(target),
        model=engine.model.name,
        lambda_=header.lambda_ if isinstance(goal, Target) else goal,
        width=header.width,
        height=header.height,
        bands=header.bands,
        tiles=header.tile_rows * header.tile_columns,
        bytes=written,
        bpp=8 * written / (header.width * header.height),
        seconds=time.monotonic() - begin,
        met=met,
    )


def write_at(
    log2_lambda: int, raster: Source, engine: Engine, effort: int, tile: int, draft: Path, progress: Progress | None
) -> Header:
    """The whole file, and its header."""
    header, sections = describe(raster, engine, log2_lambda, tile)
    with draft.open("wb") as stream:
        write(raster, engine, header, sections, effort, stream, progress)
    return header


def describe(raster: Source, engine: Engine, log2_lambda: int, tile: int) -> tuple[Header, Sections]:
    """Header and sections of the file that `raster` becomes."""
    low, high = engine.model.lambdas
    if not fixed_point(low) <= log2_lambda <= fixed_point(high):
        raise UsageError(f"--model {engine.model.name}: made for lambda {low:g} to {high:g}")
    ordered = planes.order(raster.coded, raster.metadata.colours)
    sections = metadata.to_sections(raster.metadata)
    optional = {Kind.MAPPING: raster.mapping.pack(), Kind.ORDER: planes.pack(ordered)}
    if raster.nodata is not None:
        optional[Kind.NODATA] = pack_text(raster.nodata)
    if raster.layers:
        optional[Kind.LAYERS] = pack_text(raster.layers)
    sections |= {kind: data for kind, data in optional.items() if data}
    header = Header(
        fingerprint=engine.model.fingerprint,
        dtype=raster.dtype,
        bands=raster.bands,
        height=raster.height,
        width=raster.width,
        tile=tile,
        log2_lambda=log2_lambda,
        planes=math.ceil(len(ordered) / 3),
        layers=len(raster.layers),
    )
    if header.samples > MAX_SAMPLES:
        raise UsageError(f"--tile {tile}: a tile of {raster.bands} bands is too large for a decoder's memory; make it smaller")
    return header, sections


def write(
    raster: Source,
    engine: Engine,
    header: Header,
    sections: Sections,
    effort: int,
    stream: BinaryIO,
    progress: Progress | None,
) -> None:
    """All bytes of the file."""
    writer = Writer(stream, header, sections)
    grid = Grid(header.height, header.width, header.tile)
    total = grid.down * grid.across
    groups = groups_of(raster)
    jobs = (partial(encode_tile, engine, header.log2_lambda, effort, groups, read_tile(raster, header, tile)) for tile in grid)
    with Workers(engine.device, total) as workers:
        for done, entries in enumerate(workers.in_order(jobs), 1):
            for entry in entries:
                writer.add(entry)
            if progress:
                progress(done, total)
    writer.finish()


def groups_of(raster: Source) -> list[list[int]]:
    """The positions in `raster.coded` of the bands of each plane."""
    return planes.groups([raster.coded.index(b) for b in planes.order(raster.coded, raster.metadata.colours)])


class Material(NamedTuple):
    """What a tile is encoded from."""

    unit: NDArray[np.float32] | None  # the coded bands in [0, 1]; None if nothing in the tile is valid
    layers: list[masks.Layer8]


def read_tile(raster: Source, header: Header, tile: Tile) -> Material:
    """Read a tile."""
    rows, columns = reflected(*whole(tile.rows), header.height), reflected(*whole(tile.columns), header.width)
    window = Window(tile.columns.start, tile.rows.start, tile.columns.size, tile.rows.size)
    layers = [raster.exact(layer, window) for layer in raster.layers]
    empty = {layer.band for layer, values in zip(raster.layers, layers, strict=True) if not values.any()}
    hidden = None in empty or empty.issuperset(raster.coded)
    return Material(None if hidden else raster.unit(rows, columns), layers)


def encode_tile(engine: Engine, log2_lambda: int, effort: int, groups: list[list[int]], material: Material) -> list[bytes]:
    """The entries of a tile: its planes, then its layers."""
    entries = []
    for group in groups:
        if material.unit is None:
            entries.append(b"")
            continue
        entries.append(encode_picture(engine, planes.spread(material.unit[group]), log2_lambda, effort))
    return entries + [masks.pack_layer(values) for values in material.layers]
