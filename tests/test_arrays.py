"""xarray's view of a file: the numbers that rasterio reads, in the same places, and no tile decoded before it is needed."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio

import fdeg_codec
from fdeg_codec.container.file import Reader
from fdeg_codec.errors import UnsupportedError
from tests.raster.rasters import coloured, samples, with_nodata, write

xr = pytest.importorskip("xarray")

from fdeg_codec.arrays import FdegBackend  # noqa: E402


@pytest.fixture(scope="module")
def file(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four by three tiles of four bands, with nodata, scale and offset; the decoded raster beside it."""
    folder = tmp_path_factory.mktemp("arrays")
    data = samples(4, "uint16", 250, 180)
    data[:, 60:100, 20:90] = 9

    def describe(target: object) -> None:
        coloured("red", "green", "blue", "nir")(target)
        target.scales, target.offsets = [0.5] * 4, [-3] * 4  # type: ignore[attr-defined]
        target.set_band_description(4, "B8")  # type: ignore[attr-defined]
        target.update_tags(PLATFORM="satellite")  # type: ignore[attr-defined]

    grid = rasterio.Affine(10, 0, 500000, 0, -20, 5e6)
    source = write(folder / "a.tif", data, describe, crs="EPSG:32633", transform=grid, nodata=9)
    fdeg_codec.encode(source, folder / "a.fdg", model="tiny", tile=64)
    fdeg_codec.decode(folder / "a.fdg", folder / "decoded.tif")
    return folder / "a.fdg"


def test_samples_and_places_are_those_of_the_decoded_raster(file: Path) -> None:
    with rasterio.open(file.with_name("decoded.tif")) as raster, xr.open_dataset(file, engine=FdegBackend) as dataset:
        data = dataset.band_data
        wanted = raster.read(masked=True).astype(float) * 0.5 - 3
        np.testing.assert_allclose(data.values, wanted.filled(np.nan))
        assert data.dims == ("band", "y", "x")
        for row, column in ((0, 0), (249, 179)):
            assert (float(data.x[column]), float(data.y[row])) == raster.xy(row, column)
        assert list(data.band.values) == [1, 2, 3, 4]
        assert rasterio.CRS.from_wkt(dataset.spatial_ref.attrs["crs_wkt"]) == raster.crs
        assert tuple(map(float, dataset.spatial_ref.attrs["GeoTransform"].split())) == raster.transform.to_gdal()
        assert data.attrs["long_name"][3] == "B8"
        assert dataset.attrs["PLATFORM"] == "satellite"
        np.testing.assert_array_equal(data[:, ::-1, [7, 6, 5]].values, data.values[:, ::-1, [7, 6, 5]])
        some = data.isel(band=[3, 0], y=slice(200, 20, -30), x=[5, 100, 7])
        np.testing.assert_array_equal(some.values, data.values[[3, 0]][:, 200:20:-30][:, :, [5, 100, 7]])
        assert float(data.sel(band=2, x=500055, y=4999990, method="nearest")) == data.values[1, 0, 5]
    with xr.open_dataset(file, engine=FdegBackend, mask_and_scale=False) as plain, fdeg_codec.open(file) as scene:
        np.testing.assert_array_equal(plain.band_data.values, scene.read())
        assert plain.band_data.dtype == np.uint16
    with xr.open_dataset(file, engine=FdegBackend, mask_and_scale=False, scale=8) as small, fdeg_codec.open(file) as scene:
        np.testing.assert_array_equal(small.band_data.values, scene.read(scale=8))
        np.testing.assert_array_equal(small.band_data[1, 3:9, 2:20:3].values, scene.read(scale=8)[1, 3:9, 2:20:3])
        assert float(small.x[1]) == 500000 + 10 * 8 * 1.5


def test_only_the_tiles_and_bands_asked_for_are_decoded(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    entry = Reader.entry
    monkeypatch.setattr(Reader, "entry", lambda self, tile, k: asked.append((tile, k)) or entry(self, tile, k))
    with xr.open_dataset(file, engine=FdegBackend) as dataset:
        pixel = dataset.band_data.isel(band=3)[5, 5]
        assert not asked
        assert np.isfinite(pixel.values)
    assert {tile for tile, _ in asked} <= {0, 1, 3, 4}
    assert {k for _, k in asked} == {1, 2}  # the second plane, and nodata


@pytest.mark.parametrize("kind", ["nodata of each band", "mask", "alpha"])
def test_what_hides_pixels_beside_one_nodata_value_hides_them_here_too(weights: Path, tmp_path: Path, kind: str) -> None:
    data = np.maximum(samples(4), 1)
    data[:3, 10:20, 30:50] = 0
    data[3] = np.where(data[0] > 0, 255, 0)
    if kind == "alpha":
        source = write(tmp_path / "a.tif", data, coloured("red", "green", "blue", "alpha"))
    elif kind == "mask":
        source = write(tmp_path / "a.tif", data[:3], mask=data[3])
    else:
        source = with_nodata(tmp_path, data, (None, 0, 255, 7))
    fdeg_codec.encode(source, tmp_path / "b.fdg", model="tiny")
    with fdeg_codec.open(tmp_path / "b.fdg") as scene:
        truth = scene.read(masked=True)
    assert truth.mask.any()
    with xr.open_dataset(tmp_path / "b.fdg", engine=FdegBackend) as dataset:
        np.testing.assert_array_equal(dataset.band_data.values, truth.astype(float).filled(np.nan))
        np.testing.assert_array_equal(dataset.band_data[1, 15].values, truth.astype(float).filled(np.nan)[1, 15])
    with xr.open_dataset(tmp_path / "b.fdg", engine=FdegBackend, mask_and_scale=False) as plain:
        np.testing.assert_array_equal(plain.band_data.values, truth.data)


def test_by_dask_and_through_pickle(file: Path) -> None:
    pytest.importorskip("dask")
    with xr.open_dataset(file, engine=FdegBackend) as dataset, xr.open_dataset(file, engine=FdegBackend, chunks={}) as chunked:
        assert chunked.band_data.chunks == ((4,), (64, 64, 64, 58), (64, 64, 52))
        wanted = dataset.band_data.mean().values
        assert float(chunked.band_data.mean().compute()) == pytest.approx(float(wanted))
        again = pickle.loads(pickle.dumps(chunked))
        assert float(again.band_data.mean().compute(scheduler="threads")) == pytest.approx(float(wanted))


def test_in_another_process(file: Path) -> None:
    """That has opened nothing yet."""
    with xr.open_dataset(file, engine=FdegBackend) as dataset:
        packed, wanted = pickle.dumps(dataset), float(dataset.band_data.mean())
    code = "import pickle, sys; print(float(pickle.load(sys.stdin.buffer).band_data.mean()))"
    done = subprocess.run([sys.executable, "-c", code], input=packed, capture_output=True, check=True)
    assert float(done.stdout) == pytest.approx(wanted)


def test_the_entry_point_names_it() -> None:
    import tomllib

    with (Path(__file__).parents[1] / "pyproject.toml").open("rb") as stream:
        points = tomllib.load(stream)["project"]["entry-points"]["xarray.backends"]
    assert points == {"fdeg": "fdeg_codec.arrays:FdegBackend"}
    assert FdegBackend().guess_can_open("x.FDG")
    assert not FdegBackend().guess_can_open("x.tif")


def test_scales_that_bands_do_not_share_are_told_and_not_applied(weights: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "a.tif", samples(2), lambda t: setattr(t, "scales", (2.0, 3.0)), photometric="minisblack")
    fdeg_codec.encode(source, tmp_path / "a.fdg", model="tiny")
    with xr.open_dataset(tmp_path / "a.fdg", engine="fdeg") as dataset:
        assert dataset.band_data.attrs["scales"] == (2.0, 3.0)
        assert dataset.band_data.dtype == np.uint8
    few = xr.open_dataset(tmp_path / "a.fdg", engine="fdeg", max_pixels=10)
    with few, pytest.raises(UnsupportedError, match="max-pixels"):
        few.band_data.load()


def test_units_and_words_that_other_engines_know(weights: Path, tmp_path: Path) -> None:
    units = [("kelvin", "kelvin"), ("m", "")]
    for k, pair in enumerate(units):
        path = write(tmp_path / f"{k}.tif", samples(2), lambda target, pair=pair: setattr(target, "units", pair))
        fdeg_codec.encode(path, tmp_path / f"{k}.fdg", model="tiny")
    found = [xr.open_dataset(tmp_path / f"{k}.fdg", engine="fdeg", decode_times=False)["band_data"] for k in range(2)]
    assert [data.attrs["units"] for data in found] == ["kelvin", ("m", "")]
    with pytest.raises(TypeError, match="has no colour"):
        xr.open_dataset(tmp_path / "0.fdg", engine="fdeg", colour=1)


def test_a_scale_without_an_offset(weights: Path, tmp_path: Path) -> None:
    def describe(target: object) -> None:
        target.scales = [1e-4]  # type: ignore[attr-defined]

    fdeg_codec.encode(write(tmp_path / "a.tif", samples(1, "uint16"), describe), tmp_path / "a.fdg", model="tiny")
    with fdeg_codec.open(tmp_path / "a.fdg") as scene, xr.open_dataset(tmp_path / "a.fdg", engine=FdegBackend) as dataset:
        np.testing.assert_allclose(dataset.band_data.values, scene.read() * 1e-4)
