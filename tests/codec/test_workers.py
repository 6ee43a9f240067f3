"""Tiles side by side: no more of them at once than memory is meant to hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import torch

import fdeg_codec
from fdeg_codec.codec.workers import HELD, Workers
from tests.raster.rasters import samples, write


@pytest.mark.parametrize("threads", [8], indirect=True)
@pytest.mark.parametrize(("tile_bytes", "drawn"), [(0, 17), (HELD // 100, 17), (HELD // 4, 5), (HELD + 1, 2)])
def test_tiles_with_many_bytes_do_not_queue_up(threads: int, tile_bytes: int, drawn: int) -> None:
    seen: list[int] = []

    def jobs() -> Iterator[Callable[[], int]]:
        for k in range(40):
            seen.append(k)
            yield partial(int, k)

    with Workers(torch.device("cpu"), 40, tile_bytes) as workers:
        results = workers.in_order(jobs())
        assert next(results) == 0
        assert len(seen) == drawn
        assert list(results) == list(range(1, 40))


def test_encoder_and_decoder_say_how_many_bytes_a_tile_has(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[int] = []
    start = Workers.__init__
    monkeypatch.setattr(Workers, "__init__", lambda self, *words: said.append(words[2]) or start(self, *words))
    fdeg_codec.encode(write(tmp_path / "a.tif", samples(4, "uint16")), tmp_path / "a.fdg", model="tiny", tile=64)
    with fdeg_codec.open(tmp_path / "a.fdg") as scene:
        scene.read(scale=2)
    assert said == [64 * 64 * 4 * 2, 32 * 32 * 4 * 2]
