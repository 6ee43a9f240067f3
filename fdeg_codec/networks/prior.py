"""p(z), eq. 4: a learned density per channel (Balle et al. 2018, appendix 6.1)."""

from __future__ import annotations

import math
from itertools import pairwise, zip_longest

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS = (1, 3, 3, 3, 1)
INIT_SCALE = 1.0


class FactorizedPrior(nn.Module):
    """A cumulative distribution per channel: a small network that can only rise."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        scale = INIT_SCALE ** (1 / (len(WIDTHS) - 1))
        self.matrices, self.biases, self.factors = (nn.ParameterList() for _ in range(3))
        for i, o in pairwise(WIDTHS):
            self.matrices.append(torch.full((channels, o, i), math.log(math.expm1(1 / scale / o))))
            self.biases.append(torch.empty(channels, o, 1).uniform_(-0.5, 0.5))
            if len(self.matrices) < len(WIDTHS) - 1:
                self.factors.append(torch.zeros(channels, o, 1))

    def logits(self, x: Tensor) -> Tensor:
        """The cumulative distribution's logit at `x` (channel, 1, position)."""
        for matrix, bias, factor in zip_longest(self.matrices, self.biases, self.factors):
            x = F.softplus(matrix) @ x + bias
            if factor is not None:
                x = x + torch.tanh(factor) * torch.tanh(x)
        return x

    def mass(self, low: Tensor, high: Tensor) -> Tensor:
        """The probability between `low` and `high` (channel, 1, position), computed in the thinner tail."""
        low, high = self.logits(low), self.logits(high)
        sign = -torch.sign(low + high).detach()
        return (torch.sigmoid(sign * high) - torch.sigmoid(sign * low)).abs()
