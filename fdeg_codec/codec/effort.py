"""Encoder time for fewer bits: which integers stand for a tile. A decoder does not notice.

Effort 0 rounds. Effort 1 minds each latent's rate while rounding (entropy/rounding.py). From effort 2 on a discrete
descent on eq. 3 follows: one gradient of the whole tile's rate and error tells what a step up or down of every
latent would change, and a random half of those that promise a gain take it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from fdeg_codec.codec.engine import Engine, Integers, Picture
from fdeg_codec.codec.tile import encode_plane
from fdeg_codec.container.header import LEVEL_STEPS
from fdeg_codec.entropy.rounding import nearest, thrifty
from fdeg_codec.networks.entropy_model import cells
from fdeg_codec.networks.rate import bits, mixture_mass

PASSES = (0, 0, 1, 2, 4, 8, 12, 16, 32, 64)  # of the descent, by effort
DEFAULT_EFFORT = 1
# What a step of one costs beyond the gradient: half of eq. 3's second derivative, in bits (7.3 to 8.4 as measured, for
# every latent and lambda: a trained network stands where they are all alike). It grows with every pass that fails.
CURVATURE = 8.0
CAUTION = 1.2
SHARE = 0.5  # of the latents that promise a gain: all at once would spoil each other's


def encode_picture(engine: Engine, picture: Picture, log2_lambda: int, effort: int) -> tuple[bytes, Integers]:
    """The entry of a plane and its latents, from the network's input (3, row, column)."""
    z, y = engine.scale(engine.analyse(picture), log2_lambda)
    predictor = engine.predictor(log2_lambda)
    entry, start = encode_plane(predictor, z, y, nearest if effort == 0 else thrifty)
    if PASSES[effort] == 0:
        return entry, start
    return encode_plane(predictor, z, Descent(engine, picture, z, log2_lambda).best(start, PASSES[effort]))


class Descent:
    """eq. 3 of one tile, in bits, as a function of its latents alone."""

    def __init__(self, engine: Engine, picture: Picture, z: Integers, log2_lambda: int) -> None:
        self._engine = engine
        self._model = engine.draft_entropy
        self._level = engine.level(log2_lambda).float()
        self._worth = 2.0 ** (log2_lambda / LEVEL_STEPS) / len(picture)  # of a squared error of one sample
        self._picture = torch.from_numpy(np.ascontiguousarray(picture)).to(engine.device)[None]
        with torch.no_grad():
            self._features = self._model.features(self._tensor(z), self._level)

    def best(self, start: Integers, passes: int) -> Integers:
        """The best latents met in some passes."""
        dice = torch.Generator(self._engine.device).manual_seed(0)  # the same file every time
        curvature, y_hat = CURVATURE, self._tensor(start)
        least, direction, promise = self._look(y_hat)
        for _ in range(passes):
            chosen = torch.rand(promise.shape, generator=dice, device=promise.device) < SHARE
            trial = y_hat + direction * (chosen & (promise > curvature))
            cost, *ahead = self._look(trial)
            if cost < least:
                least, y_hat, (direction, promise) = cost, trial, ahead
            else:
                curvature *= CAUTION
        return y_hat[0].permute(1, 2, 0).to(torch.int32).cpu().numpy()

    def _look(self, y_hat: Tensor) -> tuple[float, Tensor, Tensor]:
        """What the latents cost in all; each one's better direction, and what a step there saves if eq. 3 were flat."""
        with torch.enable_grad():
            seen = y_hat.clone().requires_grad_(True)
            mixture = self._model(self._features[:, :, : y_hat.shape[2], : y_hat.shape[3]], seen, self._level)
            rates = [bits(mixture_mass(cells(y_hat + step), mixture)) for step in (-1, 0, 1)]
            with self._engine.autocast():
                error = ((self._engine.net.synthesise(seen, self._level) - self._picture) ** 2).sum()
            cost = rates[1].sum() + self._worth * error
            (gradient,) = torch.autograd.grad(cost, seen)
        with torch.no_grad():
            down, up = ((rates[1] - rate).transpose(1, 2).reshape(y_hat.shape) for rate in (rates[0], rates[2]))
            down, up = down + gradient, up - gradient
            return cost.item(), torch.where(down > up, -1.0, 1.0), torch.maximum(down, up)

    def _tensor(self, integers: Integers) -> Tensor:
        return torch.from_numpy(integers).to(self._engine.device).float().permute(2, 0, 1)[None]
