"""Smaller pictures: the means of the whole one, in the right place, for less work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.enums import Resampling
from rasterio.rpc import RPC
from rasterio.transform import GCPTransformer, RPCTransformer
from skimage.measure import block_reduce
from skimage.metrics import peak_signal_noise_ratio

import fdeg_codec
from fdeg_codec.codec.engine import Engine
from fdeg_codec.container.file import Reader
from fdeg_codec.errors import UsageError
from tests.raster.rasters import Samples, coloured, samples, write

HEIGHT, WIDTH = 150, 203
SCALES = [2, 4, 8, 16]
SAMPLE = Path(__file__).parents[2] / "sample" / "landscape.tif"


@pytest.fixture(scope="module")
def file(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four bands, two planes, three by four tiles, nodata in a corner of each band's own."""
    folder = tmp_path_factory.mktemp("scale")
    data = samples(4, "uint16", HEIGHT, WIDTH)
    for band in range(4):
        data[band, 90 : 120 + 5 * band, 60:101] = 7
    grid = rasterio.Affine(10, 2, 500000, 3, -10, 5e6)
    source = write(folder / "a.tif", data, coloured("blue", "green", "red", "nir"), nodata=7, crs="EPSG:32633", transform=grid)
    fdeg_codec.encode(source, folder / "a.fdg", model="tiny", quality=5, tile=64)
    return folder / "a.fdg"


def blocks(picture: Samples, scale: int) -> Samples:
    """Means over blocks that the picture's edges may cut, by another's hand."""
    sums, counts = (block_reduce(a.astype(float), (1, scale, scale), np.sum) for a in (picture, np.ones_like(picture)))
    return sums / counts


def test_half_the_size_is_the_mean_of_the_whole(file: Path) -> None:
    with fdeg_codec.open(file) as scene:
        whole, half = scene.read(masked=True), scene.read(scale=2, masked=True)
    inside = block_reduce(whole.mask, (1, 2, 2), np.any) | half.mask
    np.testing.assert_allclose(half[~inside], blocks(whole.data, 2)[~inside], atol=1)


def test_from_a_quarter_on_it_is_near_to_the_mean_of_the_whole(tmp_path: Path) -> None:
    """With the weights that come along, judged by GDAL's averages."""
    fdeg_codec.encode(SAMPLE, tmp_path / "a.fdg", quality=4)
    fdeg_codec.decode(tmp_path / "a.fdg", tmp_path / "whole.tif")
    for scale in (4, 8, 16):
        fdeg_codec.decode(tmp_path / "a.fdg", tmp_path / "small.tif", scale=scale, overwrite=True)
        with rasterio.open(tmp_path / "whole.tif") as whole, rasterio.open(tmp_path / "small.tif") as small:
            means = whole.read(out_shape=(3, *small.shape), resampling=Resampling.average)
            assert peak_signal_noise_ratio(means, small.read()) > 39
            assert small.bounds == whole.bounds
            assert small.crs == whole.crs


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("window", [None, (0, 0, 1, 1), (37, 50, 101, 77), (202, 149, 1, 1)])
def test_pixels_lie_where_those_lie_that_they_stand_for(
    file: Path, tmp_path: Path, scale: int, window: tuple[int, int, int, int] | None
) -> None:
    fdeg_codec.decode(file, tmp_path / "small.tif", window=window, scale=scale)
    column, row, width, height = window or (0, 0, WIDTH, HEIGHT)
    with rasterio.open(file.with_suffix(".tif")) as whole, rasterio.open(tmp_path / "small.tif") as small:
        assert small.crs == whole.crs
        first, last = (column // scale, row // scale), ((column + width - 1) // scale, (row + height - 1) // scale)
        assert small.shape == (last[1] - first[1] + 1, last[0] - first[0] + 1)
        for x, y in (first, last):
            centre = whole.transform @ ((x + 0.5) * scale, (y + 0.5) * scale)
            np.testing.assert_allclose(small.xy(y - first[1], x - first[0]), centre)
        with fdeg_codec.open(file) as scene:
            part = scene.read(scale=scale)[:, first[1] : last[1] + 1, first[0] : last[0] + 1]
            np.testing.assert_array_equal(small.read(), part)
            np.testing.assert_array_equal(scene.read(window=window, scale=scale), part)


@pytest.mark.parametrize("scale", SCALES)
def test_a_pixel_is_valid_where_half_of_what_it_stands_for_is(file: Path, scale: int) -> None:
    with rasterio.open(file.with_suffix(".tif")) as whole:
        share = blocks(whole.read_masks() > 0, scale)
    with fdeg_codec.open(file) as scene:
        small = scene.read(scale=scale, masked=True)
    np.testing.assert_array_equal(~small.mask, share >= 0.5)
    assert (small.data[small.mask] == 7).all()
    assert (small.data[~small.mask] != 7).all()


def test_masks_and_alpha(weights: Path, tmp_path: Path) -> None:
    mask = np.where(samples(1)[0] > 90, 255, 0).astype(np.uint8)
    data = samples(4)
    data[3] = np.arange(90, dtype=np.uint8) * 2
    for name, colours, given in (
        ("mask", ("red", "green", "blue", "nir"), mask),
        ("alpha", ("red", "green", "blue", "alpha"), None),
    ):
        source = write(tmp_path / f"{name}.tif", data, coloured(*colours), given)
        fdeg_codec.encode(source, tmp_path / "x.fdg", model="tiny", overwrite=True)
        fdeg_codec.decode(tmp_path / "x.fdg", tmp_path / f"{name}-4.tif", scale=4)
    with rasterio.open(tmp_path / "mask-4.tif") as small:
        np.testing.assert_array_equal(small.dataset_mask() > 0, blocks(mask[None] > 0, 4)[0] >= 0.5)
    with rasterio.open(tmp_path / "alpha-4.tif") as small:
        np.testing.assert_allclose(small.read(4), blocks(data[3:], 4)[0], atol=0.51)


@pytest.mark.parametrize("scale", [2, 8])
def test_control_points_and_polynomials_follow(weights: Path, tmp_path: Path, scale: int) -> None:
    points = [GroundControlPoint(r, c, 10 + c / 100, 50 - r / 100 + c / 1000) for r in (0, 32, 64) for c in (0, 48, 80)]
    ramp = {"line_num_coeff": [0, 0, 1] + [0] * 17, "samp_num_coeff": [0, 1] + [0] * 18}
    one = [1] + [0] * 19
    place = {"lat_off": 50, "lat_scale": -1, "long_off": 10, "long_scale": 1, "height_off": 0, "height_scale": 1}
    rpcs = RPC(**ramp, **place, line_den_coeff=one, samp_den_coeff=one, line_off=31, line_scale=32, samp_off=40, samp_scale=41)

    def describe(target: Any) -> None:
        target.gcps = (points, "EPSG:4326")
        target.rpcs = rpcs

    source = write(tmp_path / "a.tif", samples(1, height=64, width=80), describe)
    fdeg_codec.encode(source, tmp_path / "a.fdg", model="tiny")
    fdeg_codec.decode(tmp_path / "a.fdg", tmp_path / "small.tif", scale=scale, window=(16, 32, 48, 32))
    with rasterio.open(source) as whole, rasterio.open(tmp_path / "small.tif") as small:
        for make in (lambda d: GCPTransformer(d.gcps[0]), lambda d: RPCTransformer(d.rpcs)):
            with make(whole) as before, make(small) as after:
                corner = before.xy(32 + 2 * scale, 16 + 3 * scale, offset="ul")
                np.testing.assert_allclose(after.xy(2, 3, offset="ul"), corner, atol=1e-6)


@pytest.mark.parametrize(("scale", "tiles"), [(2, [0, 1, 4, 5]), (4, [0]), (16, [0])])
def test_from_a_quarter_on_a_window_reads_its_own_tiles_and_synthesises_nothing(
    file: Path, monkeypatch: pytest.MonkeyPatch, scale: int, tiles: list[int]
) -> None:
    asked: list[int] = []
    synthesised: list[None] = []
    entry, synthesise = Reader.entry, Engine.synthesise
    monkeypatch.setattr(Reader, "entry", lambda self, tile, k: asked.append(tile) or entry(self, tile, k))
    monkeypatch.setattr(Engine, "synthesise", lambda *words: synthesised.append(None) or synthesise(*words))
    with fdeg_codec.open(file) as scene:
        scene.read(window=(5, 5, 40, 40), scale=scale)
    assert sorted(set(asked)) == tiles
    assert bool(synthesised) == (scale == 2)


@pytest.mark.parametrize("threads", [2], indirect=True)
@pytest.mark.parametrize("scale", SCALES)
def test_where_most_samples_are_kept_exactly_one_of_them_is_shown(weights: Path, tmp_path: Path, scale: int) -> None:
    data = samples(1, "float32", 64, 96)
    far = np.arange(96) >= 40
    data[:, :, far] = -3.4028235e38
    data[0, 5, 3] = 1e30
    fdeg_codec.encode(write(tmp_path / "a.tif", data), tmp_path / "a.fdg", model="tiny")
    with fdeg_codec.open(tmp_path / "a.fdg") as scene:
        small = scene.read(1, scale=scale)
    shown = far.reshape(-1, scale).mean(1) >= 0.5
    assert (small[:, shown] == data.min()).all()
    assert np.abs(small[:, ~shown]).max() < 10


def test_threads_change_nothing(file: Path) -> None:
    with fdeg_codec.open(file) as scene:
        for scale in SCALES:
            whole = scene.read(scale=scale)
            for column in (0, 64, 128):
                part = scene.read(window=(column, 0, 64, HEIGHT), scale=scale)
                np.testing.assert_array_equal(part, whole[:, :, column // scale : column // scale + part.shape[2]])


@pytest.mark.parametrize("scale", [0, -2, 3, 32, 2.0, "2"])
def test_other_scales_are_refused(file: Path, scale: Any) -> None:
    with fdeg_codec.open(file) as scene, pytest.raises(UsageError, match=f"--scale {scale!r}: one of 1, 2, 4, 8, 16"):
        scene.read(scale=scale)
