"""What `fdeg info --json` says for a STAC item, judged by rasterio."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.warp import transform, transform_bounds

from fdeg_codec.container.sections import Kind, pack_text
from tests.cli.conftest import Run, fdeg  # noqa: F401
from tests.fuzz import forge
from tests.raster.rasters import samples, with_nodata, write


def stac(fdeg: Run, folder: Path, **profile: object) -> dict:  # noqa: F811
    source = write(folder / "a.tif", samples(2, "uint16"), lambda t: t.set_band_unit(2, "m"), **profile)
    fdeg("encode", source, folder / "a.fdg", "--model", "tiny", "--overwrite")
    return json.loads(fdeg("info", folder / "a.fdg", "--json").out)["stac"]


@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:3031", "EPSG:4326"])
def test_where_it_lies(fdeg: Run, tmp_path: Path, crs: str) -> None:  # noqa: F811
    unit = 1e-4 if crs == "EPSG:4326" else 10
    grid = rasterio.Affine(unit, 0, 12 if unit < 1 else 500000, 0, -unit, 50 if unit < 1 else 1e6)
    found = stac(fdeg, tmp_path, crs=crs, transform=grid, nodata=3)
    with rasterio.open(tmp_path / "a.tif") as source:
        np.testing.assert_allclose(found["bbox"], transform_bounds(crs, "EPSG:4326", *source.bounds))
        (ring,) = found["geometry"]["coordinates"]
        corners = [source.xy(row, column, offset="ul") for row, column in ((0, 0), (70, 0), (70, 90), (0, 90), (0, 0))]
        np.testing.assert_allclose(ring, np.transpose(transform(crs, "EPSG:4326", *zip(*corners, strict=True))))
        assert found["properties"] == {
            "proj:code": crs,
            "proj:epsg": int(crs[5:]),
            "proj:shape": [70, 90],
            "proj:transform": list(grid),
            "proj:bbox": list(source.bounds),
        }
    assert found["raster:bands"][0] == {"data_type": "uint16", "nodata": 3}
    assert found["raster:bands"][1]["unit"] == "m"


def test_across_the_antimeridian(fdeg: Run, tmp_path: Path) -> None:  # noqa: F811
    for west in (179, -181, 539):
        found = stac(fdeg, tmp_path, crs="EPSG:4326", transform=rasterio.Affine(0.1, 0, west, 0, -0.1, 50))
        np.testing.assert_allclose(found["bbox"], [179, 43, -172, 50])
        assert found["geometry"]["type"] == "MultiPolygon"
        boxes = [(*np.min(ring, 0), *np.max(ring, 0)) for (ring,) in found["geometry"]["coordinates"]]
        np.testing.assert_allclose(boxes, [[179, 43, 180, 50], [-180, 43, -172, 50]])
        assert all(ring[0] == ring[-1] for (ring,) in found["geometry"]["coordinates"])


@pytest.mark.parametrize(
    ("crs", "grid", "south"),
    [("EPSG:3413", (1e5, 0, -4.5e6, 0, -1e5, 3.5e6), 40), ("EPSG:4326", (4, 0, 0, 0, -180 / 70, 90), -90)],
)
def test_around_the_earth(fdeg: Run, tmp_path: Path, crs: str, grid: tuple[float, ...], south: float) -> None:  # noqa: F811
    found = stac(fdeg, tmp_path, crs=crs, transform=rasterio.Affine(*grid))
    west, bottom, east, north = found["bbox"]
    assert (west, east, north) == (-180, 180, pytest.approx(90))
    assert bottom == pytest.approx(south, abs=6)
    (ring,) = found["geometry"]["coordinates"]
    assert {tuple(p) for p in ring} == {(x, y) for x in (west, east) for y in (bottom, north)}


def test_numbers_that_json_has_not(fdeg: Run, tmp_path: Path) -> None:  # noqa: F811
    source = write(tmp_path / "a.tif", samples(1), lambda t: setattr(t, "scales", (np.inf,)))
    fdeg("encode", source, tmp_path / "a.fdg", "--model", "tiny")
    table = json.loads(fdeg("info", tmp_path / "a.fdg", "--json").out, parse_constant=pytest.fail)
    assert "scale" not in table["stac"]["raster:bands"][0]


def test_of_no_place(fdeg: Run, tmp_path: Path) -> None:  # noqa: F811
    found = stac(fdeg, tmp_path)
    assert (found["bbox"], found["geometry"], found["properties"]) == (None, None, {"proj:shape": [70, 90]})
    local = 'LOCAL_CS["somewhere",UNIT["metre",1]]'
    found = stac(fdeg, tmp_path, crs=local, transform=rasterio.Affine(1, 0, 0, 0, -1, 0))
    assert found["bbox"] is None
    assert found["properties"]["proj:wkt2"].startswith('ENGCRS["somewhere"')


def test_nodata_of_each_band(fdeg: Run, tmp_path: Path) -> None:  # noqa: F811
    fdeg("encode", with_nodata(tmp_path, samples(3), (0, 255, None)), tmp_path / "a.fdg", "--model", "tiny")
    bands = json.loads(fdeg("info", tmp_path / "a.fdg", "--json").out)["stac"]["raster:bands"]
    assert [band.get("nodata", "none") for band in bands] == [0, 255, "none"]


def test_nodata_that_is_no_number(fdeg: Run, tmp_path: Path) -> None:  # noqa: F811
    fdeg("encode", write(tmp_path / "a.tif", samples(1, "float32"), nodata=np.nan), tmp_path / "a.fdg", "--model", "tiny")
    assert json.loads(fdeg("info", tmp_path / "a.fdg", "--json").out)["stac"]["raster:bands"][0]["nodata"] == "nan"


def test_a_reference_system_that_is_none(fdeg: Run, tmp_path: Path) -> None:  # noqa: F811
    fdeg("encode", write(tmp_path / "a.tif", samples(1), crs="EPSG:3301"), tmp_path / "a.fdg", "--model", "tiny")
    parts = forge.apart((tmp_path / "a.fdg").read_bytes())
    for crs in (5, "EPSG:x", "no text of a reference system"):
        parts.sections = [(kind, pack_text(crs) if kind == Kind.CRS else data) for kind, data in parts.sections]
        (tmp_path / "b.fdg").write_bytes(parts.join())
        assert fdeg("info", tmp_path / "b.fdg", "--json").is_one_line(1, "b.fdg", "metadata")
