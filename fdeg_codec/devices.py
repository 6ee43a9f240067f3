"""Where the networks run, and in which precision their picture side does."""

from __future__ import annotations

from typing import get_args

import torch

from fdeg_codec.choices import DeviceName, Precision
from fdeg_codec.errors import UsageError


def pick_device(name: DeviceName) -> torch.device:
    if name not in get_args(DeviceName):
        raise UsageError(f"--device {name}: one of {', '.join(get_args(DeviceName))}")
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise UsageError("--device cuda: there is no CUDA device here (or torch was built without it)")
    return torch.device("cuda" if name != "cpu" and available else "cpu")


def pick_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware multiplies it; elsewhere it is slower than float32 and no better."""
    if precision not in get_args(Precision):
        raise UsageError(f"--precision {precision}: one of {', '.join(get_args(Precision))}")
    if precision == "auto":
        return torch.bfloat16 if multiplies_bfloat16(device) else torch.float32
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
