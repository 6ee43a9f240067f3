"""What latents cost, as a number with a gradient: for training, and for an encoder that takes its time."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fdeg_codec.grid import SCALE_MAX, SCALE_MIN
from fdeg_codec.networks.entropy_model import Mixture

LIKELIHOOD_FLOOR = 1e-6


def mixture_mass(y: Tensor, mixture: Mixture) -> Tensor:
    """The probability of the unit cell around each of `y`."""
    scales = torch.exp(mixture.log_scales.clamp(math.log(SCALE_MIN), math.log(SCALE_MAX)))
    distance = (y - mixture.means).abs()
    upper = torch.special.ndtr((0.5 - distance) / scales)
    lower = torch.special.ndtr((-0.5 - distance) / scales)
    return (mixture.weights * (upper - lower)).sum(0)


def bits(mass: Tensor) -> Tensor:
    """Of a probability, each by itself."""
    return -torch.log2(mass + LIKELIHOOD_FLOOR)
