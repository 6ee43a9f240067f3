"""`fdeg batch`."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click
from click.core import ParameterSource

from fdeg_codec.choices import Format
from fdeg_codec.cli import options
from fdeg_codec.errors import FdegError

if TYPE_CHECKING:
    from fdeg_codec.batches.work import Outcome


class ShardType(click.ParamType[tuple[int, int]]):
    """I/N."""

    name = "I/N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        match = re.fullmatch(r"(\d+)/(\d+)", value)
        if not match:
            self.fail(f"{value!r} is not two whole numbers with a / between them", param, ctx)
        return int(match[1]), int(match[2])


@click.command()
@click.argument("src")
@click.argument("dst")
@click.option("--glob", help="Which files below SRC, such as '**/*_B4.TIF'.  [default: all .tif, .tiff, .png, .jp2 and .webp]")
@click.option("--jobs", type=int, help="Scenes at once.  [default: as many as there are cores, up to 8]")
@click.option("--resume", is_flag=True, help="Do only what is missing or has changed since an earlier batch.")
@click.option("--overwrite", is_flag=True, help="Replace what is there.")
@click.option("--shard", type=ShardType(), help="Only the I-th of N parts of the work, for job arrays.")
@click.option("--report", help="Write a table of all scenes, as CSV.")
@click.option("--decode", is_flag=True, help="Decode .fdg files instead.")
@click.option("--format", type=click.Choice(get_args(Format)), help="Of decoded scenes.  [default: tif]")
@options.scale
@options.cog
@options.preview
@options.salvage
@options.max_pixels
@click.option("--scheduler", help="Work on a Dask cluster: its scheduler's address, or the file it leaves.")
@options.encoding
@options.as_json
@click.pass_context
def command(ctx: click.Context, /, src: str, dst: str, as_json: bool, **choices: Any) -> None:
    """Encode all scenes below the folder SRC into the folder DST, subfolders kept.

    A scene that fails is reported and does not stop the rest; the exit code is 1 then.
    """
    from fdeg_codec.batches.run import batch

    given = {name: value for name, value in choices.items() if _is_given(ctx, name)}
    with options.progress("scenes") as progress:
        outcomes = batch(src, dst, progress=progress, tell=partial(_tell, Path(src)), **given)
    counts = {status: sum(o.status == status for o in outcomes) for status in ("made", "kept", "failed")}
    if as_json:
        click.echo(json.dumps(counts | {"scenes": [o.as_dict() for o in outcomes]}))
    if counts["failed"]:
        raise FdegError(f"{counts['failed']} of {len(outcomes)} scenes failed")
    if any("lost" in outcome.details for outcome in outcomes):
        ctx.exit(options.LOST)


def _is_given(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) is not ParameterSource.DEFAULT


def _tell(folder: Path, outcome: Outcome) -> None:
    if outcome.status == "failed":
        click.echo(f"fdeg: {outcome.error}", err=True)
    if outcome.details.get("met") is False:
        click.echo(f"fdeg: {folder / outcome.source}: {options.NOT_MET}", err=True)
    if "lost" in outcome.details:
        click.echo(f"fdeg: {folder / outcome.source}: lost: tiles {', '.join(map(str, outcome.details['lost']))}", err=True)
