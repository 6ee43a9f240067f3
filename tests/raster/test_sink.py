"""Decoded rasters on disk: in every format the samples of the GeoTIFF, or one clear error and nothing left."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

import fdeg_codec
from fdeg_codec.codec import entries
from fdeg_codec.errors import FdegError, UsageError
from fdeg_codec.evaluation.views import view
from fdeg_codec.raster import sink
from fdeg_codec.raster.atomic import replacing
from fdeg_codec.raster.metadata import Metadata
from tests.raster.rasters import Samples, coloured, samples, trip, write

RGB, RGBA, RGBN = ("red", "green", "blue"), ("red", "green", "blue", "alpha"), ("red", "green", "blue", "nir")
HELD = [
    (".png", "uint8", ("gray",)),
    (".png", "uint8", ("gray", "alpha")),
    (".png", "uint8", RGB),
    (".png", "uint8", RGBA),
    (".png", "uint16", ("gray",)),
    (".png", "uint16", RGB),
    (".png", "uint16", RGBA),
    (".jp2", "uint8", ("gray",)),
    (".jp2", "uint8", RGBA),
    (".jp2", "uint8", RGBN),
    (".jp2", "uint16", ("gray",)),
    (".jp2", "uint16", ("undefined", "undefined")),
    (".jp2", "uint16", RGBN),
    (".webp", "uint8", RGB),
    (".webp", "uint8", RGBA),
]
NOT_HELD = [
    (".png", "uint8", RGBN),
    (".png", "uint16", ("undefined", "undefined")),
    (".webp", "uint8", ("gray",)),
    (".webp", "uint8", RGBN),
    (".webp", "uint16", RGB),
    (".png", "int16", RGB),
    (".jp2", "float32", RGB),
    (".png", "uint8", ("undefined",) * 5),
]


def picture(dtype: str, colours: tuple[str, ...]) -> Samples:
    data = samples(len(colours), dtype)
    if colours[-1] == "alpha":
        data[-1] = np.where(data[-1] > np.median(data[-1]), np.iinfo(dtype).max, 0)
    return data


@pytest.fixture
def folder(weights: Path, tmp_path: Path) -> Path:
    return tmp_path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(("ending", "dtype", "colours"), HELD)
def test_a_format_holds_the_samples_of_the_geotiff(folder: Path, ending: str, dtype: str, colours: tuple[str, ...]) -> None:
    source = write(folder / "a.tif", picture(dtype, colours), coloured(*colours))
    with rasterio.open(trip(source)) as tiff, rasterio.open(trip(source, ending)) as other:
        assert other.dtypes == tiff.dtypes
        np.testing.assert_array_equal(other.read(), tiff.read())
        np.testing.assert_array_equal(other.dataset_mask(), tiff.dataset_mask())
    assert names(folder) - {f"decoded{ending}.aux.xml"} == {"a.tif", "trip.fdg", "decoded.tif", f"decoded{ending}"}


@pytest.mark.parametrize(("ending", "dtype", "colours"), NOT_HELD)
def test_what_a_format_cannot_hold_is_refused_before_anything_is_decoded(
    folder: Path, monkeypatch: pytest.MonkeyPatch, ending: str, dtype: str, colours: tuple[str, ...]
) -> None:
    source = write(folder / "a.tif", picture(dtype, colours), coloured(*colours))
    monkeypatch.setattr(entries, "decode_plane", None)
    with pytest.raises(FdegError, match=rf"decoded\{ending}: cannot be written") as caught:
        trip(source, ending)
    assert "\n" not in str(caught.value)
    assert names(folder) == {"a.tif", "trip.fdg"}


@pytest.mark.parametrize("ending", [".tif", ".png", ".jp2", ".webp"])
def test_masks_and_places_go_along(folder: Path, ending: str) -> None:
    mask = np.where(samples(1)[0] > 90, 255, 0).astype(np.uint8)
    grid = rasterio.Affine(10, 0, 500000, 0, -10, 5e6)
    source = write(folder / "a.tif", samples(3), mask=mask, crs="EPSG:32633", transform=grid)
    with rasterio.open(trip(source, ending)) as after:
        assert after.crs == "EPSG:32633"
        assert after.transform == grid
        np.testing.assert_array_equal(after.dataset_mask(), mask)


@pytest.mark.parametrize("ending", [".tif", ".png", ".jp2", ".webp"])
def test_nodata_of_each_band_goes_along(folder: Path, ending: str) -> None:
    """Where a format knows but one colour, all bands together, that is said beside the file."""
    data = np.maximum(samples(3), 1)
    data[:, 5:9, 5:9], data[0, 20:30, 20:30] = 0, 0
    source = write(folder / "a.tif", data, nodata=0)
    with rasterio.open(trip(source, ending, max_error=0)) as after:
        np.testing.assert_array_equal(after.read_masks(), np.where(data > 0, 255, 0))
        assert after.nodatavals == (0, 0, 0)
        np.testing.assert_array_equal(after.read(), data)


@pytest.mark.parametrize("ending", [".tif", ".png", ".jp2", ".webp"])
def test_a_colour_that_is_no_data_goes_along(folder: Path, ending: str) -> None:
    data = np.maximum(samples(3), 1)
    data[:, 5:9, 5:9], data[0, 20:30, 20:30] = 0, 0
    source = write(folder / "a.tif", data, lambda t: t.update_tags(NODATA_VALUES="0 0 0"))
    with rasterio.open(source) as before, rasterio.open(trip(source, ending)) as after:
        assert 0 < (before.dataset_mask() == 0).sum() == 16
        np.testing.assert_array_equal(after.dataset_mask(), before.dataset_mask())
    with rasterio.open(trip(folder / f"decoded{ending}", ".png")) as again:
        np.testing.assert_array_equal(again.dataset_mask() > 0, (data != 0).any(0))


@pytest.mark.parametrize("ending", [".tif", ".png", ".jp2", ".webp"])
@pytest.mark.parametrize(
    ("crs", "grid"),
    [
        ("EPSG:32633", rasterio.Affine(10, 0, 5e5, 0, 10, 5e6)),
        ("EPSG:4326", rasterio.Affine(-1e-6, 0, 5, 0, 1e-6, 50)),
        (None, rasterio.Affine(2, 0, 0, 0, -2, 140)),
    ],
)
def test_rows_that_run_northwards_and_grids_of_no_system_stay_so(
    folder: Path, ending: str, crs: str | None, grid: rasterio.Affine
) -> None:
    source = write(folder / "a.tif", samples(3), crs=crs, transform=grid)
    with rasterio.open(trip(source, ending)) as after:
        assert after.transform == grid
        assert after.crs == crs


def test_names_that_are_not_utf8(folder: Path) -> None:
    """GDAL cannot read such rasters; what it writes gets its name in the end."""
    strange = Path(os.fsdecode(bytes(folder) + b"/\xff.tif"))
    trip(write(folder / "a.tif", samples(3)))
    fdeg_codec.decode(folder / "trip.fdg", strange)
    assert strange.read_bytes() == (folder / "decoded.tif").read_bytes()
    with pytest.raises(FdegError, match="name is not UTF-8"):
        fdeg_codec.encode(strange, folder / "x.fdg", model="tiny")
    with pytest.raises(FdegError, match="name is not UTF-8"), view(strange):
        raise AssertionError("not to be reached")
    (inside := Path(os.fsdecode(bytes(folder) + b"/\xfe"))).mkdir()
    with pytest.raises(FdegError, match="folder is not UTF-8"):
        fdeg_codec.decode(folder / "trip.fdg", inside / "x.tif")
    assert not list(inside.iterdir())


@pytest.mark.parametrize("ending", [".tif", ".png", ".jp2", ".webp"])
def test_names_as_long_as_they_may_be(folder: Path, ending: str) -> None:
    target = folder / ("n" * (255 - len(ending)) + ending)
    trip(write(folder / "a.tif", samples(3)), ending)
    fdeg_codec.decode(folder / "trip.fdg", target)
    with rasterio.open(target) as long, rasterio.open(folder / f"decoded{ending}") as short:
        np.testing.assert_array_equal(long.read(), short.read())


def test_more_pixels_than_webp_counts_are_refused(folder: Path) -> None:
    with pytest.raises(FdegError, match="16383 pixels each way"):
        trip(write(folder / "a.tif", samples(3, height=1, width=16384)), ".webp", tile=1024)


def test_old_sidecars_do_not_describe_a_new_picture(folder: Path) -> None:
    described = write(folder / "a.tif", samples(3), lambda t: t.update_tags(OLD="yes"))
    mask = np.zeros((70, 90), np.uint8)
    trip(write(folder / "b.tif", samples(3), lambda t: t.update_tags(OLD="yes"), mask), ".png")
    assert {"decoded.png.msk", "decoded.png.aux.xml"} <= names(folder)
    trip(described, ".png")
    assert "decoded.png.msk" not in names(folder)
    with rasterio.open(trip(write(folder / "c.tif", samples(3)), ".png")) as after:
        assert "OLD" not in after.tags()
        assert (after.dataset_mask() == 255).all()


def test_large_rasters_are_tiled(folder: Path) -> None:
    with rasterio.open(trip(write(folder / "a.tif", samples(1, height=520, width=530)), tile=256)) as after:
        assert after.profile["tiled"]
        assert after.profile["compress"] == "deflate"


@contextmanager
def full_disk(after: int) -> Iterator[None]:
    """No file may grow beyond `after` bytes; the system says so as it would for a full disk, on every write."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (after, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


@pytest.mark.parametrize("ending", [".tif", ".png", ".jp2", ".webp"])
@pytest.mark.parametrize("bytes_left", [0, 3000])
def test_a_full_disk_is_noticed(folder: Path, ending: str, bytes_left: int) -> None:
    source = write(folder / "a.tif", np.random.default_rng(0).integers(0, 256, (3, 70, 90), np.uint8))
    fdeg_codec.encode(source, folder / "x.fdg", model="tiny", quality=6)
    (folder / "there.tif").write_bytes(b"before")
    with full_disk(bytes_left), pytest.raises(FdegError, match=r"cannot be written \(File too large\)"):
        fdeg_codec.decode(folder / "x.fdg", folder / f"x{ending}")
    with full_disk(bytes_left), pytest.raises(FdegError, match="cannot be written"):
        fdeg_codec.decode(folder / "x.fdg", folder / "there.tif", overwrite=True)
    assert names(folder) == {"a.tif", "x.fdg", "there.tif"}
    assert (folder / "there.tif").read_bytes() == b"before"


@pytest.mark.parametrize(("ending", "cog"), [(".png", False), (".jp2", False), (".webp", False), (".tif", True)])
def test_a_disk_that_is_full_after_the_draft_is_noticed(small_disk: Path, ending: str, cog: bool) -> None:
    """There is room for a GeoTIFF, and not for what is made of it; drivers do not say why they fail."""
    data = np.random.default_rng(0).integers(0, 256, (3, 256, 256), np.uint8)
    target, described = small_disk / f"x{ending}", Metadata(colours=["red", "green", "blue"])
    with (
        pytest.raises(FdegError, match=r"cannot be written \(No space left on device; "),
        replacing(target, False) as draft,
        sink.Sink(draft, sink.driver_of(target, cog), data.shape, "uint8", None, described) as raster,
    ):
        raster.write(data, 0, 0, None)
    assert names(small_disk) == set()


def test_a_full_disk_is_noticed_when_encoding(folder: Path) -> None:
    source = write(folder / "a.tif", samples(3))
    for bytes_left in (0, 30, 100):
        with full_disk(bytes_left), pytest.raises(FdegError, match=r"x\.fdg: cannot be written \(File too large\)"):
            fdeg_codec.encode(source, folder / "x.fdg", model="tiny")
    assert names(folder) == {"a.tif"}


@pytest.mark.parametrize("ending", [".png", ".jp2"])
def test_a_driver_that_loses_samples_silently_is_found_out(folder: Path, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = rasterio.shutil.copy

    def careless(source: Path, target: Path, **options: Any) -> None:
        with rasterio.open(source) as before:
            data = before.read()
        data[0, -1, -1] ^= 1
        copy(write(Path(f"{source}.other"), data), target, **options)

    monkeypatch.setattr(sink.rasterio.shutil, "copy", careless)
    with pytest.raises(FdegError, match="other samples"):
        trip(write(folder / "a.tif", samples(3)), ending)
    assert names(folder) == {"a.tif", "trip.fdg"}


def test_an_unknown_ending_is_a_usage_error(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"x\.bmp: .*\.tif.*\.png"):
        trip(write(folder / "a.tif", samples(1)), ".bmp".replace("bmp", "x.bmp"))
