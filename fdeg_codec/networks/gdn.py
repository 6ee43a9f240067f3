"""Generalised divisive normalisation (Balle et al. 2016), and its inverse for synthesis."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FLOOR = 1e-6
LEAST = 1e-20  # of gamma, which training drives to 0: products with numbers below 1e-38 are far slower than others


class GDN(nn.Module):
    """x / sqrt(beta + gamma x^2), or x * sqrt(...) with `inverse`. Squares keep beta and gamma positive."""

    def __init__(self, c: int, inverse: bool = False) -> None:
        super().__init__()
        self.inverse = inverse
        self.beta_root = nn.Parameter(torch.ones(c))
        self.gamma_root = nn.Parameter(0.3 * torch.eye(c) + 0.01)

    def gamma(self) -> Tensor:
        return self.gamma_root**2 + LEAST

    def forward(self, x: Tensor) -> Tensor:
        gamma = self.gamma().to(x.dtype)
        beta = (self.beta_root**2 + FLOOR).to(x.dtype)
        norm = F.linear((x * x).permute(0, 2, 3, 1), gamma, beta).permute(0, 3, 1, 2)
        if norm.requires_grad:
            return x * (torch.sqrt(norm) if self.inverse else torch.rsqrt(norm))
        return x.mul_(norm.sqrt_() if self.inverse else norm.rsqrt_())  # in place where nothing is recorded
