"""Weights before the first step: those of a KLT codec where there is a linear path, all else being silent; or another
network's, widened by linear latents for what it leaves.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from fdeg_codec.networks.entropy_model import COMPONENTS
from fdeg_codec.networks.fdegcnet import BANDS, STRIDE, FDEGCNet
from fdeg_codec.networks.gains import LEVELS
from fdeg_codec.training.config import Config
from fdeg_codec.training.data import Crops

KLT_GAIN = 12.5  # the quantiser step that suits lambda 4096
BEFORE_ALL = 2**32  # a step that no training reaches: its crops are for the start
KLT_CROPS = 500  # of 64 patches each
LEFT_BATCHES, LEFT_BATCH, LEFT_CROP = 25, 4, 256  # the crops of which principal components are taken, of what is left
LEFT_LEAST = 0.01  # of a crop's deviation: quieter ones are heard no better
LOADING = 1e-3  # of the regression, so that what hardly varies is not blown up
COMPONENT_SPREAD = (-1.2, 0.0, 0.8)  # log scales of the mixture's components about the channel's: a peaked start


def initialise(net: FDEGCNet, config: Config, crops: Crops) -> None:
    """Everything that training.md found to matter at step 0."""
    levels = torch.linspace(1 - LEVELS, 0, LEVELS)[:, None] * math.log(2) / 2  # sqrt(lambda / 4096)
    model = net.entropy
    model.y_gain.table.data[:] = levels
    net.y_ungain.table.data[:] = -levels
    model.z_gain.table.data[:] = math.log(config.hyper_gain) + levels / 2
    nn.init.normal_(model.head.weight, std=0.01)
    spread = torch.ones(model.latent)
    if net.linear_analysis is not None:
        spread = _initialise_linear_path(net, crops)
        last = net.analysis[-2]
        assert isinstance(last, nn.Conv2d)
        nn.init.zeros_(last.weight)
        for p in net.synthesis[-1].parameters():
            nn.init.zeros_(p)
    bias = model.head.bias.data.view(3, -1, model.latent)
    bias[:2] = 0
    bias[2] = torch.log(spread) + torch.tensor(COMPONENT_SPREAD)[:, None]


def _initialise_linear_path(net: FDEGCNet, crops: Crops) -> torch.Tensor:
    """Principal components of training patches; returns the deviation of each."""
    analysis, synthesis = net.linear_analysis, net.linear_synthesis
    assert isinstance(analysis, nn.Conv2d)
    assert isinstance(synthesis, nn.ConvTranspose2d)
    rows = patches(torch.from_numpy(crops.batch(BEFORE_ALL, KLT_CROPS, 8 * STRIDE))).double().numpy() - 0.5
    mean = rows.mean(0)
    values, vectors = np.linalg.eigh(np.cov(rows.T))
    keep = analysis.out_channels
    basis = torch.from_numpy(vectors[:, ::-1][:, :keep].T.copy()).float()
    shape = (keep, BANDS, STRIDE, STRIDE)
    offset = torch.from_numpy(mean).float()
    analysis.weight.data = (KLT_GAIN * basis).view(shape)
    analysis.bias.data = -KLT_GAIN * (basis @ offset)  # type: ignore[union-attr]
    synthesis.weight.data = (basis / KLT_GAIN).view(shape)
    bands = offset.view(BANDS, -1).mean(1)
    synthesis.bias.data = bands  # type: ignore[union-attr]
    return KLT_GAIN * torch.from_numpy(values[::-1][:keep].copy()).clamp_min(1e-8).sqrt().float()


@torch.no_grad()
def begin_with(net: FDEGCNet, found: dict[str, Tensor], crops: Crops) -> int:
    """Take what fits of another network's tensors, also those of one with fewer latents; returns how many."""
    taken = 0
    wider = 0
    for name, tensor in net.state_dict().items():
        if name not in found:
            continue
        old, new = found[name].float(), tensor
        if name.startswith("entropy.head."):
            old, new = (t.unflatten(0, (3, COMPONENTS, -1)) for t in (old, new))
        if old.ndim == new.ndim and all(a <= b for a, b in zip(old.shape, new.shape, strict=True)):
            if name == "entropy.context.weight":
                new.zero_()
            new[tuple(slice(n) for n in old.shape)] = old
            taken += 1
            wider = wider or net.architecture.latent - old.shape[1] if name == "entropy.y_gain.table" else wider
    if wider:
        _add_linear_latents(net, wider, crops)
    return taken


def _add_linear_latents(net: FDEGCNet, count: int, crops: Crops) -> None:
    """Have the last latents carry the principal components of what the others cannot, however finely they are quantised."""
    assert net.linear_analysis is not None
    assert net.linear_synthesis is not None
    known = net.architecture.latent - count
    model = net.entropy
    for p in (net.linear_analysis.weight, net.linear_analysis.bias, net.linear_synthesis.weight):
        p[known:] = 0  # type: ignore[index]
    shown, left = [], []
    for k in range(LEFT_BATCHES):
        x = torch.from_numpy(crops.batch(BEFORE_ALL + 1 + k, LEFT_BATCH, LEFT_CROP)).clamp(0, 1)
        level = torch.full((LEFT_BATCH,), LEVELS - 1.0)
        y = net.analyse(x) * torch.exp(model.y_gain(level))[:, :, None, None]
        rest = x - net.synthesise(y, level)
        heard = 1 / (rest.std((1, 2, 3), keepdim=True) + LEFT_LEAST)  # or radar and noise would say it all
        shown.append(patches((x - 0.5) * heard))
        left.append(patches(rest * heard))
    x, rest = (torch.cat(rows).double() for rows in (shown, left))
    basis = torch.linalg.eigh(rest.T @ rest)[1].flip(1)[:, :count]
    # What of the rest is a linear function of the picture.
    loaded = x.T @ x + LOADING * x.square().mean() * len(x) * torch.eye(x.shape[1], dtype=x.dtype)
    rows = torch.linalg.solve(loaded, x.T @ (rest @ basis)).T
    shape = -1, BANDS, STRIDE, STRIDE
    net.linear_analysis.weight[known:] = (KLT_GAIN * rows).view(shape).float()
    net.linear_synthesis.weight[known:] = (basis.T / KLT_GAIN).reshape(shape).float()
    spread = LEFT_LEAST * (KLT_GAIN * x @ rows.T).std(0).float()
    head = model.head.weight.view(3, COMPONENTS, model.latent, -1)
    head[:, :, known:] *= 0
    bias = model.head.bias.view(3, COMPONENTS, model.latent)
    bias[:2, :, known:] = 0
    bias[2, :, known:] = torch.log(spread) + torch.tensor(COMPONENT_SPREAD)[:, None]


def patches(x: Tensor) -> Tensor:
    """The blocks of 16 x 16 pixels of pictures (sample, 3, row, column), a row each."""
    blocks = x.unfold(2, STRIDE, STRIDE).unfold(3, STRIDE, STRIDE).permute(0, 2, 3, 1, 4, 5)
    return blocks.reshape(-1, BANDS * STRIDE**2)
