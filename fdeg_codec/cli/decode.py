"""`fdeg decode`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from fdeg_codec.cli import options

if TYPE_CHECKING:
    from fdeg_codec.codec.damage import Damage


@click.command()
@click.argument("src")
@click.argument("dst")
@options.window
@options.bands
@options.preview
@options.scale
@options.cog
@options.device
@options.precision
@options.salvage
@options.max_pixels
@options.overwrite
@options.as_json
def command(src: str, dst: str, as_json: bool, **choices: Any) -> None:
    """Decode SRC into the raster DST: .tif, .png, .jp2 or .webp by its ending (- is standard input, or a GeoTIFF on
    standard output)."""
    from fdeg_codec.api import decode

    with (
        options.read_from(src, ".fdg") as source,
        options.written_to(dst, ".tif") as target,
        options.progress("decoding") as progress,
    ):
        damage = decode(source, target, progress=progress, **choices)
    if as_json:
        click.echo(json.dumps(damage.as_dict() | {"source": src, "target": dst}), err=dst == options.STANDARD)
    else:
        for line in _lines(damage):
            click.echo(f"fdeg: {src}: {line}", err=True)
    if damage:
        click.get_current_context().exit(options.LOST)


def _lines(damage: Damage) -> Iterator[str]:
    yield from damage.mended
    yield from (f"lost: {loss.why}" for loss in damage.lost)
    if damage.beside:
        yield f"beside what is lost, and a little different: tiles {', '.join(map(str, damage.beside))}"
