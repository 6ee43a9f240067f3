"""Damaged scenes: what is whole comes back as it was, what is not is listed and marked."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

import fdeg_codec
from fdeg_codec.container.file import Reader
from fdeg_codec.errors import BadFileError, UnsupportedError
from tests.fuzz import forge
from tests.raster.rasters import samples, with_nodata, write

TOOL = runpy.run_path(str(Path(__file__).parents[2] / "bin" / "damage"))
BROKEN = 4  # the tile in the middle of nine
INSIDE = np.s_[64:128, 64:128]


@pytest.fixture
def folder(weights: Path, tmp_path: Path) -> Path:
    return tmp_path


def damaged(folder: Path, data: NDArray[Any], broken: int = BROKEN, **options: Any) -> Path:
    """A file of nine tiles, one of them zeros."""
    return damaged_file(write(folder / "in.tif", data, **options), broken)


def damaged_file(source: Path, broken: int = BROKEN) -> Path:
    folder = source.parent
    file = folder / "x.fdg"
    fdeg_codec.encode(source, file, model="tiny", tile=64)
    fdeg_codec.decode(file, folder / "whole.tif")
    with file.open("rb") as stream:
        reader = Reader(stream)
    per_tile = reader.header.per_tile
    start = reader.overhead + sum(reader.lengths[: broken * per_tile])
    stop = start + reader.lengths[broken * per_tile]
    whole = file.read_bytes()
    file.write_bytes(whole[:start] + bytes(stop - start) + whole[stop:])
    return file


def salvage(file: Path) -> tuple[NDArray[Any], NDArray[np.uint8], NDArray[Any]]:
    """Samples and mask of what is left, and the samples as they were."""
    damage = fdeg_codec.decode(file, file.with_name("out.tif"), salvage=True)
    assert [loss.tile for loss in damage.lost] == [BROKEN]
    assert (damage.lost[0].rows, damage.lost[0].columns) == ((64, 128), (64, 128))
    assert "checksum" in damage.lost[0].why
    assert sorted(damage.beside) == [0, 1, 2, 3, 5, 6, 7, 8]
    with rasterio.open(file.with_name("out.tif")) as left, rasterio.open(file.with_name("whole.tif")) as whole:
        return left.read(), left.dataset_mask(), whole.read()


def test_without_salvage_it_is_an_error(folder: Path) -> None:
    file = damaged(folder, samples(3, height=150, width=140))
    with pytest.raises(BadFileError, match=r"tile 4 .*checksum"):
        fdeg_codec.decode(file, folder / "out.tif")
    assert not (folder / "out.tif").exists()


@pytest.mark.parametrize("way", [{}, {"salvage": True}, {"preview": True}])
@pytest.mark.parametrize("entry", ["plane", "layer", "residual"])
def test_verifying_overlooks_nothing_however_the_file_was_opened(folder: Path, entry: str, way: dict[str, bool]) -> None:
    file = folder / "x.fdg"
    source = write(folder / "in.tif", samples(3, height=150, width=140), nodata=7)
    fdeg_codec.encode(source, file, model="tiny", tile=64, max_error=4)
    parts = forge.apart(file.read_bytes())
    assert parts is not None
    each = len(parts.bodies) // 9
    number = BROKEN * each + {"plane": 0, "layer": 1, "residual": each - 1}[entry]
    parts.bodies[number] = parts.bodies[number][:-4] + b"1234"
    file.write_bytes(parts.join())
    with fdeg_codec.open(file, **way) as scene, pytest.raises(BadFileError, match=f"tile {BROKEN} .*{entry} 0"):
        scene.verify()


def test_a_lost_tile_is_masked(folder: Path) -> None:
    left, mask, whole = salvage(damaged(folder, samples(3, height=150, width=140)))
    assert not left[:, *INSIDE].any()
    assert not mask[INSIDE].any()
    assert mask.sum() == 255 * (150 * 140 - 64 * 64)
    far = np.ones(mask.shape, bool)
    far[64 - 48 : 128 + 48, 64 - 48 : 128 + 48] = False
    assert np.abs(left.astype(int) - whole)[:, far].mean() < 2  # tiles beside it, away from it


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_lost_tile_is_nodata_where_there_is_such_a_value(folder: Path, dtype: str) -> None:
    data = np.maximum(samples(2, dtype, 150, 140), 8)
    data[:, :5, :5] = 7
    left, mask, _ = salvage(damaged(folder, data, nodata=7, photometric="minisblack", alpha="no"))
    assert (left[:, *INSIDE] == 7).all()
    np.testing.assert_array_equal(mask == 0, (left == 7).all(0))


def test_a_lost_tile_is_transparent_where_there_is_alpha(folder: Path) -> None:
    left, mask, whole = salvage(damaged(folder, samples(4, height=150, width=140), photometric="rgb", alpha="yes"))
    assert not left[:, *INSIDE].any()
    whole[:, *INSIDE] = 0
    np.testing.assert_array_equal(left[3], whole[3])
    np.testing.assert_array_equal(mask, left[3])


@pytest.mark.parametrize("nodata", [None, 3])
def test_what_is_transparent_is_so_without_its_alpha(folder: Path, nodata: float | None) -> None:
    data = np.maximum(samples(4, height=150, width=140), 8)
    data[3] = np.where(np.arange(140) < 30, 0, 255)
    file = damaged(folder, data, photometric="rgb", alpha="yes", nodata=nodata)
    fdeg_codec.decode(file, folder / "out.tif", bands=[3, 1], salvage=True)
    with rasterio.open(folder / "out.tif") as left:
        mask = data[3].copy()
        mask[INSIDE] = 0
        np.testing.assert_array_equal(left.read_masks(), np.stack([mask, mask]))


def test_a_lost_tile_is_nodata_where_nothing_else_is(folder: Path) -> None:
    file = damaged(folder, np.maximum(samples(2, height=150, width=140), 8), nodata=0, photometric="minisblack", alpha="no")
    lost = np.zeros((150, 140), bool)
    lost[INSIDE] = True
    with fdeg_codec.open(file, salvage=True) as scene:
        found = scene.read(masked=True)
    np.testing.assert_array_equal(np.ma.getmaskarray(found), np.stack([lost, lost]))
    assert not found.data[:, lost].any()


def test_a_lost_tile_leaves_nodata_elsewhere_as_it_is(folder: Path) -> None:
    data = np.maximum(samples(2, height=150, width=140), 8)
    data[0, :30, :40] = 7
    file = damaged_file(with_nodata(folder, data, (7, None)))
    fdeg_codec.decode(file, folder / "out.tif", salvage=True)
    lost = np.zeros((150, 140), bool)
    lost[INSIDE] = True
    with rasterio.open(folder / "out.tif") as left, fdeg_codec.open(file, salvage=True) as scene:
        np.testing.assert_array_equal(left.read_masks(1) == 0, lost | (data[0] == 7))
        np.testing.assert_array_equal(left.read_masks(2) == 0, lost)
        np.testing.assert_array_equal(np.ma.getmaskarray(scene.read(masked=True)), left.read_masks() == 0)


def test_what_is_read_does_not_depend_on_what_was_read_before(folder: Path) -> None:
    file = damaged(folder, samples(6, "uint16", 150, 140), photometric="minisblack", alpha="no")
    with fdeg_codec.open(file, salvage=True) as scene:
        first, whole, again = scene.read([1, 2, 3]), scene.read(), scene.read([4, 5, 6])
        np.testing.assert_array_equal(scene.read([1, 2, 3]), first)
    with fdeg_codec.open(file, salvage=True) as scene:
        np.testing.assert_array_equal(scene.read([4, 5, 6]), again)
        assert bool(scene.damage) != again[:, *INSIDE].any()
        np.testing.assert_array_equal(scene.read(), whole)


def test_a_lost_tile_of_a_masked_scene_is_masked(folder: Path) -> None:
    given = np.full((150, 140), 255, np.uint8)
    given[:40] = 0
    _, mask, _ = salvage(damaged(folder, samples(3, height=150, width=140), mask=given))
    given[INSIDE] = 0
    np.testing.assert_array_equal(mask, given)


def test_a_tile_far_from_the_lost_one_is_as_it_was(folder: Path) -> None:
    file = damaged(folder, samples(1, height=64, width=300), broken=0)
    with rasterio.open(folder / "whole.tif") as whole, fdeg_codec.open(file, salvage=True) as scene:
        np.testing.assert_array_equal(scene.read(window=(128, 0, 172, 64)), whole.read()[:, :, 128:])
        assert not scene.damage
        scene.read()
        assert [loss.tile for loss in scene.damage.lost] == [0]
        assert scene.damage.beside == [1]


def test_a_residual_with_a_checksum_that_fits_and_samples_that_do_not_costs_its_tile(folder: Path) -> None:
    data = samples(1, height=64, width=128)
    file = folder / "x.fdg"
    fdeg_codec.encode(write(folder / "in.tif", data), file, model="tiny", tile=64, max_error=2)
    parts = forge.apart(file.read_bytes())
    assert parts is not None
    parts.bodies[1] = bytes(4) + parts.bodies[1][4:]  # the CRC of its samples
    file.write_bytes(parts.join())
    with pytest.raises(BadFileError, match=r"tile 0 .*residual 0: .*other samples"):
        fdeg_codec.decode(file, folder / "out.tif")
    damage = fdeg_codec.decode(file, folder / "out.tif", salvage=True)
    assert [loss.tile for loss in damage.lost] == [0]
    assert "residual 0" in damage.lost[0].why
    with rasterio.open(folder / "out.tif") as left:
        np.testing.assert_array_equal(left.dataset_mask()[0], np.repeat([0, 255], 64))
        assert np.abs(left.read().astype(int) - data)[:, :, 64:].max() <= 2


def test_a_flipped_bit_costs_nothing(folder: Path) -> None:
    source = write(folder / "in.tif", samples(3))
    fdeg_codec.encode(source, folder / "x.fdg", model="tiny")
    fdeg_codec.decode(folder / "x.fdg", folder / "whole.tif")
    data = bytearray((folder / "x.fdg").read_bytes())
    for at in (12, len(data) // 2):
        data[at] ^= 16
    (folder / "x.fdg").write_bytes(data)
    damage = fdeg_codec.decode(folder / "x.fdg", folder / "left.tif", salvage=True)
    assert not damage
    assert damage.mended == ["header: a flipped bit was put right", "tile 0: a flipped bit was put right"]
    with rasterio.open(folder / "left.tif") as left, rasterio.open(folder / "whole.tif") as whole:
        np.testing.assert_array_equal(left.read(), whole.read())


def test_random_damage_never_shows_as_pixels_that_nobody_listed(folder: Path) -> None:
    fdeg_codec.encode(write(folder / "in.tif", samples(3, height=70, width=130)), folder / "x.fdg", model="tiny", tile=64)
    rows = dict(TOOL["measure"](folder / "x.fdg", 28, 0))
    assert len(rows) == 8
    assert rows["all"]["wrong"] == 0
    assert rows["a flipped bit"]["lost"] == 0
    assert rows["a burst of noise"]["unopened"] == 0  # it meets the header or its copy, never both


def test_a_picture_larger_than_memory_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fdeg_codec.encode(write(folder / "in.tif", samples(1)), folder / "x.fdg", model="tiny")

    def full(*_: object) -> None:
        raise MemoryError("Unable to allocate 512. GiB")

    with fdeg_codec.open(folder / "x.fdg") as scene, monkeypatch.context() as patch:
        patch.setattr(np, "empty", full)
        with pytest.raises(UnsupportedError, match=r"x\.fdg: Unable to allocate 512.*read a window, or fewer bands"):
            scene.read()


def test_a_picture_larger_than_asked_for_is_not_decoded(folder: Path) -> None:
    fdeg_codec.encode(write(folder / "in.tif", samples(1, height=64, width=100)), folder / "x.fdg", model="tiny")
    with pytest.raises(UnsupportedError, match=r"100 x 64 pixels are more than the 6399 that --max-pixels"):
        fdeg_codec.decode(folder / "x.fdg", folder / "y.tif", max_pixels=6399)
    fdeg_codec.decode(folder / "x.fdg", folder / "y.tif", max_pixels=6400)
    with fdeg_codec.open(folder / "x.fdg", max_pixels=100) as scene:
        assert scene.read(window=(90, 54, 10, 10)).shape == (1, 10, 10)
        with pytest.raises(UnsupportedError, match="max-pixels"):
            scene.read()
        with pytest.raises(UnsupportedError, match="max-pixels"):
            scene.verify()
