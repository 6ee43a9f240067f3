"""The networks have the sizes of the paper and of our family, and treat a picture alone as in a batch."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from fdeg_codec.networks.fdegcnet import Architecture, FDEGCNet
from fdeg_codec.training.config import find_config
from tests.conftest import tiny

OURS = Architecture((192, 192, 192), 192, 192, 640, 3)
PAPER = [find_config(name).architecture for name in ("paper-128", "paper-1024")]  # of 192 and 256 channels


def macs(work, pixels: int) -> float:
    """Thousands of multiply-adds per pixel."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops() / 2 / pixels / 1000


@pytest.mark.parametrize(
    ("architecture", "down", "up", "millions"),
    [(Architecture(), 65.0, 67.7, 8.75), (OURS, 421.0, 423.6, 29.09), (PAPER[0], 420.4, 423.0, 28.79)],
)
def test_cost_is_that_of_the_family(architecture: Architecture, down: float, up: float, millions: float) -> None:
    net = FDEGCNet(architecture).eval()
    x, level = torch.rand(1, 3, 128, 128), torch.tensor([2.5])
    y = torch.randn(1, architecture.latent, 8, 8)
    assert macs(lambda: net.analyse(x), 128 * 128) == pytest.approx(down, rel=0.02)
    assert macs(lambda: net.synthesise(y, level), 128 * 128) == pytest.approx(up, rel=0.02)
    assert sum(p.numel() for p in net.parameters()) / 1e6 == pytest.approx(millions, abs=0.01)


@pytest.mark.parametrize("architecture", [Architecture(), *PAPER])
def test_shapes(architecture: Architecture) -> None:
    net = FDEGCNet(architecture).eval()
    level = torch.tensor([0.0])
    with torch.no_grad():
        y = net.analyse(torch.rand(1, 3, 64, 128))
        z = net.summarise(y)
        features = net.entropy.features(z, level)
        assert y.shape == (1, architecture.latent, 4, 8)
        assert z.shape == (1, architecture.hyper, 1, 2)
        assert features.shape == (1, 2 * architecture.hyper, 4, 8)
        assert net.synthesise(y, level).shape == (1, 3, 64, 128)


def test_a_picture_alone_is_what_it_is_in_a_batch() -> None:
    net = tiny().eval()
    x = torch.rand(3, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(net.analyse(x)[1:2], net.analyse(x[1:2]))


def test_every_parameter_learns() -> None:
    from fdeg_codec.training.loss import forward, objective

    net = tiny()
    level = torch.tensor([1.3, 4.2])
    objective(forward(net, torch.rand(2, 3, 64, 64), level), level, 0.4).backward()
    silent = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum()]
    assert silent == []
