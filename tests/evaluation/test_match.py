"""The rate of a codec at a wanted PSNR is that of a file which has it, as scikit-image measures it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from rasterio.io import MemoryFile
from skimage.metrics import peak_signal_noise_ratio

from fdeg_codec.evaluation import wide
from fdeg_codec.evaluation.match import rates_at
from fdeg_codec.evaluation.pictures import Picture
from tests.pictures import landscape


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Picture:
    """Four bands of 16 bits, of which a part is nodata."""
    path = tmp_path_factory.mktemp("match") / "w.tif"
    samples = np.concatenate([landscape(96, 128), landscape(96, 128, seed=4)[:1]]).astype(np.uint16) * 11 + 7
    samples[:, :20, :30] = 0
    with MemoryFile() as memory:
        profile = {"count": 4, "height": 96, "width": 128, "dtype": "uint16", "nodata": 0}
        with memory.open(driver="GTiff", **profile) as raster:
            raster.write(samples)
        path.write_bytes(memory.read())
    return Picture(path, path.name)


@pytest.mark.parametrize(("make", "quality"), [(wide.lerc, 20.0), (wide.jpeg2000, 4.0)])
def test_the_rate_is_that_of_a_file_of_that_psnr(picture: Picture, tmp_path: Path, make, quality: float) -> None:
    codec = make()
    file = tmp_path / f"x{codec.suffix}"
    codec.encode(picture, file, quality)
    truth, found = picture.samples[picture.valid], codec.decode(file)[picture.valid]
    psnr = peak_signal_noise_ratio(truth, found, data_range=int(np.ptp(truth)))
    below, here = rates_at(codec, picture, [-99.0, psnr])
    assert here == pytest.approx(8 * file.stat().st_size / (96 * 128), rel=0.02)
    assert math.isnan(below)
