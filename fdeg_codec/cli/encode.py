"""`fdeg encode`."""

from __future__ import annotations

import json
from typing import Any

import click

from fdeg_codec.cli import options


@click.command()
@click.argument("src")
@click.argument("dst")
@options.encoding
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
    if not report.met:
        click.echo(f"fdeg: {src}: {options.NOT_MET}", err=True)
    if as_json:
        click.echo(json.dumps(report.as_dict() | {"source": src, "target": dst}), err=dst == options.STANDARD)
