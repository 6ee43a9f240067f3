"""MCAM, eqs. 9 and 10: global collaboration in the Fourier domain beside strips and points in the picture."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fdeg_codec.networks.layers import conv, seen


class Depthwise(nn.Conv2d):
    """A convolution of each channel by itself; in float64, for which the CPU has no good kernel, a sum of taps."""

    def __init__(self, c: int, rows: int, columns: int) -> None:
        super().__init__(c, c, (rows, columns), padding=(rows // 2, columns // 2), groups=c)

    def forward(self, x: Tensor) -> Tensor:
        if x.element_size() < 8:
            return super().forward(x)
        assert self.bias is not None
        rows, columns = (side // 2 for side in self.kernel_size)
        taps = seen(F.pad(x, (columns, columns, rows, rows)), self.kernel_size) * self.weight.transpose(0, 1)[..., None, None]
        return taps.sum((2, 3)) + self.bias[:, None, None]


class MCAM(nn.Module):
    """x plus a global and a local view of it, through ReLU and a K1 convolution."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.enter = conv(c, c, 1)
        self.frequency_gate = conv(c, c, 1)
        self.channel_gate = conv(c, c, 1)
        self.spatial = conv(c, c, 1)
        self.spectral = conv(c, c, 1)
        self.mix_in = nn.Parameter(torch.zeros(c, 1, 1))
        self.keep = nn.Parameter(torch.ones(c, 1, 1))
        self.local = nn.ModuleList([Depthwise(c, 1, 3), Depthwise(c, 3, 1), Depthwise(c, 3, 3), Depthwise(c, 1, 1)])
        self.leave = conv(c, c, 1)

    def forward(self, x: Tensor) -> Tensor:
        o = F.gelu(self.enter(x))
        views = x + self.look_global(o)
        for branch in self.local:
            views = views + branch(o)
        return self.leave(F.relu(views))

    def look_global(self, o: Tensor) -> Tensor:
        """eq. 9: gate the spectrum, then the channels, then let the picture modulate its own spectrum."""
        o = o if o.element_size() > 4 else o.float()
        a = _filtered(o, self.frequency_gate(_pool(o)).to(o.dtype))
        a = a * self.channel_gate(_pool(a)).to(o.dtype)
        own = _filtered(self.spectral(a).to(o.dtype), self.spatial(a).to(o.dtype))
        return own * self.mix_in + a * self.keep


def _pool(x: Tensor) -> Tensor:
    return x.mean((2, 3), keepdim=True)


def _filtered(x: Tensor, gain: Tensor) -> Tensor:
    """abs(IFFT(gain * FFT(x)))."""
    return torch.fft.ifft2(gain * torch.fft.fft2(x)).abs()
