"""What several commands share: options, progress, and standard streams in place of files."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

STANDARD = "-"

device: Decorator = click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True, help="Where the networks run."
)
precision: Decorator = click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "bfloat16"]),
    default="auto",
    show_default=True,
    help="Of analysis and synthesis; auto takes bfloat16 where the hardware multiplies it.",
)
overwrite: Decorator = click.option("--overwrite", is_flag=True, help="Replace DST if it exists.")
as_json: Decorator = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


class WindowType(click.ParamType[tuple[int, int, int, int]]):
    """COL,ROW,WIDTH,HEIGHT."""

    name = "COL,ROW,WIDTH,HEIGHT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int, int, int]:
        try:
            column, row, width, height = (int(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is not four whole numbers with commas between them", param, ctx)
        return column, row, width, height


class BandsType(click.ParamType[list[int]]):
    """N,N,..."""

    name = "N,N,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        try:
            return [int(part) for part in value.split(",")]
        except ValueError:
            self.fail(f"{value!r} is not whole numbers with commas between them", param, ctx)


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
def read_from(name: str, suffix: str = "") -> Iterator[Path]:
    """The file of that name, or standard input kept in a temporary one."""
    if name != STANDARD:
        yield Path(name)
        return
    with tempfile.TemporaryDirectory(prefix="fdeg-") as folder:
        path = Path(folder) / f"standard-input{suffix}"
        with path.open("wb") as spool:
            shutil.copyfileobj(sys.stdin.buffer, spool)
        yield path


@contextmanager
def written_to(name: str, suffix: str) -> Iterator[Path]:
    """The file of that name, or a temporary one that goes to standard output."""
    if name != STANDARD:
        yield Path(name)
        return
    with tempfile.TemporaryDirectory(prefix="fdeg-") as folder:
        path = Path(folder) / f"standard-output{suffix}"
        yield path
        with path.open("rb") as spool:
            shutil.copyfileobj(spool, sys.stdout.buffer)
        sys.stdout.buffer.flush()
