"""The plain pieces every branch is made of: convolutions, Down, Res and Up (the paper's figure 2)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fdeg_codec.networks.gdn import GDN

SLOPE = 0.01
SEEN = 4 << 20  # bytes of what a convolution in float64 sees, at a time: nine times its input


def product(a: Tensor, b: Tensor) -> Tensor:
    """The matrix product; in float64 on a CPU by numpy, whose BLAS knows AVX512 on AMD's, too."""
    if a.dtype is not torch.float64 or a.device.type != "cpu" or a.requires_grad or b.requires_grad:
        return a @ b
    return torch.from_numpy(np.matmul(a.numpy(), b.numpy()))


class Linear(nn.Linear):
    """A linear layer by `product`."""

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype is not torch.float64:
            return super().forward(x)
        y = product(x, self.weight.t())
        return y if self.bias is None else add(y, self.bias)


def seen(x: Tensor, kernel: tuple[int, ...], stride: int = 1) -> Tensor:
    """What a kernel sees of `x` at each of its places: (sample, channel, kernel row, kernel column, row, column)."""
    return x.unfold(2, kernel[0], stride).unfold(3, kernel[1], stride).permute(0, 1, 4, 5, 2, 3)


def by_product(layer: nn.Conv2d | nn.ConvTranspose2d, x: Tensor) -> bool:
    """Whether a layer is computed as a matrix product: in float64, where the CPU's own kernels are slow."""
    return x.dtype == layer.weight.dtype == torch.float64


class Conv2d(nn.Conv2d):
    """A convolution that is a matrix product in float64."""

    def forward(self, x: Tensor) -> Tensor:
        if not by_product(self, x):
            return super().forward(x)
        (s, _), (p, q), (kh, kw) = self.stride, (int(self.padding[0]), int(self.padding[1])), self.kernel_size
        x = F.pad(x, (q, q, p, p))
        b, c, h, w = x.shape
        out_h, out_w = (h - kh) // s + 1, (w - kw) // s + 1
        y = x.new_empty(b, self.out_channels, out_h, out_w)
        rows = max(SEEN // (c * kh * kw * out_w * x.element_size()), 1)
        for top in range(0, out_h, rows):
            columns = seen(x[:, :, top * s : (min(top + rows, out_h) - 1) * s + kh], (kh, kw), s).reshape(b, c * kh * kw, -1)
            y[:, :, top : top + rows] = product(self.weight.flatten(1), columns).unflatten(2, (-1, out_w))
        return y if self.bias is None else y.add_(self.bias[:, None, None])


def conv(i: int, o: int, kernel: int = 3, stride: int = 1, bias: bool = True) -> Conv2d:
    return Conv2d(i, o, kernel, stride, padding=kernel // 2, bias=bias)


class Doubling(nn.ConvTranspose2d):
    """A transposed convolution that exactly doubles height and width; a matrix product in float64."""

    def __init__(self, i: int, o: int, kernel: int) -> None:
        super().__init__(i, o, kernel, 2, padding=kernel // 2, output_padding=1)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        if not by_product(self, x):
            return super().forward(x, output_size)
        assert self.bias is not None
        patches = product(self.weight.flatten(1).t(), x.flatten(2))
        side, (h, w) = self.kernel_size[0], x.shape[2:]
        y = F.fold(patches, (2 * h, 2 * w), side, padding=side // 2, stride=2)
        return y.add_(self.bias[:, None, None])


def up(i: int, o: int, kernel: int = 3) -> Doubling:
    return Doubling(i, o, kernel)


class Patches(nn.ConvTranspose2d):
    """A transposed convolution whose kernels do not overlap: one matrix product, and each of its rows a patch."""

    def __init__(self, i: int, o: int, side: int) -> None:
        super().__init__(i, o, side, side)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        (b, _, h, w), (o, side, _) = x.shape, self.weight.shape[1:]
        assert self.bias is not None
        rows = x.permute(0, 2, 3, 1) @ self.weight.flatten(1)
        patches = rows.view(b, h, w, o, side, side).permute(0, 3, 1, 4, 2, 5)
        return patches.reshape(b, o, h * side, w * side) + self.bias[:, None, None]


def unhalved(x: Tensor) -> Tensor:
    """In float32, or in float64 if it is that already."""
    return x if x.element_size() >= 4 else x.float()


class LeakyReLU(nn.LeakyReLU):
    """In place where nothing is recorded: one pass over memory less."""

    def __init__(self) -> None:
        super().__init__(SLOPE)

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x, SLOPE, inplace=not x.requires_grad)


class Down(nn.Module):
    """Half the size: conv K3 S2, lrelu, conv K3, GDN, and a K1 shortcut of every second pixel."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(i, o, 3, 2), LeakyReLU(), conv(o, o), GDN(o))
        self.shortcut = conv(i, o, 1)

    def forward(self, x: Tensor) -> Tensor:
        return add(self.body(x), self.shortcut(x[:, :, ::2, ::2]))


class Res(nn.Module):
    """conv K3, lrelu, conv K3, lrelu, plus the input."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(c, c), LeakyReLU(), conv(c, c), LeakyReLU())

    def forward(self, x: Tensor) -> Tensor:
        return add(self.body(x), x)


class Up(nn.Module):
    """Twice the size: up K3, lrelu, conv K3, inverse GDN, and an up K1 shortcut, which every second pixel each way sees."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.body = nn.Sequential(up(i, o), LeakyReLU(), conv(o, o), GDN(o, inverse=True))
        self.shortcut = up(i, o, 1)

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.shortcut.weight, self.shortcut.bias
        assert bias is not None
        out = self.body(x)
        out = add(out, bias[:, None, None].to(out.dtype))
        # Not by the transposed convolution itself: that of torch 2.13 corrupts memory in its backward pass (8 channels).
        out[:, :, ::2, ::2].add_(F.conv2d(x, weight.transpose(0, 1)))
        return out


def add(fresh: Tensor, other: Tensor) -> Tensor:
    """`fresh + other`, into the memory of `fresh` where nothing is recorded."""
    return fresh + other if fresh.requires_grad else fresh.add_(other)


def lay_out(net: nn.Module, order: torch.memory_format = torch.channels_last) -> nn.Module:
    """Every convolution's weights in a memory order: its kernels are fastest in the default, products in the other."""
    for p in net.parameters():
        if p.dim() == 4:
            p.data = p.data.contiguous(memory_format=order)
    return net
