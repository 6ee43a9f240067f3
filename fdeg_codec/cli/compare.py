"""`fdeg compare`."""

from __future__ import annotations

import json
from typing import Any

import click

from fdeg_codec.cli import options


@click.command()
@click.argument("a")
@click.argument("b")
@options.metrics
@options.ndvi
@options.as_json
def command(a: str, b: str, names: tuple[str, ...] | None, ndvi: tuple[int, int] | None, as_json: bool) -> None:
    """Measure how far the raster B is from the raster A, its original; either may be an .fdg file."""
    from fdeg_codec.evaluation.compare import compare
    from fdeg_codec.evaluation.metrics import NAMES
    from fdeg_codec.plain import plain

    with options.progress("comparing") as progress:
        table = compare(a, b, names=names or NAMES, ndvi=ndvi, progress=progress)
    if as_json:
        click.echo(json.dumps(plain(table)))
        return
    for number, band in enumerate(table.pop("by_band"), 1):
        table[f"band {number}"] = ", ".join(f"{name} {_text(value)}" for name, value in band.items())
    for name, reason in table.pop("left_out").items():
        table[name] = f"left out: {reason}"
    for name, value in table.items():
        if value is not None:
            click.echo(f"{name:<17} {_text(value)}")


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
