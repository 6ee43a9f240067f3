"""`fdeg export`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("name")
@click.option("--config", required=True, help="The configuration that the training in OUT was given.")
@click.option("--weights", "folder", type=click.Path(path_type=Path), default=Path("weights"), show_default=True)
def command(out: Path, name: str, config: str, folder: Path) -> None:
    """Turn the checkpoint in the folder OUT into the installable model NAME.

    That is the averaged weights in half precision, the integer tables, and the manifest.
    """
    from fdeg_codec.training.config import find_config
    from fdeg_codec.training.export import export
    from fdeg_codec.training.loop import averaged_from

    net, trained = averaged_from(find_config(config), out)
    click.echo(export(net, folder, name, trained))
