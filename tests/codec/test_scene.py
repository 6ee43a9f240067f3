"""What `fdeg_codec.open` returns, and the words of `encode`."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

import fdeg_codec
from fdeg_codec.codec.contents import contents
from fdeg_codec.container.file import Reader
from fdeg_codec.errors import FdegError, ModelError, RasterError, UsageError
from tests.raster.rasters import Samples, coloured, samples, trip, write

GRID = rasterio.Affine(10, 0, 500000, 0, -10, 5e6)


@pytest.fixture
def source(weights: Path, tmp_path: Path) -> Path:
    return write(tmp_path / "a.tif", samples(3), crs="EPSG:32633", transform=GRID, nodata=3)


@pytest.fixture
def file(source: Path) -> Path:
    fdeg_codec.encode(source, source.with_suffix(".fdg"), model="tiny", tile=64)
    return source.with_suffix(".fdg")


def test_a_scene_reads_like_a_raster(file: Path, source: Path) -> None:
    with rasterio.open(source) as before, fdeg_codec.open(file) as scene:
        assert scene.shape == (before.count, *before.shape)
        assert scene.dtype == "uint8"
        assert scene.crs == before.crs
        assert scene.transform == before.transform
        for name in ("count", "width", "height", "indexes", "nodata", "nodatavals"):
            assert getattr(scene, name) == getattr(before, name)
        known = ("count", "width", "height", "dtype", "nodata", "crs", "transform")
        assert {k: scene.profile[k] for k in known} == {k: before.profile[k] for k in known}
        assert scene.read().shape == scene.shape
        assert scene.read().dtype == np.uint8


def test_bands_and_masks_are_read_as_rasterio_reads_them(file: Path, tmp_path: Path) -> None:
    fdeg_codec.decode(file, tmp_path / "decoded.tif")
    window = rasterio.windows.Window(5, 10, 60, 50)
    with rasterio.open(tmp_path / "decoded.tif") as decoded, fdeg_codec.open(file) as scene:
        assert scene.bounds == decoded.bounds
        for indexes in (None, 2, [3], [3, 1, 1]):
            for masked in (False, True):
                mine, theirs = (d.read(indexes, window=window, masked=masked) for d in (scene, decoded))
                np.testing.assert_array_equal(mine, theirs)
                assert mine.shape == theirs.shape
                assert type(mine) is type(theirs)
                if masked:
                    np.testing.assert_array_equal(mine.mask, theirs.mask)
                    assert mine.fill_value == theirs.fill_value
        for number in (0, 4, 1.0):
            with pytest.raises(UsageError, match=f"has no band {number}; its bands are 1 to 3"):
                scene.read(indexes=number)
        for nonsense in (slice(1, 2), np.array(1), object(), 1.5):
            with pytest.raises(UsageError, match="has no band"):
                scene.read(indexes=nonsense)
        np.testing.assert_array_equal(scene.read(window=[5, 10, 60, 50]), scene.read(window=window))
        with pytest.raises(UsageError, match="whole pixels"):
            scene.read(window=rasterio.windows.Window(0.5, 0, 10, 10))
        for wrong in ((1, 2, 3), ((0, 5), (0, 5)), ("a", 1, 1, 1), 5):
            with pytest.raises(UsageError, match="column, row, width and height"):
                scene.read(window=wrong)


@pytest.mark.parametrize("kind", ["alpha", "mask"])
def test_what_is_transparent_or_masked_is_so_as_in_rasterio(weights: Path, tmp_path: Path, kind: str) -> None:
    data = samples(4)
    data[3] = np.where(data[3] > 90, data[3], 0)
    colours = coloured("red", "green", "blue", "alpha" if kind == "alpha" else "nir")
    trip(write(tmp_path / "a.tif", data, colours, data[3] if kind == "mask" else None))
    with rasterio.open(tmp_path / "decoded.tif") as decoded, fdeg_codec.open(tmp_path / "trip.fdg") as scene:
        mine, theirs = scene.read(masked=True), decoded.read(masked=True)
        assert theirs.mask.any()
        np.testing.assert_array_equal(mine.mask, theirs.mask)
        np.testing.assert_array_equal(mine.data, theirs.data)


def test_bands_that_are_not_asked_for_are_not_decoded(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fdeg_codec.encode(write(tmp_path / "a.tif", samples(4)), tmp_path / "a.fdg", model="tiny")
    asked: list[int] = []
    entry = Reader.entry
    monkeypatch.setattr(Reader, "entry", lambda self, tile, k: asked.append(k) or entry(self, tile, k))
    with fdeg_codec.open(tmp_path / "a.fdg") as scene:
        fourth = scene.read(indexes=4)
        assert asked == [1]
        np.testing.assert_array_equal(fourth, scene.read()[3])


def test_nor_are_their_layers(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = samples(4, "float32")
    for band in range(4):
        data[band, 10 * band : 10 * band + 7] = np.nan
    fdeg_codec.encode(write(tmp_path / "a.tif", data), tmp_path / "a.fdg", model="tiny")
    asked: list[int] = []
    entry = Reader.entry
    monkeypatch.setattr(Reader, "entry", lambda self, tile, k: asked.append(k) or entry(self, tile, k))
    with fdeg_codec.open(tmp_path / "a.fdg") as scene:
        fourth = scene.read(4, masked=True)
        layers = [layer.band for layer in contents(scene._reader).layers]
        assert sorted(asked) == [1, 2 + layers.index(3)]
        assert layers == [0, 1, 2, 3]
        np.testing.assert_array_equal(fourth.mask, np.isnan(data[3]))
        np.testing.assert_array_equal(fourth, scene.read(masked=True)[3])


def test_a_tile_is_asked_once_whether_it_hides_everything(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not for every plane and every residual: there may be thousands of either, and of layers."""
    data = samples(9, "float32")
    data[:] = np.nan
    data[:, 64:] = 3
    fdeg_codec.encode(write(tmp_path / "a.tif", data), tmp_path / "a.fdg", model="tiny", max_error=0.5, tile=64)
    asked: list[tuple[int, int]] = []
    entry = Reader.entry
    monkeypatch.setattr(Reader, "entry", lambda self, tile, k: asked.append((tile, k)) or entry(self, tile, k))
    with fdeg_codec.open(tmp_path / "a.fdg") as scene:
        assert np.isnan(scene.read()[:, :64]).all()
        planes, layers = scene._reader.header.planes, scene._reader.header.layers
    assert planes == 3
    assert sum(1 for tile, k in asked if tile == 0 and planes <= k < planes + layers) == 2 * layers


def test_some_bands_are_decoded_in_their_order(weights: Path, tmp_path: Path) -> None:
    """As GDAL's translation with -b: their colours and descriptions come along; nodata and masks, too."""
    data = samples(4, "uint16")
    data[:, 10:30, 20:40] = 7
    described = coloured("red", "green", "blue", "nir")
    source = write(tmp_path / "a.tif", data, lambda t: (described(t), t.set_band_description(4, "B8")), nodata=7)
    fdeg_codec.encode(source, tmp_path / "a.fdg", model="tiny")
    fdeg_codec.decode(tmp_path / "a.fdg", tmp_path / "all.tif")
    fdeg_codec.decode(tmp_path / "a.fdg", tmp_path / "some.tif", bands=[4, 1])
    with rasterio.open(tmp_path / "all.tif") as whole, rasterio.open(tmp_path / "some.tif") as some:
        np.testing.assert_array_equal(some.read(masked=True), whole.read([4, 1], masked=True))
        assert some.colorinterp == (whole.colorinterp[3], whole.colorinterp[0])
        assert (some.descriptions, some.nodatavals) == (("B8", None), (7, 7))
    with pytest.raises(UsageError, match="has no band 5"):
        fdeg_codec.decode(tmp_path / "a.fdg", tmp_path / "none.tif", bands=[5])


def test_save_read_and_decode_agree(file: Path, tmp_path: Path) -> None:
    window = (30, 20, 50, 40)
    seen: list[tuple[int, int]] = []
    with fdeg_codec.open(str(file)) as scene:
        scene.save(tmp_path / "saved.tif", window, progress=lambda done, total: seen.append((done, total)))
        pixels = scene.read(window=window)
    fdeg_codec.decode(file, str(tmp_path / "decoded.tif"), window=window)
    for name in ("saved.tif", "decoded.tif"):
        with rasterio.open(tmp_path / name) as after:
            np.testing.assert_array_equal(after.read(), pixels)
    assert seen == [(1, 2), (2, 2)]


def test_verify_counts_the_entries(file: Path) -> None:
    with fdeg_codec.open(file) as scene:
        assert scene.verify() == 4 * (1 + len(nodata_bands(samples(3))))


def nodata_bands(data: Samples) -> list[Samples]:
    """Where bands differ in it, each has its own layer."""
    assert (data == 3).any()
    return list(data)


@pytest.mark.parametrize("name", ["no-such.fdg", "a\0b.fdg", "."])
def test_what_cannot_be_opened_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(RasterError, match="cannot be read"):
        fdeg_codec.open(tmp_path / name)


def test_a_closed_scene_closes_its_file(file: Path) -> None:
    with fdeg_codec.open(file) as scene:
        stream = scene._stream
    assert stream.closed


def test_a_scene_goes_to_other_processes(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    with fdeg_codec.open(file.name, precision="float32", max_pixels=10**6) as scene:
        packed, wanted = pickle.dumps(scene), scene.read()
    monkeypatch.chdir("/")
    with pickle.loads(packed) as again:
        np.testing.assert_array_equal(again.read(), wanted)
        assert (again._precision, again._max_pixels) == ("float32", 10**6)


def test_encoding_twice_gives_the_same_bytes(source: Path, file: Path) -> None:
    fdeg_codec.encode(source, source.with_suffix(".again"), model="tiny", tile=64)
    assert source.with_suffix(".again").read_bytes() == file.read_bytes()


def test_the_report_says_what_was_written(source: Path, file: Path) -> None:
    report = fdeg_codec.encode(source, file, model="tiny", lambda_=300, overwrite=True)
    assert report.bytes == file.stat().st_size
    assert report.bpp == pytest.approx(8 * report.bytes / (70 * 90))
    assert (report.bands, report.height, report.width, report.tiles, report.lambda_) == (3, 70, 90, 1, 300)
    assert report.as_dict()["lambda"] == 300


def test_quality_is_a_lambda(source: Path) -> None:
    for quality, lambda_ in [(1, 128), (4, 1024), (6, 4096)]:
        for name, choice in (("q", {"quality": quality}), ("l", {"lambda_": lambda_})):
            fdeg_codec.encode(source, source.with_suffix(f".{name}"), model="tiny", overwrite=True, **choice)
        assert source.with_suffix(".q").read_bytes() == source.with_suffix(".l").read_bytes()


@pytest.mark.parametrize(
    "choice",
    [{"quality": 0}, {"quality": 7}, {"lambda_": 127.9}, {"lambda_": 4097}, {"lambda_": float("nan")}]
    + [{"quality": 1, "lambda_": 128}, {"tile": 0}, {"tile": -64}, {"tile": 100}, {"tile": 4096}],
)
def test_impossible_choices_are_usage_errors(source: Path, choice: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        fdeg_codec.encode(source, source.with_suffix(".x"), model="tiny", **choice)
    assert not source.with_suffix(".x").exists()


@pytest.mark.parametrize(
    "choice",
    [{"quality": "4"}, {"quality": 2.5}, {"tile": 64.0}, {"effort": None}, {"lambda_": "x"}, {"psnr": "30"}, {"device": "gpu"}]
    + [{"precision": "float64"}, {"device": ["cpu"]}, {"bands": 2.5}, {"bands": [1.5]}],
)
def test_what_is_no_number_or_no_choice_is_a_usage_error(source: Path, choice: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="--"):
        fdeg_codec.encode(source, source.with_name("c.fdg"), **{"model": "tiny"} | choice)


def test_a_raster_s_name_is_none_for_a_file(source: Path) -> None:
    with pytest.raises(UsageError, match=r"\.fdg files"):
        fdeg_codec.encode(source, source.with_name("other.tif"), model="tiny", overwrite=True)


def test_bands_are_any_whole_numbers(file: Path) -> None:
    with fdeg_codec.open(file) as scene:
        np.testing.assert_array_equal(scene.read(np.int64(1)), scene.read(1))
        np.testing.assert_array_equal(scene.read(np.array([1])), scene.read([1]))
        for bands in ([], [1.5], ["1"]):
            with pytest.raises(UsageError, match="band"):
                scene.read(bands)
    fdeg_codec.decode(file, file.with_name("b.tif"))
    for band in (np.int64(2), [np.int64(2)]):
        assert (
            fdeg_codec.encode(file.with_name("b.tif"), file.with_name("b.fdg"), model="tiny", bands=band, overwrite=True).bands
            == 1
        )
    with pytest.raises(UsageError, match="--bands"):
        fdeg_codec.encode(file.with_name("b.tif"), file.with_name("c.fdg"), model="tiny", bands=[1.5])
    with pytest.raises(UsageError, match="is closed"):
        scene.read()


def test_a_model_that_is_not_there(source: Path, file: Path) -> None:
    with pytest.raises(ModelError, match="nonesuch: no such model; installed are: tiny"):
        fdeg_codec.encode(source, source.with_suffix(".x"), model="nonesuch")


@pytest.mark.parametrize("name", ["none.fdg", ".", "a.tif"])
def test_what_is_no_fdg_file(source: Path, name: str) -> None:
    with pytest.raises(RasterError if name != "a.tif" else FdegError, match=r"cannot be read|not an \.fdg file"):
        fdeg_codec.open(source.parent / name)
