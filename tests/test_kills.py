"""Killed before any step on the file system, no file looks whole and is not; interrupted, the command ends by itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.raster.rasters import samples, write

TOOL = Path(__file__).parents[1] / "bin" / "kills"


@pytest.mark.slow
@pytest.mark.parametrize("options", [["--steps"], ["--signal", "INT", "--count", "10"], ["--signal", "TERM", "--count", "10"]])
def test_nothing_half_done_is_left(weights: Path, tmp_path: Path, options: list[str]) -> None:
    mask = np.full((130, 200), 255, np.uint8)
    mask[:40] = 0
    write(tmp_path / "in.tif", samples(3, height=130, width=200), mask=mask)
    command = [sys.executable, str(TOOL), str(tmp_path / "in.tif"), "--model", "tiny", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    assert done.stdout.count(" 0 unsound") == 5
