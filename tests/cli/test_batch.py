"""`fdeg batch`, and the script that does without it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import rasterio

from fdeg_codec.container.file import Reader
from tests.batches.conftest import files, folder  # noqa: F401
from tests.cli.conftest import Run

LOOP = Path(__file__).parents[2] / "bin" / "encode-folder"


def test_it_is_quiet_in_a_pipe(fdeg: Run, folder: Path) -> None:  # noqa: F811
    out, back = folder.parent / "out", folder.parent / "back"
    assert fdeg("batch", folder, out, "--model", "tiny", "--quality", 2, "--jobs", 2) == (0, "", "")
    assert fdeg("batch", out, back, "--decode", "--format", "png") == (0, "", "")
    assert sorted(files(back)) == ["a.png", "b.png", "sub/c.png", "sub/deep/d.png"]
    assert json.loads(fdeg("info", out / "a.fdg", "--json").out)["lambda"] == 256


def test_failures_are_a_line_each_and_the_exit_code(fdeg: Run, folder: Path) -> None:  # noqa: F811
    (folder / "bad.tif").write_text("hello")
    outcome = fdeg("batch", folder, folder.parent / "out", "--model", "tiny", "--json", "--report", folder.parent / "r.csv")
    first, last = outcome.err.splitlines()
    assert outcome.code == 1
    assert first.startswith(f"fdeg: {folder / 'bad.tif'}: not a raster")
    assert last == "fdeg: 1 of 5 scenes failed"
    table = json.loads(outcome.out)
    assert (table["made"], table["kept"], table["failed"], len(table["scenes"])) == (4, 0, 1, 5)
    again = fdeg("batch", folder, folder.parent / "out", "--model", "tiny", "--resume", "--shard", "1/1", "--json")
    assert [json.loads(again.out)[name] for name in ("made", "kept", "failed")] == [0, 4, 1]
    assert len((folder.parent / "r.csv").read_text().splitlines()) == 6


def test_a_size_that_no_lambda_uses_up_is_said(fdeg: Run, folder: Path) -> None:  # noqa: F811
    outcome = fdeg("batch", folder, folder.parent / "out", "--model", "tiny", "--size", 100_000)
    assert outcome.code == 0
    assert [line.split(": ")[2] for line in outcome.err.splitlines()] == ["smaller, or better, than asked for"] * 4


@pytest.mark.parametrize(
    "arguments",
    [["--shard", "3/2"], ["--shard", "x"], ["--jobs", "0"], ["--lambda", "1"], ["--decode", "--quality", "3"]]
    + [["--glob", "/x/*"], ["--format", "gif"], ["--jobs", "1", "--scheduler", "x"], ["--window", "0,0,1,1"]],
)
def test_bad_usage(fdeg: Run, folder: Path, arguments: list[str]) -> None:  # noqa: F811
    assert fdeg("batch", folder, folder.parent / "out", *arguments).is_one_line(2)
    assert not (folder.parent / "out").exists()


def test_what_decode_can_a_batch_can(fdeg: Run, folder: Path) -> None:  # noqa: F811
    out, back = folder.parent / "out", folder.parent / "back"
    assert fdeg("batch", folder, out, "--model", "tiny", "--tile", 64).code == 0
    with (out / "a.fdg").open("rb") as stream:
        at = Reader(stream).overhead + 30
    whole = (out / "a.fdg").read_bytes()
    (out / "a.fdg").write_bytes(whole[:at] + bytes(20) + whole[at + 20 :])
    assert fdeg("batch", out, back, "--decode", "--bands", "2", "--preview", "--glob", "b*") == (0, "", "")
    with rasterio.open(back / "b.tif") as decoded:
        assert decoded.count == 1
    outcome = fdeg("batch", out, folder.parent / "left", "--decode", "--salvage", "--json")
    assert (outcome.code, outcome.err) == (3, f"fdeg: {out / 'a.fdg'}: lost: tiles 0\n")
    assert [scene.get("lost") for scene in json.loads(outcome.out)["scenes"]] == [[0], None, None, None]
    outcome = fdeg("batch", out, folder.parent / "none", "--decode", "--max-pixels", 10)
    assert outcome.code == 1
    assert "--max-pixels" in outcome.err


def test_what_is_no_folder(fdeg: Run, raster: Path) -> None:
    assert fdeg("batch", raster, raster.parent / "out").is_one_line(1, str(raster), "no folder")


def test_the_shell_loop(folder: Path, tmp_path: Path) -> None:  # noqa: F811
    """It encodes what it can, says what it could not, and a second run does only what is left."""
    (folder / "a-bad.tif").write_text("hello")
    command = tmp_path / "fdeg"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -c "from fdeg_codec.cli.main import main; main()" "$@"\n')
    command.chmod(0o755)
    words = {"capture_output": True, "text": True, "timeout": 300, "env": os.environ | {"FDEG": str(command)}}
    first = subprocess.run([LOOP, folder, tmp_path / "out", "--model", "tiny"], check=False, **words)
    assert (first.returncode, first.stdout) == (1, "")
    assert first.stderr.startswith(f"fdeg: {folder / 'a-bad.tif'}")
    assert list(files(tmp_path / "out")) == ["a.fdg"]
    (folder / "a-bad.tif").unlink()
    before = (tmp_path / "out" / "a.fdg").stat().st_mtime_ns
    assert subprocess.run([LOOP, folder, tmp_path / "out", "--model", "tiny"], check=False, **words).returncode == 0
    assert (tmp_path / "out" / "a.fdg").stat().st_mtime_ns == before
