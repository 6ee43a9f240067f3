"""`fdeg verify`."""

from __future__ import annotations

from typing import Any

import click

from fdeg_codec.cli import options


@click.command()
@click.argument("file")
@options.device
@options.max_pixels
def command(file: str, **choices: Any) -> None:
    """Check every checksum of FILE and decode every tile's symbols."""
    from fdeg_codec.api import open as open_scene

    with (
        options.read_from(file, ".fdg") as path,
        open_scene(path, **choices) as scene,
        options.progress("verifying") as progress,
    ):
        entries = scene.verify(progress)
    click.echo(f"{file}: whole, {entries} entries decoded")
