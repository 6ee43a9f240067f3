"""`fdeg encode`."""

from __future__ import annotations

import json
from typing import Any

import click

from fdeg_codec.cli import options
from fdeg_codec.weights import DEFAULT_MODEL


@click.command()
@click.argument("src")
@click.argument("dst")
@click.option("--model", default=DEFAULT_MODEL, show_default=True, help="See `fdeg models`.")
@click.option("--quality", type=click.IntRange(1, 6), help="1 (smallest) to 6 (best): lambda 128 to 4096.  [default: 4]")
@click.option("--lambda", "lambda_", type=float, help="Any trade-off in between, instead of --quality: 128 to 4096.")
@click.option("--max-error", type=float, help="No sample is further off than this, in its own units; 0 is lossless.")
@options.device
@options.precision
@click.option("--tile", type=int, default=512, show_default=True, help="Side of the tiles in pixels, a multiple of 64.")
@click.option("--bands", type=options.BandsType(), help="These bands only, in this order, counted from 1.")
@options.overwrite
@options.as_json
def command(src: str, dst: str, as_json: bool, **choices: Any) -> None:
    """Compress the raster SRC into DST (- is standard input or output)."""
    from fdeg_codec.api import encode

    with (
        options.read_from(src) as source,
        options.written_to(dst, ".fdg") as target,
        options.progress("encoding") as progress,
    ):
        report = encode(source, target, progress=progress, **choices)
    if as_json:
        click.echo(json.dumps(report.as_dict() | {"source": src, "target": dst}), err=dst == options.STANDARD)
