"""Another network's weights as a beginning: with wider transforms, and with more latents for what its own leave.

Channels that are added to a transform say nothing to those that were there, and learn to. However finely they are
quantised, n latents of a patch say little more than its first n principal components. Those of what is left, as linear
functions of the patch, are where more latents begin.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from fdeg_codec.grid import COMPONENTS
from fdeg_codec.networks.context import CORNERS
from fdeg_codec.networks.fdegcnet import BANDS, STRIDE, FDEGCNet
from fdeg_codec.networks.gains import LEVELS
from fdeg_codec.training.data import Crops
from fdeg_codec.training.start import BEFORE_ALL, COMPONENT_SPREAD, KLT_GAIN, patches

BATCHES, BATCH, CROP = 25, 4, 256  # of crops that principal components are taken from
QUIET = 0.01  # deviation of what is left of a crop: quieter ones are heard no better
HEARD = 1e-3  # root of a gamma that begins as good as 0, where it would have no gradient
LOADING = 1e-3  # of the regression, so that what hardly varies is not blown up
PER_LATENT = {
    *("linear_analysis.weight", "linear_analysis.bias", "linear_synthesis.weight", "y_ungain.table"),
    *("entropy.y_gain.table", "entropy.context.weight", "entropy.head.weight", "entropy.head.bias"),
}


@torch.no_grad()
def begin_with(net: FDEGCNet, architecture: dict[str, Any], found: dict[str, Tensor], crops: Crops) -> int:
    """Take the tensors that fit, also those of narrower transforms, or without our linear latents; returns how many.

    `architecture` is that of the network they are of, as far as it is known.
    """
    own, theirs = net.entropy.kind, architecture.get("context", net.entropy.kind)
    if (theirs, own) == ("checkerboard", "quarters"):
        found = _in_quarters(found)
    elif theirs != own:
        found = {name: tensor for name, tensor in found.items() if not name.startswith("entropy.context.")}
    gains = found.get("entropy.y_gain.table")
    fewer = gains is not None and gains.shape[1] == net.architecture.shaped < net.architecture.latent
    taken = 0
    for name, tensor in net.state_dict().items():
        if name not in found:
            continue
        old, new = found[name].float(), tensor
        if fewer and name in PER_LATENT:
            if name.startswith("entropy.head"):
                old, new = (t.unflatten(0, (3, COMPONENTS, -1)) for t in (old, new))
            new = new[tuple(slice(n) for n in old.shape)]
        if old.shape == new.shape:
            new.copy_(old)
            taken += 1
        elif name.startswith(("analysis.", "synthesis.")):
            taken += _grow(new, old, *_axes(net, name))
    if fewer and taken:
        _add_linear_latents(net, crops)
    return taken


def _grow(new: Tensor, old: Tensor, out: int, into: int | None) -> bool:
    """Put a tensor into a corner of a larger one, whose other inputs its outputs do not hear; whether it went in.

    The network stays what it was while ODConv's squeeze keeps its size, up to 271 channels.
    """
    sizes = list(zip(old.shape, new.shape, strict=False))
    if old.dim() != new.dim() or any(a > b or (a < b and axis not in (out, into)) for axis, (a, b) in enumerate(sizes)):
        return False
    new.narrow(out, 0, old.shape[out])[...] = 0 if old.dim() > 2 else HEARD
    new[tuple(slice(n) for n in old.shape)] = old
    return True


def _axes(net: FDEGCNet, name: str) -> tuple[int, int | None]:
    """Of a tensor of the network: the axis of its outputs, and that of its inputs."""
    owner, _, own = name.rpartition(".")
    module, dims = net.get_submodule(owner), net.get_parameter(name).dim()
    if own == "candidates":
        return 1, 2
    if isinstance(module, nn.ConvTranspose2d) and dims > 1:
        return 1, 0
    return 0, 1 if dims > 1 else None


def _in_quarters(found: dict[str, Tensor]) -> dict[str, Tensor]:
    """A checkerboard's context as one of quarters that says the same, and nothing yet to the cells it told nothing."""
    weight, bias = found["entropy.context.weight"], found["entropy.context.bias"]
    corners, silent = weight.new_zeros(len(CORNERS), *weight.shape[1:]), torch.zeros_like(bias)
    wider = torch.cat((corners, weight, corners)), torch.cat((silent, bias, silent))
    return {**found, "entropy.context.weight": wider[0], "entropy.context.bias": wider[1]}


def _add_linear_latents(net: FDEGCNet, crops: Crops) -> None:
    """Begin the last latents with the principal components of what the others leave."""
    assert net.linear_analysis is not None
    assert net.linear_synthesis is not None
    known, model = net.architecture.shaped, net.entropy
    parts = (net.linear_analysis.weight, net.linear_analysis.bias, net.linear_synthesis.weight)
    for p in (part[known:] for part in parts if part is not None):
        p.zero_()
    x, rest = _left(net, crops)
    basis = torch.linalg.eigh(rest.T @ rest)[1].flip(1)[:, : net.architecture.linear_only]
    loaded = x.T @ x + LOADING * x.square().mean() * len(x) * torch.eye(x.shape[1], dtype=x.dtype)
    rows = torch.linalg.solve(loaded, x.T @ (rest @ basis)).T
    shape = -1, BANDS, STRIDE, STRIDE
    net.linear_analysis.weight[known:] = (KLT_GAIN * rows).view(shape).float()
    net.linear_synthesis.weight[known:] = (basis.T / KLT_GAIN).reshape(shape).float()
    if model.context is not None:
        model.context.weight[:, known:] = 0
    model.head.weight.unflatten(0, (3, COMPONENTS, -1))[:, :, known:] = 0
    bias = model.head.bias.unflatten(0, (3, COMPONENTS, -1))[:, :, known:]
    bias[:2] = 0
    bias[2] = torch.log(QUIET * KLT_GAIN * (x @ rows.T).std(0)).float() + torch.tensor(COMPONENT_SPREAD)[:, None]


def _left(net: FDEGCNet, crops: Crops) -> tuple[Tensor, Tensor]:
    """Patches (patch, sample), and what the network leaves of them unquantised: crops are made equally loud, or radar and
    noise would say it all."""
    shown, left = [], []
    device = net.y_ungain.table.device
    level = torch.full((BATCH,), LEVELS - 1.0, device=device)
    for k in range(BATCHES):
        x = torch.from_numpy(crops.batch(BEFORE_ALL + 1 + k, BATCH, CROP)).clamp(0, 1).to(device)
        rest = x - net.synthesise(net.analyse(x) * net.entropy.y_gain.gain(level), level)
        loud = 1 / (rest.std((1, 2, 3), keepdim=True) + QUIET)
        shown.append(patches((x - 0.5) * loud).cpu())
        left.append(patches(rest * loud).cpu())
    return torch.cat(shown).double(), torch.cat(left).double()
