"""Files as a second reader sees them, against what rasterio says of their sources."""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.rpc import RPC
from rasterio.transform import Affine

import fdeg_codec
from fdeg_codec.codec.decode import Decoder
from fdeg_codec.codec.engine import load_engine
from fdeg_codec.codec.tile import decode_plane
from fdeg_codec.codec.tiles import Span
from fdeg_codec.container.file import Reader, Writer
from fdeg_codec.container.sections import Kind, Sections, pack_text
from fdeg_codec.errors import BadFileError
from tests.conformance import decoder, latents, reader, residuals
from tests.pictures import landscape

TILE = 64
TRANSFORM = Affine(0.5, 0.01, 399960.25, -0.02, -0.5, 5700000.75)
Written = Any  # an open rasterio dataset


def encoded(folder: Path, picture: NDArray[Any], model: str = "tiny", quality: int = 3, **options: Any) -> reader.File:
    """The picture in a GeoTIFF, encoded, as the second reader reads it. `finish` gets the dataset before it is closed."""
    finish, max_error = options.pop("finish", lambda target: None), options.pop("max_error", None)
    shape = {"count": picture.shape[0], "height": picture.shape[1], "width": picture.shape[2], "dtype": picture.dtype}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(folder / "in.tif", "w", driver="GTiff", **shape, **options) as target,
    ):
        target.write(picture)
        finish(target)
    fdeg_codec.encode(folder / "in.tif", folder / "x.fdg", model=model, quality=quality, tile=TILE, max_error=max_error)
    return reader.read(folder / "x.fdg")


def source(folder: Path) -> Written:
    return rasterio.open(folder / "in.tif")


def joined(file: reader.File, k: int) -> NDArray[np.uint8]:
    """The k-th layer of the whole picture."""
    h = file.header
    across = -(-h["width"] // h["tile"])
    tiles = [np.array([list(row) for row in tile[k]], np.uint8) for tile in file.layers]
    return np.vstack([np.hstack(tiles[n : n + across]) for n in range(0, len(tiles), across)])


@pytest.mark.parametrize("shape", [(1, 1), (65, 64), (100, 130)])
@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_a_plain_raster_is_described_by_its_header(weights: Path, tmp_path: Path, shape: tuple[int, int], bands: int) -> None:
    file = encoded(tmp_path, landscape(*shape, bands), photometric="minisblack", alpha="no")
    wanted = {"type": "uint8", "bands": bands, "height": shape[0], "width": shape[1], "tile": TILE, "layers": 0}
    assert wanted.items() <= file.header.items()
    assert file.header["rate"] == 9 * 2048  # quality 3 is lambda 512
    assert file.header["model"] == hashlib.sha256((weights / "tiny.safetensors").read_bytes()).digest()[:8]
    assert [len(tile) for tile in file.planes] == [-(-bands // 3)] * (-(-shape[0] // TILE) * -(-shape[1] // TILE))
    assert not any(plane is None for tile in file.planes for plane in tile)
    assert not {"mapping", "nodata", "layers", "crs", "transform", "gcps", "rpcs"} & file.sections.keys()


def test_what_is_no_symbol_takes_37_bytes(weights: Path, tmp_path: Path) -> None:
    rasterio.open(tmp_path / "in.png", "w", driver="PNG", count=3, height=256, width=256, dtype="uint8").close()
    fdeg_codec.encode(tmp_path / "in.png", tmp_path / "x.fdg", model="tiny")
    file = reader.read(tmp_path / "x.fdg")
    assert len(file.planes) == 1
    assert file.sections == {}
    assert file.overhead + 8 == 37  # the checksum of the entry, and that of its latents


def test_georeferencing_and_tags(weights: Path, tmp_path: Path) -> None:
    def finish(target: Written) -> None:
        target.update_tags(SATELLITE="Ö" * 300, AREA_OR_POINT="Point")
        target.update_tags(ns="ours", key="value")
        target.update_tags(2, WAVELENGTH="0.86")
        target.update_tags(2, ns="ours", SENSOR="B8A")
        target.descriptions = ("red", None)
        target.scales, target.offsets, target.units = (1e-4, 0.1), (0, -3), ("m", "")

    picture = landscape(70, 90, 2).astype(np.uint16) * 37 + 1000
    file = encoded(tmp_path, picture, crs="EPSG:32633", transform=TRANSFORM, finish=finish)
    with source(tmp_path) as s:
        assert CRS.from_user_input(file.sections["crs"]) == s.crs
        assert file.sections["crs"] == "EPSG:32633"
        assert file.sections["transform"] == s.transform[:6]
        assert file.sections["tags"] == {
            "tags": {"": s.tags(), "ours": s.tags(ns="ours")},
            "bands": [{}, {"": s.tags(2), "ours": s.tags(2, ns="ours")}],
        }
        bands = {name: list(getattr(s, name)) for name in ("descriptions", "scales", "offsets", "units")}
        assert bands.items() <= file.sections["bands"].items()
        assert file.sections["bands"].get("colours", ["undefined"] * 2) == [c.name for c in s.colorinterp]
        ends = [[*np.rint(np.percentile(band, (1, 99))), band.min(), band.max()] for band in s.read()]
    assert file.sections["mapping"] == ends
    assert file.header["type"] == "uint16"


def test_a_crs_without_a_code_is_kept_as_wkt(weights: Path, tmp_path: Path) -> None:
    crs = CRS.from_proj4("+proj=laea +lat_0=47.125 +lon_0=9.5 +ellps=bessel +units=m")
    file = encoded(tmp_path, landscape(20, 20), crs=crs, transform=TRANSFORM)
    with source(tmp_path) as s:
        assert CRS.from_wkt(file.sections["crs"]) == s.crs


def test_ground_control_points_and_rpcs(weights: Path, tmp_path: Path) -> None:
    points = [GroundControlPoint(r, c, 10 + c / 7, 50 - r / 3, 100.5, f"p{r}", "") for r, c in ((0, 0), (0, 29), (19, 0))]
    numbers = [k / 10 for k in range(20)]
    rpcs = RPC(120.0, 50.0, 45.5, 0.1, numbers, numbers[::-1], 10.0, 8.0, 11.25, 0.2, numbers, numbers, 15.0, 14.0)

    def finish(target: Written) -> None:
        target.gcps = points, CRS.from_epsg(4326)
        target.rpcs = rpcs

    file = encoded(tmp_path, landscape(20, 30), finish=finish)
    with source(tmp_path) as s:
        kept, crs = s.gcps
        assert file.sections["gcps"]["points"] == [[p.row, p.col, p.x, p.y, p.z, p.id, p.info] for p in kept]
        assert CRS.from_user_input(file.sections["gcps"]["crs"]) == crs
        assert RPC.from_gdal(file.sections["rpcs"]) == s.rpcs
    assert len(kept) == 3


def test_nodata_of_all_bands_together(weights: Path, tmp_path: Path) -> None:
    picture = np.maximum(landscape(150, 140), 1)
    picture[:, :70, 40:] = 0
    picture[:, 130:, 5] = 0
    file = encoded(tmp_path, picture, nodata=0)
    with source(tmp_path) as s:
        assert file.sections["nodata"] == s.nodata
    assert file.sections["layers"] == [["nodata", None]]
    np.testing.assert_array_equal(joined(file, 0) > 0, (picture != 0).all(0))
    empty = [tile == [None] for tile in file.planes]
    assert empty == [False, True, True] + [False] * 6


def test_nodata_of_each_band_apart(weights: Path, tmp_path: Path) -> None:
    picture = landscape(30, 75).astype(np.uint16) + 300
    picture[0, 3:9, 60:] = picture[2, 5:20, 1] = 65535
    file = encoded(tmp_path, picture, nodata=65535)
    assert file.sections["layers"] == [["nodata", band] for band in range(3)]
    for band in range(3):
        np.testing.assert_array_equal(joined(file, band), (picture[band] != 65535) * 255)
    valid = [band[band != 65535] for band in picture]
    assert [line[2:] for line in file.sections["mapping"]] == [[v.min(), v.max()] for v in valid]


def test_a_tile_without_any_valid_sample_is_empty_even_where_bands_have_nodata_of_their_own(
    weights: Path, tmp_path: Path
) -> None:
    picture = np.maximum(landscape(30, 140), 1)
    picture[:, :, 64:128] = picture[1, 3, 5] = 0
    file = encoded(tmp_path, picture, nodata=0)
    assert file.sections["layers"] == [["nodata", band] for band in range(3)]
    assert [tile == [None] for tile in file.planes] == [False, True, False]
    fdeg_codec.decode(tmp_path / "x.fdg", tmp_path / "out.tif")
    with rasterio.open(tmp_path / "out.tif") as decoded:
        np.testing.assert_array_equal(decoded.read() == 0, picture == 0)


def test_a_nodata_value_for_each_band_and_what_is_no_number(weights: Path, tmp_path: Path) -> None:
    picture = landscape(30, 75).astype(np.float32)
    picture[0, 3:9, 60:] = np.nan
    picture[2, 4, 70] = np.inf
    file = encoded(tmp_path, picture)
    assert file.header["type"] == "float32"
    assert file.sections["layers"] == [*(["nan", band] for band in range(3)), ["far", 2]]
    np.testing.assert_array_equal(joined(file, 0) == 0, np.isnan(picture[0]))
    assert not any(any(row) for row in file.layers[0][3])
    flags = np.unpackbits(np.array([list(row) for row in file.layers[1][3][:-1]], np.uint8), axis=1, count=11)
    assert np.argwhere(flags).tolist() == [[4, 70 - 64]]
    assert file.layers[1][3][-1] == struct.pack("<f", np.inf)


@pytest.mark.parametrize("levels", [2, 256])
def test_alpha_of_any_depth(weights: Path, tmp_path: Path, levels: int) -> None:
    picture = landscape(70, 131, 4)
    picture[3] = np.random.default_rng(0).integers(0, levels, (70, 131)) * (255 // (levels - 1))
    picture[3, :, 64:128] = 255
    file = encoded(tmp_path, picture, photometric="rgb", alpha="yes")
    assert file.sections["layers"] == [["alpha", 3]]
    assert file.header["planes"] == 1
    np.testing.assert_array_equal(joined(file, 0), picture[3])


def test_alpha_of_16_bits(weights: Path, tmp_path: Path) -> None:
    picture = landscape(10, 20, 2).astype(np.uint16)
    picture[1] = np.random.default_rng(0).integers(0, 2, (10, 20)) * 65535
    file = encoded(tmp_path, picture, photometric="minisblack", alpha="yes")
    assert file.sections["layers"] == [["alpha", 1]]
    np.testing.assert_array_equal(joined(file, 0).astype(int) * 257, picture[1])


def test_a_mask_beside_the_bands(weights: Path, tmp_path: Path) -> None:
    mask = np.zeros((66, 140), np.uint8)
    mask[10:60, 20:50] = 255
    file = encoded(tmp_path, landscape(66, 140), finish=lambda target: target.write_mask(mask))
    assert file.sections["layers"] == [["mask", None]]
    with source(tmp_path) as s:
        np.testing.assert_array_equal(joined(file, 0), s.dataset_mask())
    np.testing.assert_array_equal(joined(file, 0), mask)
    assert [tile[0] is None for tile in file.planes] == [False, True, True, True, True, True]


def test_a_mask_leaves_alpha_as_it_was(weights: Path, tmp_path: Path) -> None:
    mask = np.full((40, 70), 255, np.uint8)
    mask[10:30, 20:] = 0
    picture = landscape(40, 70, 4)
    file = encoded(tmp_path, picture, finish=lambda target: target.write_mask(mask), photometric="rgb", alpha="yes")
    assert sorted(file.sections["layers"]) == [["alpha", 3], ["mask", None]]
    fdeg_codec.decode(tmp_path / "x.fdg", tmp_path / "out.tif")
    with rasterio.open(tmp_path / "out.tif") as decoded:
        samples = decoded.read()
    np.testing.assert_array_equal(samples[3], picture[3])
    assert not samples[:3, mask == 0].any()


def test_transparent_pixels_are_coded_as_0_and_where_all_are_as_nothing(weights: Path, tmp_path: Path) -> None:
    picture = landscape(30, 140, 4)
    picture[3, :, :100] = 0
    file = encoded(tmp_path, picture, photometric="rgb", alpha="yes")
    assert [tile == [None] for tile in file.planes] == [True, False, False]
    with fdeg_codec.open(tmp_path / "x.fdg") as scene:
        assert not scene.read()[:3, :, :100].any()


def test_red_green_and_blue_come_first(weights: Path, tmp_path: Path) -> None:
    def finish(target: Written) -> None:
        target.colorinterp = [ColorInterp.undefined, ColorInterp.blue, ColorInterp.green, ColorInterp.red]

    file = encoded(tmp_path, landscape(20, 20, 4), finish=finish, photometric="minisblack", alpha="no")
    assert file.sections["order"] == (3, 2, 1, 0)
    assert file.sections["bands"]["colours"] == ["undefined", "blue", "green", "red"]


@pytest.mark.parametrize("model", ["tiny", "tiny-none", "tiny-quarters", "tiny-serial"])
def test_latents_follow_from_the_text(weights: Path, tmp_path: Path, model: str) -> None:
    file = encoded(tmp_path, landscape(80, 60), model, quality=5)
    assert all(planes[0].any() for planes in decoder.latents(file, weights / f"{model}.safetensors"))


@pytest.mark.parametrize(("dtype", "max_error"), [("uint8", 2), ("int16", 0), ("float32", 0.25), ("float32", 0)])
def test_residuals_follow_from_the_text(weights: Path, tmp_path: Path, dtype: str, max_error: float) -> None:
    """Only the picture of real numbers comes from fdeg."""
    picture = landscape(25, 30).astype(dtype)
    if dtype == "float32":
        picture = np.sqrt(picture) - 7
    picture[1, 4:9, 7:20] = picture[0, 20, 3:5] = 3
    file = encoded(tmp_path, picture, nodata=3, max_error=max_error)
    (plane,), (residual,) = file.planes[0], file.residuals[0]
    assert plane is not None
    assert residual is not None
    engine = load_engine("tiny", "cpu", "float32")
    y = decode_plane(engine.predictor(file.header["rate"]), struct.pack("<I", plane.latents_crc) + plane.words, 2, 2)
    x = engine.synthesise_exactly(y, file.header["rate"])[:, :25, :30].tolist()
    ends = reader.LEAST[dtype], reader.MOST[dtype]
    lines = file.sections.get("mapping", [[*ends, *ends]] * 3)
    words = latents.Words(residual.words)
    found = np.array(residuals.samples(words, x, lines, file.sections["bound"]["bands"], (picture != 3).tolist()), dtype)
    assert words.used_up
    assert zlib.crc32(found.tobytes()) == residual.latents_crc
    assert np.abs(found.astype(float) - np.where(picture == 3, 0, picture)).max() <= max_error


def test_two_entries_cannot_change_places_even_if_they_say_the_same(weights: Path, tmp_path: Path) -> None:
    encoded(tmp_path, np.full((3, 64, 384), 99, np.uint8))
    with (tmp_path / "x.fdg").open("rb") as stream:
        whole = Reader(stream)
        bodies = [whole.entry(tile, 0) for tile in range(6)]
    assert bodies[2] == bodies[3]
    at, size = whole.overhead + sum(whole.lengths[:2]), whole.lengths[2]
    data = (tmp_path / "x.fdg").read_bytes()
    first, second = data[at : at + size], data[at + size : at + 2 * size]
    assert first[4:] == second[4:] == bodies[2]
    (tmp_path / "x.fdg").write_bytes(data[:at] + second + first + data[at + 2 * size :])
    with pytest.raises(AssertionError):
        reader.read(tmp_path / "x.fdg")
    with pytest.raises(BadFileError, match=r"tile 2 .*checksum"):
        fdeg_codec.decode(tmp_path / "x.fdg", tmp_path / "out.tif")


def forge(file: Path, sections: Sections, layers: list[tuple[Any, Any, bytes]]) -> None:
    """A file of one tile anew, with these sections more, and these layers (kind, band, body) instead of its own."""
    with file.open("rb") as stream:
        old = Reader(stream)
        h = old.header
        bodies = [old.entry(0, k) for k in range(h.planes)] + [body for _, _, body in layers]
    with file.open("wb") as stream:
        listed = {Kind.LAYERS: pack_text([[kind, band] for kind, band, _ in layers])}
        writer = Writer(stream, replace(h, layers=len(layers)), old.sections | listed | sections)
        for body in bodies:
            writer.add(body)
        writer.finish()


def decoded(file: Path) -> tuple[NDArray[Any], NDArray[np.uint8] | None]:
    """The samples and the mask of a file of one tile."""
    with file.open("rb") as stream:
        whole = Reader(stream)
        engine = load_engine(whole.header.fingerprint, "cpu", "float32")
        (piece,) = Decoder(whole, engine).pieces(Span(0, whole.header.height), Span(0, whole.header.width))
    return piece.samples, piece.mask


def bits(picture: NDArray[np.bool_]) -> bytes:
    """The body of a layer, one bit per pixel."""
    return b"\1" + zlib.compress(np.packbits(picture, axis=1).tobytes())


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("band", [None, 1])
def test_layers_apply_in_the_order_of_the_text_wherever_they_stand(
    weights: Path, tmp_path: Path, order: tuple[int, ...], band: int | None
) -> None:
    valid, mask, alpha = np.random.default_rng(0).random((3, 40, 50)) < 0.7
    encoded(tmp_path, landscape(40, 50, 4), photometric="rgb", alpha="yes")
    wanted, _ = decoded(tmp_path / "x.fdg")
    value = int(np.median(wanted[1]))
    layers = [("alpha", 3, bits(alpha)), ("nodata", band, bits(valid)), ("mask", None, bits(mask))]
    forge(tmp_path / "x.fdg", {Kind.NODATA: pack_text(value)}, [layers[k] for k in order])
    assert (wanted[:3] == value).any((1, 2)).all()
    wanted[wanted == value] += 1
    for k in range(3) if band is None else [band]:
        wanted[k][~valid] = value
    wanted[:, ~mask | ~alpha] = 0
    wanted[3] = 255 * alpha
    samples, found = decoded(tmp_path / "x.fdg")
    np.testing.assert_array_equal(samples, wanted)
    np.testing.assert_array_equal(found, 255 * mask)
    reader.read(tmp_path / "x.fdg")


def test_the_largest_sample_gives_way_downwards(weights: Path, tmp_path: Path) -> None:
    encoded(tmp_path, np.full((1, 30, 30), 255, np.uint8))
    before, _ = decoded(tmp_path / "x.fdg")
    forge(tmp_path / "x.fdg", {Kind.NODATA: pack_text(255)}, [])
    assert (before == 255).any()
    np.testing.assert_array_equal(decoded(tmp_path / "x.fdg")[0], np.minimum(before, 254))


@pytest.mark.parametrize(
    ("bodies", "allowed"),
    [
        ({("mask", None): b"\0"}, True),
        ({("nodata", None): b"\0"}, True),
        ({("nodata", 0): b"\0", ("nodata", 1): b"\0", ("nodata", 2): b"\0", ("mask", None): b""}, True),
        ({("nodata", 0): b"\0", ("nodata", 2): b"\0"}, False),
        ({("mask-only", None): b"\0"}, False),
        ({("mask", None): b""}, False),
        ({("mask", None): bits(np.zeros((30, 30), bool))}, False),  # all 0, and yet not the single byte
        ({}, False),
    ],
)
def test_a_plane_is_empty_only_where_nothing_is_valid(
    weights: Path, tmp_path: Path, bodies: dict[tuple[str, int | None], bytes], allowed: bool
) -> None:
    file = tmp_path / "x.fdg"
    encoded(tmp_path, landscape(30, 30))
    forge(file, {Kind.NODATA: pack_text(7)}, [(*layer, body) for layer, body in bodies.items()])
    with file.open("rb") as stream:
        whole = Reader(stream)
    data = file.read_bytes()
    before, after = data[: whole.overhead], data[whole.overhead + whole.lengths[0] :]
    if bodies:
        index = whole.overhead - 4 * whole.header.entries - 4
        lengths = struct.pack("<I", 0) + data[index + 4 : whole.overhead - 4]
        before = data[:index] + lengths + struct.pack("<I", zlib.crc32(lengths))
    file.write_bytes(before + after)
    if allowed:
        reader.read(file)
        samples, _ = decoded(file)
        masked = bodies.get(("mask", None)) == b"\0"
        assert (samples == (0 if masked else 7)).all()
    else:
        with pytest.raises(AssertionError):
            reader.read(file)
        with pytest.raises(BadFileError, match=r"tile 0 .*plane 0"):
            decoded(file)


@pytest.mark.parametrize("nodata", [0, None])
@pytest.mark.parametrize(
    "layers",
    [
        *([("mask", 0)], [("alpha", None)], [("alpha", 3)], [("alpha", -1)], [("nodata", 3)], [("nodata", True)]),
        *([("nodata", 1.0)], [("validity", None)], [(7, 0)], [([], 0)], [("mask", [])], [("mask", None)] * 2),
        *(
            [("mask", None), ("mask-only", None)],
            [("nan", None)],
            [("far", None)],
            [("far", 3)],
            [("nodata", None), ("nodata", 1)],
        ),
        *([("nodata", 1)] * 2, [("nodata", "1")]),
    ],
)
def test_layers_without_a_meaning_are_refused(
    weights: Path, tmp_path: Path, layers: list[tuple[Any, Any]], nodata: int | None
) -> None:
    encoded(tmp_path, landscape(20, 20))
    sections: Sections = {} if nodata is None else {Kind.NODATA: pack_text(nodata)}
    forge(tmp_path / "x.fdg", sections, [(*layer, b"") for layer in layers])
    with pytest.raises(BadFileError, match="layers do not fit"):
        decoded(tmp_path / "x.fdg")


@pytest.mark.parametrize("band", [None, 0, 2])
def test_a_nodata_layer_needs_a_nodata_value(weights: Path, tmp_path: Path, band: int | None) -> None:
    encoded(tmp_path, landscape(20, 20))
    forge(tmp_path / "x.fdg", {}, [("nodata", band, b"")])
    with pytest.raises(BadFileError, match="layers do not fit"):
        decoded(tmp_path / "x.fdg")
    with pytest.raises(AssertionError):
        reader.read(tmp_path / "x.fdg")
    forge(tmp_path / "x.fdg", {Kind.NODATA: pack_text(0.0)}, [("nodata", band, b"")])
    assert decoded(tmp_path / "x.fdg")[0].all()
    reader.read(tmp_path / "x.fdg")


@pytest.mark.parametrize("value", [-1, 256, 0.5, True, None, "0", "nan", [0, 0, 256], [0, 0, [0]], {}, 1e300, 10**400])
def test_what_no_sample_can_be_is_no_nodata_value(weights: Path, tmp_path: Path, value: object) -> None:
    encoded(tmp_path, landscape(20, 20))
    forge(tmp_path / "x.fdg", {Kind.NODATA: pack_text(value)}, [])
    with pytest.raises(BadFileError, match="nodata value cannot be one"):
        decoded(tmp_path / "x.fdg")
