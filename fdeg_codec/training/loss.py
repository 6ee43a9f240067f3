"""Rate and distortion, eq. 3, for every sample of a batch at its own lambda."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fdeg_codec.networks.entropy_model import Mixture, cells
from fdeg_codec.networks.fdegcnet import FDEGCNet
from fdeg_codec.networks.rate import bits, mixture_mass


class Outcome(NamedTuple):
    """Per sample: bits per pixel of y and z, mean squared error; and the tensors worth watching."""

    y_bpp: Tensor
    z_bpp: Tensor
    mse: Tensor
    y: Tensor
    z_hat: Tensor


def forward(net: FDEGCNet, x: Tensor, level: Tensor, noisy: bool = True, eight_bit: bool = False) -> Outcome:
    """Estimated rates and the error of `x` at `level`, as samples of `eight_bit` if they are that.

    `noisy` relaxes quantisation for training.
    """
    model = net.entropy
    y = net.analyse(x)
    z = net.summarise(y) * torch.exp(model.z_gain(level))[:, :, None, None]
    z_hat = through(z)
    y_gained = y * torch.exp(model.y_gain(level))[:, :, None, None]
    y_hat = through(y_gained)

    features = model.features(z_hat, level)[:, :, : y.shape[2], : y.shape[3]]
    mixture = model(features, y_hat, level)
    mixture = Mixture(*(part.float() for part in mixture))

    pixels = x.shape[2] * x.shape[3]
    y_rate = bits(mixture_mass(cells(relaxed(y_gained) if noisy else y_hat), mixture)).sum((1, 2))
    z_rate = bits(prior_mass(net, relaxed(z) if noisy else z_hat, level)).flatten(1).sum(1)
    x_hat = net.synthesise(y_hat, level)
    if eight_bit:
        x_hat = (x_hat.clamp(0, 1) * 255).round() / 255
    mse = ((x_hat - x) ** 2).mean((1, 2, 3))
    return Outcome(y_rate / pixels, z_rate / pixels, mse, y, z_hat)


def objective(outcome: Outcome, level: Tensor, power: float) -> Tensor:
    """eq. 3, with every sample weighted so that no lambda drowns the others."""
    lambdas = 2 ** (level + 7)
    losses = outcome.y_bpp + outcome.z_bpp + lambdas * outcome.mse
    return (losses * (512 / lambdas) ** power).mean()


def prior_mass(net: FDEGCNet, z: Tensor, level: Tensor) -> Tensor:
    """The probability of each quantised z; the prior is in natural units, so the cell shrinks as the gain grows."""
    ungain = torch.exp(-net.entropy.z_gain(level))[:, :, None, None]
    low, high = (((z + side) * ungain).transpose(0, 1).flatten(1)[:, None] for side in (-0.5, 0.5))
    mass = net.prior.mass(low, high)
    return mass.view(z.shape[1], len(z), -1).transpose(0, 1)


def through(x: Tensor) -> Tensor:
    """Rounded, with the gradient of the identity."""
    return x + (x.round() - x).detach()


def relaxed(x: Tensor) -> Tensor:
    """Additive uniform noise, the differentiable stand-in for rounding (Balle et al. 2017)."""
    return x + torch.rand_like(x) - 0.5
