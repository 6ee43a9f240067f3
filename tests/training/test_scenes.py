"""What training sees of pictures that are no 8-bit RGB."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image

from fdeg_codec.errors import FdegError
from fdeg_codec.training.data import Crops, as_unit, load, load_folder
from tests.pictures import landscape


def keep(path: Path, samples: np.ndarray, **profile: object) -> Path:
    shape = {"count": len(samples), "height": samples.shape[1], "width": samples.shape[2], "dtype": samples.dtype}
    with rasterio.open(path, "w", driver="GTiff", **shape, **profile) as raster:
        raster.write(samples)
    return path


def test_eight_bits_stay_as_they_are(tmp_path: Path) -> None:
    rgb = landscape(40, 50)
    Image.fromarray(rgb.transpose(1, 2, 0)).save(tmp_path / "x.png")
    (picture,) = load(tmp_path / "x.png")
    np.testing.assert_array_equal(picture, rgb.transpose(1, 2, 0))
    four = load(keep(tmp_path / "x.tif", landscape(40, 50, 4), photometric="minisblack"))
    assert len(four) == 2
    np.testing.assert_allclose(four[0], landscape(40, 50, 4)[:3].transpose(1, 2, 0) / 255, atol=1e-6)


def test_sixteen_bits_are_mapped_by_percentiles_and_holes_filled(tmp_path: Path) -> None:
    samples = landscape(60, 70, 4).astype(np.uint16) * 40 + 900
    samples[:, 10:20, 30:40] = 0
    first, second = load(keep(tmp_path / "x.tif", samples, nodata=0))
    for picture, band in ((first[..., 1], samples[1]), (second[..., 2], samples[3])):
        low, high = np.percentile(band[band > 0], (1, 99)).round()
        expected = (band - low) / (high - low)
        np.testing.assert_allclose(picture[band > 0], expected[band > 0], atol=1e-5)
        assert np.abs(picture[band == 0]).max() <= np.abs(picture[band > 0]).max()


def test_a_folder_of_everything_gives_finite_crops(tmp_path: Path) -> None:
    heights = landscape(60, 60, 1).astype(np.float32)
    heights[0, :5] = np.nan
    keep(tmp_path / "heights.tif", heights, nodata=np.nan)
    keep(tmp_path / "radar.tif", np.exp(np.random.default_rng(0).normal(0, 2, (2, 64, 64))).astype(np.float64))
    Image.fromarray(landscape(50, 50, 1)[0].astype(np.uint16) * 200).save(tmp_path / "pan.png")
    Image.fromarray(landscape(50, 50).transpose(1, 2, 0)).save(tmp_path / "rgb.webp", lossless=True)
    pictures = load_folder(tmp_path)
    assert len(pictures) == 4
    assert all(p.shape[2] == 3 and np.isfinite(as_unit(p)).all() for p in pictures)
    assert np.isfinite(Crops(pictures, 0.5, 1).batch(0, 32, 32)).all()


def test_what_pillow_takes_for_a_bomb_is_a_scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rgb = landscape(40, 50)
    Image.fromarray(rgb.transpose(1, 2, 0)).save(tmp_path / "x.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 900)
    (picture,) = load(tmp_path / "x.png")
    np.testing.assert_allclose(picture, rgb.transpose(1, 2, 0) / 255, atol=1e-6)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.tif").write_text("no picture")
    with pytest.raises(FdegError, match=r"x\.tif: cannot be read as a picture"):
        load_folder(tmp_path)
    with pytest.raises(FdegError, match="a band without a valid sample"):
        load(keep(tmp_path / "x.tif", np.zeros((1, 9, 9), np.uint16), nodata=0))
    with pytest.raises(FdegError, match=r"x\.tif: holds complex samples"):
        load(keep(tmp_path / "x.tif", np.ones((1, 9, 9), np.complex64)))


def test_alpha_is_no_picture(tmp_path: Path) -> None:
    rgba = np.concatenate((landscape(40, 50), np.full((1, 40, 50), 255, np.uint8)))
    Image.fromarray(rgba.transpose(1, 2, 0)).save(tmp_path / "x.png")
    (picture,) = load(tmp_path / "x.png")
    np.testing.assert_allclose(picture, rgba[:3].transpose(1, 2, 0) / 255, atol=1e-6)


def test_undeclared_nodata_does_not_flatten_a_picture(tmp_path: Path) -> None:
    samples = landscape(60, 70, 1).astype(np.float32)
    samples[:, :20] = np.finfo(np.float32).min
    (picture,) = load(keep(tmp_path / "x.tif", samples))
    assert picture[20:].std() > 0.1
