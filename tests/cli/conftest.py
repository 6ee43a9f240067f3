"""The command line within this process, and files for it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

import fdeg_codec
from fdeg_codec.cli.main import main
from tests.raster.rasters import samples, write


class Outcome(NamedTuple):
    code: int
    out: str
    err: str

    def is_one_line(self, code: int, *parts: str) -> bool:
        """One line on standard error that names what it is about, nothing else."""
        line = self.err.strip()
        clear = line.startswith("fdeg: ") and "\n" not in line and "Traceback" not in line and all(p in line for p in parts)
        return self.code == code and self.out == "" and clear


Run = Callable[..., Outcome]


@pytest.fixture
def fdeg(weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `fdeg` with arguments."""

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["fdeg", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as leave:
            code = int(leave.code or 0)
        return Outcome(code, *capsys.readouterr())

    return run


@pytest.fixture
def raster(tmp_path: Path) -> Path:
    return write(tmp_path / "in.tif", samples(3, height=64, width=120), crs="EPSG:32633")


@pytest.fixture(scope="session")
def encoded(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An .fdg file of two tiles with a mask and metadata."""
    folder = tmp_path_factory.mktemp("encoded")
    data = samples(3, height=64, width=120)
    data[:, :30, :50] = 0
    write(folder / "in.tif", data, lambda t: t.update_tags(A="b"), crs="EPSG:32633", nodata=0)
    fdeg_codec.encode(folder / "in.tif", folder / "in.fdg", model="tiny", tile=64)
    return (folder / "in.fdg").read_bytes()


@pytest.fixture
def file(encoded: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "file.fdg"
    path.write_bytes(encoded)
    return path
