"""eq. 3 of one tile, in bits, as a function of its latents alone, and two ways down.

`anneal` takes gradient steps on real latents, each of which stands for one of the two integers beside it by a chance that
hardens as time goes by (stochastic Gumbel annealing: Yang et al. 2020, arXiv 2006.04240). `descend` changes integers by
one: a gradient tells what a step up or down of each would change, and some of those that promise a gain take it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fdeg_codec.codec.engine import Engine, Picture, integers
from fdeg_codec.container.header import LEVEL_STEPS
from fdeg_codec.ndtypes import Floats, Integers
from fdeg_codec.networks.entropy_model import Mixture, cells
from fdeg_codec.networks.rate import bits, mixture_mass

# Of `anneal`, as tried on two pictures. Its step is Adam's (Kingma and Ba 2015; torch's takes seconds to be imported).
PACE, LAST_PACE = 0.02, 0.0006  # of a latent at first and in the end, in steps of the quantiser
MEMORY, SQUARE_MEMORY = 0.9, 0.99  # of the gradients before, and of their squares
WARM, COLD = 0.5, 0.05
OPEN = 0.45  # how far a latent may begin from its integer, so that the choice stays open
ALMOST = 1e-4  # never quite an integer, where no gradient is left
CHANCE = 1e-8  # nor quite sure
TINY = 1e-8  # gradient

# Of `descend`. What a step of one costs beyond the gradient is half of eq. 3's second derivative, in bits: 7.3 to 8.4 as
# measured, for every latent and lambda (a trained network stands where they are all alike). Those that promise most promise
# too much, and more is asked of them at first. All at once would spoil each other's gains; a pass that fails makes the next
# one more careful, one that does not bolder.
CURVATURE, FIRST_CURVATURE = 8.0, 14.0
SHARE, FIRST_SHARE = 0.5, 0.3
CAREFUL, BOLDER, EASIER = 0.7, 1.1, 0.97


class Found(NamedTuple):
    """Latents (row, column, channel), and what they cost."""

    cost: float
    latents: Integers


class Slope:
    """What latents of a tile cost, and where it goes down from there."""

    def __init__(self, engine: Engine, picture: Picture, counts: Picture, z: Integers, log2_lambda: int) -> None:
        self._engine = engine
        self._model = engine.draft_entropy
        self._level = engine.level(log2_lambda).float()
        worth = 2.0 ** (log2_lambda / LEVEL_STEPS) / len(picture)  # of a squared error of one sample
        self._picture = torch.from_numpy(picture).to(engine.device)[None]
        self._worth = torch.from_numpy(worth * counts).to(engine.device)[None]
        with torch.no_grad():
            self._features = self._model.features(engine.latents(z).float(), self._level)

    def anneal(self, y: Floats, start: Integers, steps: int) -> Integers:
        """The integers that real latents settle on, which begin as `y`, but near `start`."""
        dice = self._dice()
        latents = self._engine.latents(start + np.clip(y - start, -OPEN, OPEN)).float()
        mean, square = torch.zeros_like(latents), torch.zeros_like(latents)
        for step in range(steps):
            done = step / steps
            gradient = self._gradient(latents, WARM * (COLD / WARM) ** done, dice)
            mean.lerp_(gradient, 1 - MEMORY)
            square.lerp_(gradient**2, 1 - SQUARE_MEMORY)
            known, square_known = (1 - memory ** (step + 1) for memory in (MEMORY, SQUARE_MEMORY))
            pace = PACE + (LAST_PACE - PACE) * done
            latents -= pace / known * mean / (torch.sqrt(square / square_known) + TINY)
        return integers(latents)

    def descend(self, start: Integers, passes: int) -> Found:
        """The best integers met in some passes from `start`."""
        dice = self._dice()
        y_hat = self._engine.latents(start).float()
        curvature, share = FIRST_CURVATURE, FIRST_SHARE
        least, direction, promise = self._look(y_hat)
        for _ in range(passes):
            chosen = _chance(promise, dice) < share
            trial = y_hat + direction * (chosen & (promise > curvature))
            cost, *ahead = self._look(trial)
            if cost < least:
                least, y_hat, (direction, promise) = cost, trial, ahead
                curvature, share = max(CURVATURE, curvature * EASIER), min(SHARE, share * BOLDER)
            else:
                share *= CAREFUL
        return Found(least, integers(y_hat))

    @torch.no_grad()
    def error(self, latents: Integers) -> float:
        """The part of their cost that is error."""
        return self._error(self._engine.latents(latents).float()).item()

    @torch.enable_grad()
    def _gradient(self, latents: Tensor, warmth: float, dice: torch.Generator) -> Tensor:
        """Of the cost of one draw."""
        free = latents.clone().requires_grad_()
        drawn = _drawn(free, warmth, dice)
        (gradient,) = torch.autograd.grad(_bits(drawn, self._mixture(drawn)).sum() + self._error(drawn), free)
        return gradient

    def _look(self, y_hat: Tensor) -> tuple[float, Tensor, Tensor]:
        """What the latents cost in all; each one's better direction, and what a step there saves if eq. 3 were flat."""
        with torch.enable_grad():
            seen = y_hat.clone().requires_grad_()
            mixture = self._mixture(seen)
            rates = _bits(seen, mixture)
            cost = rates.sum() + self._error(seen)
            (gradient,) = torch.autograd.grad(cost, seen)
        with torch.no_grad():
            beside = (_bits(y_hat + step, mixture) for step in (-1, 1))
            down, up = ((rates - other).transpose(1, 2).reshape(y_hat.shape) for other in beside)
            down, up = down + gradient, up - gradient
            return cost.item(), torch.where(down > up, -1.0, 1.0), torch.maximum(down, up)

    def _mixture(self, y: Tensor) -> Mixture:
        return self._model(self._features[:, :, : y.shape[2], : y.shape[3]], y, self._level)

    def _error(self, y: Tensor) -> Tensor:
        """The squared error of what comes of y, in the bits that it is worth."""
        with self._engine.autocast():
            return (self._worth * (self._engine.net.synthesise(y, self._level) - self._picture) ** 2).sum()

    def _dice(self) -> torch.Generator:
        """The same for each: on a CPU a file is the same every time."""
        return torch.Generator(self._engine.device).manual_seed(0)


def _drawn(x: Tensor, warmth: float, dice: torch.Generator) -> Tensor:
    """Between the integers beside each of `x`: nearer to the one that the dice say, the colder the nearer."""
    below = x.detach().floor()
    above = (x - below).clamp(ALMOST, 1 - ALMOST)
    lean = (torch.atanh(above) - torch.atanh(1 - above)) / warmth + torch.logit(_chance(x, dice), CHANCE)
    return below + torch.sigmoid(lean / warmth)


def _chance(like: Tensor, dice: torch.Generator) -> Tensor:
    return torch.rand(like.shape, generator=dice, device=like.device)


def _bits(y: Tensor, mixture: Mixture) -> Tensor:
    """What each latent costs (1, cell, channel)."""
    return bits(mixture_mass(cells(y), mixture))
