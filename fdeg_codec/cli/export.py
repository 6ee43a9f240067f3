"""`fdeg export`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("name")
@click.option("--config", required=True, help="The configuration that the training in OUT was given.")
@click.option("--weights", "folder", type=click.Path(path_type=Path), default=Path("weights"), show_default=True)
@click.option("--val", type=click.Path(path_type=Path), help="Pictures whose files' sizes and PSNR go into the manifest.")
@click.option("--overwrite", is_flag=True, help="Replace NAME if it exists.")
def command(out: Path, name: str, config: str, folder: Path, val: Path | None, overwrite: bool) -> None:
    """Turn the checkpoint in the folder OUT into the installable model NAME.

    That is the averaged weights in half precision, the integer tables, and the manifest.
    """
    from fdeg_codec.errors import UsageError
    from fdeg_codec.training.config import find_config
    from fdeg_codec.training.export import add_validation, export
    from fdeg_codec.training.loop import averaged_from
    from fdeg_codec.training.validation import check, table
    from fdeg_codec.weights import is_name

    if not is_name(name):
        raise UsageError(f"{name!r}: no name for a model; letters, digits, and . _ - behind the first make one")
    if val is not None:
        check(val)
    settings = find_config(config)
    net, trained = averaged_from(settings, out)
    manifest = export(net, folder, name, trained, settings.lambdas, overwrite)
    if val is not None:
        rows = table(folder, name, val)
        add_validation(manifest, rows)
        for row in rows:
            click.echo("lambda {lambda:.0f}: {bpp:.4f} bpp, {psnr:.3f} dB".format(**row), err=True)
    click.echo(manifest)
