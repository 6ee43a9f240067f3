"""Training goes down, and goes on where it stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from fdeg_codec.networks.fdegcnet import Architecture
from fdeg_codec.training.config import Config, Stage
from fdeg_codec.training.data import Ahead, Crops
from fdeg_codec.training.export import export
from fdeg_codec.training.loop import Trainer
from tests.pictures import landscape

CONFIG = Config("tiny", Architecture((8, 8, 16), 16, 8, 24, 1), (Stage(0.5, 64, 2), Stage(1.0, 128, 1)), steps=20)
WIDER = replace(CONFIG.architecture, latent=32, linear_only=16, slices=(4, 12, 16))
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


def test_a_wider_network_begins_with_what_it_knows_and_carries_what_that_leaves(tmp_path: Path) -> None:
    narrow = trained(tmp_path / "narrow", 20)
    weights = export(narrow.averaged(), tmp_path, "narrow", {}).with_suffix(".safetensors")
    wide = Trainer(replace(CONFIG, architecture=WIDER), PICTURES, tmp_path / "wide", CPU)
    wide.start_from(weights)
    with torch.no_grad():
        x = torch.from_numpy(wide.crops.batch(0, 4, 128))
        level = torch.full((4,), 5.0)
        y, more = narrow.averaged().analyse(x), wide.net.analyse(x)
        torch.testing.assert_close(more[:, :16], y, atol=2e-2, rtol=2e-2)
        seen = [
            net.synthesise(z * torch.exp(net.entropy.y_gain(level))[:, :, None, None], level)
            for net, z in ((narrow.averaged(), y), (wide.net, more))
        ]
        before, after = (((picture - x) ** 2).mean().item() for picture in seen)
    assert after < 0.8 * before


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
