"""Batches in this process: the same files as one by one, whatever fails; a second run does what is left."""

from __future__ import annotations

import csv
import functools
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch

import fdeg_codec
from fdeg_codec import api
from fdeg_codec.batches import threads
from fdeg_codec.batches.record import FOLDER, stamp
from fdeg_codec.batches.work import Outcome
from fdeg_codec.codec.engine import Engine, engine_of
from fdeg_codec.errors import FdegError, ModelError, UsageError
from tests.batches.conftest import NAMES, files
from tests.raster.rasters import samples, write

TARGETS = ["a.fdg", "b.fdg", "sub/c.fdg", "sub/deep/d.fdg"]


def statuses(outcomes: list[Outcome]) -> dict[str, str]:
    return {outcome.target: outcome.status for outcome in outcomes}


@pytest.fixture
def run(folder: Path) -> Callable[..., dict[str, str]]:
    """Encode the folder with the tiny model."""

    def run(**choices: Any) -> dict[str, str]:
        return statuses(fdeg_codec.batch(folder, folder.parent / "out", **{"model": "tiny", "tile": 64} | choices))

    return run


def test_what_cannot_be_looked_at_does_not_stop_the_rest(folder: Path, tmp_path: Path) -> None:
    (folder / "far.tif").symlink_to("x" * 300)  # as a link into a closed folder, which root could open
    found = fdeg_codec.batch(folder, tmp_path / "out", model="tiny")
    assert statuses(found) == dict.fromkeys(TARGETS, "made") | {"far.fdg": "failed"}
    assert "far.tif" in next(outcome.error for outcome in found if outcome.status == "failed")


def test_what_another_process_put_in_its_place_is_not_taken_for_it(
    run: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = api.encode

    @functools.wraps(real)
    def encode(source: Path, target: Path, **words: Any) -> Any:
        report = real(source, target, **words)
        if target.name == "b.fdg":
            target.write_bytes(target.read_bytes() + b"!")
        return report

    with monkeypatch.context() as patch:
        patch.setattr(api, "encode", encode)
        assert run(jobs=1) == dict.fromkeys(TARGETS, "made") | {"b.fdg": "failed"}
    assert run(resume=True) == dict.fromkeys(TARGETS, "kept") | {"b.fdg": "made"}


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_batch_makes_what_single_calls_make(folder: Path, tmp_path: Path, jobs: int) -> None:
    outcomes = fdeg_codec.batch(folder, tmp_path / "out", model="tiny", quality=2, jobs=jobs)
    made = files(tmp_path / "out")
    assert sorted(made) == TARGETS == [outcome.target for outcome in outcomes]
    for name, target in zip(NAMES, TARGETS, strict=True):
        report = fdeg_codec.encode(folder / name, tmp_path / "single.fdg", model="tiny", quality=2, overwrite=True)
        assert made[target] == (tmp_path / "single.fdg").read_bytes()
        assert outcomes[TARGETS.index(target)].details["bytes"] == report.bytes
    fdeg_codec.batch(tmp_path / "out", tmp_path / "back", decode=True, format="png", jobs=jobs)
    for name in TARGETS:
        with fdeg_codec.open(tmp_path / "out" / name) as scene:
            back = (tmp_path / "back" / name).with_suffix(".png")
            with rasterio.open(back) as decoded:
                np.testing.assert_array_equal(decoded.read(), scene.read())


def test_the_model_is_loaded_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[None] = []
    start = Engine.__init__
    monkeypatch.setattr(Engine, "__init__", lambda *words: loaded.append(None) or start(*words))
    engine_of.cache_clear()
    fdeg_codec.batch(folder, tmp_path / "out", model="tiny", jobs=4)
    assert len(loaded) == 1
    engine_of.cache_clear()
    fdeg_codec.batch(tmp_path / "out", tmp_path / "back", decode=True, jobs=4)
    assert len(loaded) == 2


def test_what_fails_is_told_and_does_not_stop_the_rest(folder: Path, tmp_path: Path) -> None:
    (folder / "bad.tif").write_text("hello")
    write(folder / "sub" / "a.tif", samples(3))
    write(folder / "sub" / "a.png", samples(3), driver="PNG")
    told: list[Outcome] = []
    seen: list[tuple[int, int]] = []
    outcomes = fdeg_codec.batch(
        folder, tmp_path / "out", model="tiny", tell=told.append, progress=lambda *n: seen.append(n), report=tmp_path / "r.csv"
    )
    assert seen == [(k + 1, 7) for k in range(7)]
    assert {o.source for o in told} == {o.source for o in outcomes}
    errors = {o.source: o.error for o in outcomes if o.status == "failed"}
    assert errors.keys() == {"bad.tif", "sub/a.tif", "sub/a.png"}
    assert "not a raster" in errors["bad.tif"]
    assert "sub/a.png" in errors["sub/a.tif"]
    assert sorted(files(tmp_path / "out")) == TARGETS
    with (tmp_path / "r.csv").open() as stream:
        rows = {row["source"]: row for row in csv.DictReader(stream)}
    assert {name: row["error"] for name, row in rows.items() if row["status"] == "failed"} == errors
    assert int(rows["a.tif"]["bytes"]) == (tmp_path / "out" / "a.fdg").stat().st_size


def test_a_report_may_be_the_first_thing_in_the_new_folder(weights: Path, folder: Path, tmp_path: Path) -> None:
    fdeg_codec.batch(folder, tmp_path / "out", model="tiny", report=tmp_path / "out" / "r.csv")
    assert (tmp_path / "out" / "r.csv").read_text().startswith("source,")


def test_a_report_to_a_pipe_goes_into_it(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "bad.tif").write_text("hello")
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    fdeg_codec.batch(tmp_path / "in", tmp_path / "out", model="tiny", report=tmp_path / "pipe")
    (row,) = csv.DictReader(os.read(reader, 1 << 16).decode().splitlines())
    os.close(reader)
    assert (row["source"], row["status"]) == ("bad.tif", "failed")
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: not enough memory"), KeyError("bug")])
def test_whatever_goes_wrong_with_a_scene_is_one_line(
    run: Callable[..., Any], folder: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    encode = api.encode

    @functools.wraps(encode)
    def fail(source: Path, *words: Any, **more: Any) -> Any:
        if source.name == "a.tif":
            raise error
        return encode(source, *words, **more)

    monkeypatch.setattr(api, "encode", fail)
    told: list[Outcome] = []
    assert run(tell=told.append) == dict.fromkeys(TARGETS, "made") | {"a.fdg": "failed"}
    (message,) = (o.error for o in told if o.error)
    assert message
    assert "\n" not in message


def test_the_same_files_from_any_number_of_threads(tmp_path: Path) -> None:
    """With trained weights and float32, whose last digit tells how many threads torch has; where it does is chance."""
    (tmp_path / "in").mkdir()
    for k, side in enumerate((60, 80, 100)):
        write(tmp_path / "in" / f"{k}.tif", samples(1, "float32", side, side + 16))
    made, threads = [], torch.get_num_threads()
    try:
        for count, jobs in ((2, 1), (1, 1), (2, 2)):
            torch.set_num_threads(count)
            folders = [tmp_path / f"{kind}-{count}-{jobs}" for kind in ("coded", "decoded")]
            fdeg_codec.batch(tmp_path / "in", folders[0], jobs=jobs)
            fdeg_codec.batch(folders[0], folders[1], decode=True, jobs=jobs)
            made.append([files(folder) for folder in folders])
    finally:
        torch.set_num_threads(threads)
    assert made[0] == made[1] == made[2]
    assert len(made[0][1]) == 3


class TestResume:
    """A second run does only what is missing or changed."""

    @pytest.fixture(autouse=True)
    def first(self, run: Callable[..., dict[str, str]]) -> None:
        assert run() == dict.fromkeys(TARGETS, "made")

    def test_nothing_is_left(self, run: Callable[..., dict[str, str]], tmp_path: Path) -> None:
        before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.fdg")}
        assert run(resume=True) == dict.fromkeys(TARGETS, "kept")
        assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.fdg")}

    def test_what_is_kept_is_reported_as_when_it_was_made(self, folder: Path, tmp_path: Path) -> None:
        again = fdeg_codec.batch(folder, tmp_path / "out", model="tiny", tile=64, resume=True)
        assert [o.details["bytes"] for o in again] == [(tmp_path / "out" / t).stat().st_size for t in TARGETS]

    def test_what_changed_is_made_again(self, run: Callable[..., dict[str, str]], folder: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        wanted = files(out)
        (out / "a.fdg").unlink()
        (out / "b.fdg").write_bytes(wanted["b.fdg"][:-1])
        (out / "sub/c.fdg").write_bytes(bytes(len(wanted["sub/c.fdg"])))
        assert run(resume=True) == {"a.fdg": "made", "b.fdg": "made", "sub/c.fdg": "made", "sub/deep/d.fdg": "kept"}
        assert files(out) == wanted
        write(folder / "a.tif", samples(3, height=41, width=50))
        os.utime(folder / "b.TIF", ns=(1, 1))
        write(folder / "e.tif", samples(1))
        left = {"a.fdg": "made", "b.fdg": "made", "e.fdg": "made"}
        assert run(resume=True) == dict.fromkeys(TARGETS, "kept") | left

    @pytest.mark.parametrize("choice", [{"quality": 1}, {"tile": 128}, {"model": "tiny-none"}, {"precision": "float32"}])
    def test_other_words_make_all_again(self, run: Callable[..., dict[str, str]], choice: dict[str, Any]) -> None:
        assert run(resume=True, **choice) == dict.fromkeys(TARGETS, "made")
        assert run(resume=True, **choice) == dict.fromkeys(TARGETS, "kept")
        assert run(resume=True) == dict.fromkeys(TARGETS, "made")

    def test_without_resume_nothing_is_replaced(self, run: Callable[..., dict[str, str]], tmp_path: Path) -> None:
        before = files(tmp_path / "out")
        assert run() == run(quality=1) == dict.fromkeys(TARGETS, "failed")
        assert files(tmp_path / "out") == before
        assert run(quality=1, overwrite=True) == dict.fromkeys(TARGETS, "made")
        assert files(tmp_path / "out") != before

    def test_a_batch_that_was_killed_between_output_and_record(
        self, run: Callable[..., dict[str, str]], tmp_path: Path
    ) -> None:
        (record,) = (tmp_path / "out" / FOLDER).iterdir()
        text = record.read_text()
        record.write_text(text[:-20])  # the last line is cut off
        assert sorted(run(resume=True).values()) == ["kept", "kept", "kept", "made"]
        assert sorted(run(resume=True).values()) == ["kept"] * 4

    def test_a_stranger_is_not_replaced(self, run: Callable[..., dict[str, str]], folder: Path, tmp_path: Path) -> None:
        write(folder / "e.tif", samples(1))
        (tmp_path / "out" / "e.fdg").write_text("mine")
        assert run(resume=True) == dict.fromkeys(TARGETS, "kept") | {"e.fdg": "failed"}
        assert (tmp_path / "out" / "e.fdg").read_text() == "mine"
        assert run(resume=True, overwrite=True) == dict.fromkeys(TARGETS, "kept") | {"e.fdg": "made"}

    def test_what_was_made_from_another_scene_is_not_replaced(
        self, run: Callable[..., dict[str, str]], folder: Path, tmp_path: Path
    ) -> None:
        """Two folders, or two endings, one after the other into one: --resume is no --overwrite."""
        before = files(tmp_path / "out")
        (tmp_path / "other").mkdir()
        write(tmp_path / "other" / "a.tif", samples(1))
        again = {"model": "tiny", "tile": 64}
        (refused,) = fdeg_codec.batch(tmp_path / "other", tmp_path / "out", resume=True, **again)
        assert refused.status == "failed"
        assert f"made from {folder / 'a.tif'} (--overwrite replaces it)" in refused.error
        assert files(tmp_path / "out") == before
        (made,) = fdeg_codec.batch(tmp_path / "other", tmp_path / "out", overwrite=True, **again)
        assert made.status == "made"
        assert run(resume=True)["a.fdg"] == "failed"
        write(tmp_path / "other" / "a.tif", samples(3))
        (changed,) = fdeg_codec.batch(tmp_path / "other", tmp_path / "out", resume=True, **again)
        assert changed.status == "made"

    def test_another_folders_scene_of_the_same_size_and_time_is_not_taken_for_it(
        self, run: Callable[..., dict[str, str]], folder: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "other").mkdir()
        status = (folder / "a.tif").stat()
        shutil.copy(folder / "a.tif", tmp_path / "other")
        os.utime(tmp_path / "other" / "a.tif", ns=(status.st_atime_ns, status.st_mtime_ns))
        (refused,) = fdeg_codec.batch(tmp_path / "other", tmp_path / "out", resume=True, model="tiny", tile=64)
        assert refused.status == "failed"
        assert "made from" in refused.error
        assert run(resume=True) == dict.fromkeys(TARGETS, "kept")

    def test_what_comes_while_a_batch_runs_is_not_replaced(self, folder: Path, tmp_path: Path) -> None:
        def meddle(outcome: Outcome) -> None:
            for name in {*TARGETS} - {outcome.target}:
                if not (tmp_path / "new" / name).exists():
                    (tmp_path / "new" / name).parent.mkdir(parents=True, exist_ok=True)
                    (tmp_path / "new" / name).write_text("mine")

        done = fdeg_codec.batch(folder, tmp_path / "new", jobs=1, tell=meddle, model="tiny")
        refused = [outcome for outcome in done if outcome.status == "failed"]
        assert refused
        assert all("exists already" in outcome.error for outcome in refused)
        assert all((tmp_path / "new" / outcome.target).read_text() == "mine" for outcome in refused)

    def test_what_lies_beside_a_scene_belongs_to_it(self, run: Callable[..., dict[str, str]], folder: Path) -> None:
        (folder / "a.tfw").write_text("10\n0\n0\n-10\n5\n5\n")
        (folder / "b.TIF.aux.xml").write_text("<PAMDataset></PAMDataset>")
        left = {"a.fdg": "made", "b.fdg": "made"}
        before = stamp(folder / "a.tif")
        (folder / "a_RPC.TXT").write_text("LINE_OFF: 5")
        assert stamp(folder / "a.tif") != before
        (folder / "a_RPC.TXT").unlink()
        assert run(resume=True) == dict.fromkeys(TARGETS, "kept") | left

    def test_words_that_are_the_default_change_nothing(self, run: Callable[..., dict[str, str]]) -> None:
        assert run(resume=True, effort=1, precision="auto") == dict.fromkeys(TARGETS, "kept")

    def test_what_is_taken_away_at_once_stops_nothing(self, folder: Path, tmp_path: Path, monkeypatch: Any) -> None:
        """By whoever collects finished files."""
        real = api.encode

        @functools.wraps(real)
        def taken(source: Path, target: Path, **words: Any) -> Any:
            report = real(source, target, **words)
            target.unlink()
            return report

        monkeypatch.setattr(api, "encode", taken)
        assert {o.status for o in fdeg_codec.batch(folder, tmp_path / "new", model="tiny")} == {"made"}

    @pytest.mark.parametrize(
        "line", [b"\xff\xfe", b'{"target": "a.fdg", "made": {}}', b'{"target": 3, "at": 1, "source": "x"}']
    )
    def test_a_damaged_record_costs_a_scene_at_most(
        self, run: Callable[..., dict[str, str]], tmp_path: Path, line: bytes
    ) -> None:
        (record,) = (tmp_path / "out" / FOLDER).iterdir()
        record.write_bytes(record.read_bytes() + b"\n" + line + b"\n")
        assert run(resume=True) == dict.fromkeys(TARGETS, "kept")

    def test_shards_know_of_each_other(self, run: Callable[..., dict[str, str]]) -> None:
        assert set(run(resume=True, quality=1, shard=(1, 2)).values()) == {"made"}
        assert set(run(resume=True, quality=1, shard=(2, 2)).values()) == {"made"}
        assert run(resume=True, quality=1) == dict.fromkeys(TARGETS, "kept")


def test_an_interrupt_stops_what_runs_and_leaves_whole_files(folder: Path, tmp_path: Path) -> None:
    def interrupt(_: Outcome) -> None:
        raise KeyboardInterrupt

    write(folder / "large.tif", samples(3, height=700, width=128))
    write(folder / "larger.tif", samples(3, height=800, width=128))
    with pytest.raises(KeyboardInterrupt):
        fdeg_codec.batch(folder, tmp_path / "out", model="tiny", tile=64, jobs=3, tell=interrupt)
    for thread in threading.enumerate():  # an interrupt does not wait for them; they end by themselves
        if thread.name.startswith(threads.NAME):
            thread.join()
    made = files(tmp_path / "out")
    assert 1 <= len(made) < 6
    assert not list((tmp_path / "out").rglob(".fdeg-*/*.fdg"))
    outcomes = fdeg_codec.batch(folder, tmp_path / "out", model="tiny", tile=64, resume=True)
    assert {o.status for o in outcomes} == {"made", "kept"}


def test_ctrl_c_ends_the_command_with_nothing_half_done(weights: Path, folder: Path, tmp_path: Path) -> None:
    write(folder / "a-large-one.tif", samples(3, height=3000, width=1000))
    out = tmp_path / "out"
    words = ["batch", str(folder), str(out), "--model", "tiny", "--tile", "64", "--jobs", "2"]
    # A suite that runs in the background has its children ignore Ctrl-C.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    command = [sys.executable, "-W", "ignore", "-c", f"{code}; from fdeg_codec.cli.main import main; main()", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not list(out.rglob(".fdeg-draft-*/draft.fdg")):  # the largest comes first
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode == 130
    assert said.splitlines()[-1] == "fdeg: interrupted"
    assert not list(out.rglob(".fdeg-draft-*"))
    assert not (out / "a-large-one.fdg").exists()


@pytest.mark.parametrize(
    "choice",
    [{"jobs": 0}, {"jobs": 1, "scheduler": "tcp://nowhere"}, {"shard": (0, 1)}, {"nonsense": 1}, {"lambda_": 1}, {"tile": 7}]
    + [{"quality": 2, "lambda_": 300}, {"decode": True, "quality": 3}, {"max_error": -1}, {"max_error": 1, "bpp": 1}]
    + [{"shard": "1/2"}, {"shard": None}, {"jobs": "2"}, {"format": "png"}, {"report": "x.tif"}, {"report": "x.fdg"}]
    + [
        {"max_error": 1e200},
        {"decode": True, "scale": 3},
        {"decode": True, "cog": True, "format": "png"},
        {"decode": True, "format": "bmp"},
    ],
)
def test_bad_usage_is_found_before_anything_is_done(folder: Path, tmp_path: Path, choice: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        fdeg_codec.batch(folder, tmp_path / "out", **choice)
    assert not (tmp_path / "out").exists()


def test_numpy_s_numbers_and_ranges_are_as_good_as_any(folder: Path, tmp_path: Path) -> None:
    words: dict[str, Any] = {"model": "tiny", "tile": np.int64(64), "bands": range(1, 2)}
    assert all(o.status == "made" for o in fdeg_codec.batch(folder, tmp_path / "out", **words))
    for bands in ([1], {1}, iter([1])):
        words |= {"tile": 64, "bands": bands}
        assert all(o.status == "kept" for o in fdeg_codec.batch(folder, tmp_path / "out", resume=True, **words))
    (outcome, *_) = fdeg_codec.batch(tmp_path / "out", tmp_path / "back", decode=True, bands=np.int64(1))
    assert outcome.details["bands"] == 1
    with pytest.raises(UsageError, match="--qualty: batch has no such option"):
        fdeg_codec.batch(folder, tmp_path / "out", qualty=3)


def test_what_must_be_there_is_looked_for_before_anything_is_done(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nonesuch"):
        fdeg_codec.batch(folder, tmp_path / "out", model="nonesuch")
    with pytest.raises(FdegError, match="there is no folder"):
        fdeg_codec.batch(folder, tmp_path / "out", report=tmp_path / "none" / "r.csv")
    with pytest.raises(FdegError, match=r"x{300}: cannot be written \(File name too long\)"):
        fdeg_codec.batch(folder, tmp_path / "out", report=tmp_path / ("x" * 300))
    with pytest.raises(FdegError, match="is a folder"):
        fdeg_codec.batch(folder, tmp_path / "out", report=tmp_path)
    assert not (tmp_path / "out").exists()
    with pytest.raises(FdegError, match="cannot be used for output"):
        fdeg_codec.batch(folder, folder / "a.tif", model="tiny")
