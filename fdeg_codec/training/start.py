"""Weights before the first step: where there is a linear path it is a KLT codec, and everything else begins silent."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from fdeg_codec.networks.fdegcnet import BANDS, STRIDE, FDEGCNet
from fdeg_codec.networks.gains import LEVELS
from fdeg_codec.training.config import Config
from fdeg_codec.training.data import Crops

KLT_GAIN = 12.5  # the quantiser step that suits lambda 4096
BEFORE_ALL = 2**32  # a step that no training reaches: its crops are for the start
KLT_CROPS = 500  # of 64 patches each
COMPONENT_SPREAD = (-1.2, 0.0, 0.8)  # log scales of the mixture's components about the channel's: a peaked start


def initialise(net: FDEGCNet, config: Config, crops: Crops) -> None:
    """Everything that was found to matter at step 0."""
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


def patches(x: Tensor) -> Tensor:
    """The blocks of 16 x 16 pixels of pictures (sample, 3, row, column), a row each."""
    blocks = x.unfold(2, STRIDE, STRIDE).unfold(3, STRIDE, STRIDE).permute(0, 2, 3, 1, 4, 5)
    return blocks.reshape(-1, BANDS * STRIDE**2)
