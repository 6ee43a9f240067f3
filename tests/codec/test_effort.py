"""Time spent by the encoder: less of eq. 3, in files that any decoder reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window
from skimage.metrics import mean_squared_error

import fdeg_codec
from fdeg_codec.codec import cuts
from fdeg_codec.errors import UsageError
from fdeg_codec.raster.source import Source
from tests.pictures import landscape
from tests.raster.rasters import samples, write

SIDE = 192
SAMPLE = Path(__file__).parents[2] / "sample" / "landscape.tif"


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("effort") / "picture.tif"
    with rasterio.open(path, "w", driver="GTiff", width=SIDE, height=SIDE, count=3, dtype="uint8") as raster:
        raster.write(landscape(SIDE, SIDE, seed=3))
    return path


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write(tmp_path / "small.tif", samples(3, "uint8", 60, 70))


def loss(picture: Path, target: Path, effort: int, quality: int) -> float:
    """Bits of the whole file and lambda times the error of what comes back, eq. 3, per pixel."""
    report = fdeg_codec.encode(picture, target, effort=effort, quality=quality, overwrite=True)
    with rasterio.open(picture) as raster, fdeg_codec.open(target) as scene:
        error = mean_squared_error(raster.read() / 255, scene.read() / 255)
    return report.bpp + report.lambda_ * error


@pytest.mark.parametrize(("quality", "share"), [(1, 1.002), (3, 0.99), (6, 0.95)])
def test_effort_pays(picture: Path, tmp_path: Path, quality: int, share: float) -> None:
    """On this picture, which no camera took, little at the lowest rate, more the higher it is; effort 1 gains nothing there."""
    plain, default, patient = (loss(picture, tmp_path / "x.fdg", effort, quality) for effort in (0, 1, 5))
    assert default < 1.02 * plain
    assert patient < share * min(plain, default)


@pytest.mark.parametrize("quality", [2, 5])
def test_every_effort_pays(tmp_path: Path, quality: int) -> None:
    with rasterio.open(SAMPLE) as source:
        path = write(tmp_path / "real.tif", source.read(window=Window(128, 128, SIDE, SIDE)))
    losses = [loss(path, tmp_path / "x.fdg", effort, quality) for effort in range(5)]
    assert losses == sorted(losses, reverse=True)
    assert len(set(losses)) == 5


@pytest.mark.parametrize(("height", "width", "lambda_"), [(3, 17, 300), (64, 64, 700), (1, 1, 4096)])
def test_no_effort_makes_a_tiny_picture_worse(tmp_path: Path, height: int, width: int, lambda_: float) -> None:
    path = write(tmp_path / "tiny.tif", landscape(height, width, seed=1))

    def cost(effort: int) -> float:
        report = fdeg_codec.encode(path, tmp_path / "x.fdg", effort=effort, lambda_=lambda_, tile=64, overwrite=True)
        with rasterio.open(path) as raster, fdeg_codec.open(tmp_path / "x.fdg") as scene:
            return report.bpp + lambda_ * mean_squared_error(raster.read() / 255, scene.read() / 255)

    assert max(cost(effort) for effort in (2, 5, 7)) <= 1.001 * cost(1)


def test_annealing_goes_further(tmp_path: Path) -> None:
    path = tmp_path / "picture.tif"
    with rasterio.open(path, "w", driver="GTiff", width=96, height=96, count=3, dtype="uint8") as raster:
        raster.write(landscape(96, 96, seed=4))
    descent, annealing = (loss(path, tmp_path / "x.fdg", effort, 6) for effort in (7, 8))
    assert annealing < 0.995 * descent


def test_errors_under_nodata_do_not_count(picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half = tmp_path / "half.tif"
    with rasterio.open(picture) as raster, rasterio.open(half, "w", **raster.profile | {"nodata": 0}) as target:
        data = np.maximum(raster.read(), 1)
        data[:, :, SIDE // 2 :] = 0
        target.write(data)
    minded = fdeg_codec.encode(half, tmp_path / "x.fdg", effort=5, quality=6, overwrite=True).bytes
    monkeypatch.setattr(cuts, "counted", lambda cut, group: np.ones((len(group), SIDE, SIDE), np.float32))
    assert minded < 0.99 * fdeg_codec.encode(half, tmp_path / "x.fdg", effort=5, quality=6, overwrite=True).bytes


def test_what_lies_beyond_the_picture_does_not_count(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", samples(3, "uint8", 17, 5))
    with Source(path) as raster:
        counts = cuts.counted(raster.cut(Window(0, 0, 5, 17)), [0, 1, 2])
    assert counts.shape == (3, 32, 16)
    assert counts[:, :17, :5].all()
    assert counts.sum() == 3 * 17 * 5


@pytest.mark.parametrize("effort", [3, 8])
def test_the_same_file_every_time(weights: Path, small: Path, tmp_path: Path, effort: int) -> None:
    files = [tmp_path / "a.fdg", tmp_path / "b.fdg"]
    for file in files:
        fdeg_codec.encode(small, file, model="tiny", effort=effort)
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("model", ["tiny", "tiny-none", "tiny-quarters", "tiny-serial"])
@pytest.mark.parametrize("effort", [0, 1, 3, 8])
def test_every_context_makes_an_effort(weights: Path, small: Path, tmp_path: Path, model: str, effort: int) -> None:
    fdeg_codec.encode(small, tmp_path / "x.fdg", model=model, effort=effort)
    with fdeg_codec.open(tmp_path / "x.fdg") as scene:
        assert scene.verify() > 0
        assert np.ptp(scene.read()) > 0


def test_no_other_efforts(picture: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--effort 10: efforts are 0 to 9"):
        fdeg_codec.encode(picture, tmp_path / "x.fdg", effort=10)
