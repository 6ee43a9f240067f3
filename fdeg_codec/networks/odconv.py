"""ODConv, eq. 5: a convolution whose kernel is made anew for every input (Li et al., ICLR 2022)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fdeg_codec.networks.layers import conv, unhalved

KERNELS = 4
MIN_SQUEEZE = 16


class ODConv(nn.Module):
    """Four candidate kernels, mixed and scaled along kernel, position, input and output channel.

    The input's mean decides all four attentions. Scaling the kernel's input and output axes is the same as scaling
    the input before and the output after it, and costs no pass over the picture.
    """

    def __init__(self, i: int, o: int, kernel: int = 1) -> None:
        super().__init__()
        squeeze = max(i // 16, MIN_SQUEEZE)
        self.kernel = kernel
        self.candidates = nn.Parameter(torch.empty(KERNELS, o, i, kernel, kernel))
        for candidate in self.candidates.data:
            nn.init.kaiming_normal_(candidate, mode="fan_out", nonlinearity="relu")
        # One pooled vector is no statistics for BatchNorm, and a tile must not depend on its batch: GroupNorm(1).
        self.squeeze = nn.Sequential(conv(i, squeeze, 1, bias=False), nn.GroupNorm(1, squeeze), nn.ReLU())
        self.to_input = conv(squeeze, i, 1)
        self.to_output = conv(squeeze, o, 1)
        self.to_choice = conv(squeeze, KERNELS, 1)
        self.to_position = conv(squeeze, kernel * kernel, 1) if kernel > 1 else None

    def kernels(self, x: Tensor) -> Tensor:
        """The kernels (sample, output, input, row, column) that eq. 5 makes for `x`."""
        p = self.squeeze(x.mean((2, 3), keepdim=True))
        b = len(x)
        choice = torch.softmax(unhalved(self.to_choice(p)), 1).flatten(1)
        mixed = (choice @ self.candidates.flatten(1)).view(b, *self.candidates.shape[1:])
        if self.to_position is not None:
            mixed = mixed * torch.sigmoid(self.to_position(p)).view(b, 1, 1, self.kernel, self.kernel)
        return (
            mixed * torch.sigmoid(self.to_output(p)).view(b, -1, 1, 1, 1) * torch.sigmoid(self.to_input(p)).view(b, 1, -1, 1, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        kernels = self.kernels(x).to(x.dtype)
        if self.kernel == 1:
            b, c, h, w = x.shape
            rows = x.permute(0, 2, 3, 1).reshape(b, h * w, c)
            mixed = torch.bmm(rows, kernels.flatten(2).transpose(1, 2))
            return mixed.view(b, h, w, -1).permute(0, 3, 1, 2)
        pad = self.kernel // 2
        return torch.cat([F.conv2d(one[None], k, padding=pad) for one, k in zip(x, kernels, strict=True)])
