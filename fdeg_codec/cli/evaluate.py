"""`fdeg eval`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fdeg_codec.cli import options


@click.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The report's folder: table, plots, report.html.")
@click.option(
    "--codecs",
    type=options.ListType(),
    help="Of jpeg, jpeg2000, webp, avif, jxl, hevc, vvc, lerc, and CompressAI's bmshj2018-hyperprior, mbt2018, "
    "cheng2020-anchor.  [default: all that are here]",
)
@click.option("--models", type=options.ListType(), help="See `fdeg models`; NAME@9 at effort 9.  [default: all]")
@options.metrics
@options.ndvi
@click.option("--limit", type=int, help="So many pictures at most, evenly spread.")
@click.option("--anchor", help="The codec that differences are against.  [default: jpeg2000 if it is there]")
@click.option(
    "--classes",
    type=click.Path(path_type=Path),
    help="Train a land-use classifier on this folder; it looks at decoded pictures.",
)
@click.option("--jobs", type=click.IntRange(min=1), help="Processes side by side.  [default: one per processor]")
@click.option("--quick", is_flag=True, help="Ten pictures, every second quality, no slow codecs, few metrics: about a minute.")
@click.option("--resume", is_flag=True, help="Go on with what is in OUT.")
@click.option("--overwrite", is_flag=True, help="Begin anew in OUT.")
def command(names: tuple[str, ...] | None, **choices: Any) -> None:
    """Code the pictures in SOURCES, files or folders, with every codec at every quality, and report how they do."""
    from fdeg_codec.evaluation.report import write
    from fdeg_codec.evaluation.run import Plan, failures, run

    plan = Plan(metrics=names, **choices)
    with options.progress("evaluating") as progress:
        run(plan, progress)
    click.echo(write(plan.out, plan.anchor, plan.sources))
    for line in failures(plan.out).values():
        click.echo(f"fdeg: {line}", err=True)
