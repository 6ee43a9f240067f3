"""What a GeoTIFF says about itself, through an .fdg file into a GeoTIFF. rasterio is the judge."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import pytest
import rasterio
from PIL import Image, ImageCms
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.rpc import RPC
from rasterio.transform import Affine
from rasterio.windows import Window

import fdeg_codec
from fdeg_codec.container.sections import Kind, pack_text
from fdeg_codec.errors import BadFileError, UnsupportedError
from fdeg_codec.raster import metadata, strict
from tests.raster.rasters import coloured, samples, trip, write

GRID = Affine(10, 2, 500000, 3, -10, 5e6)
CRSES = {
    "code": CRS.from_epsg(32633),
    "custom": CRS.from_proj4("+proj=laea +lat_0=12.3 +lon_0=45.6 +ellps=WGS84 +units=m"),
    "local": CRS.from_wkt('LOCAL_CS["mine",UNIT["metre",1]]'),
    "rotated": CRS.from_proj4("+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=39.25 +lon_0=18 +to_meter=0.01745329252"),
    "compound": CRS.from_string("EPSG:4326+5773"),
}
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
CORNERS = [
    GroundControlPoint(0, 0, 10, 50, 5.5, "a", "first"),
    GroundControlPoint(0, 90, 11, 50, 0, "b", ""),
    GroundControlPoint(70.5, 0, 10, 49, 1, "c", "x"),
]
CAMERA = RPC(
    **{"height_off": 100.0, "height_scale": 50.0, "lat_off": 45.0, "lat_scale": 0.1, "long_off": 7.0, "long_scale": 0.1},
    **{"line_off": 500.0, "line_scale": 501.0, "samp_off": 480.0, "samp_scale": 502.0, "err_bias": 1.5, "err_rand": 0.5},
    **{name: [float(k + n) / 64 for k in range(20)] for n, name in enumerate(("line_num_coeff", "samp_num_coeff"))},
    **{name: [1.0] + [0.001] * 19 for name in ("line_den_coeff", "samp_den_coeff")},
)


def points(dataset: Any) -> list[tuple[Any, ...]]:
    return [(p.row, p.col, p.x, p.y, p.z, p.id, p.info) for p in dataset.gcps[0]]


@pytest.fixture
def folder(weights: Path, tmp_path: Path) -> Path:
    return tmp_path


@pytest.mark.parametrize("name", CRSES)
def test_crs_and_transform(folder: Path, name: str) -> None:
    source = write(folder / "a.tif", samples(1), crs=CRSES[name], transform=GRID)
    with rasterio.open(source) as before, rasterio.open(trip(source)) as after, fdeg_codec.open(folder / "trip.fdg") as scene:
        assert after.crs.wkt == before.crs.wkt
        assert after.transform == before.transform == GRID
        assert scene.crs == before.crs
        assert scene.transform == GRID


def test_a_code_takes_few_bytes(folder: Path) -> None:
    assert len(metadata.to_sections(metadata.Metadata(crs=CRS.from_epsg(32633)))[Kind.CRS]) < 16


def test_a_plain_picture_has_no_sections(folder: Path) -> None:
    for bands in (1, 3):
        with rasterio.open(write(folder / "a.tif", samples(bands))) as source:
            assert metadata.to_sections(metadata.describe(source)) == {}


def describe_much(target: Any) -> None:
    target.update_tags(A="ü — 日本", LONG="x" * 5000, EMPTY="", SPACED="  a=b ", AREA_OR_POINT="Point", TIFFTAG_SOFTWARE="s")
    target.update_tags(ns="MINE", k="v", lines="a=b\nc")
    target.update_tags(1, wavelength="665")
    target.update_tags(3, wavelength="842", note="ü")
    target.descriptions = ("red ü", None, "nir")
    target.units = ("m", "", "DN")
    target.scales, target.offsets = (0.0001, 1, 2), (-0.1, 0, 5)
    target.colorinterp = coloured_names("red", "undefined", "nir")


def coloured_names(*names: str) -> list[Any]:
    return [rasterio.enums.ColorInterp[name] for name in names]


def test_that_pixels_are_areas_is_not_stored_and_comes_back(folder: Path) -> None:
    source = write(folder / "a.tif", samples(3), crs=CRSES["code"], transform=GRID)
    with rasterio.open(source) as before, rasterio.open(trip(source)) as after:
        assert metadata.describe(before).tags == {}
        assert after.tags() == before.tags() == {"AREA_OR_POINT": "Area"}


def test_tags_names_and_units(folder: Path) -> None:
    source = write(folder / "a.tif", samples(3), describe_much, crs=CRSES["code"], transform=GRID)
    with rasterio.open(source) as before, rasterio.open(trip(source)) as after:
        assert after.tags() == before.tags()
        assert after.tags()["AREA_OR_POINT"] == "Point"
        assert after.tags(ns="MINE") == before.tags(ns="MINE") != {}
        assert [after.tags(b) for b in (1, 2, 3)] == [before.tags(b) for b in (1, 2, 3)]
        assert after.tags(3)["note"] == "ü"
        for name in ("descriptions", "units", "scales", "offsets", "colorinterp", "transform"):
            assert getattr(after, name) == getattr(before, name)


@pytest.mark.parametrize("text", ['["a"]', '{"a": "b"}'])
def test_a_document_beside_a_raster_crashes_nothing_and_becomes_no_tag(folder: Path, text: str) -> None:
    """rasterio 1.5 crashes on the first, and takes the second for a tag."""
    path = write(folder / "a.tif", samples(1))
    domain = f'<Metadata domain="json:ISIS3" format="json">{escape(text)}</Metadata>'
    (folder / "a.tif.aux.xml").write_text(f"<PAMDataset>{domain}</PAMDataset>")
    with rasterio.open(path) as raster:
        assert "json:ISIS3" in raster.tag_namespaces()
        assert metadata.describe(raster).tags.keys() <= {""}


def described_by_documents(target: Any) -> None:
    target.update_tags(ns="COLOR_PROFILE", SOURCE_ICC_PROFILE=base64.b64encode(PROFILE).decode())
    target.update_tags(ns="xml:XMP", **{"<x:xmpmeta xmlns:x": '"adobe:ns:meta/"> ü = 1 </x:xmpmeta>'})
    target.update_tags(ns="xml:MINE", **{"<a b": '"c=d"/>'})


def test_colour_profiles_and_documents(folder: Path) -> None:
    source = write(folder / "a.tif", samples(3), described_by_documents)
    with rasterio.open(trip(source)) as after:
        assert after.tags(ns="xml:XMP") == {"xml:XMP": '<x:xmpmeta xmlns:x="adobe:ns:meta/"> ü = 1 </x:xmpmeta>'}
        assert after.tags(ns="xml:MINE") == {"xml:MINE": '<a b="c=d"/>'}
    for ending in (".tif", ".png"):
        with Image.open(trip(source, ending)) as picture:
            assert picture.info["icc_profile"] == PROFILE
    with fdeg_codec.open(folder / "trip.fdg") as scene:
        scene.save(folder / "gray.tif", bands=[1])
    with rasterio.open(folder / "gray.tif") as gray:
        assert gray.tags(ns="COLOR_PROFILE") == {}
        assert gray.tags(ns="xml:MINE") != {}


def test_a_broken_profile_keeps_no_picture_from_being_written(folder: Path) -> None:
    source = write(folder / "a.tif", samples(3), lambda t: t.update_tags(ns="COLOR_PROFILE", SOURCE_ICC_PROFILE="AAAA"))
    with rasterio.open(trip(source, ".png")) as picture, rasterio.open(trip(source)) as raster:
        assert (picture.read() == raster.read()).all()
        assert picture.tags(ns="COLOR_PROFILE") == {}
        assert raster.tags(ns="COLOR_PROFILE") == {"SOURCE_ICC_PROFILE": "AAAA"}


def test_scales_that_are_no_numbers_are_left_out(folder: Path) -> None:
    def describe(target: Any) -> None:
        target.scales, target.offsets = (np.nan, 2.0, 1.0), (0.0, np.inf, 5.0)

    with rasterio.open(trip(write(folder / "a.tif", samples(3), describe))) as after:
        assert (after.scales, after.offsets) == ((1, 2, 1), (0, 0, 5))


def test_what_describes_the_lost_pixels_is_left_out(folder: Path) -> None:
    source = write(folder / "a.tif", samples(1), lambda t: t.update_tags(1, STATISTICS_MEAN="4", kept="yes"))
    with rasterio.open(trip(source)) as after:
        assert after.tags(1) == {"kept": "yes"}


@pytest.mark.parametrize("key", ["ns", "bidx", "self"])
def test_tags_with_the_names_of_rasterios_arguments_do_no_harm(folder: Path, key: str) -> None:
    write(folder / "a.tif", samples(1))
    tags = f'<Metadata><MDI key="{key}">1</MDI><MDI key="other">2</MDI></Metadata>'
    band = '<SourceFilename relativeToVRT="1">a.tif</SourceFilename><SourceBand>1</SourceBand>'
    (folder / "a.vrt").write_text(
        f'<VRTDataset rasterXSize="90" rasterYSize="70">{tags}<VRTRasterBand dataType="Byte" band="1">'
        f"<SimpleSource>{band}</SimpleSource></VRTRasterBand></VRTDataset>"
    )
    with rasterio.open(trip(folder / "a.vrt")) as after:
        assert after.tags()["other"] == "2"


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize(
    "colours",
    [
        ("gray",),
        ("undefined", "undefined"),
        ("gray", "alpha"),
        ("red", "green", "blue"),
        ("blue", "green", "red"),
        ("gray", "undefined", "undefined"),
        ("red", "green", "blue", "nir"),
        ("blue", "green", "red", "alpha"),
        ("undefined",) * 4,
    ],
)
def test_colours_in_any_order(folder: Path, colours: tuple[str, ...], dtype: str) -> None:
    data = samples(len(colours), dtype)
    if colours[-1] == "alpha" and dtype == "uint16":
        data[-1] = np.where(data[-1] > np.median(data[-1]), 65535, 0)
    source = write(folder / "a.tif", data, coloured(*colours))
    with rasterio.open(source) as before, rasterio.open(trip(source)) as after:
        assert after.colorinterp == before.colorinterp
        assert (after.dtypes, after.shape) == (before.dtypes, before.shape)
        spread = np.ptp(data.astype(float), axis=(1, 2))
        errors = np.abs(after.read().astype(float) - data).mean((1, 2)) / spread
        assert (errors < 0.25).all()  # each band is its own picture, and not another one's


@pytest.mark.parametrize("crs", [CRS.from_epsg(4326), CRS()])
def test_ground_control_points(folder: Path, crs: CRS) -> None:
    source = write(folder / "a.tif", samples(1), lambda t: setattr(t, "gcps", (CORNERS, crs)))
    with rasterio.open(source) as before, rasterio.open(trip(source)) as after:
        assert points(after) == points(before)
        assert len(points(after)) == 3
        assert after.gcps[1] == before.gcps[1]


@pytest.mark.parametrize("ending", [".tif", ".png"])
def test_ground_control_points_of_pixels_that_are_points(folder: Path, ending: str) -> None:
    """GDAL moves those that are written into a GeoTIFF, so they come from elsewhere."""
    band = '<SourceFilename relativeToVRT="1">a.tif</SourceFilename><SourceBand>1</SourceBand>'
    corners = "".join(f'<GCP Id="{p.id}" Pixel="{p.col}" Line="{p.row}" X="{p.x}" Y="{p.y}" Z="{p.z}"/>' for p in CORNERS)
    write(folder / "a.tif", samples(1))
    (folder / "a.vrt").write_text(
        f'<VRTDataset rasterXSize="90" rasterYSize="70"><GCPList Projection="EPSG:4326">{corners}</GCPList>'
        '<Metadata><MDI key="AREA_OR_POINT">Point</MDI></Metadata>'
        f'<VRTRasterBand dataType="Byte" band="1"><SimpleSource>{band}</SimpleSource></VRTRasterBand></VRTDataset>'
    )
    with rasterio.open(trip(folder / "a.vrt", ending)) as after:
        assert [p[:5] for p in points(after)] == [(p.row, p.col, p.x, p.y, p.z) for p in CORNERS]
        assert after.tags()["AREA_OR_POINT"] == "Point"


@pytest.mark.parametrize("ending", [".tif", ".png", ".jp2", ".webp"])
@pytest.mark.parametrize("place", [{}, {"crs": CRSES["code"], "transform": Affine(10, 0, 5e5, 0, 10, 5e6)}])
def test_polynomials_and_points_in_every_format(folder: Path, ending: str, place: dict[str, Any]) -> None:
    def setup(target: Any) -> None:
        target.rpcs = CAMERA
        target.update_tags(AREA_OR_POINT="Point", other="<&>")

    source = write(folder / "a.tif", samples(3), setup, **place)
    with rasterio.open(source) as before, rasterio.open(trip(source, ending)) as after:
        assert after.rpcs.to_gdal() == before.rpcs.to_gdal()
        assert {k: after.tags().get(k) for k in before.tags()} == before.tags()
        assert (after.crs, after.transform) == (before.crs, before.transform)


def test_rational_polynomials(folder: Path) -> None:
    source = write(folder / "a.tif", samples(1), lambda t: setattr(t, "rpcs", CAMERA))
    with rasterio.open(source) as before, rasterio.open(trip(source)) as after:
        assert after.rpcs.to_gdal() == before.rpcs.to_gdal()


def test_a_window_lies_where_it_lay(folder: Path) -> None:
    window = Window(17, 23, 40, 30)
    source = write(folder / "a.tif", samples(1), crs=CRSES["code"], transform=GRID)
    with rasterio.open(source) as before, rasterio.open(trip(source, window=(17, 23, 40, 30))) as after:
        assert after.shape == (30, 40)
        assert after.transform.almost_equals(before.window_transform(window))
        assert after.crs == before.crs


def test_a_window_moves_control_points_and_polynomials(folder: Path) -> None:
    source = write(folder / "a.tif", samples(1), lambda t: setattr(t, "gcps", (CORNERS, CRS.from_epsg(4326))))
    with rasterio.open(trip(source, window=(17, 23, 40, 30))) as after:
        assert [(p.row, p.col, p.x, p.y) for p in after.gcps[0]] == [(p.row - 23, p.col - 17, p.x, p.y) for p in CORNERS]
    source = write(folder / "b.tif", samples(1), lambda t: setattr(t, "rpcs", CAMERA))
    with rasterio.open(trip(source, window=(17, 23, 40, 30))) as after:
        assert (after.rpcs.line_off, after.rpcs.samp_off) == (500 - 23, 480 - 17)
        assert after.rpcs.line_scale == 501


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (Kind.CRS, pack_text({"a": 1})),
        (Kind.CRS, b"\1junk"),
        (Kind.CRS, pack_text(CRS.from_epsg(32633).wkt + " " * strict.LONGEST_CRS)),
        (Kind.TRANSFORM, b"short"),
        (Kind.GCPS, pack_text([1, 2])),
        (Kind.GCPS, pack_text({"crs": None, "points": [[1]]})),
        (Kind.RPCS, pack_text({"LINE_OFF": "x"})),
        (Kind.TAGS, pack_text({"tags": {}})),
        (Kind.TAGS, pack_text({"tags": {"": ["a"]}, "bands": []})),
        (Kind.TAGS, pack_text({"tags": {"": {"a": 1}}, "bands": [3]})),
        (Kind.TAGS, pack_text({"tags": {"xml:A": {"xml:B": "a=b"}}, "bands": []})),
        (Kind.TAGS, pack_text({"tags": {"xml:A": {"xml:A": "<a/>"}}, "bands": []})),
        (Kind.TAGS, pack_text({"tags": {"GEOLOCATION": {"X_DATASET": "/vsicurl/http://x/y"}}, "bands": []})),
        (Kind.TAGS, pack_text({"tags": {"json:A": {"a": "b"}}, "bands": []})),
        (Kind.BANDS, pack_text({"colours": [7]})),
        (Kind.BANDS, pack_text([1])),
        (Kind.BANDS, pack_text({"units": ["m", "m"]})),
    ],
)
def test_metadata_that_makes_no_sense_is_a_damaged_file(kind: Kind, data: bytes) -> None:
    with pytest.raises(BadFileError):
        metadata.from_sections({kind: data}, 1)


def test_roles_of_later_releases_are_none() -> None:
    found = metadata.from_sections({Kind.BANDS: pack_text({"colours": ["red", "mauve"]})}, 2)
    assert found.colours == ["red", "undefined"]


def test_gdal_prints_nothing_of_what_a_file_says(capfd: pytest.CaptureFixture[str]) -> None:
    """Control characters of a stranger's file, say."""
    wkt = 'GEOGCS["WGS 84",DATUM["x",SPHEROID["x",1,1]],PRIMEM["G",0],UNIT["d",1],EXTENSION["\x1b[2J","b"]]'
    with pytest.raises(BadFileError):
        metadata.from_sections({Kind.CRS: pack_text(wkt)}, 1)
    assert capfd.readouterr() == ("", "")


def test_a_reference_system_longer_than_a_reader_takes_is_refused() -> None:
    endless = CRS.from_wkt(f'LOCAL_CS["{"x" * strict.LONGEST_CRS}",UNIT["metre",1]]')
    with pytest.raises(UnsupportedError, match="65536 at most"):
        metadata.to_sections(metadata.Metadata(crs=endless))


def test_more_control_points_than_a_reader_takes_are_refused_by_both() -> None:
    points = [GroundControlPoint(k, 0, 10, 50, 0, str(k), "") for k in range(metadata.MAX_GCPS + 1)]
    described = metadata.Metadata(gcps=points, gcps_crs=CRS.from_epsg(4326))
    with pytest.raises(UnsupportedError, match="16385 ground control points; 16384 at most"):
        metadata.to_sections(described)
    rows = [[p.row, p.col, p.x, p.y, p.z, p.id, p.info] for p in points]
    with pytest.raises(BadFileError):
        metadata.from_sections({Kind.GCPS: pack_text({"crs": None, "points": rows})}, 1)
