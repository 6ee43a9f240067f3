"""One model for every lambda: tables of logarithms at the paper's six lambdas, linear in between.

`level` is log2(lambda) - 7 throughout: 0 for lambda 128, 5 for 4096, one value per sample.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

LEVELS = 6


class PerLevel(nn.Module):
    """A vector per level, interpolated: gains as logarithms, or the bias that tells a layer which lambda it serves."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(LEVELS, c))

    def forward(self, level: Tensor) -> Tensor:
        """The vectors (sample, channel) at `level` (sample)."""
        low = level.floor().clamp(0, LEVELS - 2)
        share = (level - low)[:, None].to(self.table.dtype)
        index = low.long()
        return torch.lerp(self.table[index], self.table[index + 1], share)

    def gain(self, level: Tensor) -> Tensor:
        """What latents (sample, channel, row, column) are multiplied by, where the table holds logarithms."""
        return torch.exp(self(level))[:, :, None, None]
