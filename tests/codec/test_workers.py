"""Tiles side by side: no more of them at once than memory is meant to hold."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import pytest
import torch

import fdeg_codec
from fdeg_codec.codec import entries
from fdeg_codec.codec.workers import HELD, Workers
from fdeg_codec.container.file import Reader
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
    needed: list[int] = []
    monkeypatch.setattr(
        Workers, "__init__", lambda self, *words: said.append(words[2]) or needed.append(words[3]) or start(self, *words)
    )
    source = write(tmp_path / "a.tif", samples(4, "uint16"))
    fdeg_codec.encode(source, tmp_path / "a.fdg", model="tiny", tile=64)
    with fdeg_codec.open(tmp_path / "a.fdg") as scene:
        scene.read(scale=2)
    assert said == [64 * 64 * 4 * 2, 32 * 32 * 4 * 2]
    fdeg_codec.encode(source, tmp_path / "b.fdg", model="tiny", tile=64, max_error=9)
    with fdeg_codec.open(tmp_path / "b.fdg") as scene:
        scene.read()
    fdeg_codec.encode(source, tmp_path / "c.fdg", model="tiny", tile=64, effort=2)
    plainly, exactly, with_gradients = needed[0], needed[2], needed[4]
    assert needed == [plainly, plainly, exactly, exactly, with_gradients]
    assert 64 * 64 * 100 < plainly < exactly < with_gradients


@pytest.mark.parametrize("threads", [2], indirect=True)
def test_windows_read_at_once_leave_torch_its_threads(weights: Path, tmp_path: Path, threads: int) -> None:
    fdeg_codec.encode(write(tmp_path / "a.tif", samples(1, "uint8", 192, 192)), tmp_path / "a.fdg", model="tiny", tile=64)
    begun, more = Event(), Event()

    def read_slowly() -> int:
        with Workers(torch.device("cpu"), 9) as workers:
            workers.submit(begun.set).result()
            assert more.wait(60)
        return torch.get_num_threads()

    def read() -> int:
        assert begun.wait(60)
        with fdeg_codec.open(tmp_path / "a.fdg") as scene:
            scene.read()
        more.set()
        return torch.get_num_threads()

    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(work) for work in (read_slowly, read)]
        assert [future.result() for future in both] == [2, 2]
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(torch.get_num_threads).result() == 2


def test_a_scene_that_threads_share(weights: Path, tmp_path: Path) -> None:
    fdeg_codec.encode(write(tmp_path / "a.tif", samples(1, "uint8", 256, 256)), tmp_path / "a.fdg", model="tiny", tile=64)
    with fdeg_codec.open(tmp_path / "a.fdg") as scene, ThreadPoolExecutor(6) as pool:
        whole = scene.read(1, scale=16)
        windows = [(column, row, 64, 64) for _ in range(20) for column in range(0, 256, 64) for row in range(0, 256, 64)]
        parts = pool.map(lambda window: scene.read(1, window=window, scale=16), windows)
        for (column, row, _, _), part in zip(windows, parts, strict=True):
            assert (part == whole[row // 16 : row // 16 + 4, column // 16 : column // 16 + 4]).all()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_process_forked_after_use_decodes(weights: Path, tmp_path: Path) -> None:
    """Where the caller's own thread has worked with several threads, which a child has not."""
    fdeg_codec.encode(write(tmp_path / "a.tif", samples(3, "uint8", 192, 192)), tmp_path / "a.fdg", model="tiny")
    code = (
        "import multiprocessing, fdeg_codec, torch\n"
        "torch.set_num_threads(2)\n"
        "def mean(_): return float(fdeg_codec.open('a.fdg').read().mean())\n"
        "there = mean(0)\n"
        "with multiprocessing.get_context('fork').Pool(1) as pool:\n"
        "    assert pool.map_async(mean, [0]).get(60) == [there]\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=120)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_process_forked_while_another_thread_begins_to_decode_can_do_so_itself(weights: Path, tmp_path: Path) -> None:
    fdeg_codec.encode(write(tmp_path / "a.tif", samples(3, "uint8", 64, 64)), tmp_path / "a.fdg", model="tiny")
    code = (
        "import os, threading, time, fdeg_codec\n"
        "from fdeg_codec.blas import one_thread\n"
        "from fdeg_codec.codec import workers\n"
        "scene, held = fdeg_codec.open('a.fdg'), threading.Event()\n"
        "def hold():\n"
        "    with workers._starting, one_thread._lock:\n"
        "        held.set()\n"
        "        time.sleep(1)\n"
        "threading.Thread(target=hold).start()\n"
        "held.wait()\n"
        "child = os.fork()\n"
        "scene.read()\n"
        "assert not child or not os.waitpid(child, 0)[1]\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=tmp_path, check=True, timeout=60)


@pytest.mark.parametrize("threads", [4], indirect=True)
def test_latents_of_tiles_ahead_keep_all_workers_busy(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    fdeg_codec.encode(write(tmp_path / "a.tif", samples(1, "uint8", 64, 640)), tmp_path / "a.fdg", model="tiny", tile=64)
    together = Barrier(threads, timeout=60)
    decode = entries.decode_plane

    def decode_together(*words: Any) -> Any:
        if words[1] in first:  # as many tiles as there are workers, the first of all
            together.wait()
        return decode(*words)

    with (tmp_path / "a.fdg").open("rb") as stream:
        reader = Reader(stream)
        first = {reader.entry(number, 0) for number in range(threads)}
    assert len(first) == threads
    monkeypatch.setattr(entries, "decode_plane", decode_together)
    with fdeg_codec.open(tmp_path / "a.fdg") as scene:
        scene.verify()
