"""A raster to a file and back, through the API."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

import fdeg_codec
from tests.pictures import landscape


@pytest.mark.parametrize("model", ["tiny", "tiny-none", "tiny-quarters"])
@pytest.mark.parametrize("shape", [(1, 1), (17, 5), (64, 64), (130, 200), (192, 300)])
def test_every_size_comes_back_in_its_size(weights: Path, tmp_path: Path, shape: tuple[int, int], model: str) -> None:
    source = tmp_path / "in.tif"
    picture = landscape(*shape)
    with rasterio.open(source, "w", driver="GTiff", count=3, height=shape[0], width=shape[1], dtype="uint8") as target:
        target.write(picture)
    fdeg_codec.encode(source, tmp_path / "x.fdg", model=model, quality=6, tile=64)
    with fdeg_codec.open(tmp_path / "x.fdg") as scene:
        decoded = scene.read()
    assert decoded.shape == picture.shape
    assert np.abs(decoded.astype(float) - picture).mean() < 20
