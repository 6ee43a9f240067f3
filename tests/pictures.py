"""Pictures of the suite's own making."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def landscape(height: int, width: int, bands: int = 3, seed: int = 0) -> NDArray[np.uint8]:
    """Fields, edges and texture (band, row, column): a picture with the spectrum of one, made from noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = [(f, *rng.normal(0, f, 2), rng.uniform(0, 6)) for f in np.geomspace(0.01, 1, 12)]
    relief = sum(np.sin(x * u + y * v + phase) / (1 + 20 * f) for f, u, v, phase in waves)
    blocks = rng.integers(0, 120, (height // 24 + 1, width // 32 + 1))
    fields = blocks.repeat(24, 0).repeat(32, 1)[:height, :width]
    planes = [fields + 40 * relief + rng.normal(0, 3, (height, width)) + 60 + 20 * b for b in range(bands)]
    return np.clip(np.stack(planes), 0, 255).astype(np.uint8)
