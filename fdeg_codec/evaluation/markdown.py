"""The mean curves and what they come to as a table for a README."""

from __future__ import annotations

import math
from typing import Any


def render(table: dict[str, Any]) -> str:
    """One line per codec: the mean points, and BD-rate over PSNR with its interval."""
    codecs, anchor = table["about"]["codecs"], table["anchor"]
    head = ["codec", "bpp / dB", f"BD-rate against {codecs[anchor]['label']} (95 % interval)"]
    lines = [head, ["---"] * len(head)]
    for codec, curve in table["curves"].items():
        points = ", ".join(f"{bpp:.3f}/{psnr:.2f}" for bpp, psnr in zip(curve["bpp"], curve["psnr"], strict=True))
        lines.append([codecs[codec]["label"], points, _difference(table, codec)])
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _difference(table: dict[str, Any], codec: str) -> str:
    d = table["bd_rate"]["psnr"].get(codec)
    if d is None or not math.isfinite(d["value"]):
        return ""
    interval = f" ({d['low']:+.1f} to {d['high']:+.1f})" if math.isfinite(d["low"]) else ""
    return f"{d['value']:+.1f} %{interval}"
