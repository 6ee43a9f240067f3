"""HEAM, eqs. 6 to 8: grouped attention that lets rows, columns and neighbourhoods weigh one another."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fdeg_codec.networks.layers import conv

GROUPS = 8


class HEAM(nn.Module):
    """Gates each of eight channel groups by how its two views, directional and local, explain each other."""

    def __init__(self, c: int) -> None:
        super().__init__()
        width = c // GROUPS
        self.directions = conv(width, width, 1)
        self.norm = nn.GroupNorm(width, width)
        self.local = conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        group = x.reshape(b * GROUPS, c // GROUPS, h, w)
        # eq. 6: one shared K1 convolution reads the row means and the column means.
        rows, columns = group.mean(3, keepdim=True), group.mean(2, keepdim=True).transpose(2, 3)
        row_gate, column_gate = torch.sigmoid(self.directions(torch.cat((rows, columns), 2))).split((h, w), 2)
        x1 = self.norm(group * row_gate * column_gate.transpose(2, 3))
        x2 = self.local(group)
        # eqs. 7 and 8: each view's pooled channels weigh the other view's positions.
        gate = self._weigh(x1, x2) + self._weigh(x2, x1)
        return (group * torch.sigmoid(gate)).reshape(b, c, h, w)

    @staticmethod
    def _weigh(pooled: Tensor, other: Tensor) -> Tensor:
        weights = torch.softmax(pooled.mean((2, 3)), 1)
        return (weights[:, :, None, None].to(other.dtype) * other).sum(1, keepdim=True)
