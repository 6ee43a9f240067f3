"""What is installed is the same bytes whenever, and from whichever checkout, it was built."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

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


def test_the_constraints_name_all_that_is_installed() -> None:
    """Whatever the core asks for, and what that asks for."""
    named = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    left = [Requirement(line) for line in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]]
    found: set[str] = set()
    while left:
        one = left.pop()
        name = one.name.lower().replace("_", "-").replace(".", "-")
        wanted = one.marker is None or one.marker.evaluate({"extra": ""})
        if wanted and name not in found and not name.startswith(("nvidia", "cuda", "triton")):  # of torch for GPUs
            found.add(name)
            left += [Requirement(line) for line in requires(name) or []]
    assert found == named
