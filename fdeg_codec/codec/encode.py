"""A raster to a file, tile by tile."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from fdeg_codec.codec import planes
from fdeg_codec.codec.cuts import encode_tile, order_of, window_of
from fdeg_codec.codec.effort import DEFAULT_EFFORT
from fdeg_codec.codec.engine import Engine, load_engine
from fdeg_codec.codec.goal import DEFAULT_TILE, goal_of, lambda_within
from fdeg_codec.codec.target import Target
from fdeg_codec.codec.tiles import Grid
from fdeg_codec.codec.workers import Workers
from fdeg_codec.container.file import Writer
from fdeg_codec.container.header import MAX_SAMPLES, Header, fixed_point
from fdeg_codec.container.sections import Kind, Sections, pack_text
from fdeg_codec.devices import DeviceName, Precision
from fdeg_codec.errors import UnsupportedError, UsageError
from fdeg_codec.raster import bound, metadata, nodata
from fdeg_codec.raster.atomic import replacing, spare
from fdeg_codec.raster.sink import DRIVERS
from fdeg_codec.raster.source import Source
from fdeg_codec.weights import DEFAULT_MODEL

Progress = Callable[[int, int], None]


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
    met: bool  # false if the file came out smaller, or better, than a target allows

    def as_dict(self) -> dict[str, object]:
        return {k.rstrip("_"): v for k, v in asdict(self).items()}


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
    bands: int | Sequence[int] | None = None,
    max_error: float | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Compress a raster, or those of its `bands` (from 1) that are named, into an .fdg file.

    `quality`, 1 to 6, or `lambda_` say how well; or let them be found for a file of at most `bpp` bits per pixel or `size`
    bytes, and at most 1 % less, or of at least `psnr` decibels, and at most 0.1 more. With `max_error`, in the units of the
    samples, no sample is further off than that; 0 is lossless. The preview in it has the quality or lambda that is named,
    else what makes the file small.
    """
    target = Path(target)
    goal = goal_of(quality, lambda_, bpp, size, psnr, effort, tile, max_error)
    _check_target(source, target)
    begin, tile, effort = time.monotonic(), int(tile), int(effort)
    max_error = None if max_error is None else float(max_error)
    engine = load_engine(model, device, precision)
    with replacing(target, overwrite) as draft, Source(source, bands, max_error, tile) as raster:  # which looks at all samples
        if max_error is not None and quality is None and lambda_ is None:
            goal = lambda_within(raster, engine.model.lambdas)
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


def _check_target(source: Path | str, target: Path) -> None:
    """Refuse a target that is the raster itself, or has the name of one."""
    spare(source, target)
    if target.suffix.lower() in DRIVERS:
        raise UsageError(f"{target}: is the name of a raster; what is encoded goes into .fdg files")


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
    order = order_of(raster)
    try:
        sections = metadata.to_sections(raster.metadata)
    except UnsupportedError as error:
        raise UnsupportedError(f"{raster.path}: {error}") from error
    optional = {Kind.MAPPING: raster.mapping.pack(), Kind.ORDER: planes.pack(order)}
    if any(value is not None for value in raster.rules.nodata):
        optional[Kind.NODATA] = nodata.pack(raster.rules.nodata)
    if raster.layers:
        optional[Kind.LAYERS] = pack_text(raster.layers)
    if raster.max_error is not None:
        optional[Kind.BOUND] = bound.pack(raster.max_error, raster.bounds)
    sections |= {kind: data for kind, data in optional.items() if data}
    header = Header(
        fingerprint=engine.model.fingerprint,
        dtype=raster.dtype,
        bands=raster.bands,
        height=raster.height,
        width=raster.width,
        tile=tile,
        log2_lambda=log2_lambda,
        planes=len(planes.groups(order)),
        layers=len(raster.layers),
        bounded=raster.max_error is not None,
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
    groups = planes.groups(order_of(raster))
    encoder = partial(encode_tile, engine, header.log2_lambda, effort, groups, raster)
    jobs = (partial(encoder, raster.cut(window_of(tile))) for tile in grid)
    tile_bytes = header.samples * np.dtype(header.dtype).itemsize
    work_bytes = engine.work_bytes(header.samples // header.bands, header.bounded, effort > DEFAULT_EFFORT)
    with Workers(engine.device, total, tile_bytes, work_bytes) as workers:
        for done, entries in enumerate(workers.in_order(jobs), 1):
            for entry in entries:
                writer.add(entry)
            if progress:
                progress(done, total)
    writer.finish()
