"""Training goes down, and goes on where it stopped."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fdeg_codec.entropy import rounding
from fdeg_codec.entropy.mixture import mixtures
from fdeg_codec.grid import MEAN_STEPS, SCALE_MIN, WEIGHT_STEPS
from fdeg_codec.networks.entropy_model import LOG_SCALE_STEP, Mixture
from fdeg_codec.networks.fdegcnet import Architecture
from fdeg_codec.training import loss
from fdeg_codec.training.config import Config, Stage, find_config
from fdeg_codec.training.data import Ahead, Crops
from fdeg_codec.training.export import export
from fdeg_codec.training.loop import LOG, Trainer, validate
from fdeg_codec.training.loss import forward
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


@pytest.mark.parametrize("change", [{"widths": (16, 16, 24)}, {"context": "quarters"}])
def test_a_larger_network_begins_as_the_one_it_goes_on_from(tmp_path: Path, change: dict[str, object]) -> None:
    """Wider transforms, whose new channels say nothing yet; a context of quarters, whose first half sees nothing yet."""
    small = trained(tmp_path / "small", 20).averaged()
    weights = export(small, tmp_path, "small", {}).with_suffix(".safetensors")
    larger = Trainer(replace(CONFIG, architecture=replace(CONFIG.architecture, **change)), PICTURES, tmp_path / "larger", CPU)
    larger.start_from(weights)
    x = torch.from_numpy(larger.crops.batch(0, 4, 128))
    level = torch.full((4,), 3.0)
    with torch.no_grad():
        before, after = (forward(net.eval(), x, level, noisy=False) for net in (small, larger.net))
    torch.testing.assert_close(after.y, before.y, atol=5e-3, rtol=5e-3)
    torch.testing.assert_close(after.y_bpp, before.y_bpp, atol=0, rtol=5e-3)
    torch.testing.assert_close(after.mse, before.mse, atol=0, rtol=5e-3)
    assert sum(p.numel() for p in larger.net.parameters()) > sum(p.numel() for p in small.parameters())


def test_a_network_without_a_linear_path_learns(tmp_path: Path) -> None:
    config = replace(CONFIG, architecture=replace(CONFIG.architecture, linear_path=False), steps=60, warm_up=5, hyper_gain=1.0)
    trainer = Trainer(config, PICTURES[:1], tmp_path, CPU)
    losses = [trainer.advance()["loss"] for _ in range(60)]
    assert sum(losses[-15:]) < 0.9 * sum(losses[:15])


def test_training_rounds_as_an_encoder_does() -> None:
    """The choice of two integers, in torch and on the integer grid that is coded with."""
    rng = np.random.default_rng(3)
    count = 4000
    means, scales = rng.integers(-40, 41, (3, count)), rng.integers(5, 50, (3, count))
    weights = np.stack([np.full(count, 20), np.full(count, 30), np.full(count, 14)])
    y = rng.normal(0, 1.5, count)
    coded = rounding.thrifty(y, mixtures(np.concatenate([means, scales, weights[:2]]).astype(np.int32)))
    log_scales = math.log(SCALE_MIN) + scales * LOG_SCALE_STEP
    parts = (weights / WEIGHT_STEPS, means / MEAN_STEPS, log_scales)
    mixture = Mixture(*(torch.from_numpy(part).float()[:, None, None] for part in parts))
    trained_with = loss.thrifty(torch.from_numpy(y).float()[None, None], mixture)[0, 0].numpy()
    assert (coded != rounding.nearest(y)).mean() > 0.02
    assert (trained_with != coded).mean() < 0.002  # grids and tables make a little difference


def test_training_as_coded_reaches_every_part_and_costs_fewer_bits(tmp_path: Path) -> None:
    trainer = trained(tmp_path, 20)
    x = torch.from_numpy(trainer.crops.batch(0, 2, 128)).to(memory_format=torch.channels_last)
    level = torch.tensor([0.0, 3.0])
    outcome = loss.forward(trainer.net, x, level, as_coded=True)
    loss.objective(outcome, level, 0.4).backward()
    parts = (trainer.net.analysis, trainer.net.synthesis, trainer.net.entropy.head)
    assert all(any(p.grad.abs().sum() > 0 for p in part.parameters()) for part in parts)
    with torch.no_grad():
        plain, coded = (loss.forward(trainer.net, x, level, noisy=False, as_coded=as_coded) for as_coded in (False, True))
    torch.testing.assert_close(outcome.y_bpp, coded.y_bpp)  # the entropy model's part of the loss is of the integers
    assert (coded.y_bpp < plain.y_bpp).all()


def test_batches_made_ahead_are_those_made_at_once() -> None:
    crops = Crops(PICTURES, 0.5, seed=7)
    ahead = Ahead(crops, 2)
    for step, crop in ((3, 64), (4, 64), (5, 96), (5, 96)):
        np.testing.assert_array_equal(ahead.batch(step, 2, crop), crops.batch(step, 2, crop))


def test_going_on_from_weights_is_with_other_crops_and_lambdas(tmp_path: Path) -> None:
    first = trained(tmp_path / "first", 2)
    weights = export(first.averaged(), tmp_path, "first", {}).with_suffix(".safetensors")
    fresh, on = Trainer(CONFIG, PICTURES, tmp_path / "fresh", CPU), Trainer(CONFIG, PICTURES, tmp_path / "on", CPU)
    on.start_from(weights)
    assert not np.array_equal(fresh.crops.batch(0, 2, 64), on.crops.batch(0, 2, 64))
    assert not np.array_equal(fresh._levels(2), on._levels(2))
    on.save()
    resumed = Trainer(CONFIG, PICTURES, tmp_path / "on", CPU)
    resumed.resume()
    np.testing.assert_array_equal(resumed.crops.batch(0, 2, 64), on.crops.batch(0, 2, 64))


def test_the_levels_of_a_batch_are_spread_over_all(tmp_path: Path) -> None:
    trainer = Trainer(replace(CONFIG, lambdas=(128.0, 128.0 * 2**4)), PICTURES, tmp_path, CPU)
    for trainer.step in range(5):
        assert sorted(np.floor(trainer._levels(4))) == [0, 1, 2, 3]


def test_the_log_forgets_the_steps_that_come_again(tmp_path: Path) -> None:
    trainer = trained(tmp_path, 3)
    for step in (2, 3, 4):
        trainer.log({"step": step})
    again = Trainer(CONFIG, PICTURES, tmp_path, CPU)
    again.resume()
    assert [json.loads(row)["step"] for row in (tmp_path / LOG).read_text().splitlines()] == [2, 3]


def test_validation_takes_any_pictures(tmp_path: Path) -> None:
    net = Trainer(CONFIG, PICTURES, tmp_path, CPU).averaged()
    small, flat = PICTURES[0][:40, :90], np.full((64, 64, 3), 128, np.uint8)
    bright = 3 * PICTURES[0].astype(np.float32) / 255 - 1  # beyond [0, 1], as mapped scenes are
    assert validate(net, [small]) == [{"lambda": value, "bpp": 0, "z_bpp": 0, "psnr": 0} for value in (128, 512, 4096)]
    assert all(0 < row["psnr"] <= 100 for row in validate(net, [small, flat]))
    assert validate(net, [bright])[-1]["psnr"] > 20  # no clipping, which alone would leave 12 dB


@pytest.mark.parametrize(
    "wrong",
    [
        {"stages": (Stage(0.5, 64, 2),)},
        {"stages": (Stage(1.0, 100, 2),)},
        {"lambdas": (128.0,)},
        {"lambdas": (50.0, 100.0)},
        {"warm_up": 0},
        {"architecture": replace(CONFIG.architecture, slices=(4, 4))},
    ],
)
def test_a_configuration_that_cannot_be_trained_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        replace(CONFIG, **wrong)


@pytest.mark.parametrize(
    ("fall", "hold", "shares"),
    [
        ("cosine", 0.0, [1, 0.51, 0.02]),
        ("line", 0.5, [1, 1, 0.02]),
        ("line", 0.0, [1, 0.51, 0.02]),
        ("drop", 0.4, [1, 0.02, 0.02]),
    ],
)
def test_how_the_rate_falls(fall: str, hold: float, shares: list[float]) -> None:
    config = replace(find_config("fdegcnet-lite"), learning_rate=1.0, fall=fall, hold=hold)
    assert [config.rate(progress) for progress in (0, 0.5, 1)] == pytest.approx(shares)
    with pytest.raises(ValueError, match="held"):
        replace(config, hold=1.0)
