"""Files of a wanted size or quality: kept to, judged by the file system and scikit-image, without encoding ten times."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from skimage.metrics import peak_signal_noise_ratio

import fdeg_codec
from fdeg_codec.codec import aim, sample
from fdeg_codec.codec.target import Target, search
from fdeg_codec.container.header import MAX_LAMBDA, MIN_LAMBDA, fixed_point
from fdeg_codec.errors import FdegError, UnsupportedError, UsageError
from fdeg_codec.evaluation.compare import compare
from fdeg_codec.raster.source import Source
from tests.cli.conftest import Run, fdeg  # noqa: F401
from tests.raster.rasters import coloured, samples, write

PIXELS = 1_000_000
LAMBDAS = MIN_LAMBDA, MAX_LAMBDA
LOWEST, HIGHEST = map(fixed_point, LAMBDAS)


def sizes(slope: float, bend: float) -> Any:
    """The logarithm of a scene's bytes at every lambda."""
    return lambda rate: 10 + slope * (rate - LOWEST) / 10240 + bend * ((rate - LOWEST) / 10240) ** 2


@pytest.mark.parametrize("bend", [-0.6, 0, 0.9])
@pytest.mark.parametrize("error", [0, 0.3, -0.2])
@pytest.mark.parametrize("size", [35_000, 45_000, 55_000])
def test_the_search_needs_two_encodings_at_most_where_the_sample_is_off_by_a_factor(
    bend: float, error: float, size: int
) -> None:
    estimate, encoded = sizes(1.8, bend), []

    def encode(rate: int) -> float:
        encoded.append(rate)
        return estimate(rate) + error

    rate, met = search(Target("size", size), PIXELS, estimate, encode, LAMBDAS)
    assert met
    assert rate == encoded[-1]
    assert 0.99 * size <= math.exp(estimate(rate) + error) <= size
    assert len(encoded) <= (2 if error else 1)


def test_the_search_goes_on_where_the_sample_says_the_same_for_all() -> None:
    """As that of a file of a few hundred bytes may, whose size goes in steps."""
    coarse = lambda rate: 6 + (rate - LOWEST) // 512 * 0.0092  # noqa: E731
    size = math.exp(coarse(LOWEST + 3000)) + 0.5
    rate, met = search(Target("size", size), PIXELS, lambda _: math.log(size) - 0.005, coarse, LAMBDAS)
    assert met
    assert 0.99 * size <= math.exp(coarse(rate)) <= size


@pytest.fixture(scope="module")
def folder(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene of 20 tiles whose left and right differ, with nodata that no figure counts; and a small one of 16 bits."""
    folder = tmp_path_factory.mktemp("target")
    data = samples(3, height=256, width=320)
    data[:, :, 150:] //= 3
    data[:, 100:150, 50:200] = 255
    write(folder / "large.tif", data, nodata=255)
    alpha = samples(4, height=64, width=64)
    alpha[3] = np.where(np.indices((64, 64))[1] < 40, 255, 0)
    alpha[:3, :, 40:] ^= 0x55
    write(folder / "alpha.tif", alpha, coloured("red", "green", "blue", "alpha"))
    write(folder / "small.tif", samples(4, "uint16", 130, 150), crs="EPSG:32633")
    return folder


@pytest.fixture
def writings(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[None]]:
    """An item for every time that the whole scene is encoded; of 20 tiles, six are looked at before."""
    monkeypatch.setattr(sample, "PLANES", 6)
    count: list[None] = []
    write_at = aim.write_at
    monkeypatch.setattr(aim, "write_at", lambda *words: count.append(None) or write_at(*words))
    yield count
    assert 1 <= len(count) <= 6


def test_the_raster_is_read_by_the_thread_that_opened_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writings: list[None]
) -> None:
    readers = set()
    read = Source._read
    monkeypatch.setattr(Source, "_read", lambda self, window: readers.add(threading.get_ident()) or read(self, window))
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        fdeg_codec.encode(folder / "large.tif", tmp_path / "a.fdg", model="tiny", tile=64, bpp=0.38)
    finally:
        torch.set_num_threads(threads)
    assert readers == {threading.get_ident()}


@pytest.mark.parametrize(("name", "bpp"), [("large.tif", 0.38), ("small.tif", 0.75)])
def test_bits_per_pixel_and_bytes(folder: Path, tmp_path: Path, name: str, bpp: float, writings: list[None]) -> None:
    report = fdeg_codec.encode(folder / name, tmp_path / "a.fdg", model="tiny", tile=64, bpp=bpp)
    size = (tmp_path / "a.fdg").stat().st_size
    assert report.met
    assert 0.99 * bpp <= 8 * size / (report.width * report.height) <= bpp
    fdeg_codec.encode(folder / name, tmp_path / "b.fdg", model="tiny", tile=64, lambda_=report.lambda_)
    assert (tmp_path / "b.fdg").read_bytes() == (tmp_path / "a.fdg").read_bytes()
    writings.clear()
    fdeg_codec.encode(folder / name, tmp_path / "c.fdg", model="tiny", tile=64, size=size)
    assert 0.99 * size <= (tmp_path / "c.fdg").stat().st_size <= size


@pytest.mark.parametrize("name", ["large.tif", "small.tif"])
def test_decibels(folder: Path, tmp_path: Path, name: str, writings: list[None]) -> None:
    """With the weights that come along: an untrained network's PSNR does not rise with lambda."""
    fdeg_codec.encode(folder / name, tmp_path / "between.fdg", tile=64, lambda_=700)
    psnr = round(decibels(folder / name, tmp_path / "between.fdg"), 2)
    assert fdeg_codec.encode(folder / name, tmp_path / "a.fdg", tile=64, psnr=psnr).met
    assert psnr <= decibels(folder / name, tmp_path / "a.fdg") <= psnr + 0.1


@pytest.mark.parametrize("far", [math.inf, float(np.finfo("float32").min)])
def test_decibels_beside_samples_that_are_no_measurements(tmp_path: Path, far: float) -> None:
    """Nobody declared them nodata; they are stored exactly, and `fdeg compare` leaves them out, too."""
    data = samples(1, "float32", 64, 64)
    data[0, 5, 7] = far
    source, file = write(tmp_path / "a.tif", data), tmp_path / "a.fdg"
    counted = data < 100 if far > 0 else data > -100
    found = []
    for choice in ({"lambda_": 700}, {"psnr": 0}):
        wanted = {"psnr": found[0] - 0.05} if "psnr" in choice else choice
        assert fdeg_codec.encode(source, file, overwrite=True, **wanted).met
        with fdeg_codec.open(file) as scene:
            after = scene.read()
        assert after[0, 5, 7] == np.float32(far)
        found.append(peak_signal_noise_ratio(data[counted], after[counted], data_range=np.ptp(data[counted])))
        assert compare(source, file, names=("psnr",))["psnr"] == pytest.approx(found[-1], abs=1e-4)
    assert found[0] - 0.05 <= found[1] <= found[0] + 0.05


def test_an_effort_keeps_to_its_target(tmp_path: Path) -> None:
    """What the effort gains in bytes, or in decibels, is not known from the sample; with trained weights."""
    source, file = write(tmp_path / "a.tif", samples(1, "uint16", 192, 192)), tmp_path / "a.fdg"
    size = fdeg_codec.encode(source, file, lambda_=700).bytes
    psnr = decibels(source, file)
    assert fdeg_codec.encode(source, file, effort=2, size=size, overwrite=True).met
    assert 0.99 * size <= file.stat().st_size <= size
    assert fdeg_codec.encode(source, file, effort=2, psnr=psnr, overwrite=True).met
    assert psnr <= decibels(source, file) <= psnr + 0.1


def decibels(original: Path, coded: Path) -> float:
    """Of all samples that count, by a judge of its own."""
    with rasterio.open(original) as before, fdeg_codec.open(coded) as after:
        truth = before.read(masked=True)
        valid = ~np.ma.getmaskarray(truth)
        peak = 255 if before.dtypes[0] == "uint8" else float(np.ptp(truth.compressed()))
        return float(peak_signal_noise_ratio(truth.data[valid], after.read()[valid], data_range=peak))


def test_decibels_of_what_is_not_transparent(folder: Path, tmp_path: Path) -> None:
    """Asked for what a lambda in the middle gives, as `fdeg compare` and scikit-image measure it; with trained weights."""
    found = []
    for k in range(2):
        wanted = {"psnr": found[0] - 0.05} if k else {"lambda_": 700}
        report = fdeg_codec.encode(folder / "alpha.tif", tmp_path / "a.fdg", overwrite=True, **wanted)
        with rasterio.open(folder / "alpha.tif") as before, fdeg_codec.open(tmp_path / "a.fdg") as after:
            left = np.s_[:3, :, :40]
            found.append(peak_signal_noise_ratio(before.read()[left], after.read()[left], data_range=255))
    assert report.met
    assert found[0] - 0.05 <= found[1] <= found[0] + 0.05


@pytest.mark.parametrize("choice", [{"bpp": 0.001}, {"size": 100}, {"psnr": 70}])
def test_what_no_lambda_reaches_is_an_error_that_says_what_they_do_reach(
    folder: Path, tmp_path: Path, choice: dict[str, Any]
) -> None:
    with pytest.raises(
        FdegError, match=r"small\.tif: --\w+ [\d.]+: lambda 128 to 4096 reach [\d.]+ \w+ to [\d.]+ (bpp|bytes|dB)"
    ):
        fdeg_codec.encode(folder / "small.tif", tmp_path / "a.fdg", model="tiny", **choice)
    assert not list(tmp_path.iterdir())


def test_what_only_the_whole_encoding_meets_is_named_once(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half transparency in a tile that the sample leaves out."""
    monkeypatch.setattr(sample, "PLANES", 2)
    data = samples(2, "uint16", height=64, width=256)
    data[1], data[1, 9, 100] = 65535, 1000
    path = write(tmp_path / "half.tif", data, coloured("gray", "alpha"))
    with pytest.raises(UnsupportedError) as caught:
        fdeg_codec.encode(path, tmp_path / "a.fdg", model="tiny", tile=64, size=3000)
    assert str(caught.value).count("half.tif") == 1


@pytest.mark.parametrize(("choice", "end"), [({"size": 10**7}, HIGHEST), ({"psnr": 3}, LOWEST)])
def test_what_is_kept_to_without_effort_is_said(
    folder: Path,
    tmp_path: Path,
    fdeg: Run,  # noqa: F811
    choice: dict[str, Any],
    end: int,
) -> None:
    ((word, value),) = choice.items()
    outcome = fdeg("encode", folder / "small.tif", tmp_path / "a.fdg", "--model", "tiny", f"--{word}", value, "--json")
    assert outcome.code == 0
    assert '"met": false' in outcome.out
    assert "smaller, or better, than asked for" in outcome.err
    with fdeg_codec.open(tmp_path / "a.fdg") as scene:
        assert scene._reader.header.log2_lambda == end


@pytest.mark.parametrize("value", [7, 200])
def test_a_picture_without_anything_is_no_trouble(weights: Path, tmp_path: Path, value: int) -> None:
    source = write(tmp_path / "a.tif", np.full((3, 100, 100), value, np.uint8), nodata=7)
    for choice in ({"size": 5000}, {"psnr": 20}):
        assert not fdeg_codec.encode(source, tmp_path / "a.fdg", model="tiny", overwrite=True, **choice).met


def test_hardly_anything_at_all_is_out_of_reach(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FdegError, match="reach"):
        fdeg_codec.encode(folder / "small.tif", tmp_path / "a.fdg", model="tiny", bpp=5e-324)


@pytest.mark.parametrize(
    "choice",
    [{"bpp": 0}, {"size": -1}, {"psnr": math.nan}, {"psnr": math.inf}, {"bpp": 1, "quality": 2}, {"bpp": 1, "size": 9}],
)
def test_impossible_choices(folder: Path, tmp_path: Path, choice: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        fdeg_codec.encode(folder / "small.tif", tmp_path / "a.fdg", model="tiny", **choice)
