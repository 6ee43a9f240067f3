"""eq. 3 of one tile, in bits, as a function of its latents alone, and two ways down.

`anneal` takes gradient steps on real latents, each of which stands for one of the two integers beside it by a chance that
hardens as time goes by (stochastic Gumbel annealing: Yang et al. 2020, arXiv 2006.04240). `descend` changes integers by
one: a gradient tells what a step up or down of each would change, and some of those that promise a gain take it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fdeg_codec.codec.engine import Engine, Floats, Integers, Picture
from fdeg_codec.container.header import LEVEL_STEPS
from fdeg_codec.entropy.rounding import nearest
from fdeg_codec.networks.entropy_model import Mixture, cells
from fdeg_codec.networks.rate import bits, mixture_mass

# The choices of `anneal`: as tried on two pictures.
PACE = 0.02  # Adam's rate at first, in steps of the quantiser
WARM, COLD = 0.5, 0.05
OPEN = 0.45  # how far a latent may begin from its integer, so that the choice stays open
ALMOST = 1e-4  # never quite an integer, where no gradient is left

# Of `descend`. What a step of one costs beyond the gradient is half of eq. 3's second derivative, in bits: 7.3 to 8.4 as
# measured, for every latent and lambda (a trained network stands where they are all alike). All that promise a gain at
# once would spoil each other's; a pass that fails makes the next one more careful, one that does not bolder.
CURVATURE = 8.0
SHARE = 0.5
CAREFUL, CAUTION, BOLDER = 0.7, 1.05, 1.1


class Slope:
    """What latents of a tile cost, and where it goes down from there."""

    def __init__(self, engine: Engine, picture: Picture, counts: Picture, z: Integers, log2_lambda: int) -> None:
        self._engine = engine
        self._model = engine.draft_entropy
        self._level = engine.level(log2_lambda).float()
        worth = 2.0 ** (log2_lambda / LEVEL_STEPS) / len(picture)  # of a squared error of one sample
        self._picture, self._worth = (torch.from_numpy(a).to(engine.device)[None] for a in (picture, worth * counts))
        self._dice = torch.Generator(engine.device).manual_seed(0)  # the same file every time
        with torch.no_grad():
            self._features = self._model.features(self._tensor(z), self._level)

    def cost(self, y_hat: Integers) -> float:
        return self._look(self._tensor(y_hat))[0]

    @torch.enable_grad()
    def anneal(self, y: Floats, start: Integers, steps: int) -> Integers:
        """The integers that real latents settle on, which begin as `y`, but near `start`."""
        latents = self._tensor(start + np.clip(y - start, -OPEN, OPEN)).requires_grad_()
        optimiser = torch.optim.Adam([latents], betas=(0.9, 0.99))
        for step in range(steps):
            optimiser.param_groups[0]["lr"] = PACE * (1.03 - step / steps)
            drawn = self._drawn(latents, WARM * (COLD / WARM) ** (step / steps))
            optimiser.zero_grad()
            (_bits(drawn, self._mixture(drawn)).sum() + self._error(drawn)).backward()
            optimiser.step()
        return _integers(latents)

    def descend(self, start: Integers, passes: int) -> Integers:
        """The best integers met in some passes from `start`."""
        y_hat = self._tensor(start)
        curvature, share = CURVATURE, SHARE
        least, direction, promise = self._look(y_hat)
        for _ in range(passes):
            chosen = self._chance(promise) < share
            trial = y_hat + direction * (chosen & (promise > curvature))
            cost, *ahead = self._look(trial)
            if cost < least:
                least, y_hat, (direction, promise) = cost, trial, ahead
                share = min(SHARE, share * BOLDER)
            else:
                curvature, share = curvature * CAUTION, share * CAREFUL
        return _integers(y_hat)

    @torch.enable_grad()
    def _look(self, y_hat: Tensor) -> tuple[float, Tensor, Tensor]:
        """What the latents cost in all; each one's better direction, and what a step there saves if eq. 3 were flat."""
        seen = y_hat.clone().requires_grad_()
        mixture = self._mixture(seen)
        rates = [_bits(y_hat + step, mixture) for step in (-1, 0, 1)]
        cost = rates[1].sum() + self._error(seen)
        (gradient,) = torch.autograd.grad(cost, seen)
        with torch.no_grad():
            down, up = ((rates[1] - rate).transpose(1, 2).reshape(y_hat.shape) for rate in (rates[0], rates[2]))
            down, up = down + gradient, up - gradient
            return cost.item(), torch.where(down > up, -1.0, 1.0), torch.maximum(down, up)

    def _mixture(self, y: Tensor) -> Mixture:
        return self._model(self._features[:, :, : y.shape[2], : y.shape[3]], y, self._level)

    def _error(self, y: Tensor) -> Tensor:
        """The squared error of what comes of y, in the bits that it is worth."""
        with self._engine.autocast():
            return (self._worth * (self._engine.net.synthesise(y, self._level) - self._picture) ** 2).sum()

    def _drawn(self, x: Tensor, warmth: float) -> Tensor:
        """Between the integers beside each of `x`: nearer to the one that the dice say, the colder the nearer."""
        below = x.detach().floor()
        above = (x - below).clamp(ALMOST, 1 - ALMOST)
        lean = (torch.atanh(above) - torch.atanh(1 - above)) / warmth + torch.logit(self._chance(x), ALMOST**2)
        return below + torch.sigmoid(lean / warmth)

    def _chance(self, like: Tensor) -> Tensor:
        return torch.rand(like.shape, generator=self._dice, device=like.device)

    def _tensor(self, latents: NDArray[Any]) -> Tensor:
        """(row, column, channel) as (1, channel, row, column)."""
        return torch.from_numpy(latents).to(self._engine.device).float().permute(2, 0, 1)[None]


def _bits(y: Tensor, mixture: Mixture) -> Tensor:
    """What each latent costs (1, cell, channel)."""
    return bits(mixture_mass(cells(y), mixture))


def _integers(y: Tensor) -> Integers:
    """(1, channel, row, column) as (row, column, channel)."""
    return nearest(y.detach()[0].permute(1, 2, 0).cpu().numpy())
