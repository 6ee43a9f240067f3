"""Rate and distortion, eq. 3, for every sample of a batch at its own lambda."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fdeg_codec.entropy.rounding import SURE, WORTH
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


def forward(
    net: FDEGCNet, x: Tensor, level: Tensor, noisy: bool = True, eight_bit: bool = False, as_coded: bool = False
) -> Outcome:
    """Estimated rates and the error of `x` at `level`, as samples of `eight_bit` if they are that.

    `noisy` relaxes quantisation for training. With `as_coded` y becomes those integers that the default effort chooses.
    """
    model = net.entropy
    y = net.analyse(x)
    z = net.summarise(y) * model.z_units(level)
    z_hat = through(z)
    y_gained = y * model.y_gain.gain(level)
    y_hat = through(y_gained)

    features = model.features(z_hat, level)[:, :, : y.shape[2], : y.shape[3]]
    if as_coded:
        with torch.no_grad():
            chosen = thrifty(cells(y_gained), in_float32(model(features, y_hat, level)))
        y_hat = through(y_gained, chosen.transpose(1, 2).reshape(y.shape))
    mixture = in_float32(model(features, y_hat, level))

    pixels = x.shape[2] * x.shape[3]
    y_rate = y_bits(y_gained, y_hat, mixture, noisy, as_coded).sum((1, 2))
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
    units = net.entropy.z_units(level)
    low, high = (((z + side) / units).transpose(0, 1).flatten(1)[:, None] for side in (-0.5, 0.5))
    mass = net.prior.mass(low, high)
    return mass.view(z.shape[1], len(z), -1).transpose(0, 1)


def y_bits(y: Tensor, y_hat: Tensor, mixture: Mixture, noisy: bool, as_coded: bool) -> Tensor:
    """What each latent costs (sample, cell, latent).

    Noisy and as coded: the entropy model learns from the integers, analysis from the relaxed latents.
    """
    if not noisy:
        return bits(mixture_mass(cells(y_hat), mixture))
    if not as_coded:
        return bits(mixture_mass(cells(relaxed(y)), mixture))
    of_model = bits(mixture_mass(cells(y_hat.detach()), mixture))
    of_analysis = bits(mixture_mass(cells(relaxed(y)), Mixture(*(part.detach() for part in mixture))))
    return of_model + of_analysis - of_analysis.detach()


def in_float32(mixture: Mixture) -> Mixture:
    return Mixture(*(part.float() for part in mixture))


def through(x: Tensor, integers: Tensor | None = None) -> Tensor:
    """Rounded, or `integers`, with the gradient of the identity."""
    return x + ((x.round() if integers is None else integers) - x).detach()


def thrifty(y: Tensor, mixture: Mixture) -> Tensor:
    """Of the two integers beside each latent the one that costs less: what an encoder does (entropy/rounding.py)."""
    first = y.round()
    offset = y - first
    other = first + torch.where(offset > 0, 1, -1)
    saved = bits(mixture_mass(first, mixture)) - bits(mixture_mass(other, mixture))
    offset = offset.abs()
    return torch.where((offset > SURE) & (saved > WORTH * (1 - 2 * offset)), other, first)


def relaxed(x: Tensor) -> Tensor:
    """Additive uniform noise, the differentiable stand-in for rounding (Balle et al. 2017)."""
    return x + torch.rand_like(x) - 0.5
