"""What a latent may know of latents decoded before it: the order of decoding, and the neighbours seen.

`none` looks at nothing. `checkerboard` (He et al. 2021) decodes even cells first and shows them to the odd ones, `quarters`
does so in four turns, each knowing those before it. `serial` is the masked convolution of the paper's reference, walked as
a wavefront.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

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
    """What cells of some turns see of their window, where it holds cells of earlier turns."""

    taps: Places
    by: tuple[int, ...]
    of: tuple[int, ...]


PARTS: dict[ContextKind, tuple[Part, ...]] = {
    "none": (),
    "checkerboard": (Part(SIDES, (1,), (0,)),),
    "quarters": (Part(CORNERS, (1,), (0,)), Part(SIDES, (2, 3), (0, 1)), Part(CORNERS, (3,), (2,))),
    "serial": (Part(BEFORE, (), ()),),  # all by all
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

    def forward(self, y: Tensor) -> Tensor:
        """Features of every cell of `y` (sample, latent, row, column): what training needs."""
        turn = torch.from_numpy(turns(self.kind, *np.indices(y.shape[2:]))).to(y.device)
        out = y.new_zeros(len(y), self.weight.shape[2], *y.shape[2:])
        of_parts = zip(self.parts, self.weight.split(self.sizes), self.bias.chunk(len(self.parts)), strict=True)
        for part, weight, bias in of_parts:
            kernel = y.new_zeros(*weight.shape[:0:-1], SIDE, SIDE)
            rows, columns = zip(*part.taps, strict=True)
            kernel[:, :, rows, columns] = weight.permute(2, 1, 0).to(y.dtype)
            seen = F.conv2d(y * _among(turn, part.of), kernel, bias.to(y.dtype), padding=REACH)
            out = out + seen * _among(turn, part.by)
        return out

    def at(self, y: Tensor, cells: Cells) -> Tensor | None:
        """Features (sample, cell, feature) of `cells` of `y` (sample, row, column, latent); None where all are zero."""
        rows, columns = cells
        turn = int(turns(self.kind, rows[:1], columns[:1])[0])
        seeing = [k for k, part in enumerate(self.parts) if turn in part.by or not part.by]
        if not seeing:
            return None
        taps = [tap for k in seeing for tap in self.parts[k].taps]
        padded = F.pad(y, (0, 0, REACH, REACH, REACH, REACH))
        width = padded.shape[2]
        places = (rows * width + columns)[:, None] + [r * width + c for r, c in taps]
        seen = padded.flatten(1, 2).index_select(1, torch.from_numpy(places.ravel()).to(y.device))
        return self.project(seen.view(len(y), len(rows), -1), slice(seeing[0], seeing[-1] + 1))

    def project(self, seen: Tensor, parts: slice) -> Tensor:
        """The features that come of what consecutive parts see."""
        ends = [0, *accumulate(self.sizes)]
        weight = self.weight[ends[parts.start] : ends[parts.stop]]
        return seen @ weight.flatten(0, 1) + self.bias.view(len(self.parts), -1)[parts].sum(0)


def _among(turn: Tensor, some: tuple[int, ...]) -> Tensor | float:
    """1 for the cells of these turns, 0 for others; 1 for all if there are none."""
    return torch.isin(turn, turn.new_tensor(some)).float() if some else 1.0
