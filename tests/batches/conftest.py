"""A folder of small scenes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.raster.rasters import samples, write

NAMES = ("a.tif", "b.TIF", "sub/c.png", "sub/deep/d.tif")


@pytest.fixture
def folder(weights: Path, tmp_path: Path) -> Path:
    """Four scenes, and what is none."""
    source = tmp_path / "in"
    (source / "sub" / "deep").mkdir(parents=True)
    for k, name in enumerate(NAMES):
        write(source / name, samples(3, height=40 + k, width=50), driver="PNG" if name.endswith("png") else "GTiff")
    for path in source.rglob("*.aux.xml"):
        path.unlink()
    (source / "notes.txt").write_text("hello")
    return source


def files(folder: Path) -> dict[str, bytes]:
    """All visible files by name."""
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if not name.startswith(".")}
