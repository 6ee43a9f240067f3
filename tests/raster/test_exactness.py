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
from tests.raster.rasters import Samples, coloured, samples, trip, write

MASKS = ("speckled", "corner", "tile", "none", "all")
REAL = [
    "l8_kanto_collar_150m.tif",
    "rgb_internal_mask.tif",
    "rgba_rapideye_ships_edge.tif",
    "s1_grd_uint16_gcps.tif",
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
        assert after.nodata == before.nodata
        assert after.mask_flag_enums == before.mask_flag_enums
        np.testing.assert_array_equal(after.read_masks(), before.read_masks())
        np.testing.assert_array_equal(after.dataset_mask(), before.dataset_mask())


@pytest.fixture
def folder(weights: Path, tmp_path: Path) -> Path:
    return tmp_path


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize(("dtype", "nodata"), [("uint8", 0), ("uint8", 255), ("uint8", 100), ("uint16", 0), ("uint16", 65535)])
def test_nodata_in_all_bands(folder: Path, name: str, dtype: str, nodata: int) -> None:
    data = samples(3, dtype)
    data[data == nodata] += 1
    data[:, hidden(name)] = nodata
    source = write(folder / "a.tif", data, nodata=nodata)
    assert_same_validity(source, trip(source))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_nodata_in_some_bands(folder: Path, dtype: str) -> None:
    data = samples(4, dtype)
    data[0, hidden("corner")] = 0
    data[1, hidden("speckled")] = 0
    data[2, hidden("all")] = 0
    source = write(folder / "a.tif", data, nodata=0)
    assert_same_validity(source, trip(source))


def test_nodata_that_no_sample_has_stays_declared(folder: Path) -> None:
    data = np.maximum(samples(3), 1)
    source = write(folder / "a.tif", data, nodata=0)
    assert_same_validity(source, trip(source))


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
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
def test_a_tile_without_valid_pixels_costs_a_few_bytes(folder: Path, together: bool) -> None:
    data = samples(3, height=64, width=192)
    data[:, :, 64:128] = 0
    if not together:
        data[0, :9, :9] = 0
    source = write(folder / "a.tif", data, nodata=0)
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


def test_masked_pixels_do_not_show_in_their_neighbours(folder: Path) -> None:
    """What lies under a mask has no influence on any valid pixel."""
    data, other = samples(3), samples(3)
    other[:, hidden("corner")] = 255 - other[:, hidden("corner")]
    mask = np.where(hidden("corner"), 0, 255).astype(np.uint8)

    def decoded(picture: Samples) -> Samples:
        with rasterio.open(trip(write(folder / "a.tif", picture, mask=mask))) as after:
            return after.read()

    np.testing.assert_array_equal(decoded(data), decoded(other))


@pytest.mark.skipif(not SCENES.exists(), reason="the shared scenes are not here")
@pytest.mark.parametrize("name", REAL)
def test_real_scenes(folder: Path, name: str) -> None:
    fdeg_codec.encode(SCENES / name, folder / "x.fdg", model="tiny", tile=256)
    fdeg_codec.decode(folder / "x.fdg", folder / "x.tif")
    assert_same_validity(SCENES / name, folder / "x.tif")
    with rasterio.open(SCENES / name) as before, rasterio.open(folder / "x.tif") as after:
        for kept in ("crs", "transform", "colorinterp", "descriptions", "scales", "offsets", "units", "dtypes", "shape"):
            assert getattr(after, kept) == getattr(before, kept)
        assert after.tags() == before.tags()
        assert [str(p) for p in after.gcps[0]] == [str(p) for p in before.gcps[0]]
