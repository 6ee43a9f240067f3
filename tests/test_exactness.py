"""What one machine encodes, every machine decodes to the same latents; and what differs is found out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import rasterio

from tests.pictures import landscape

TOOL = Path(__file__).parents[1] / "bin" / "exactness"


@pytest.mark.slow
@pytest.mark.parametrize("bound", [[], ["--max-error", "2"]], ids=["latents", "samples"])
def test_every_variant_decodes_alike_and_noise_is_found_out(weights: Path, tmp_path: Path, bound: list[str]) -> None:
    with rasterio.open(tmp_path / "in.tif", "w", driver="GTiff", count=3, height=320, width=320, dtype="uint8") as target:
        target.write(landscape(320, 320))
    command = [sys.executable, str(TOOL), str(tmp_path / "in.tif"), "--tile", "64", "--model", "tiny", *bound]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(lines) == 24
    for line in lines:
        if "1e-6" in line:
            assert " 0 broken" not in line
            assert "this machine computes differently" in line
        elif "ignored" not in line:
            assert "150 tiles, 0 broken" in line
