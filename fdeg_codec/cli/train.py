"""`fdeg train`."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path

import click

from fdeg_codec.cli import options
from fdeg_codec.errors import UsageError


@click.command()
@click.option(
    "--config",
    required=True,
    help="A TOML file, or the name of one that comes along: fdegcnet-lite, fdegcnet, paper-128 to paper-4096.",
)
@click.option(
    "--train", "train_folders", required=True, multiple=True, type=click.Path(path_type=Path), help="A folder of pictures."
)
@click.option(
    "--val", "val_folder", required=True, type=click.Path(path_type=Path), help="A folder of pictures to validate on."
)
@click.option("--pretrain", type=click.Path(path_type=Path), help="Begin with the tensors of this .safetensors file that fit.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Checkpoint and log go here.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint in OUT.")
@click.option("--overwrite", is_flag=True, help="Begin anew in OUT.")
@click.option("--max-minutes", type=float, default=math.inf, help="Save and stop after so long.")
@options.device
def command(
    config: str,
    train_folders: tuple[Path, ...],
    val_folder: Path,
    pretrain: Path | None,
    out: Path,
    resume: bool,
    overwrite: bool,
    max_minutes: float,
    device: str,
) -> None:
    """Train a network.

    OUT gets the checkpoint, log.jsonl and, if matplotlib is there, log.png; at the end a model, and what its files gave.
    """
    from fdeg_codec.devices import pick_device
    from fdeg_codec.training.config import find_config
    from fdeg_codec.training.data import load_folder
    from fdeg_codec.training.export import add_validation, export
    from fdeg_codec.training.loop import LOG, Trainer, averaged_from, find_checkpoint, load_weights, refuse_to_replace
    from fdeg_codec.training.validation import check, plot, table

    if resume and (overwrite or pretrain):
        raise UsageError(f"--resume and --{'overwrite' if overwrite else 'pretrain'} exclude each other")
    if not max_minutes >= 0:
        raise UsageError(f"--max-minutes {max_minutes:g}: 0 or more")
    settings = find_config(config)
    if not resume and not overwrite:
        refuse_to_replace(out, settings.name)
    if resume:
        find_checkpoint(out)
    if pretrain is not None:
        load_weights(pretrain)
    check(val_folder)
    pictures = [p for folder in train_folders for p in load_folder(folder, out)]
    trainer = Trainer(settings, pictures, out, pick_device(device))  # type: ignore[arg-type]
    if resume:
        trainer.resume()
    elif pretrain is not None:
        trainer.start_from(pretrain)
    trainer.run(load_folder(val_folder), max_minutes)
    net, trained = averaged_from(settings, out)
    manifest = export(net, out, settings.name, trained, settings.lambdas, overwrite=True)
    add_validation(manifest, table(out, settings.name, val_folder))
    with suppress(ModuleNotFoundError):  # matplotlib is an extra
        plot(out / LOG, out / "log.png")
    click.echo(manifest)
