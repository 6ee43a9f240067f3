"""A trained network as the pair of files that the codec loads: half-precision weights and a manifest."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from fdeg_codec.codec.engine import Z_TABLE
from fdeg_codec.container.header import MAX_LAMBDA, MIN_LAMBDA
from fdeg_codec.entropy.tables import TOTAL
from fdeg_codec.ndtypes import Integers
from fdeg_codec.networks.fdegcnet import FDEGCNet
from fdeg_codec.networks.gains import LEVELS
from fdeg_codec.raster.atomic import replacing

Z_HALF = 31
SMALL = 4096  # tensors up to this size keep single precision


def export(
    net: FDEGCNet,
    folder: Path,
    name: str,
    trained: dict[str, Any],
    lambdas: tuple[float, float] = (MIN_LAMBDA, MAX_LAMBDA),
    overwrite: bool = False,
) -> Path:
    """Write `name`.safetensors and `name`.json into `folder`; returns the manifest's path."""
    tensors = {k: _halved(v) for k, v in net.state_dict().items()}
    tensors[Z_TABLE] = torch.from_numpy(z_frequencies(net))
    # The architecture lies inside the hashed file: two networks may differ in nothing else.
    data = save(tensors, {"architecture": json.dumps(asdict(net.architecture))})
    manifest = {
        "name": name,
        "sha256": hashlib.sha256(data).hexdigest(),
        "parameters": sum(p.numel() for p in net.parameters()),
        "lambda": [max(lambdas[0], MIN_LAMBDA), min(lambdas[1], MAX_LAMBDA)],
        "trained": trained,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    # Both are whole before either takes its place.
    with replacing(path, overwrite) as draft, replacing(path.with_name(f"{name}.safetensors"), overwrite) as tensors_draft:
        draft.write_text(_text(manifest))
        tensors_draft.write_bytes(data)
    return path


def add_validation(manifest: Path, rows: list[dict[str, float]]) -> None:
    """Say in a model's manifest what its files gave."""
    with replacing(manifest, overwrite=True) as draft:
        draft.write_text(_text(json.loads(manifest.read_text()) | {"validation": rows}))


def _text(manifest: dict[str, Any]) -> str:
    return json.dumps(manifest, indent=2) + "\n"


@torch.no_grad()
def z_frequencies(net: FDEGCNet) -> Integers:
    """(level, channel, value): the mass of -31..31 and of all else, in integers that sum to 2^22."""
    prior, gains = net.prior.double(), net.entropy.z_gain.table.double()
    edges = torch.arange(-Z_HALF - 1, Z_HALF + 1, dtype=torch.float64) + 0.5
    table = np.empty((LEVELS, len(gains[0]), 2 * Z_HALF + 2), np.int32)
    for level in range(LEVELS):
        at = (edges * torch.exp(-gains[level])[:, None])[:, None]
        mass = prior.mass(at[..., :-1], at[..., 1:])[:, 0].numpy()
        counts = np.floor(mass * TOTAL).astype(np.int64)
        table[level, :, :-1] = counts
        table[level, :, -1] = TOTAL - counts.sum(1)
    net.prior.float()
    return table


def _halved(t: Tensor) -> Tensor:
    small = t.numel() <= SMALL or not t.is_floating_point()
    return t.contiguous() if small else t.half().contiguous()
