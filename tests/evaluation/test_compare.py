"""`fdeg compare`: two rasters of any size, in any format, .fdg among them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from skimage.metrics import peak_signal_noise_ratio

import fdeg_codec
from fdeg_codec.evaluation import views
from fdeg_codec.evaluation.compare import compare
from tests.cli.conftest import Run
from tests.pictures import landscape
from tests.raster.rasters import coloured, samples, write


@pytest.fixture
def original(weights: Path, tmp_path: Path) -> Path:
    return write(tmp_path / "a.tif", samples(3, height=190, width=200), crs="EPSG:32633")


def test_an_fdg_file_reads_like_its_decoded_raster(original: Path, tmp_path: Path, fdeg: Run) -> None:
    fdeg_codec.encode(original, tmp_path / "b.fdg", model="tiny", tile=64)
    fdeg_codec.decode(tmp_path / "b.fdg", tmp_path / "b.tif")
    with rasterio.open(original) as a, rasterio.open(tmp_path / "b.tif") as b:
        wanted = peak_signal_noise_ratio(a.read(), b.read(), data_range=255)
    tables = [json.loads(fdeg("compare", original, tmp_path / name, "--json").out) for name in ("b.fdg", "b.tif")]
    assert tables[0]["psnr"] == pytest.approx(wanted, abs=1e-9)
    assert tables[0] | {"b": ""} == tables[1] | {"b": ""}
    assert f"{wanted:.6g}" in fdeg("compare", original, tmp_path / "b.fdg").out


def test_what_is_identical(original: Path, fdeg: Run) -> None:
    table = json.loads(fdeg("compare", original, original, "--json").out)
    assert (table["psnr"], table["mse"], table["max_error"], table["ms_ssim"]) == (None, 0, 0, 1)
    assert "psnr              inf" in fdeg("compare", original, original).out


def test_what_has_nothing_in_common_says_so(tmp_path: Path, fdeg: Run) -> None:
    halves = [samples(1, height=64, width=64) for _ in range(2)]
    halves[0][:, :32], halves[1][:, 32:] = 0, 0
    paths = [write(tmp_path / f"{k}.tif", half, nodata=0) for k, half in enumerate(halves)]
    done = fdeg("compare", *paths, "--metrics", "psnr,max_error")
    assert (done.code, done.out.count("left out: no sample is valid in both")) == (0, 2)
    table = json.loads(fdeg("compare", *paths, "--json").out)
    assert table["psnr"] is None
    assert table["left_out"]["psnr"] == "no sample is valid in both"


def test_blocks_give_what_the_whole_gives(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noisy = np.clip(samples(3, height=190, width=200) + np.random.default_rng(1).normal(0, 5, (3, 190, 200)), 0, 255)
    other = write(tmp_path / "b.tif", noisy.astype(np.uint8))
    names = ("psnr", "max_error", "sam")
    whole = compare(original, other, names=names)
    monkeypatch.setattr(views, "BLOCK", 48)
    seen = []
    pieces = compare(original, other, names=names, progress=lambda done, _: seen.append(done))
    assert all(pieces[name] == pytest.approx(whole[name]) for name in ("psnr", "psnr_bands", "mse", "max_error", "sam"))
    assert len(seen) == 4 * 4  # 8 of the 200 columns are too few for a block of their own


def test_masks_alpha_and_nodata_do_not_count(tmp_path: Path) -> None:
    a, b = samples(3, height=64, width=80), samples(3, height=64, width=80)
    b[:, :, :40] += 9
    b[:, :, 40:] += 1
    hidden = np.full((64, 80), 255, np.uint8)
    hidden[:, :40] = 0
    alpha = coloured("red", "green", "blue", "alpha")
    for k, first in enumerate(
        (write(tmp_path / "m.tif", a, mask=hidden), write(tmp_path / "t.tif", np.concatenate([a, hidden[None]]), alpha))
    ):
        table = compare(first, write(tmp_path / f"{k}.tif", b), names=("psnr", "max_error"))
        assert (table["bands"], table["max_error"], table["mse"], table["valid"]) == (3, 1, 1, 0.5)
        assert table["validity_differs"] == 64 * 40
    a[:, :, :40] = 7
    a[:, :, 40:] = np.maximum(a[:, :, 40:], 8)
    first = write(tmp_path / "n.tif", a, nodata=7)
    table = compare(first, write(tmp_path / "b.tif", np.where(a == 7, 200, a + 1).astype(np.uint8)), names=("max_error",))
    assert table["max_error"] == 1


def test_nodata_beside_a_mask_does_not_count_either(weights: Path, tmp_path: Path) -> None:
    data = samples(1, "uint16", 64, 80)
    data[:, 20:40, 60:] = 60000
    hidden = np.where(np.arange(80) < 20, 0, 255).astype(np.uint8) * np.ones((64, 1), np.uint8)
    source = write(tmp_path / "a.tif", data, mask=hidden, nodata=60000)
    fdeg_codec.encode(source, tmp_path / "x", model="tiny")  # a name without an ending
    table = compare(source, tmp_path / "x", names=("psnr",))
    assert (table["validity_differs"], table["valid"]) == (0, 0.75 - 400 / 64 / 80)
    assert table["peak"] < 60000 - 500


def test_nodata_beside_alpha_does_not_count_either(weights: Path, tmp_path: Path) -> None:
    data = np.concatenate([np.maximum(samples(3, "uint16", 64, 80), 8), np.full((1, 64, 80), 65535, np.uint16)])
    data[:3, :10], data[:3, -20:] = 7, 60000
    data[3, -20:] = 0
    source = write(tmp_path / "a.tif", data, coloured("red", "green", "blue", "alpha"), nodata=7)
    report = fdeg_codec.encode(source, tmp_path / "x.fdg", model="tiny", psnr=25.5)
    table = compare(source, tmp_path / "x.fdg", names=("psnr",))
    assert (table["validity_differs"], table["valid"], report.met) == (0, 34 / 64, True)
    assert table["peak"] < 60000 - 500
    assert 25.5 <= table["psnr"] <= 25.6


def test_masks_and_alpha_of_an_fdg_file_count_as_well(weights: Path, tmp_path: Path) -> None:
    hidden = np.full((64, 80), 255, np.uint8)
    hidden[:, :40] = 0
    alpha = coloured("red", "green", "blue", "alpha")
    a = samples(3, height=64, width=80)
    sources = write(tmp_path / "m.tif", a, mask=hidden), write(tmp_path / "t.tif", np.concatenate([a, hidden[None]]), alpha)
    for source in sources:
        fdeg_codec.encode(source, tmp_path / "x.fdg", model="tiny", overwrite=True)
        fdeg_codec.decode(tmp_path / "x.fdg", tmp_path / "x.tif", overwrite=True)
        found, wanted = (compare(source, tmp_path / name, names=("psnr",)) for name in ("x.fdg", "x.tif"))
        assert (found["validity_differs"], found["valid"]) == (0, 0.5)
        assert found["by_band"] == wanted["by_band"]


def test_sixteen_bits_are_measured_against_the_range_of_the_original(tmp_path: Path) -> None:
    a = landscape(170, 170, 4).astype(np.uint16) * 30 + 100
    a[:, 0, 0] = 60000  # not valid
    first = write(tmp_path / "a.tif", a, nodata=60000)
    second = write(tmp_path / "b.tif", np.where(a == 60000, a, a + 3), nodata=60000)
    table = compare(first, second, ndvi=(3, 4))
    valid = a[a != 60000].astype(float)
    assert table["peak"] == np.ptp(valid)
    assert table["psnr"] == pytest.approx(10 * np.log10(np.ptp(valid) ** 2 / 9))
    assert table["by_band"][3] == {"psnr": table["psnr"], "rmse": 3, "bias": 3, "max_error": 3}
    assert 0 < table["ndvi"] < 0.01


def test_bands_are_found_by_their_names(tmp_path: Path) -> None:
    def named(target) -> None:
        target.set_band_description(1, "Red")
        target.set_band_description(4, "NIR")

    a = samples(4, height=20, width=20)
    gray = {"photometric": "minisblack"}  # or the fourth band would be transparency
    table = compare(write(tmp_path / "a.tif", a, named, **gray), write(tmp_path / "b.tif", a + 1, **gray))
    red, infrared = a[0].astype(float), a[3].astype(float)
    before, after = (infrared - red) / (infrared + red), (infrared - red) / (infrared + red + 2)
    assert table["ndvi"] == pytest.approx(np.abs(after - before).mean())
    assert compare(tmp_path / "b.tif", tmp_path / "b.tif")["ndvi"] is None


@pytest.mark.parametrize(("damaged", "whole"), [("a", "b"), ("b", "a")])
def test_the_damaged_one_of_two_is_named(tmp_path: Path, fdeg: Run, damaged: str, whole: str) -> None:
    for name in "ab":
        write(tmp_path / f"{name}.tif", samples(3, height=190, width=200), compress="deflate")
    data = bytearray((tmp_path / f"{damaged}.tif").read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    (tmp_path / f"{damaged}.tif").write_bytes(data)
    found = fdeg("compare", tmp_path / "a.tif", tmp_path / "b.tif")
    assert found.is_one_line(1, f"{damaged}.tif: cannot be read")
    assert f"{whole}.tif" not in found.err


def test_errors_are_one_line(original: Path, tmp_path: Path, fdeg: Run) -> None:
    small = write(tmp_path / "small.tif", samples(1, height=30, width=30))
    (tmp_path / "text.tif").write_text("no raster")
    assert fdeg("compare", original, small).is_one_line(1, "200 x 190 with 3 bands", "30 x 30 with 1 band")
    assert fdeg("compare", original, tmp_path / "none.tif").is_one_line(1, "none.tif: no such file")
    assert fdeg("compare", original, tmp_path / "text.tif").is_one_line(1, "text.tif: not a raster that can be read")
    assert fdeg("compare", original, original, "--metrics", "ssim").is_one_line(2, "ssim", "ms_ssim")
    assert fdeg("compare", original, original, "--ndvi", "3,4").is_one_line(2, "--ndvi 3,4", "1 to 3")
