"""A raster to a file: at a quality, a lambda, or where a target is met."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from fdeg_codec.choices import DEFAULT_EFFORT, DEFAULT_TILE, DeviceName, Precision
from fdeg_codec.codec.aim import aim
from fdeg_codec.codec.engine import load_engine
from fdeg_codec.codec.goal import goal_of, lambda_within
from fdeg_codec.codec.progress import Progress
from fdeg_codec.codec.target import Target
from fdeg_codec.codec.write import write_at
from fdeg_codec.container.header import fixed_point
from fdeg_codec.errors import UsageError
from fdeg_codec.raster.atomic import replacing, spare
from fdeg_codec.raster.sink import DRIVERS
from fdeg_codec.raster.source import Source
from fdeg_codec.weights import DEFAULT_MODEL


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
        tiles=header.tiles,
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
