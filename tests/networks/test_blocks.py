"""Each block against its equation, written out plainly."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from fdeg_codec.networks import layers
from fdeg_codec.networks.context import PARTS, Context, passes, turns
from fdeg_codec.networks.entropy_model import EntropyModel
from fdeg_codec.networks.gains import PerLevel
from fdeg_codec.networks.gdn import GDN
from fdeg_codec.networks.layers import Conv2d, Patches, Up, conv, lay_out, up
from fdeg_codec.networks.mcam import Depthwise
from fdeg_codec.networks.odam import ODAM
from fdeg_codec.networks.odconv import KERNELS, ODConv
from fdeg_codec.networks.prior import FactorizedPrior


@pytest.mark.parametrize("rows", [100, 2, 0])
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (1, 2), (3, 1), (3, 2)])
def test_float64_convolution_is_a_convolution(monkeypatch: pytest.MonkeyPatch, kernel: int, stride: int, rows: int) -> None:
    """However many rows of its output are made at a time; one at least."""
    monkeypatch.setattr(layers, "SEEN", rows * 5 * kernel**2 * -(-12 // stride) * 8)
    layer = conv(5, 7, kernel, stride).double()
    x = torch.randn(2, 5, 9, 12, dtype=torch.float64)
    expected = F.conv2d(x, layer.weight, layer.bias, stride, kernel // 2)
    torch.testing.assert_close(layer(x), expected, rtol=1e-12, atol=1e-12)
    assert isinstance(layer, Conv2d)


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_up_doubles(dtype: torch.dtype, kernel: int) -> None:
    layer, x = up(4, 3, kernel).to(dtype), torch.randn(2, 4, 5, 7, dtype=dtype)
    assert layer(x).shape == (2, 3, 10, 14)
    torch.testing.assert_close(layer(x), F.conv_transpose2d(x, layer.weight, layer.bias, 2, kernel // 2, 1))


def test_depthwise_in_float64_is_a_convolution() -> None:
    layer, x = Depthwise(5, 3, 1).double(), torch.randn(2, 5, 6, 7, dtype=torch.float64)
    torch.testing.assert_close(layer(x), F.conv2d(x, layer.weight, layer.bias, padding=(1, 0), groups=5))


def test_the_shortcut_upwards_is_a_transposed_convolution() -> None:
    """Forwards and backwards, with the sizes at which torch 2.13's own corrupts memory."""
    block = lay_out(Up(8, 8))
    x = torch.randn(2, 8, 32, 32).contiguous(memory_format=torch.channels_last)
    out = block(x)
    shortcut = F.conv_transpose2d(x, block.shortcut.weight.detach(), block.shortcut.bias, 2, output_padding=1)
    torch.testing.assert_close(out, block.body(x) + shortcut)
    out.sum().backward()
    torch.testing.assert_close(block.shortcut.bias.grad, torch.full((8,), 2 * 64.0**2))
    torch.testing.assert_close(block.shortcut.weight.grad[:, 0, 0, 0], x.sum((0, 2, 3)), rtol=1e-4, atol=1e-2)


def test_patches_are_a_transposed_convolution() -> None:
    layer = lay_out(Patches(6, 3, 4))
    x = torch.randn(2, 6, 5, 7).contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(layer(x), F.conv_transpose2d(x, layer.weight, layer.bias, 4))


@pytest.mark.parametrize("block", [GDN(8), GDN(8, inverse=True), ODAM(8, 1)], ids=["gdn", "inverse gdn", "odam"])
def test_what_is_done_in_place_is_done_alike(block: torch.nn.Module) -> None:
    x = torch.randn(2, 8, 5, 7).contiguous(memory_format=torch.channels_last)
    recorded = block(x)
    with torch.no_grad():
        torch.testing.assert_close(block(x.clone()), recorded.detach())


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


def test_gdn_has_no_denormals_to_multiply_with() -> None:
    gdn = GDN(6)
    torch.nn.init.constant_(gdn.gamma_root, 1e-21)
    assert (gdn.gamma() >= torch.finfo(torch.float32).tiny).all()


def test_gains_are_linear_between_levels_and_exact_on_them() -> None:
    gains = PerLevel(4)
    torch.nn.init.normal_(gains.table)
    torch.testing.assert_close(gains(torch.arange(6.0)), gains.table)
    torch.testing.assert_close(gains(torch.tensor([2.25])), 0.75 * gains.table[2:3] + 0.25 * gains.table[3:4])


def test_up_stays_in_the_precision_of_its_convolutions() -> None:
    """A bias in float32 would make all that follows in training float32, which takes twice the memory."""
    with torch.autocast("cpu", torch.bfloat16):
        assert Up(8, 8)(torch.randn(1, 8, 4, 4)).dtype is torch.bfloat16


def test_prior_is_a_distribution() -> None:
    prior = FactorizedPrior(5).double()
    edges = torch.arange(-200, 201, dtype=torch.float64).expand(5, 1, -1)
    mass = prior.mass(edges[..., :-1], edges[..., 1:])
    assert (mass >= 0).all()
    torch.testing.assert_close(mass.sum((1, 2)), torch.ones(5, dtype=torch.float64), atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", ["none", "checkerboard", "quarters", "serial"])
@pytest.mark.parametrize("size", [(1, 1), (3, 7), (8, 5)])
def test_passes_reach_every_cell_once_and_after_its_context(kind, size) -> None:
    turn = torch.full(size, -1)
    for k, (rows, columns) in enumerate(passes(kind, *size)):
        assert (turn[rows, columns] == -1).all()
        turn[rows, columns] = k
    assert (turn >= 0).all()
    rows, columns = np.indices(size)
    own = turns(kind, rows, columns)
    for row, column in np.ndindex(size):
        taps = [tap for part in PARTS[kind] if part.by is None or own[row, column] in part.by for tap in part.taps]
        seen = [(row + r - 2, column + c - 2) for r, c in taps]
        assert all(turn[r, c] < turn[row, column] for r, c in seen if 0 <= r < size[0] and 0 <= c < size[1])


@pytest.mark.parametrize("kind", ["checkerboard", "quarters", "serial"])
def test_context_by_passes_is_the_convolution_of_training(kind) -> None:
    torch.manual_seed(0)
    context = Context(kind, 6, 10).double()
    torch.nn.init.normal_(context.bias)
    y = torch.randn(2, 6, 7, 9, dtype=torch.float64)
    whole = context(y).permute(0, 2, 3, 1)
    padded = torch.zeros(2, 7 + 4, 9 + 4, 6, dtype=torch.float64)
    known = padded[:, 2:-2, 2:-2]
    for cells in passes(kind, 7, 9):
        features = context.at(padded, cells, context.weight)
        expected = whole[:, cells[0], cells[1]]
        torch.testing.assert_close(torch.zeros_like(expected) if features is None else features, expected)
        known[:, cells[0], cells[1]] = y.permute(0, 2, 3, 1)[:, cells[0], cells[1]]


@pytest.mark.parametrize("kind", ["none", "checkerboard", "quarters", "serial"])
def test_mixtures_slice_by_slice_are_those_of_training(kind) -> None:
    torch.manual_seed(0)
    model = EntropyModel(6, 8, 10, kind, (1, 2, 3)).double().requires_grad_(False)
    for p in [*model.from_slices.parameters(), model.y_gain.table]:
        torch.nn.init.normal_(p)
    features = torch.randn(2, 16, 5, 4, dtype=torch.float64)
    y, level = torch.randn(2, 6, 5, 4, dtype=torch.float64), torch.tensor([0.3, 4.0], dtype=torch.float64)
    whole = [t.unflatten(2, (5, 4)) for t in model(features, y, level)]
    natural = (y * torch.exp(-model.y_gain(level))[:, :, None, None]).permute(0, 2, 3, 1)
    padded = F.pad(torch.zeros_like(natural), (0, 0, 2, 2, 2, 2))
    known = padded[:, 2:-2, 2:-2]
    for rows, columns in passes(kind, 5, 4):
        context = model.context.at(padded, (rows, columns), model.context.weight) if model.context else None
        hidden = model.hidden(features[:, :, rows, columns].transpose(1, 2), context, level)
        for number, part in enumerate(model.slices):
            mixture = model.mixture(hidden, number, known[:, rows, columns], level)
            for found, expected in zip(mixture, whole, strict=True):
                torch.testing.assert_close(found, expected[:, :, rows, columns, part])
            known[:, rows, columns, part] = natural[:, rows, columns, part]


@pytest.mark.parametrize("speaking", [[1, 1, 1, 1, 1, 1], [0, 1, 0, 1, 1, 0], [0, 0, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0]])
@pytest.mark.parametrize("spread", [0.5, 50])
def test_the_grid_is_the_mixture_in_steps(spread: float, speaking: list[int]) -> None:
    torch.manual_seed(0)
    model = EntropyModel(6, 8, 10, "none", (2, 4)).double().requires_grad_(False)
    for p in [*model.from_slices.parameters(), *model.head.parameters(), model.y_gain.table]:
        torch.nn.init.normal_(p, std=spread)
    level = torch.tensor([2.3], dtype=torch.float64)
    hidden, natural = (torch.randn(1, 7, n, dtype=torch.float64) for n in (10, 6))
    speaking = torch.tensor(speaking) > 0
    spoken = model.spoken(level, speaking)
    numbers = [number for number, part in enumerate(model.slices) if speaking[part].any()]
    natural *= speaking
    for number, part in zip(numbers, spoken.slices, strict=True):
        which = speaking[model.slices[number]]
        weights, means, log_scales = (t[..., which] for t in model.mixture(hidden, number, natural, level))
        steps = (log_scales - math.log(0.05)) * 63 / math.log(2000)
        expected = ((16 * means).clamp(-32767, 32767), steps.clamp(0, 63), 64 * weights[:2])
        found = model.grid(hidden, part, natural[..., speaking])
        torch.testing.assert_close(found, torch.cat(expected), rtol=1e-12, atol=1e-12)


def test_slices_begin_as_a_network_without_them() -> None:
    torch.manual_seed(0)
    plain = EntropyModel(6, 8, 10, "checkerboard")
    sliced = EntropyModel(6, 8, 10, "checkerboard", (2, 4))
    sliced.load_state_dict(plain.state_dict(), strict=False)
    inputs = torch.randn(1, 16, 3, 3), torch.randn(1, 6, 3, 3), torch.tensor([2.0])
    torch.testing.assert_close(sliced(*inputs), plain(*inputs))


def test_slices_are_all_channels() -> None:
    with pytest.raises(ValueError, match="slices of 5 channels for 6"):
        EntropyModel(6, 8, 10, "checkerboard", (2, 3))
