"""What is installed is the same bytes whenever, and from whichever checkout, it was built."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_a_wheel_is_built_twice_alike(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    hashes = set()
    for name, mode in (("a", 0o600), ("b", 0o664)):
        checkout = tmp_path / name
        for part in ("fdeg_codec", "weights"):
            shutil.copytree(
                ROOT / part, checkout / part, ignore=shutil.ignore_patterns("__pycache__"), copy_function=shutil.copy
            )
        for part in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / part, checkout)
        for path in checkout.rglob("*.py"):
            path.chmod(mode)
        subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", "wheel"], cwd=checkout, check=True, capture_output=True
        )
        (wheel,) = (checkout / "dist").glob("*.whl")
        hashes.add(hashlib.sha256(wheel.read_bytes()).hexdigest())
        assert "fdeg_codec/_weights/fdegcnet-lite.safetensors" in zipfile.ZipFile(wheel).namelist()
    assert len(hashes) == 1
