"""A raster as the bytes of a file, at a lambda that is known."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from fdeg_codec.choices import DEFAULT_EFFORT
from fdeg_codec.codec import planes
from fdeg_codec.codec.cuts import encode_tile, groups_of, order_of, window_of
from fdeg_codec.codec.engine import Engine
from fdeg_codec.codec.progress import Progress
from fdeg_codec.codec.tiles import Grid
from fdeg_codec.codec.workers import Workers
from fdeg_codec.container.file import Writer
from fdeg_codec.container.header import MAX_SAMPLES, Header, fixed_point
from fdeg_codec.container.sections import Kind, Sections, pack_text
from fdeg_codec.errors import UnsupportedError, UsageError
from fdeg_codec.raster import bound, metadata, nodata
from fdeg_codec.raster.source import Source


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
    encoder = partial(encode_tile, engine, header.log2_lambda, effort, groups_of(raster), raster)
    jobs = (partial(encoder, raster.cut(window_of(tile))) for tile in Grid.of(header))
    tile_bytes = header.samples * np.dtype(header.dtype).itemsize
    work_bytes = engine.work_bytes(header.samples // header.bands, header.bounded, effort > DEFAULT_EFFORT)
    with Workers(engine.device, header.tiles, tile_bytes, work_bytes) as workers:
        for done, entries in enumerate(workers.in_order(jobs), 1):
            for entry in entries:
                writer.add(entry)
            if progress:
                progress(done, header.tiles)
    writer.finish()
