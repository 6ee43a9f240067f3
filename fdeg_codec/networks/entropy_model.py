"""p(y given z), eqs. 1 and 2: everything a decoder must repeat exactly, and therefore everything run in float64.

The hyper-synthesis and the context describe each latent by features; three K1 convolutions turn them into the weights,
means and scales of a Gaussian mixture. They work on latents in natural units, where the gain of a lambda is
divided out, so that one network serves every rate. A cell's channels come in slices, and each slice sees those before it
(Minnen and Singh 2020, arXiv 2007.08739); the paper's networks have a single one.
"""

from __future__ import annotations

import math
from itertools import accumulate, pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fdeg_codec.grid import COMPONENTS, MEAN_STEPS, SCALE_MAX, SCALE_MIN, SCALES, WEIGHT_STEPS
from fdeg_codec.networks.context import Context, ContextKind
from fdeg_codec.networks.gains import PerLevel
from fdeg_codec.networks.heam import HEAM
from fdeg_codec.networks.layers import SLOPE, LeakyReLU, Linear, add, conv, product, up
from fdeg_codec.networks.mcam import MCAM

LOG_SCALE_STEP = math.log(SCALE_MAX / SCALE_MIN) / (SCALES - 1)
MEAN_LIMIT = 2**15 - 1  # in grid steps


class Mixture(NamedTuple):
    """A Gaussian mixture per latent; components on the first axis."""

    weights: Tensor
    means: Tensor
    log_scales: Tensor


class Slice(NamedTuple):
    """What a slice has for itself at one level: its first and its last layer.

    The last has rows of three means, three scales, and the second and third logit less the first.
    """

    channels: slice  # among those that speak
    earlier: Tensor | None  # (earlier channel, fusion); None where nothing in a cell is decoded before
    offset: Tensor | None  # (fusion)
    weight: Tensor  # (fusion, row and channel)
    bias: Tensor  # (row, 1, channel)


class Spoken(NamedTuple):
    """The part of an entropy model that predicts the channels that speak, at one level."""

    ungain: Tensor  # (channel), from units of the quantiser to natural ones
    context: Tensor | None  # (tap, channel, feature)
    slices: tuple[Slice, ...]


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

    def __init__(self, latent: int, hyper: int, fusion: int, context: ContextKind, slices: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.latent = latent
        self.kind = context
        ends = [0, *accumulate(slices or (latent,))]
        if ends[-1] != latent:
            raise ValueError(f"slices of {ends[-1]} channels for {latent} latents")
        self.slices = tuple(slice(*pair) for pair in pairwise(ends))
        features = 2 * hyper
        self.hyper_synthesis = HyperSynthesis(hyper)
        self.context = Context(context, latent, features) if context != "none" else None
        self.from_features = Linear(features, fusion)
        self.from_context = Linear(features, fusion, bias=False) if self.context else None
        self.from_slices = nn.ModuleList(Linear(part.start, fusion) for part in self.slices[1:])
        self.at_level = PerLevel(fusion)
        shared = nn.LeakyReLU(SLOPE)  # not in place: its input serves every slice
        self.body = nn.Sequential(shared, Linear(fusion, fusion), LeakyReLU())
        self.head = Linear(fusion, 3 * COMPONENTS * latent)
        self.y_gain = PerLevel(latent)
        self.z_gain = PerLevel(hyper)
        for p in self.from_slices.parameters():  # so that a network without slices is one to begin with
            nn.init.zeros_(p)

    def features(self, z_hat: Tensor, level: Tensor) -> Tensor:
        """h_s of z_hat (sample, hyper, row, column), as (sample, feature, row, column)."""
        return self.hyper_synthesis(z_hat / self.z_units(level))

    def z_units(self, level: Tensor) -> Tensor:
        """What z is multiplied by: the gain of the nearest whole level, which the frequencies of its values are known for."""
        return self.z_gain.gain((level + 0.5).floor())

    def forward(self, features: Tensor, y_hat: Tensor, level: Tensor) -> Mixture:
        """The mixtures of all latents (sample, cell, latent), in units of the quantiser; for training.

        `features` and `y_hat` are (sample, channel, row, column).
        """
        natural = y_hat * torch.exp(-self.y_gain(level))[:, :, None, None]
        context = cells(self.context(natural)) if self.context is not None else None
        hidden = self.hidden(cells(features), context, level)
        parts = [self.mixture(hidden, k, cells(natural), level) for k in range(len(self.slices))]
        return Mixture(*(torch.cat(tensors, -1) for tensors in zip(*parts, strict=True)))

    def hidden(self, features: Tensor, context: Tensor | None, level: Tensor) -> Tensor:
        """What all slices of a cell have in common, from its features (sample, cell, feature)."""
        hidden = self.from_features(features) + self.at_level(level)[:, None]
        if context is not None and self.from_context is not None:
            hidden = hidden + self.from_context(context)
        return hidden

    def mixture(self, hidden: Tensor, number: int, natural: Tensor, level: Tensor) -> Mixture:
        """The mixtures of one slice; of `natural` (sample, cell, latent) the channels before it are looked at."""
        part = self.slices[number]
        if number:
            hidden = hidden + self.from_slices[number - 1](natural[..., : part.start])
        shape = 3, COMPONENTS, self.latent
        weight, bias = (p.unflatten(0, shape)[:, :, part].flatten(0, 2) for p in (self.head.weight, self.head.bias))
        raw = F.linear(self.body(hidden), weight, bias).to(self.y_gain.table.dtype)
        logits, means, log_scales = raw.unflatten(2, (3, COMPONENTS, -1)).permute(2, 3, 0, 1, 4)
        gain = self.y_gain(level)[:, None, part]
        return Mixture(torch.softmax(logits, 0), means * torch.exp(gain), log_scales + gain)

    def spoken(self, level: Tensor, speaking: Tensor) -> Spoken:
        """What predicts the channels that speak (latent) in steps of the integer grid; no slices in which none does."""
        gain = self.y_gain(level)[0]
        shape = 3, COMPONENTS, self.latent
        slices, done = [], 0
        for number, part in enumerate(self.slices):
            which = part.start + speaking[part].nonzero()[:, 0]
            if not len(which):
                continue
            first = self.from_slices[number - 1] if number else None
            earlier, offset = None, None
            if isinstance(first, Linear):
                earlier, offset = first.weight[:, speaking[: part.start]].t(), first.bias
            last = torch.cat([p.view(*shape, -1)[:, :, which] for p in (self.head.weight, self.head.bias)], -1)
            logits, means, log_scales = last
            means *= MEAN_STEPS * torch.exp(gain[which])[:, None]
            log_scales[..., -1] += gain[which] - math.log(SCALE_MIN)
            rows = torch.cat((means, log_scales / LOG_SCALE_STEP, logits[1:] - logits[0])).transpose(1, 2)
            channels = slice(done, done + len(which))
            slices.append(Slice(channels, earlier, offset, rows[:, :-1].transpose(0, 1).flatten(1), rows[:, -1:]))
            done = channels.stop
        context = self.context.weight[:, speaking] if self.context is not None else None
        return Spoken(torch.exp(-gain[speaking]), context, tuple(slices))

    def grid(self, hidden: Tensor, part: Slice, natural: Tensor) -> Tensor:
        """The mixtures of a slice in steps of the integer grid: (3 means, 3 scales, 2 weights; sample, cell, latent).

        The third weight is what the other two leave. `natural` (sample, cell, latent) has the channels that speak.
        """
        if part.earlier is not None and part.offset is not None:
            told = product(natural[..., : part.channels.start].flatten(0, 1), part.earlier).view_as(hidden)
            hidden = add(add(told, part.offset), hidden)
        described: Tensor = self.body(hidden)
        told = product(described.flatten(0, 1), part.weight).unflatten(1, (len(part.bias), -1)).transpose(0, 1)
        rows = torch.add(told, part.bias, out=told.new_empty(told.shape))
        rows[:COMPONENTS].clamp_(-MEAN_LIMIT, MEAN_LIMIT)
        rows[COMPONENTS:-2].clamp_(0, SCALES - 1)
        logits = rows[-2:]
        most = logits.amax(0).clamp_(min=0)  # the first is 0
        second, third = logits.sub_(most).exp_()
        first = most.neg_().exp_()
        total = (first + second).add_(third).reciprocal_().mul_(WEIGHT_STEPS)
        torch.mul(second, total, out=third)
        torch.mul(first, total, out=second)
        return rows.unflatten(1, described.shape[:2])


def cells(x: Tensor) -> Tensor:
    """(sample, channel, row, column) as (sample, cell, channel)."""
    return x.flatten(2).transpose(1, 2)
