"""Cloud Optimized GeoTIFFs, judged by rio-cogeo."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

import fdeg_codec
from fdeg_codec.errors import UsageError
from tests.raster.rasters import samples, write

cog_validate = pytest.importorskip("rio_cogeo.cogeo").cog_validate


@pytest.mark.parametrize("kind", ["plain", "nodata", "mask", "nan"])
def test_a_valid_one_with_the_samples_of_the_plain_geotiff(weights: Path, tmp_path: Path, kind: str) -> None:
    data = samples(3, height=700, width=1100)
    mask = np.where(data[0] > 90, 255, 0).astype(np.uint8)
    if kind == "nan":
        data = np.where(data > 90, data, np.nan).astype(np.float32)
    more = {"nodata": 90} if kind == "nodata" else {}
    place = {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 500000, 0, -10, 5e6)}
    source = write(tmp_path / "a.tif", data, mask=mask if kind == "mask" else None, **place, **more)
    fdeg_codec.encode(source, tmp_path / "a.fdg", model="tiny")
    fdeg_codec.decode(tmp_path / "a.fdg", tmp_path / "plain.tif")
    fdeg_codec.decode(tmp_path / "a.fdg", tmp_path / "cog.tif", cog=True)
    valid, errors, warnings = cog_validate(tmp_path / "cog.tif", quiet=True)
    assert (valid, errors, warnings) == (True, [], [])
    with rasterio.open(tmp_path / "plain.tif") as plain, rasterio.open(tmp_path / "cog.tif") as cog:
        np.testing.assert_array_equal(cog.read(), plain.read())
        np.testing.assert_array_equal(cog.dataset_mask(), plain.dataset_mask())
        assert (cog.crs, cog.transform, cog.nodata) == (plain.crs, plain.transform, plain.nodata)
        assert cog.overviews(1)
    assert {p.name for p in tmp_path.iterdir()} == {"a.tif", "a.fdg", "plain.tif", "cog.tif"}


def test_only_a_geotiff_can_be_one(weights: Path, tmp_path: Path) -> None:
    fdeg_codec.encode(write(tmp_path / "a.tif", samples(1)), tmp_path / "a.fdg", model="tiny")
    with pytest.raises(UsageError, match=r"x\.png: .*\.tif with --cog"):
        fdeg_codec.decode(tmp_path / "a.fdg", tmp_path / "x.png", cog=True)
