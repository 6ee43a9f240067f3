"""Which scenes a batch is about."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from fdeg_codec.batches.plan import plan
from fdeg_codec.errors import FdegError, UsageError

ENDINGS = (".tif", ".png")


def make(folder: Path, sizes: dict[str, int]) -> Path:
    for name, size in sizes.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(bytes(size))
    return folder


def names(folder: Path, **choices: object) -> list[str]:
    return [str(job.source) for job in plan(folder, ".fdg", ENDINGS, **choices)]


def test_scenes_of_all_subfolders_the_largest_first(tmp_path: Path) -> None:
    make(tmp_path, {"b.tif": 5, "a.tif": 5, "x/c.PNG": 9, "x/y/d.tif": 1, "e.txt": 99})
    assert names(tmp_path) == ["x/c.PNG", "a.tif", "b.tif", "x/y/d.tif"]
    assert [str(job.target) for job in plan(tmp_path, ".fdg", ENDINGS)] == ["x/c.fdg", "a.fdg", "b.fdg", "x/y/d.fdg"]


def test_hidden_files_and_folders_are_left_alone(tmp_path: Path) -> None:
    make(tmp_path, {"a.tif": 1, ".b.tif": 1, ".fdeg-xyz/c.tif": 1, "x/.hidden/d.tif": 1})
    assert names(tmp_path) == ["a.tif"]
    assert names(tmp_path, glob="**/*.tif") == ["a.tif"]


def test_a_glob_chooses_instead_of_endings(tmp_path: Path) -> None:
    make(tmp_path, {"a_B4.img": 1, "a_B5.img": 1, "x/b_B4.img": 1, "c.tif": 1})
    assert names(tmp_path, glob="**/*_B4.*") == ["a_B4.img", "x/b_B4.img"]
    assert names(tmp_path, glob="*_B4.*") == ["a_B4.img"]


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 20])
def test_shards_share_all_scenes_whatever_comes_meanwhile(tmp_path: Path, parts: int) -> None:
    """The jobs of an array begin at different times, and larger scenes come before all others."""
    scenes = [f"{k}.tif" for k in range(60)]
    make(tmp_path, dict.fromkeys(scenes, 1))
    shards = []
    for part in range(1, parts + 1):
        shards += names(tmp_path, shard=(part, parts))
        make(tmp_path, {f"new-{part}.tif": 100 + part})
    assert sorted(name for name in shards if "new" not in name) == sorted(scenes)
    assert len(names(tmp_path, shard=(1, parts))) < 61 / parts + 20


def test_linked_folders_are_looked_into_once(tmp_path: Path) -> None:
    make(tmp_path / "in", {"x/b.tif": 1})
    make(tmp_path, {"elsewhere/a.tif": 1})
    (tmp_path / "in" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "a-second-name").symlink_to(tmp_path / "in" / "x")
    (tmp_path / "in" / "x" / "round").symlink_to(tmp_path / "in")
    assert names(tmp_path / "in") == ["linked/a.tif", "x/b.tif"]


def test_a_link_that_leads_nowhere_is_a_scene(tmp_path: Path) -> None:
    make(tmp_path, {"a.tif": 1})
    (tmp_path / "b.tif").symlink_to(tmp_path / "gone")
    (tmp_path / "c.tif").symlink_to(tmp_path / "c.tif")
    (tmp_path / "d").symlink_to(tmp_path / "gone")
    assert names(tmp_path) == names(tmp_path, glob="*.tif") == ["a.tif", "b.tif", "c.tif"]


def test_a_folder_that_cannot_be_looked_into_is_a_scene_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, {"a.tif": 1, "closed/b.tif": 1})
    listed = os.scandir

    def refuse(path: Any) -> Any:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", refuse)
    jobs = plan(tmp_path, ".fdg", ENDINGS)
    assert {str(job.source): "Permission denied" in job.problem for job in jobs} == {"a.tif": False, "closed": True}


def test_scenes_that_would_become_the_same_are_refused_and_named(tmp_path: Path) -> None:
    make(tmp_path, {"x/a.tif": 1, "x/a.png": 1, "a.tif": 1})
    problems = {str(job.source): job.problem for job in plan(tmp_path, ".fdg", ENDINGS)}
    assert problems["a.tif"] == ""
    assert "x/a.tif" in problems["x/a.png"]
    assert "x/a.png" in problems["x/a.tif"]
    assert "--glob" in problems["x/a.tif"]


def test_nothing_to_do_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FdegError, match=r"none: is no folder"):
        plan(tmp_path / "none", ".fdg", ENDINGS)
    with pytest.raises(FdegError, match=r"holds nothing like \*\.tif, \*\.png"):
        plan(tmp_path, ".fdg", ENDINGS)
    with pytest.raises(FdegError, match=r"nothing like \*\.xyz"):
        plan(tmp_path, ".fdg", ENDINGS, glob="*.xyz")


@pytest.mark.parametrize("choice", [{"shard": (0, 2)}, {"shard": (3, 2)}, {"glob": "/absolute/*"}, {"glob": ""}])
def test_impossible_choices(tmp_path: Path, choice: dict[str, object]) -> None:
    make(tmp_path, {"a.tif": 1})
    with pytest.raises(UsageError):
        plan(tmp_path, ".fdg", ENDINGS, **choice)
