"""A raster to a file, tile by tile."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from fdeg_codec.codec import exact, planes
from fdeg_codec.codec.effort import DEFAULT_EFFORT, PASSES, encode_picture
from fdeg_codec.codec.engine import Engine, load_engine
from fdeg_codec.codec.exact import encode_residual
from fdeg_codec.codec.target import Target, Word
from fdeg_codec.codec.tiles import Grid, Tile, latents
from fdeg_codec.codec.workers import Workers
from fdeg_codec.container.file import Writer
from fdeg_codec.container.header import MAX_LAMBDA, MAX_SAMPLES, MAX_TILE, MIN_LAMBDA, TILE_UNIT, Header, fixed_point
from fdeg_codec.container.sections import Kind, Sections, pack_text
from fdeg_codec.devices import DeviceName, Precision
from fdeg_codec.errors import UsageError
from fdeg_codec.networks.fdegcnet import STRIDE
from fdeg_codec.raster import bound, masks, metadata, nodata
from fdeg_codec.raster.atomic import replacing
from fdeg_codec.raster.mapping import Mapping
from fdeg_codec.raster.masks import Layer
from fdeg_codec.raster.source import Source, reflected
from fdeg_codec.raster.validity import Cut
from fdeg_codec.weights import DEFAULT_MODEL, Model

Progress = Callable[[int, int], None]

LAMBDAS = tuple(MIN_LAMBDA * 2.0**k for k in range(6))  # of the qualities, 1 to 6
DEFAULT_QUALITY = 4
DEFAULT_TILE = 512
FINE_BOUND, COARSE_BOUND = 1 / 256, 1 / 32  # of a band's span


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
    max_error: float | None = None,
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
    if max_error is not None and not 0 <= max_error < math.inf:
        raise UsageError(f"--max-error {max_error:g}: a number from 0")
    if max_error is not None and given:
        raise UsageError(f"--max-error and --{given[0].word} exclude each other")
    return given[0].check() if given else lambda_of(quality, lambda_)


def lambda_of(quality: int | None, lambda_: float | None) -> float:
    """The lambda that a quality or a lambda asks for."""
    if lambda_ is None:
        wanted = DEFAULT_QUALITY if quality is None else quality
        if not 1 <= wanted <= len(LAMBDAS):
            raise UsageError(f"--quality {wanted}: qualities are 1 to {len(LAMBDAS)}")
        return LAMBDAS[wanted - 1]
    if not MIN_LAMBDA <= lambda_ <= MAX_LAMBDA:
        raise UsageError(f"--lambda {lambda_:g}: lambda lies between {MIN_LAMBDA} and {MAX_LAMBDA}")
    return float(lambda_)


def presets(model: Model) -> tuple[float, ...]:
    """The lambdas of the qualities that a model was made for, or its lowest if it was made for none of them."""
    low, high = model.lambdas
    return tuple(value for value in LAMBDAS if low <= value <= high) or (low,)


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
    bands: Sequence[int] | None = None,
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
    source, target = Path(source), Path(target)
    goal = goal_of(quality, lambda_, bpp, size, psnr, effort, tile, max_error)
    begin = time.monotonic()
    engine = load_engine(model, device, precision)
    with replacing(target, overwrite) as draft, Source(source, bands, max_error) as raster:  # which looks at all samples
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


def lambda_within(raster: Source, lambdas: tuple[float, float]) -> float:
    """Which of a model's lambdas makes files with a bound small.

    Measured on aerial, Sentinel-2 and Landsat scenes, for E over a band's span. The finer the bound, the more of the file is
    noise that no network predicts, and the less lambda matters.
    """
    shares = [(raster.max_error or 0) / raster.mapping.lines[b].span for b in raster.coded]
    share = sorted(shares)[len(shares) // 2]
    wanted = 1024.0 if share < FINE_BOUND else min(2048 * (COARSE_BOUND / share) ** 2, 2048.0)
    low, high = lambdas
    return min(max(wanted, low), high)


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
    ordered = planes.order(raster.coded, raster.metadata.colours, raster.likeness)
    sections = metadata.to_sections(raster.metadata)
    optional = {Kind.MAPPING: raster.mapping.pack(), Kind.ORDER: planes.pack(ordered)}
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
        planes=math.ceil(len(ordered) / 3),
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
    groups = groups_of(raster)
    encoder = partial(encode_tile, engine, header.log2_lambda, effort, groups, raster)
    jobs = (partial(encoder, raster.cut(window_of(tile))) for tile in grid)
    with Workers(engine.device, total, header.samples * np.dtype(header.dtype).itemsize) as workers:
        for done, entries in enumerate(workers.in_order(jobs), 1):
            for entry in entries:
                writer.add(entry)
            if progress:
                progress(done, total)
    writer.finish()


def groups_of(raster: Source) -> list[list[int]]:
    """The bands of each plane."""
    return planes.groups(planes.order(raster.coded, raster.metadata.colours, raster.likeness))


def window_of(tile: Tile) -> Window:
    return Window(tile.columns.start, tile.rows.start, tile.columns.size, tile.rows.size)


def encode_tile(
    engine: Engine, log2_lambda: int, effort: int, groups: list[list[int]], raster: Source, cut: Cut
) -> list[bytes]:
    """The entries of a tile: its planes, then its layers, then, if errors are bounded, the residuals of its planes."""
    layers = [pack_layer(cut, layer) for layer in raster.layers]
    if masks.is_hidden(dict(zip(raster.layers, layers, strict=True)), raster.coded):
        return [b""] * len(groups) + layers + [b""] * len(groups) * bool(raster.bounds)
    entries, residuals = [], []
    for group in groups:
        entry, y = encode_picture(engine, planes.spread(unit_of(raster, cut, group)), log2_lambda, effort)
        entries.append(entry)
        if raster.max_error is not None:
            x = exact.picture(engine, y, log2_lambda, (len(group), *cut.samples.shape[1:]))
            residuals.append(encode_residual(x, known(raster, cut, group), cut.samples[group], raster.max_error))
    return entries + layers + residuals


def unit_of(raster: Source, cut: Cut, group: list[int]) -> NDArray[np.float32]:
    """What analysis sees of some bands of a tile."""
    return extended(raster.mapping.select(group).to_unit(np.stack([fill(cut, band, raster.mapping) for band in group])))


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
    down, across = (reflected(0, latents(n) * STRIDE, n) for n in unit.shape[1:])
    return unit[:, down[:, None], across]
