"""What a latent may know of latents decoded before it: the order of decoding, and the neighbours seen.

`none` looks at nothing. `checkerboard` (He et al. 2021) decodes even cells first and shows them to the odd ones, `quarters`
does so in four turns, each knowing those before it. `serial` is the masked convolution of the paper's reference, walked as
a wavefront.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from fdeg_codec.networks.layers import product

ContextKind = Literal["none", "checkerboard", "quarters", "serial"]
Cells = tuple[NDArray[np.intp], NDArray[np.intp]]
Places = tuple[tuple[int, int], ...]

REACH = 2
SIDE = 2 * REACH + 1
WINDOW = tuple((r, c) for r in range(SIDE) for c in range(SIDE))
BEFORE: Places = tuple(place for place in WINDOW if place < (REACH, REACH))
SIDES: Places = tuple((r, c) for r, c in WINDOW if (r + c) % 2)
CORNERS: Places = tuple((r, c) for r, c in WINDOW if r % 2 and c % 2)


class Part(NamedTuple):
    """A kernel of the convolution, and the turns whose cells see by it; None: all."""

    taps: Places
    by: tuple[int, ...] | None = None


# A cell sees by them only cells whose turn came before.
PARTS: dict[ContextKind, tuple[Part, ...]] = {
    "none": (),
    "checkerboard": (Part(SIDES, (1,)),),
    "quarters": (Part(CORNERS, (1,)), Part(SIDES, (2, 3)), Part(CORNERS, (3,))),
    "serial": (Part(BEFORE),),
}


def turns(kind: ContextKind, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.intp]:
    """When cells are decoded."""
    if kind == "checkerboard":
        return (rows + columns) % 2
    if kind == "quarters":
        return 2 * ((rows + columns) % 2) + rows % 2
    if kind == "serial":  # a cell waits for the row above as far as REACH to its right
        return columns + (REACH + 1) * rows
    return np.zeros_like(rows)


@lru_cache(maxsize=64)
def passes(kind: ContextKind, height: int, width: int) -> tuple[Cells, ...]:
    """The cells (rows, columns) of a latent picture, in groups that can be decoded at once."""
    rows, columns = (axis.ravel() for axis in np.indices((height, width)))
    turn = turns(kind, rows, columns)
    groups = (np.flatnonzero(turn == t) for t in np.unique(turn))
    return tuple((rows[g], columns[g]) for g in groups)


class Context(nn.Module):
    """A 5x5 convolution over the latents decoded so far, as one matrix product over its taps."""

    def __init__(self, kind: ContextKind, latent: int, features: int) -> None:
        super().__init__()
        self.kind = kind
        self.parts = PARTS[kind]
        self.sizes = [len(part.taps) for part in self.parts]
        self.weight = nn.Parameter(torch.empty(sum(self.sizes), latent, features))
        self.bias = nn.Parameter(torch.zeros(len(self.parts) * features))
        nn.init.normal_(self.weight, std=0.3 / (sum(self.sizes) * latent) ** 0.5)

    def _kernels(self, weight: Tensor) -> Iterator[tuple[Part, Tensor, Tensor]]:
        """Each part with its weight (tap, latent, feature) and its bias."""
        return zip(self.parts, weight.split(self.sizes), self.bias.chunk(len(self.parts)), strict=True)

    def forward(self, y: Tensor) -> Tensor:
        """Features of every cell of `y` (sample, latent, row, column): what training needs."""
        turn = torch.from_numpy(turns(self.kind, *np.indices(y.shape[2:])))
        out = y.new_zeros(())
        for part, weight, bias in self._kernels(self.weight):
            kernel = y.new_zeros(*weight.shape[:0:-1], SIDE, SIDE)
            rows, columns = zip(*part.taps, strict=True)
            kernel[:, :, rows, columns] = weight.permute(2, 1, 0).to(y.dtype)
            seen = F.conv2d(y, kernel, bias.to(y.dtype), padding=REACH)
            if part.by is not None:
                seen = seen * torch.isin(turn, torch.tensor(part.by)).to(y)
            out = out + seen
        return out

    def at(self, padded: Tensor, cells: Cells, weight: Tensor) -> Tensor | None:
        """Features (sample, cell, feature) of `cells` of y (sample, row, column, latent); None where all are zero.

        `padded` is y with REACH rows and columns of zeros on every side, `weight` (tap, latent, feature) that of its latents.
        """
        rows, columns = cells
        turn = turns(self.kind, rows[:1], columns[:1])
        seeing = [k for k in self._kernels(weight) if k[0].by is None or turn in k[0].by]
        if not seeing:
            return None
        cell = rows * padded.shape[2] + columns
        features = padded.new_zeros(())
        for part, kernel, bias in seeing:
            places = cell[:, None] + [r * padded.shape[2] + c for r, c in part.taps]
            seen = padded.flatten(1, 2).index_select(1, torch.from_numpy(places.ravel()).to(padded.device))
            features = features + (product(seen.view(len(padded), len(rows), -1), kernel.flatten(0, 1)) + bias)
        return features
