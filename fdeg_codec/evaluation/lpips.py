"""LPIPS (Zhang et al. 2018) with AlexNet, where the package and its backbone's weights are: neither comes with fdeg."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Any

from fdeg_codec.ndtypes import Floats

BACKBONE = "alexnet-owt-7be5be79.pth"  # of torchvision


def missing() -> str:
    """Why it cannot be had here, or nothing. Nothing is downloaded."""
    import torch

    if not importlib.util.find_spec("lpips"):
        return "needs the package lpips: pip install 'fdeg[baselines]'"
    path = Path(torch.hub.get_dir()) / "checkpoints" / BACKBONE
    return "" if path.exists() else f"the weights of its backbone are not there: {path}"


def measure(a: Floats, b: Floats) -> float:
    """The distance of two pictures of three bands in 0..255; not a number for other pictures."""
    import torch

    if len(a) != 3:
        return float("nan")
    x, y = (torch.from_numpy(s / 127.5 - 1).float()[None] for s in (a, b))
    with torch.inference_mode():
        return float(_network()(x, y))


@lru_cache(maxsize=1)
def _network() -> Any:
    import lpips

    return lpips.LPIPS(net="alex", verbose=False)
