"""Each block against its equation, written out plainly."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from fdeg_codec.networks.context import Context, passes, taps
from fdeg_codec.networks.gains import PerLevel
from fdeg_codec.networks.gdn import GDN
from fdeg_codec.networks.layers import Conv2d, conv, up
from fdeg_codec.networks.odconv import KERNELS, ODConv
from fdeg_codec.networks.prior import FactorizedPrior


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (1, 2), (3, 1), (3, 2)])
def test_float64_convolution_is_a_convolution(kernel: int, stride: int) -> None:
    layer = conv(5, 7, kernel, stride).double()
    x = torch.randn(2, 5, 9, 12, dtype=torch.float64)
    expected = F.conv2d(x, layer.weight, layer.bias, stride, kernel // 2)
    torch.testing.assert_close(layer(x), expected, rtol=1e-12, atol=1e-12)
    assert isinstance(layer, Conv2d)


def test_up_doubles() -> None:
    assert up(4, 3)(torch.rand(1, 4, 5, 7)).shape == (1, 3, 10, 14)


def test_odconv_is_eq_5() -> None:
    layer = ODConv(16, 24, 3)
    x = torch.randn(2, 16, 6, 6)
    p = layer.squeeze(x.mean((2, 3), keepdim=True))
    outputs = []
    for n in range(2):
        choice = torch.softmax(layer.to_choice(p)[n].flatten(), 0)
        position = torch.sigmoid(layer.to_position(p))[n].view(3, 3)
        kernel = sum(choice[k] * layer.candidates[k] for k in range(KERNELS)) * position
        scaled = x[n : n + 1] * torch.sigmoid(layer.to_input(p))[n : n + 1]
        outputs.append(F.conv2d(scaled, kernel, padding=1) * torch.sigmoid(layer.to_output(p))[n : n + 1])
    torch.testing.assert_close(layer(x), torch.cat(outputs), rtol=1e-4, atol=1e-5)


def test_gdn_and_its_inverse() -> None:
    forward, backward = GDN(6), GDN(6, inverse=True)
    x = torch.randn(1, 6, 4, 4)
    norm = torch.sqrt(forward.beta_root[:, None, None] ** 2 + 1e-6 + torch.einsum("oi,nihw->nohw", forward.gamma_root**2, x**2))
    torch.testing.assert_close(forward(x), x / norm)
    torch.testing.assert_close(backward(x), x * norm)


def test_gains_are_linear_between_levels_and_exact_on_them() -> None:
    gains = PerLevel(4)
    torch.nn.init.normal_(gains.table)
    torch.testing.assert_close(gains(torch.arange(6.0)), gains.table)
    torch.testing.assert_close(gains(torch.tensor([2.25])), 0.75 * gains.table[2:3] + 0.25 * gains.table[3:4])


def test_prior_is_a_distribution() -> None:
    prior = FactorizedPrior(5).double()
    edges = torch.arange(-200, 201, dtype=torch.float64).expand(5, 1, -1)
    mass = prior.mass(edges[..., :-1], edges[..., 1:])
    assert (mass >= 0).all()
    torch.testing.assert_close(mass.sum((1, 2)), torch.ones(5, dtype=torch.float64), atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", ["none", "checkerboard", "serial"])
@pytest.mark.parametrize("size", [(1, 1), (3, 7), (8, 5)])
def test_passes_reach_every_cell_once_and_after_its_context(kind, size) -> None:
    turn = torch.full(size, -1)
    for k, (rows, columns) in enumerate(passes(kind, *size)):
        assert (turn[rows, columns] == -1).all()
        turn[rows, columns] = k
    assert (turn >= 0).all()
    if kind == "none":
        return
    for row in range(size[0]):
        for column in range(size[1]):
            seen = [(row + r - 2, column + c - 2) for r, c in taps(kind)]
            inside = [turn[r, c] for r, c in seen if 0 <= r < size[0] and 0 <= c < size[1]]
            if kind == "serial" or (row + column) % 2:
                assert all(t < turn[row, column] for t in inside)


@pytest.mark.parametrize("kind", ["checkerboard", "serial"])
def test_context_by_passes_is_the_convolution_of_training(kind) -> None:
    torch.manual_seed(0)
    context = Context(kind, 6, 10).double()
    y = torch.randn(2, 6, 7, 9, dtype=torch.float64)
    whole = context(y).permute(0, 2, 3, 1)
    known = torch.zeros(2, 7, 9, 6, dtype=torch.float64)
    for cells in passes(kind, 7, 9):
        features = context.at(known, cells)
        expected = whole[:, cells[0], cells[1]]
        torch.testing.assert_close(torch.zeros_like(expected) if features is None else features, expected)
        known[:, cells[0], cells[1]] = y.permute(0, 2, 3, 1)[:, cells[0], cells[1]]
