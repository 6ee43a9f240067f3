"""`fdeg info`."""

from __future__ import annotations

import json
from typing import Any

import click

from fdeg_codec.cli import options

MOST = 500  # characters of a value that are shown: a colour profile has thousands


@click.command()
@click.argument("file")
@options.as_json
def command(file: str, as_json: bool) -> None:
    """Show what the .fdg FILE holds, without decoding it."""
    from fdeg_codec.container.summary import opened, summary
    from fdeg_codec.plain import plain

    with options.read_from(file, ".fdg") as path, opened(path) as reader:
        table = {"file": file, **summary(reader)}
        if as_json:
            from fdeg_codec.raster.stac import stac

            table["stac"] = stac(reader)
    if as_json:
        click.echo(json.dumps(plain(table)))
        return
    tiles = table.pop("tiles")
    for name, value in table.items():
        click.echo(f"{name:<13} {_plain(value)}")
    for tile in tiles:
        sizes = " + ".join(str(n) for n in tile["bytes"])
        click.echo(f"tile {tile['tile']:<8} rows {tile['rows']} columns {tile['columns']}: {sizes} bytes")


def _plain(value: Any) -> str:
    """As JSON what is not a line of text, and escaped what is no letter: a stranger's file does not get to steer a terminal."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = text if text.isprintable() else json.dumps(value)
    return text if len(text) <= MOST else f"{text[:MOST]}... ({len(text)} characters; --json has them all)"
