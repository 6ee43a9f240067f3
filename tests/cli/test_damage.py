"""Damaged files: an error or the right picture, never a wrong one."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import rasterio

from tests.cli.conftest import Run
from tests.raster.rasters import Samples

FLIPS, CUTS = 200, 50


def pixels(path: Path) -> Samples:
    with rasterio.open(path) as decoded:
        return decoded.read()


@pytest.fixture
def right(fdeg: Run, file: Path) -> Samples:
    target = file.with_name("right.tif")
    assert fdeg("decode", file, target).code == 0
    picture = pixels(target)
    target.unlink()
    return picture


def assert_harmless(fdeg: Run, file: Path, right: Samples) -> bool:
    """True where the damage was found; nothing is left then."""
    target = file.with_name("x.tif")
    outcome = fdeg("decode", file, target)
    if outcome.code == 0:
        np.testing.assert_array_equal(pixels(target), right)
        target.unlink()
    else:
        assert outcome.is_one_line(1, str(file)), outcome
    assert list(file.parent.iterdir()) == [file]
    return outcome.code != 0


def test_single_flipped_bits(fdeg: Run, file: Path, right: Samples, encoded: bytes) -> None:
    random_bits = random.Random(8).sample(range(8 * len(encoded)), FLIPS)
    found = 0
    for bit in random_bits:
        damaged = bytearray(encoded)
        damaged[bit // 8] ^= 1 << bit % 8
        file.write_bytes(damaged)
        found += assert_harmless(fdeg, file, right)
    assert found == FLIPS  # every byte is under a checksum


def test_cut_files(fdeg: Run, file: Path, right: Samples, encoded: bytes) -> None:
    for size in [0, 1, len(encoded) - 1, *random.Random(8).sample(range(len(encoded)), CUTS)]:
        file.write_bytes(encoded[:size])
        assert assert_harmless(fdeg, file, right)
        assert fdeg("info", file).is_one_line(1, str(file))
        assert fdeg("verify", file).is_one_line(1, str(file))


def test_bytes_at_the_end_and_zeros_inside(fdeg: Run, file: Path, right: Samples, encoded: bytes) -> None:
    for data in (encoded + b"\0", bytes(len(encoded)), encoded[:100] + bytes(len(encoded) - 100)):
        file.write_bytes(data)
        assert assert_harmless(fdeg, file, right)


def test_a_transfer_in_text_mode_is_named(fdeg: Run, file: Path, encoded: bytes) -> None:
    file.write_bytes(encoded.replace(b"\r\n", b"\n"))
    assert fdeg("info", file).is_one_line(1, "text mode")
