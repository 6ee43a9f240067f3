"""Windows are the same pixels as those of the whole, and cost no more than the tiles they need."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import fdeg_codec
from fdeg_codec.codec.decode import Decoder
from fdeg_codec.codec.engine import Engine
from fdeg_codec.codec.tiles import Span
from fdeg_codec.container.file import Reader
from fdeg_codec.errors import FdegError, UsageError
from tests.raster.rasters import coloured, samples, write

HEIGHT, WIDTH = 260, 300


@pytest.fixture(scope="module", params=[64, 128, 256])
def file(request: pytest.FixtureRequest, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two planes, nodata in parts of the picture, and one tile without anything."""
    folder = tmp_path_factory.mktemp("windows")
    data = samples(4, "uint16", HEIGHT, WIDTH)
    data[:, 100:210, 120:250] = 0
    source = write(folder / "a.tif", data, coloured("blue", "green", "red", "nir"), nodata=0)
    fdeg_codec.encode(source, folder / "a.fdg", model="tiny", quality=5, tile=request.param)
    return folder / "a.fdg"


def test_random_windows_equal_the_whole(file: Path) -> None:
    rng = np.random.default_rng(7)
    with fdeg_codec.open(file) as scene:
        whole = scene.read()
    assert whole.shape == (4, HEIGHT, WIDTH)
    for _ in range(12):
        column, row = int(rng.integers(WIDTH)), int(rng.integers(HEIGHT))
        width, height = (
            int(n) for n in (rng.integers(1, 1 + min(90, WIDTH - column)), rng.integers(1, 1 + min(90, HEIGHT - row)))
        )
        with fdeg_codec.open(file) as scene:
            alone = scene.read(window=(column, row, width, height))
        np.testing.assert_array_equal(alone, whole[:, row : row + height, column : column + width])


def test_threads_change_nothing_that_matters(file: Path) -> None:
    """A window of one tile is decoded by all of torch's threads, which may round a sample the other way."""
    with fdeg_codec.open(file) as scene:
        whole = scene.read()
        torch.set_num_threads(2)
        np.testing.assert_array_equal(scene.read(), whole)
        np.testing.assert_allclose(scene.read(window=(10, 20, 30, 40)), whole[:, 20:60, 10:40], rtol=0, atol=1)


def test_windows_in_any_order_from_one_scene_equal_the_whole(file: Path) -> None:
    with fdeg_codec.open(file) as scene:
        whole = scene.read()
        for column, row in [(200, 200), (0, 0), (250, 10), (5, 230), (120, 130), (200, 200)]:
            np.testing.assert_array_equal(
                scene.read(window=(column, row, 50, 30)), whole[:, row : row + 30, column : column + 50]
            )


@pytest.mark.parametrize(
    "window",
    [(-1, 0, 5, 5), (0, -1, 5, 5), (0, 0, WIDTH + 1, 1), (WIDTH, 0, 1, 1), (WIDTH - 3, 0, 4, 1), (0, HEIGHT, 1, 1)],
)
def test_a_window_outside_the_picture_is_an_error_that_states_both(file: Path, window: tuple[int, int, int, int]) -> None:
    with fdeg_codec.open(file) as scene, pytest.raises(UsageError) as caught:
        scene.read(window=window)
    assert ",".join(map(str, window)) in str(caught.value)
    assert f"{WIDTH} x {HEIGHT}" in str(caught.value)


@pytest.mark.parametrize(
    ("window", "why"),
    [((0, 0, 0, 5), "has no pixels"), ((0, 0, 5, -5), "has no pixels"), ((0, 0, math.inf, 1), "column, row, width and height")],
)
def test_windows_that_are_none(file: Path, window: tuple[Any, ...], why: str) -> None:
    with fdeg_codec.open(file) as scene, pytest.raises(UsageError, match=why):
        scene.read(window=window)


@pytest.fixture
def grid(weights: Path, tmp_path: Path) -> Path:
    """Four by five tiles of one plane."""
    fdeg_codec.encode(write(tmp_path / "a.tif", samples(3, "uint8", 256, 320)), tmp_path / "a.fdg", model="tiny", tile=64)
    return tmp_path / "a.fdg"


@pytest.mark.parametrize(
    ("window", "touched"),
    [
        ((0, 0, 1, 1), [(0, 0)]),
        ((319, 255, 1, 1), [(3, 4)]),
        ((70, 70, 10, 10), [(1, 1)]),
        ((60, 130, 10, 10), [(2, 0), (2, 1)]),
    ],
)
def test_a_window_reads_only_its_tiles_and_their_neighbours(
    grid: Path, monkeypatch: pytest.MonkeyPatch, window: tuple[int, int, int, int], touched: list[tuple[int, int]]
) -> None:
    asked: list[int] = []
    entry = Reader.entry

    def counted(self: Reader, tile: int, k: int) -> bytes:
        asked.append(tile)
        return entry(self, tile, k)

    monkeypatch.setattr(Reader, "entry", counted)
    with fdeg_codec.open(grid) as scene:
        scene.read(window=window)
    near = {
        5 * (r + i) + c + j
        for r, c in touched
        for i in (-1, 0, 1)
        for j in (-1, 0, 1)
        if r + i in range(4) and c + j in range(5)
    }
    assert {5 * r + c for r, c in touched} <= set(asked) <= near
    assert len(asked) == len(set(asked))


def test_nothing_is_decoded_before_read(grid: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(Reader, "entry", forbidden)
    monkeypatch.setattr("fdeg_codec.scene.load_engine", forbidden)
    with fdeg_codec.open(grid) as scene:
        assert scene.shape == (3, 256, 320)
        assert scene.profile["width"] == 320


def rows_of(decoder: Decoder) -> set[int]:
    return {number // 2 for number, _ in decoder.entries._known}


@pytest.fixture
def tower(weights: Path, tmp_path: Path) -> Path:
    """Twelve rows of two tiles."""
    fdeg_codec.encode(write(tmp_path / "a.tif", samples(3, "uint8", 768, 100)), tmp_path / "a.fdg", model="tiny", tile=64)
    return tmp_path / "a.fdg"


@pytest.mark.parametrize("threads", [1, 2], indirect=True)
def test_latents_far_above_are_dropped(tower: Path) -> None:
    with fdeg_codec.open(tower) as scene:
        decoder = scene._opened()
        counts = [len(rows_of(decoder)) for _ in decoder.pieces(Span(0, 768), Span(0, 100))]
    assert len(counts) == 24
    assert max(counts) <= 8  # of 12; a few tiles are under way ahead of the one that is handed out


def test_windows_read_upwards_gather_no_latents(tower: Path) -> None:
    with fdeg_codec.open(tower) as scene:
        for row in reversed(range(0, 768, 64)):
            scene.read(window=(0, row, 100, 64))
            assert len(rows_of(scene._opened())) <= 5


@pytest.mark.parametrize("threads", [1, 2], indirect=True)
def test_a_broken_tile_does_not_spoil_the_windows_that_do_not_need_it(grid: Path) -> None:
    with fdeg_codec.open(grid) as scene:
        whole = scene.read()
        reader = scene._reader
    broken = bytearray(grid.read_bytes())
    broken[sum(reader.lengths[:19]) + reader.overhead + 9] ^= 1  # the last tile's
    grid.write_bytes(broken)
    with fdeg_codec.open(grid) as scene:
        for _ in range(2):
            with pytest.raises(FdegError, match=r"a\.fdg: tile 19 \(rows 192 to 255, columns 256 to 319\)"):
                scene.read()
            np.testing.assert_array_equal(scene.read(window=(100, 20, 100, 100)), whole[:, 20:120, 100:200])


def test_a_tile_without_valid_pixels_is_not_synthesised(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = samples(3, "uint8", 64, 192)
    data[:, :, 64:128] = 0
    fdeg_codec.encode(write(tmp_path / "a.tif", data, nodata=0), tmp_path / "a.fdg", model="tiny", tile=64)
    calls: list[None] = []
    synthesise = Engine.synthesise

    def counted(self: Engine, y_hat: Any, log2_lambda: int) -> Any:
        calls.append(None)
        return synthesise(self, y_hat, log2_lambda)

    monkeypatch.setattr(Engine, "synthesise", counted)
    with fdeg_codec.open(tmp_path / "a.fdg") as scene:
        assert (scene.read(window=(64, 0, 64, 64)) == 0).all()
        assert len(calls) == 0
        scene.read()
        assert len(calls) == 2
