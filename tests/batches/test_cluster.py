"""Batches on clusters: one of threads, and one of processes, of which one is killed while it works."""

from __future__ import annotations

import errno
import functools
import json
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import fdeg_codec
from fdeg_codec import api
from fdeg_codec.batches.work import Outcome
from fdeg_codec.errors import FdegError
from tests.batches.conftest import files
from tests.raster.rasters import samples, write

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")


RETRIES = 2
WORDS: dict[str, Any] = {"model": "tiny", "tile": 64}


def loads() -> int:
    """How often this process has loaded weights."""
    from fdeg_codec.codec.engine import engine_of

    return engine_of.cache_info().misses


def test_a_cluster_makes_what_one_process_makes(folder: Path, tmp_path: Path) -> None:
    (folder / "bad.tif").write_text("hello")
    before = loads()
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None) as cluster:
        outcomes = fdeg_codec.batch(folder, tmp_path / "out", scheduler=cluster.scheduler_address, **WORDS)
        fdeg_codec.batch(tmp_path / "out", tmp_path / "back", decode=True, scheduler=cluster.scheduler_address)
        assert not cluster.scheduler.worker_plugins.keys() & {"fdeg"}
    assert loads() - before <= 1
    assert [o.source for o in outcomes if o.status != "made"] == ["bad.tif"]
    assert "not a raster" in next(o.error for o in outcomes if o.error)
    assert_alike(folder, tmp_path, 4)


def test_what_is_refused_is_tried_once_and_what_fails_otherwise_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "bad.tif").write_text("hello")
    encode, tries = api.encode, Counter[str]()

    @functools.wraps(encode)
    def fail(source: Path, *words: Any, **more: Any) -> Any:
        tries[source.name] += 1
        if source.name == "a.tif" or (source.name == "c.png" and tries["c.png"] == 1):
            raise OSError(errno.ESTALE, "Stale file handle", str(source))
        return encode(source, *words, **more)

    monkeypatch.setattr(api, "encode", fail)
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster:
        outcomes = fdeg_codec.batch(folder, tmp_path / "out", scheduler=cluster.scheduler_address, **WORDS)
    assert tries == {"bad.tif": 1, "a.tif": 1 + RETRIES, "b.TIF": 1, "c.png": 2, "d.tif": 1}
    errors = {o.source: o.error for o in outcomes if o.status == "failed"}
    assert errors.keys() == {"bad.tif", "a.tif"}
    assert errors["a.tif"] == f"{folder / 'a.tif'}: Stale file handle"


@pytest.mark.slow
def test_a_killed_worker_costs_nothing_but_time(folder: Path, tmp_path: Path) -> None:
    """The first result that comes has a worker killed, with its share of the scenes in its hands."""
    for k in range(8):
        write(folder / f"more{k}.tif", samples(3, height=150, width=200))
    one_process_each = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**one_process_each) as cluster, distributed.Client(cluster, set_as_default=False) as client:
        pids = client.run(os.getpid)
        killed: list[int] = []

        def kill(_: Outcome) -> None:
            if not killed:
                killed.append(next(pids[worker] for worker, tasks in client.processing().items() if tasks))
                os.kill(killed[0], signal.SIGKILL)

        place = tmp_path / "scheduler.json"
        place.write_text(json.dumps(client.scheduler_info()))
        outcomes = fdeg_codec.batch(folder, tmp_path / "out", scheduler=str(place), tell=kill, **WORDS)
        assert set(client.run(loads).values()) == {1}
        fdeg_codec.batch(tmp_path / "out", tmp_path / "back", decode=True, scheduler=str(place))
    assert killed
    assert {o.status for o in outcomes} == {"made"}
    assert_alike(folder, tmp_path, 12)


def assert_alike(folder: Path, tmp_path: Path, count: int) -> None:
    """What the cluster made is what this process makes, and its record is as good."""
    fdeg_codec.batch(folder, tmp_path / "out-here", **WORDS)
    fdeg_codec.batch(tmp_path / "out-here", tmp_path / "back-here", decode=True)
    for name in ("out", "back"):
        assert len(files(tmp_path / name)) == count
        assert files(tmp_path / name) == files(tmp_path / f"{name}-here")
    again = fdeg_codec.batch(folder, tmp_path / "out", resume=True, **WORDS)
    assert [o.status for o in again].count("kept") == count


def test_no_scheduler_is_one_clear_error(folder: Path, tmp_path: Path) -> None:
    impatient = dask.config.set({"distributed.comm.timeouts.connect": "50ms"})
    with impatient, pytest.raises(FdegError, match=r"tcp://127.0.0.1:1: no Dask scheduler answers"):
        fdeg_codec.batch(folder, tmp_path / "out", model="tiny", scheduler="tcp://127.0.0.1:1")
