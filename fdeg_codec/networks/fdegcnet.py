"""FDEGCNet: analysis, synthesis and hyper-analysis around the entropy model (Fang et al. 2025, figure 1).

One class for the whole family. The paper's networks are those of training/configs/paper-*; what we add, a linear path
beside each transform and one model for every lambda, is a matter of the architecture's fields and of `PerLevel`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fdeg_codec.networks.context import ContextKind
from fdeg_codec.networks.entropy_model import EntropyModel
from fdeg_codec.networks.gains import PerLevel
from fdeg_codec.networks.heam import HEAM
from fdeg_codec.networks.layers import Down, LeakyReLU, Patches, Res, Up, conv, unhalved, up
from fdeg_codec.networks.mcam import MCAM
from fdeg_codec.networks.odam import ODAM
from fdeg_codec.networks.prior import FactorizedPrior

STRIDE = 16  # pixels per latent, each way
HYPER_STRIDE = 4  # latents per hyper-latent
BANDS = 3


@dataclass(frozen=True)
class Architecture:
    """The numbers that make one network of the family."""

    widths: tuple[int, int, int] = (64, 96, 128)
    latent: int = 192
    hyper: int = 96
    fusion: int = 384
    odam_depth: int = 1
    context: ContextKind = "checkerboard"
    linear_path: bool = True
    slices: tuple[int, ...] = ()  # of the latents' channels, each decoded knowing those before; none: all at once
    linear_only: int = 0  # of the latents, the last: they belong to the linear path alone

    @classmethod
    def of(cls, table: dict[str, Any]) -> Architecture:
        """That of a table, as JSON and TOML hold them; other fields than ours are a TypeError."""
        fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in table.items()}
        return cls(**fields)

    @property
    def shaped(self) -> int:
        """The latents of the nonlinear transforms."""
        return self.latent - self.linear_only


class FDEGCNet(nn.Module):
    """Pictures around [0, 1] to latents and back, in float32 or bfloat16; `entropy` is for float64."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        a = self.architecture = architecture
        w1, w2, w3 = a.widths
        n = a.shaped
        self.analysis = nn.Sequential(
            *(Down(BANDS, w1), Res(w1), Down(w1, w2), ODAM(w2, a.odam_depth), Res(w2), Down(w2, w3), Res(w3)),
            *(conv(w3, n, 3, 2, bias=False), ODAM(n, a.odam_depth)),
        )
        self.synthesis = nn.Sequential(
            *(ODAM(n, a.odam_depth), Res(n), Up(n, w3), Res(w3), Up(w3, w2)),
            *(ODAM(w2, a.odam_depth), Res(w2), Up(w2, w1), Res(w1), up(w1, BANDS)),
        )
        self.hyper_analysis = nn.Sequential(
            *(HEAM(n), conv(n, a.hyper), LeakyReLU(), conv(a.hyper, a.hyper, 3, 2), LeakyReLU()),
            *(HEAM(a.hyper), conv(a.hyper, a.hyper), LeakyReLU(), conv(a.hyper, a.hyper, 3, 2), MCAM(a.hyper)),
        )
        self.linear_analysis = nn.Conv2d(BANDS, a.latent, STRIDE, STRIDE) if a.linear_path else None
        self.linear_synthesis = Patches(a.latent, BANDS, STRIDE) if a.linear_path else None
        self.prior = FactorizedPrior(a.hyper)
        self.entropy = EntropyModel(a.latent, a.hyper, a.fusion, a.context, a.slices)
        self.y_ungain = PerLevel(a.latent)

    def analyse(self, x: Tensor) -> Tensor:
        """y of pictures (sample, 3, row, column) whose sides are multiples of 16, in natural units."""
        x = x - 0.5
        y = self.analysis(x).float()
        if self.linear_analysis is None:
            return y
        return linear(self.linear_analysis, x) + F.pad(y, (0, 0, 0, 0, 0, self.architecture.linear_only))

    def synthesise(self, y_hat: Tensor, level: Tensor) -> Tensor:
        """The picture of quantised latents, neither clipped nor rounded."""
        y = y_hat * self.y_ungain.gain(level)
        x = linear(self.synthesis[-1], self.synthesis[:-1](y[:, : self.architecture.shaped]))
        if self.linear_synthesis is not None:
            x = x + linear(self.linear_synthesis, y)
        return x + 0.5

    def preview(self, y_hat: Tensor, level: Tensor, scale: int) -> Tensor:
        """What the linear path alone makes of latents, in means of `scale` x `scale` pixels."""
        assert self.linear_synthesis is not None
        y = y_hat * self.y_ungain.gain(level)
        kernel = F.avg_pool2d(self.linear_synthesis.weight.contiguous(), scale)
        return F.conv_transpose2d(y, kernel, self.linear_synthesis.bias, STRIDE // scale) + 0.5

    def summarise(self, y: Tensor) -> Tensor:
        """z of latents y, both in natural units; sides that are no multiple of 4 are extended by their last cells."""
        y = y[:, : self.architecture.shaped]
        pad = [-n % HYPER_STRIDE for n in y.shape[2:]]
        return self.hyper_analysis(F.pad(y, (0, pad[1], 0, pad[0]), mode="replicate")).float()


def linear(layer: nn.Module, x: Tensor) -> Tensor:
    """A layer in float32, or float64, whatever the rest runs in: the outermost ones carry the brightness."""
    with torch.autocast(x.device.type, enabled=False):
        out: Tensor = layer(unhalved(x))
        return out
