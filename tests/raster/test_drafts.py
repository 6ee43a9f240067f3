"""What the dead leave is taken away; what the living write is not."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fdeg_codec.raster import drafts
from fdeg_codec.raster.atomic import replacing
from fdeg_codec.raster.drafts import draft_folder

WRITER = """
import sys
from pathlib import Path
from fdeg_codec.raster.atomic import replacing
with replacing(Path(sys.argv[1]), True) as draft:
    draft.write_text("half")
    print(draft, flush=True)
    sys.stdin.read()
"""


def writer(target: Path) -> subprocess.Popen[str]:
    """A process that has begun to write a file and waits."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(target)], text=True, **pipes)
    assert process.stdout is not None
    assert Path(process.stdout.readline().strip()).read_text() == "half"
    return process


def test_a_killed_process_leaves_what_the_next_one_takes_away(tmp_path: Path) -> None:
    living, dead = writer(tmp_path / "living"), writer(tmp_path / "dead")
    dead.kill()
    dead.wait()
    assert len(list(tmp_path.iterdir())) == 2
    with replacing(tmp_path / "next", False) as draft:
        draft.write_text("whole")
        assert len(list(tmp_path.iterdir())) == 2  # that of the living, and its own
    living.communicate("", timeout=60)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"living": "half", "next": "whole"}


def test_folders_of_other_machines_are_left_alone_for_a_day(tmp_path: Path) -> None:
    young, old = tmp_path / f"{drafts.PREFIX}elsewhere-1", tmp_path / f"{drafts.PREFIX}elsewhere-2"
    young.mkdir()
    old.mkdir()
    os.utime(old, (0, 0))
    (tmp_path / ".fdeg-batch").mkdir()
    with draft_folder(tmp_path):
        assert young.exists()
        assert not old.exists()
    assert {path.name for path in tmp_path.iterdir()} == {young.name, ".fdeg-batch"}


def test_many_at_once_do_not_take_each_other_s(tmp_path: Path) -> None:
    problems: list[BaseException] = []

    def work(name: int) -> None:
        try:
            for k in range(20):
                with replacing(tmp_path / f"{name}-{k}", False) as draft:
                    draft.write_text("x")
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert len(list(tmp_path.iterdir())) == 160


def test_a_folder_is_searched_once_however_many_files_are_written_into_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[Path] = []
    glob = Path.glob
    monkeypatch.setattr(Path, "glob", lambda folder, pattern: searched.append(folder) or glob(folder, pattern))
    for name in "abc":
        with replacing(tmp_path / name, False) as draft:
            draft.write_text(name)
    assert searched == [tmp_path]


def test_where_nothing_can_be_locked_nothing_is_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(drafts.fcntl, "flock", refuse)
    (tmp_path / f"{drafts.OWN}x").mkdir()
    with draft_folder(tmp_path) as folder:
        assert folder.is_dir()
    assert [path.name for path in tmp_path.iterdir()] == [f"{drafts.OWN}x"]
