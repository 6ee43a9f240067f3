"""p(y given z), eqs. 1 and 2: everything a decoder must repeat exactly, and therefore everything run in float64.

The hyper-synthesis and the context describe each latent by features; three K1 convolutions turn them into the weights,
means and scales of a Gaussian mixture. They work on latents in natural units, where the gain of a lambda is
divided out, so that one network serves every rate.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from fdeg_codec.networks.context import Cells, Context, ContextKind
from fdeg_codec.networks.gains import PerLevel
from fdeg_codec.networks.heam import HEAM
from fdeg_codec.networks.layers import LeakyReLU, conv, up
from fdeg_codec.networks.mcam import MCAM

COMPONENTS = 3
# The grid of codec.md: means in 1/16, 64 scales evenly spaced in their logarithm, weights in 1/64.
MEAN_STEPS = 16
SCALES = 64
SCALE_MIN, SCALE_MAX = 0.05, 100.0
LOG_SCALE_STEP = math.log(SCALE_MAX / SCALE_MIN) / (SCALES - 1)
WEIGHT_STEPS = 64
MEAN_LIMIT = 2**15 - 1  # in grid steps


class Mixture(NamedTuple):
    """A Gaussian mixture per latent; components on the first axis."""

    weights: Tensor
    means: Tensor
    log_scales: Tensor


class HyperSynthesis(nn.Sequential):
    """h_s: z -> features at the latents' size."""

    def __init__(self, hyper: int) -> None:
        middle = hyper * 3 // 2
        super().__init__(
            *(MCAM(hyper), HEAM(hyper), conv(hyper, hyper), LeakyReLU(), up(hyper, hyper), LeakyReLU()),
            *(HEAM(hyper), conv(hyper, middle), LeakyReLU(), up(middle, middle), LeakyReLU(), conv(middle, 2 * hyper)),
        )


class EntropyModel(nn.Module):
    """From z_hat and the latents decoded so far to the mixture of the next ones."""

    def __init__(self, latent: int, hyper: int, fusion: int, context: ContextKind) -> None:
        super().__init__()
        self.latent = latent
        self.kind = context
        features = 2 * hyper
        self.hyper_synthesis = HyperSynthesis(hyper)
        self.context = Context(context, latent, features) if context != "none" else None
        self.from_features = nn.Linear(features, fusion)
        self.from_context = nn.Linear(features, fusion, bias=False) if self.context else None
        self.at_level = PerLevel(fusion)
        self.body = nn.Sequential(LeakyReLU(), nn.Linear(fusion, fusion), LeakyReLU())
        self.head = nn.Linear(fusion, 3 * COMPONENTS * latent)
        self.y_gain = PerLevel(latent)
        self.z_gain = PerLevel(hyper)

    def features(self, z_hat: Tensor, level: Tensor) -> Tensor:
        """h_s of z_hat (sample, hyper, row, column), as (sample, feature, row, column)."""
        return self.hyper_synthesis(z_hat * torch.exp(-self.z_gain(level))[:, :, None, None])

    def forward(self, features: Tensor, context: Tensor | None, level: Tensor) -> Mixture:
        """The mixture of latents from their features (sample, cell, feature), in units of the quantiser."""
        hidden = self.from_features(features) + self.at_level(level)[:, None]
        if context is not None and self.from_context is not None:
            hidden = hidden + self.from_context(context)
        raw = self.head(self.body(hidden)).to(self.y_gain.table.dtype)
        logits, means, log_scales = raw.unflatten(2, (3, COMPONENTS, self.latent)).permute(2, 3, 0, 1, 4)
        gain = self.y_gain(level)[:, None]
        return Mixture(torch.softmax(logits, 0), means * torch.exp(gain), log_scales + gain)

    def grid(self, features: Tensor, y_hat: Tensor, cells: Cells, level: Tensor) -> Tensor:
        """The mixture at `cells` in steps of the integer grid: (3 means, 3 scales, 2 weights; sample, cell, latent).

        `features` and `y_hat` are (sample, row, column, channel). The third weight is what the other two leave.
        """
        context = None
        if self.context is not None:
            natural = torch.exp(-self.y_gain(level))[:, None, None]
            context = self.context.at(y_hat * natural, cells)
        mixture = self(features[:, cells[0], cells[1]], context, level)
        means = (mixture.means * MEAN_STEPS).clamp(-MEAN_LIMIT, MEAN_LIMIT)
        scales = ((mixture.log_scales - math.log(SCALE_MIN)) / LOG_SCALE_STEP).clamp(0, SCALES - 1)
        return torch.cat((means, scales, mixture.weights[:2] * WEIGHT_STEPS))
