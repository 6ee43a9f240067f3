"""`fdeg decode`."""

from __future__ import annotations

from typing import Any

import click

from fdeg_codec.cli import options


@click.command()
@click.argument("src")
@click.argument("dst")
@click.option("--window", type=options.WindowType(), help="Decode these pixels only, and only the tiles they need.")
@click.option("--preview", is_flag=True, help="Leave out what bounds the errors: faster, and reads less.")
@options.device
@options.precision
@options.overwrite
def command(src: str, dst: str, **choices: Any) -> None:
    """Decode SRC into the raster DST: .tif, .png, .jp2 or .webp by its ending (- is standard input, or a GeoTIFF on
    standard output)."""
    from fdeg_codec.api import decode

    with (
        options.read_from(src, ".fdg") as source,
        options.written_to(dst, ".tif") as target,
        options.progress("decoding") as progress,
    ):
        decode(source, target, progress=progress, **choices)
