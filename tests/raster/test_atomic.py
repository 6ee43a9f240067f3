"""Output appears whole or not at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from fdeg_codec.errors import FdegError
from fdeg_codec.raster.atomic import replacing


def test_what_was_written_appears(tmp_path: Path) -> None:
    with replacing(tmp_path / "x", False) as draft:
        draft.write_text("new")
        Path(f"{draft}.aux.xml").write_text("beside")
        draft.with_name("scrap").write_text("scrap")
        assert not (tmp_path / "x").exists()
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"x": "new", "x.aux.xml": "beside"}


@pytest.mark.parametrize("error", [FdegError("it"), KeyboardInterrupt(), OSError(28, "full"), ValueError("bug")])
def test_what_fails_leaves_all_as_it_was(tmp_path: Path, error: BaseException) -> None:
    (tmp_path / "x").write_text("old")
    (tmp_path / "x.aux.xml").write_text("old too")
    expected = FdegError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected), replacing(tmp_path / "x", True) as draft:  # noqa: PT012
        draft.write_text("half")
        raise error
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"x": "old", "x.aux.xml": "old too"}


@pytest.mark.parametrize("comes", [False, True])
def test_what_lay_beside_the_old_one_is_looked_for_in_the_end(tmp_path: Path, comes: bool) -> None:
    (tmp_path / "x").write_text("old")
    if not comes:
        (tmp_path / "x.aux.xml").write_text("old")
    with replacing(tmp_path / "x", True) as draft:
        draft.write_text("new")
        if comes:
            (tmp_path / "x.aux.xml").write_text("old")
        else:
            (tmp_path / "x.aux.xml").unlink()
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"x": "new"}


@pytest.mark.parametrize(
    ("name", "overwrite", "why"),
    [
        ("there", False, "--overwrite"),
        ("none/x", False, "there is no folder"),
        ("there/x", False, "there is no folder"),
        ("folder", True, "is a folder"),
        ("pipe", True, "no regular file"),
        ("link", True, "there is no folder .*nowhere$"),
        ("n" * 300, False, "File name too long"),
    ],
)
def test_targets_that_cannot_be(tmp_path: Path, name: str, overwrite: bool, why: str) -> None:
    (tmp_path / "there").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("nowhere/x")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FdegError, match=why) as caught, replacing(tmp_path / name, overwrite):
        raise AssertionError("not to be reached")
    assert str(tmp_path / name) in str(caught.value)
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize("is_there", [False, True])
def test_what_a_link_names_is_replaced_and_the_link_stays(tmp_path: Path, is_there: bool) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to("disk/x")
    if is_there:
        (tmp_path / "disk" / "x").write_text("old")
    with replacing(tmp_path / "link", is_there) as draft:
        draft.write_text("new")
        assert [path.name for path in tmp_path.glob(".fdeg-*")] == []  # it is written where it will lie
    assert (tmp_path / "link").is_symlink()
    assert {path.name: path.read_text() for path in (tmp_path / "disk").iterdir()} == {"x": "new"}


def test_a_folder_that_takes_no_files_is_an_error_that_names_the_target() -> None:
    with pytest.raises(FdegError, match=r"/proc/x: cannot be written"), replacing(Path("/proc/x"), False):
        raise AssertionError("not to be reached")


def test_long_names(tmp_path: Path) -> None:
    """Also those that leave no room for a sidecar's."""
    for length in (240, 255):
        with replacing(tmp_path / ("n" * length), False) as draft:
            draft.write_text("x")
    with pytest.raises(FdegError, match="File name too long"), replacing(tmp_path / ("n" * 256), False):
        raise AssertionError("not to be reached")
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("fails", ["x.tif", "x.tif.msk"])
def test_what_cannot_be_put_in_place_costs_nothing_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    before = {"x.tif": "old", "x.tif.aux.xml": "of the old"}
    for name, text in before.items():
        (tmp_path / name).write_text(text)
    replace = Path.replace

    def broken(self: Path, target: Path | str) -> Path:
        if self.name.startswith("draft") and Path(target).name == fails:
            raise OSError(5, "Input/output error")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", broken)
    (tmp_path / "new").write_text("new")
    with pytest.raises(FdegError, match="Input/output error"), replacing(tmp_path / "x.tif", True) as draft:
        shutil.copy(tmp_path / "new", draft), shutil.copy(tmp_path / "new", f"{draft}.msk")
    assert (tmp_path / "x.tif").read_text() == "old"
    assert (tmp_path / "x.tif.aux.xml").read_text() == "of the old"
    assert not (tmp_path / "x.tif.msk").exists()


def test_a_folder_in_the_place_of_a_sidecar_is_told_before_anything_is_lost(tmp_path: Path) -> None:
    (tmp_path / "x.tif").write_text("old")
    (tmp_path / "x.tif.ovr").mkdir()
    with pytest.raises(FdegError, match=r"folder called x\.tif\.ovr"), replacing(tmp_path / "x.tif", True) as draft:
        draft.write_text("new")
    assert (tmp_path / "x.tif").read_text() == "old"
