"""`fdeg train`."""

from __future__ import annotations

import math
from pathlib import Path

import click

from fdeg_codec.cli import options


@click.command()
@click.option("--config", required=True, help="A TOML file, or the name of one that fdeg brings along: fdegcnet-lite.")
@click.option(
    "--train", "train_folders", required=True, multiple=True, type=click.Path(path_type=Path), help="A folder of pictures."
)
@click.option(
    "--val", "val_folder", required=True, type=click.Path(path_type=Path), help="A folder of pictures to validate on."
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Checkpoint and log go here.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint in OUT.")
@click.option("--max-minutes", type=float, default=math.inf, help="Save and stop after so long.")
@options.device
def command(
    config: str,
    train_folders: tuple[Path, ...],
    val_folder: Path,
    out: Path,
    resume: bool,
    max_minutes: float,
    device: str,
) -> None:
    """Train a network."""
    from fdeg_codec.devices import pick_device
    from fdeg_codec.training.config import find_config
    from fdeg_codec.training.data import load_folder
    from fdeg_codec.training.loop import Trainer

    settings = find_config(config)
    pictures = [p for folder in train_folders for p in load_folder(folder)]
    validation = load_folder(val_folder)
    trainer = Trainer(settings, pictures, out, pick_device(device))  # type: ignore[arg-type]
    if resume:
        trainer.resume()
    trainer.run(validation, max_minutes)
