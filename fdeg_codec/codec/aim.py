"""Encoding to a target: the search, on a scene and its draft."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from rasterio.windows import Window

from fdeg_codec.codec.decode import Decoder
from fdeg_codec.codec.engine import Engine
from fdeg_codec.codec.progress import Progress
from fdeg_codec.codec.sample import Sample
from fdeg_codec.codec.target import OutOfReachError, Target, search
from fdeg_codec.codec.tiles import Grid, Span
from fdeg_codec.codec.write import describe, write_at
from fdeg_codec.container.file import Reader, framing_of
from fdeg_codec.container.header import Header, fixed_point
from fdeg_codec.errors import FdegError
from fdeg_codec.psnr import Errors
from fdeg_codec.raster.source import Source
from fdeg_codec.raster.validity import sane


def aim(
    target: Target, raster: Source, engine: Engine, effort: int, tile: int, draft: Path, progress: Progress | None
) -> tuple[Header, bool]:
    """Write `draft` as `target` wants it; returns its header, and whether it makes use of all that is allowed."""
    header, sections = describe(raster, engine, fixed_point(engine.model.lambdas[0]), tile)
    sample = Sample(raster, engine, list(Grid.of(header)), effort, framing_of(header, sections))

    def encode(rate: int) -> float:
        write_at(rate, raster, engine, effort, tile, draft, progress)
        return decibels(raster, engine, draft) if target.word == "psnr" else math.log(draft.stat().st_size)

    try:
        estimate = sample.psnr if target.word == "psnr" else sample.size
        rate, met = search(target, header.height * header.width, estimate, encode, engine.model.lambdas)
    except OutOfReachError as error:
        raise FdegError(f"{raster.path}: {error}") from error
    return replace(header, log2_lambda=rate), met


def decibels(raster: Source, engine: Engine, file: Path) -> float:
    """The PSNR of a file's samples, all bands together, of those that `fdeg compare` counts, in the units of the raster."""
    errors = Errors(raster.dtype)
    with file.open("rb") as stream:
        for piece in Decoder(Reader(stream), engine).pieces(Span(0, raster.height), Span(0, raster.width)):
            window = Window(piece.column, piece.row, piece.samples.shape[2], piece.samples.shape[1])
            truth = raster.cut(window).samples[raster.coded]
            errors.add(truth, piece.samples[raster.coded], piece.valid(raster.coded) & sane(truth))
    return errors.psnr
