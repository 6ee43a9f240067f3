"""ODAM: attention over a latent picture, with dynamic convolutions in both of its branches (the paper's figure 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fdeg_codec.networks.layers import add, conv
from fdeg_codec.networks.odconv import ODConv


class ODBlock(nn.Module):
    """A residual bottleneck of three dynamic convolutions."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.body = nn.Sequential(ODConv(c, c // 2), nn.ReLU(), ODConv(c // 2, c // 2, 3), nn.ReLU(), ODConv(c // 2, c))

    def forward(self, x: Tensor) -> Tensor:
        return add(self.body(x), x)


class ODAM(nn.Module):
    """x + trunk(x) * sigmoid(conv1x1(mask(x)))."""

    def __init__(self, c: int, depth: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(*(ODBlock(c) for _ in range(depth)))
        self.mask = nn.Sequential(*(ODBlock(c) for _ in range(depth)), conv(c, c, 1))

    def forward(self, x: Tensor) -> Tensor:
        trunk, mask = self.trunk(x), self.mask(x)
        if trunk.requires_grad:
            return x + trunk * torch.sigmoid(mask)
        return trunk.mul_(mask.sigmoid_()).add_(x)  # in place where nothing is recorded
