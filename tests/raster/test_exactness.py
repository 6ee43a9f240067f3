"""Nodata, masks and alpha come back pixel by pixel, whatever the network does to the picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

import fdeg_codec
from fdeg_codec.container.file import Reader
from tests.conftest import SCENES
from tests.raster.rasters import Samples, coloured, samples, trip, with_nodata, write

MASKS = ("speckled", "corner", "tile", "none", "all")
REAL = [
    "dem_srtm_int16.tif",
    "dem_vestfold_float32_nodata.tif",
    "l8_kanto_collar_150m.tif",
    "ndvi_lausanne_float32_nan.tif",
    "rgb_internal_mask.tif",
    "rgba_rapideye_ships_edge.tif",
    "rgba_pix4d_drone_edge.tif",
    "s1_grd_uint16_gcps.tif",
    "s1_spain_vvvh_float32_db.tif",
    "s2_tanzania_bgrn_10m.tif",
]


def hidden(name: str, height: int = 70, width: int = 90) -> NDArray[np.bool_]:
    """Which pixels do not count."""
    out = np.zeros((height, width), bool)
    if name == "speckled":
        out = np.random.default_rng(1).random((height, width)) < 0.3
    elif name == "corner":
        out = np.add.outer(np.arange(height), np.arange(width)) < 60
    elif name == "tile":
        out[:64, :64] = True
    return out if name != "all" else ~out


def assert_same_validity(source: Path, decoded: Path) -> None:
    with rasterio.open(source) as before, rasterio.open(decoded) as after:
        np.testing.assert_equal(after.nodata, before.nodata)  # nan is itself here
        assert after.mask_flag_enums == before.mask_flag_enums
        np.testing.assert_array_equal(after.read_masks(), before.read_masks())
        np.testing.assert_array_equal(after.dataset_mask(), before.dataset_mask())


@pytest.fixture
def folder(weights: Path, tmp_path: Path) -> Path:
    return tmp_path


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [
        *(("uint8", 0), ("uint8", 255), ("uint8", 100), ("uint16", 0), ("uint16", 65535), ("int16", -32768), ("int16", 5)),
        *(("float32", -9999.0), ("float32", float("nan")), ("float32", -3.4028234663852886e38), ("float32", 0.0)),
    ],
)
def test_nodata_in_all_bands(folder: Path, name: str, dtype: str, nodata: float) -> None:
    data = samples(3, dtype)
    data[data == nodata] += 1
    data[:, hidden(name)] = nodata
    source = write(folder / "a.tif", data, nodata=nodata)
    assert_same_validity(source, trip(source))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
def test_nodata_in_some_bands(folder: Path, dtype: str) -> None:
    data = samples(5, dtype)
    data[0, hidden("corner")] = 0
    data[1, hidden("speckled")] = 0
    data[2, hidden("all")] = 0
    source = write(folder / "a.tif", data, nodata=0)
    assert_same_validity(source, trip(source))


def assert_same_oddities(source: Path, decoded: Path) -> None:
    """What is no plain number comes back as it is, where it is."""
    with rasterio.open(source) as before, rasterio.open(decoded) as after:
        wanted, found = before.read(), after.read()
    odd = ~(np.abs(wanted) < 1e30)
    np.testing.assert_array_equal(found[odd], wanted[odd])
    np.testing.assert_array_equal(~(np.abs(found) < 1e30), odd)


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf, -3.4028235e38])
@pytest.mark.parametrize("together", [True, False])
def test_what_is_no_plain_number_and_not_declared_either(folder: Path, name: str, odd: float, together: bool) -> None:
    data = samples(2, "float32")
    data[: 1 + together, hidden(name)] = odd
    data[:, 60:, :5] = -1
    source = write(folder / "a.tif", data, nodata=-1)
    decoded = trip(source)
    assert_same_validity(source, decoded)
    assert_same_oddities(source, decoded)


def test_samples_out_of_all_proportion_come_back_exactly(folder: Path) -> None:
    data = samples(3, "uint16") // 10
    places = np.zeros(data.shape, bool)
    places[:, [3, 30, 69], [0, 77, 40]] = True
    data[places] = np.random.default_rng(1).integers(40000, 65536, places.sum())
    with rasterio.open(trip(write(folder / "a.tif", data))) as after:
        decoded = after.read()
    np.testing.assert_array_equal(decoded[places], data[places])
    assert decoded[~places].max() < 10000


def test_a_nodata_value_for_each_band(folder: Path) -> None:
    """As in a VRT; a GeoTIFF has but one, so there the first serves all bands. No mask changes."""
    data = np.maximum(samples(3), 1)
    for band, name in enumerate(("corner", "speckled", "tile")):
        data[band, hidden(name)] = (0, 255, 7)[band]
    source = with_nodata(folder, data, (0, 255, None))
    decoded = trip(source)
    with rasterio.open(source) as before, rasterio.open(decoded) as after:
        assert before.nodatavals == (0, 255, None)
        assert after.nodatavals == (0, 0, 0)
        np.testing.assert_array_equal(after.read_masks(), before.read_masks())
    with fdeg_codec.open(folder / "trip.fdg") as scene:
        assert scene.nodatavals == (0, 255, None)
        pixels = scene.read()
    np.testing.assert_array_equal(pixels[0] == 0, data[0] == 0)
    np.testing.assert_array_equal(pixels[1] == 255, data[1] == 255)


def test_nodata_that_no_sample_has_stays_declared(folder: Path) -> None:
    data = np.maximum(samples(3), 1)
    source = write(folder / "a.tif", data, nodata=0)
    assert_same_validity(source, trip(source))


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_internal_masks(folder: Path, name: str, dtype: str) -> None:
    mask = np.where(hidden(name), 0, 255).astype(np.uint8)
    source = write(folder / "a.tif", samples(3, dtype), mask=mask)
    assert_same_validity(source, trip(source))


@pytest.mark.parametrize("name", MASKS)
def test_a_mask_beside_nodata(folder: Path, name: str) -> None:
    data = samples(3)
    data[:, hidden("corner")] = 0
    source = write(folder / "a.tif", data, mask=np.where(hidden(name), 0, 255).astype(np.uint8), nodata=0)
    decoded = trip(source)
    assert_same_validity(source, decoded)
    shown = ~hidden(name)
    with rasterio.open(decoded) as after:
        np.testing.assert_array_equal((after.read() == 0)[:, shown], (data == 0)[:, shown])


@pytest.mark.parametrize(("dtype", "kind"), [("uint8", "soft"), ("uint8", "hard"), ("uint16", "hard")])
@pytest.mark.parametrize("masked", [False, True])
def test_alpha(folder: Path, dtype: str, kind: str, masked: bool) -> None:
    data = samples(4, dtype)
    if kind == "hard":
        data[3] = np.where(hidden("corner"), 0, np.iinfo(dtype).max)
    mask = np.where(hidden("speckled"), 0, 255).astype(np.uint8) if masked else None
    source = write(folder / "a.tif", data, coloured("red", "green", "blue", "alpha"), mask)
    decoded = trip(source)
    assert_same_validity(source, decoded)
    with rasterio.open(decoded) as after:
        np.testing.assert_array_equal(after.read(4), data[3])


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(("odd", "nodata"), [(0, 0), (np.nan, np.nan), (np.nan, -9999)])
def test_a_tile_without_valid_pixels_costs_a_few_bytes(folder: Path, together: bool, odd: float, nodata: float) -> None:
    data = samples(3, "uint8" if odd == 0 else "float32", height=64, width=192)
    data[:, :, 64:128] = odd
    if not together:
        data[0, :9, :9] = odd
    source = write(folder / "a.tif", data, nodata=nodata)
    assert_same_validity(source, trip(source, tile=64))
    with (folder / "trip.fdg").open("rb") as stream:
        reader = Reader(stream)
        per_tile = reader.header.per_tile
        assert sum(reader.lengths[per_tile : 2 * per_tile]) <= (1 if together else 3)


@pytest.mark.parametrize(("dtype", "value"), [("uint8", 0), ("uint8", 7), ("uint16", 0), ("uint16", 65535)])
def test_a_constant_raster(folder: Path, dtype: str, value: int) -> None:
    """As nodata it comes back exactly; as a picture, uint16 too, since its map knows but one value."""
    data = np.full((3, 70, 90), value, dtype)
    for nodata in (value, None):
        source = write(folder / "a.tif", data, nodata=nodata)
        with rasterio.open(trip(source)) as after:
            if nodata is not None or dtype == "uint16":
                assert (after.read() == value).all()
            else:
                assert after.nodata is None
                assert np.abs(after.read().astype(int) - value).mean() < 40  # of a network that is not trained


def read(path: Path) -> Samples:
    with rasterio.open(path) as raster:
        return raster.read()


@pytest.mark.parametrize("how", ["mask", "alpha"])
def test_masked_pixels_do_not_show_in_their_neighbours(folder: Path, how: str) -> None:
    """What lies under a mask has no influence on any valid pixel, and is 0 afterwards."""
    data, other = samples(3), samples(3)
    other[:, hidden("corner")] = 255 - other[:, hidden("corner")]
    mask = np.where(hidden("corner"), 0, 255).astype(np.uint8)

    def decoded(picture: Samples) -> Samples:
        if how == "alpha":
            picture = np.concatenate((picture, mask[None]))
            return read(trip(write(folder / "a.tif", picture, coloured("red", "green", "blue", "alpha"))))
        return read(trip(write(folder / "a.tif", picture, mask=mask)))

    np.testing.assert_array_equal(decoded(data), decoded(other))
    assert not decoded(data)[:3, mask == 0].any()


@pytest.mark.skipif(not SCENES.exists(), reason="the shared scenes are not here")
@pytest.mark.parametrize("name", REAL)
def test_real_scenes(folder: Path, name: str) -> None:
    fdeg_codec.encode(SCENES / name, folder / "x.fdg", model="tiny", tile=256)
    fdeg_codec.decode(folder / "x.fdg", folder / "x.tif")
    assert_same_validity(SCENES / name, folder / "x.tif")
    assert_same_oddities(SCENES / name, folder / "x.tif")
    with rasterio.open(SCENES / name) as before, rasterio.open(folder / "x.tif") as after:
        for kept in ("crs", "transform", "colorinterp", "descriptions", "scales", "offsets", "units", "dtypes", "shape"):
            assert getattr(after, kept) == getattr(before, kept)
        assert after.tags() == before.tags()
        assert [str(p) for p in after.gcps[0]] == [str(p) for p in before.gcps[0]]
