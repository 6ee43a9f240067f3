"""Training goes down, and goes on where it stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from fdeg_codec.networks.fdegcnet import Architecture
from fdeg_codec.training.config import Config, Stage, find_config
from fdeg_codec.training.data import Ahead, Crops
from fdeg_codec.training.loop import Trainer
from tests.pictures import landscape

CONFIG = Config("tiny", Architecture((8, 8, 16), 16, 8, 24, 1), (Stage(0.5, 64, 2), Stage(1.0, 128, 1)), steps=20)
PICTURES = [landscape(160, 200, seed=s).transpose(1, 2, 0).copy() for s in range(3)]
CPU = torch.device("cpu")


def trained(out: Path, *pieces: int) -> Trainer:
    for k, stop in enumerate(pieces):
        trainer = Trainer(CONFIG, PICTURES, out, CPU)
        if k:
            trainer.resume()
        while trainer.step < stop:
            trainer.advance()
        trainer.save()
    return trainer


def test_two_pieces_give_the_weights_of_one(tmp_path: Path) -> None:
    whole, pieces = trained(tmp_path / "whole", 20), trained(tmp_path / "pieces", 9, 20)
    for (name, a), b in zip(whole.net.named_parameters(), pieces.net.parameters(), strict=True):
        assert torch.equal(a, b), name
    assert all(torch.equal(a, b) for a, b in zip(whole.average, pieces.average, strict=True))


def test_the_loss_falls(tmp_path: Path) -> None:
    trainer = Trainer(replace(CONFIG, steps=60, warm_up=5), PICTURES[:1], tmp_path, CPU)
    losses = [trainer.advance()["loss"] for _ in range(60)]
    assert sum(losses[-15:]) < 0.9 * sum(losses[:15])


def test_the_configuration_that_comes_along_is_the_default_network() -> None:
    architecture = find_config("fdegcnet-lite").architecture
    assert architecture == Architecture(slices=architecture.slices)
    assert sum(architecture.slices) == architecture.latent


def test_a_network_without_a_linear_path_learns(tmp_path: Path) -> None:
    config = replace(CONFIG, architecture=replace(CONFIG.architecture, linear_path=False), steps=60, warm_up=5, hyper_gain=1.0)
    trainer = Trainer(config, PICTURES[:1], tmp_path, CPU)
    losses = [trainer.advance()["loss"] for _ in range(60)]
    assert sum(losses[-15:]) < 0.9 * sum(losses[:15])


def test_batches_made_ahead_are_those_made_at_once() -> None:
    crops = Crops(PICTURES, 0.5, seed=7)
    ahead = Ahead(crops, 2)
    for step, crop in ((3, 64), (4, 64), (5, 96), (5, 96)):
        np.testing.assert_array_equal(ahead.batch(step, 2, crop), crops.batch(step, 2, crop))
