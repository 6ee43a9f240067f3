"""What a latent may know of latents decoded before it: the order of decoding, and the neighbours seen.

`none` looks at nothing, `checkerboard` (He et al. 2021) decodes even cells first and shows them to the odd ones,
`serial` is the masked convolution of the paper's reference, walked as a wavefront.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

ContextKind = Literal["none", "checkerboard", "serial"]
Cells = tuple[NDArray[np.intp], NDArray[np.intp]]

REACH = 2
SIDE = 2 * REACH + 1


@lru_cache(maxsize=64)
def passes(kind: ContextKind, height: int, width: int) -> tuple[Cells, ...]:
    """The cells (rows, columns) of a latent picture, in groups that can be decoded at once."""
    rows, columns = (axis.ravel() for axis in np.indices((height, width)))
    if kind == "none":
        turn = np.zeros_like(rows)
    elif kind == "checkerboard":
        turn = (rows + columns) % 2
    else:  # a cell waits for the row above as far as REACH to its right
        turn = columns + (REACH + 1) * rows
    groups = (np.flatnonzero(turn == t) for t in np.unique(turn))
    return tuple((rows[g], columns[g]) for g in groups)


def taps(kind: ContextKind) -> list[tuple[int, int]]:
    """The positions of the 5x5 window that are decoded before its centre."""
    window = [(r, c) for r in range(SIDE) for c in range(SIDE)]
    if kind == "serial":
        return [(r, c) for r, c in window if (r, c) < (REACH, REACH)]
    return [(r, c) for r, c in window if (r + c) % 2]


class Context(nn.Module):
    """A 5x5 convolution over the latents decoded so far, as one matrix product over its taps."""

    def __init__(self, kind: ContextKind, latent: int, features: int) -> None:
        super().__init__()
        self.kind = kind
        self.taps = taps(kind)
        self.weight = nn.Parameter(torch.empty(len(self.taps), latent, features))
        self.bias = nn.Parameter(torch.zeros(features))
        nn.init.normal_(self.weight, std=0.3 / (len(self.taps) * latent) ** 0.5)

    def forward(self, y: Tensor) -> Tensor:
        """Features of every cell of `y` (sample, latent, row, column): what training needs."""
        kernel = y.new_zeros(self.weight.shape[2], self.weight.shape[1], SIDE, SIDE)
        rows, columns = zip(*self.taps, strict=True)
        kernel[:, :, rows, columns] = self.weight.permute(2, 1, 0).to(y.dtype)
        if self.kind == "serial":
            return F.conv2d(y, kernel, self.bias.to(y.dtype), padding=REACH)
        odd = checkerboard(y)
        return F.conv2d(y * (1 - odd), kernel, self.bias.to(y.dtype), padding=REACH) * odd

    def at(self, y: Tensor, cells: Cells) -> Tensor | None:
        """Features (sample, cell, feature) of `cells` of `y` (sample, row, column, latent); None where all are zero."""
        rows, columns = cells
        if self.kind == "checkerboard" and (rows[0] + columns[0]) % 2 == 0:
            return None
        padded = F.pad(y, (0, 0, REACH, REACH, REACH, REACH))
        width = padded.shape[2]
        places = (rows * width + columns)[:, None] + [r * width + c for r, c in self.taps]
        seen = padded.flatten(1, 2).index_select(1, torch.from_numpy(places.ravel()).to(y.device))
        return self.project(seen.view(len(y), len(rows), -1))

    def project(self, seen: Tensor) -> Tensor:
        return seen @ self.weight.flatten(0, 1) + self.bias


def checkerboard(y: Tensor) -> Tensor:
    """1 on odd cells, 0 on even ones, with the height and width of `y`."""
    rows, columns = (torch.arange(n, device=y.device) for n in y.shape[-2:])
    return ((rows[:, None] + columns) % 2).to(y.dtype)
