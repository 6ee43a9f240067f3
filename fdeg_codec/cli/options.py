"""What several commands share: options, progress, and standard streams in place of files."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import click

from fdeg_codec.choices import DEFAULT_EFFORT, DEFAULT_QUALITY, DEFAULT_TILE, EFFORTS, QUALITIES, DeviceName, Precision
from fdeg_codec.container.header import MAX_LAMBDA, MAX_PIXELS, MIN_LAMBDA, TILE_UNIT
from fdeg_codec.errors import FdegError, UsageError, reason
from fdeg_codec.raster.drafts import draft_folder
from fdeg_codec.weights import DEFAULT_MODEL

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

STANDARD = "-"
NOT_MET = "smaller, or better, than asked for: no lambda was found that makes use of it all"
LOST = 3  # the exit code of what was decoded, but not all of it

device: Decorator = click.option(
    "--device", type=click.Choice(get_args(DeviceName)), default="auto", show_default=True, help="Where the networks run."
)
precision: Decorator = click.option(
    "--precision",
    type=click.Choice(get_args(Precision)),
    default="auto",
    show_default=True,
    help="Of analysis and synthesis; auto takes bfloat16 where the hardware multiplies it.",
)
scale: Decorator = click.option(
    "--scale", type=int, default=1, help="Decode a picture 2, 4, 8 or 16 times smaller; from 4 on much quicker."
)
cog: Decorator = click.option("--cog", is_flag=True, help="Write a Cloud Optimized GeoTIFF.")
overwrite: Decorator = click.option("--overwrite", is_flag=True, help="Replace DST if it exists.")
max_pixels: Decorator = click.option(
    "--max-pixels",
    type=click.IntRange(1),
    default=MAX_PIXELS,
    show_default=True,
    help="Refuse to decode more at once: a small file may claim to be huge.",
)
preview: Decorator = click.option("--preview", is_flag=True, help="Leave out what bounds the errors: faster, and reads less.")
salvage: Decorator = click.option(
    "--salvage", is_flag=True, help="Decode what is left of a damaged file; exit code 3 if anything is lost."
)
as_json: Decorator = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


def encoding(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say how to encode, for every command that does."""
    lambdas = f"lambda {MIN_LAMBDA} to {MAX_LAMBDA}"
    choices: tuple[Decorator, ...] = (
        click.option("--model", default=DEFAULT_MODEL, show_default=True, help="See `fdeg models`."),
        click.option(
            "--quality",
            type=click.IntRange(QUALITIES[0], QUALITIES[-1]),
            help=f"{QUALITIES[0]} (smallest) to {QUALITIES[-1]} (best): {lambdas}.  [default: {DEFAULT_QUALITY}]",
        ),
        click.option("--lambda", "lambda_", type=float, help=f"Any trade-off in between, instead of --quality: {lambdas}."),
        click.option("--bpp", type=float, help="Instead: at most so many bits per pixel, and at most 1 % less."),
        click.option("--size", type=int, help="Instead: at most so many bytes, and at most 1 % less."),
        click.option("--psnr", type=float, help="Instead: at least so many decibels, and at most 0.1 more."),
        click.option("--max-error", type=float, help="No sample is further off than this, in its own units; 0 is lossless."),
        click.option(
            "--effort",
            type=click.IntRange(EFFORTS[0], EFFORTS[-1]),
            default=DEFAULT_EFFORT,
            show_default=True,
            help="0 rounds; more spends time for fewer bits: 2 takes some seven times as long as 1, 4 some twenty, "
            "7 some seventy, 9 some five hundred.",
        ),
        device,
        precision,
        click.option(
            "--tile",
            type=int,
            default=DEFAULT_TILE,
            show_default=True,
            help=f"Side of the tiles in pixels, a multiple of {TILE_UNIT}.",
        ),
        bands,
    )
    for choice in reversed(choices):
        command = choice(command)
    return command


class Numbers(click.ParamType[tuple[int, ...]]):
    """Whole numbers with commas between them, as many as `name` has words; any number of them where that ends in dots."""

    def __init__(self, name: str) -> None:
        self.name = name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        wanted = None if self.name.endswith("...") else self.name.count(",") + 1
        try:
            numbers = tuple(int(part) for part in value.split(","))
        except ValueError:
            numbers = ()
        if not numbers or len(numbers) != (wanted or len(numbers)):
            self.fail(f"{value!r} is not {f'{wanted} ' if wanted else ''}whole numbers with commas between them", param, ctx)
        return numbers


class ListType(click.ParamType[tuple[str, ...]]):
    """NAME,NAME,..."""

    name = "NAME,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        return value if isinstance(value, tuple) else tuple(name.strip() for name in value.split(",") if name.strip())


window: Decorator = click.option(
    "--window", type=Numbers("COL,ROW,WIDTH,HEIGHT"), help="Decode these pixels only, and only the tiles they need."
)
bands: Decorator = click.option("--bands", type=Numbers("N,N,..."), help="These bands only, in this order, counted from 1.")
metrics: Decorator = click.option(
    "--metrics", "names", type=ListType(), help="Of psnr, max_error, sam, ndvi, ms_ssim, vifp, lpips.  [default: all]"
)
ndvi: Decorator = click.option(
    "--ndvi",
    type=Numbers("RED,NIR"),
    help="Numbers of the red and the near-infrared band, from 1, where their names do not tell.",
)


@contextmanager
def progress(label: str) -> Iterator[Callable[[int, int], None] | None]:
    """A bar on a terminal, nothing in a pipe."""
    if not sys.stderr.isatty():
        yield None
        return
    with click.progressbar(length=1, label=label, file=sys.stderr, show_pos=True) as bar:

        def show(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        yield show


@contextmanager
def read_from(name: str, suffix: str = "") -> Iterator[Path | str]:
    """That name, or a temporary file that holds standard input."""
    if name != STANDARD:
        yield name
        return
    if sys.stdin is None:
        raise UsageError("- is standard input, which is closed")
    with draft_folder(Path(tempfile.gettempdir())) as folder:
        path = folder / f"standard-input{suffix}"
        try:
            with path.open("wb") as spool:
                shutil.copyfileobj(sys.stdin.buffer, spool)
        except OSError as error:
            raise FdegError(f"standard input: cannot be kept in {tempfile.gettempdir()} ({reason(error)})") from error
        with _called("standard input", path):
            yield path


@contextmanager
def written_to(name: str, suffix: str) -> Iterator[Path]:
    """The file of that name, or a temporary one that goes to standard output."""
    if name != STANDARD:
        yield Path(name)
        return
    if sys.stdout is None:
        raise UsageError("- is standard output, which is closed")
    with draft_folder(Path(tempfile.gettempdir())) as folder:
        path = folder / f"standard-output{suffix}"
        with _called(f"a file in {tempfile.gettempdir()} for standard output", path):
            yield path
        if Path(f"{path}.aux.xml").exists():
            click.echo("fdeg: standard output: without the reference system, which GeoTIFF cannot hold", err=True)
        with path.open("rb") as spool:
            shutil.copyfileobj(spool, sys.stdout.buffer)
        sys.stdout.buffer.flush()


@contextmanager
def _called(name: str, path: Path) -> Iterator[None]:
    """Give a temporary file the name that its user knows, in what is said of it."""
    try:
        yield
    except FdegError as error:
        raise type(error)(str(error).replace(str(path), name)) from error
