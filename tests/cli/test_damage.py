"""Damaged files: an error or the right picture, never a wrong one."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import rasterio

from fdeg_codec.container.file import Reader
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


def test_salvage_lists_what_is_lost_and_says_so_by_its_exit_code(fdeg: Run, file: Path, right: Samples, encoded: bytes) -> None:
    target = file.with_name("x.tif")
    with file.open("rb") as stream:
        reader = Reader(stream)
    at = reader.overhead + 30
    file.write_bytes(encoded[:at] + bytes(20) + encoded[at + 20 :])
    assert fdeg("decode", file, target).code == 1
    outcome = fdeg("decode", file, target, "--salvage")
    assert (outcome.code, outcome.out) == (3, "")
    assert outcome.err.splitlines() == [
        f"fdeg: {file}: lost: tile 0 (rows 0 to 63, columns 0 to 63), plane 0: its bytes are damaged (checksum)",
        f"fdeg: {file}: beside what is lost, and a little different: tiles 1",
    ]
    assert (pixels(target)[:, :, :64] == 0).all()  # nodata
    outcome = fdeg("decode", file, target, "--salvage", "--overwrite", "--json")
    assert outcome.code == 3
    report = json.loads(outcome.out)
    assert [(loss["tile"], loss["rows"], loss["columns"]) for loss in report["lost"]] == [(0, [0, 64], [0, 64])]
    assert (report["beside"], report["mended"]) == ([1], [])


def test_salvage_of_a_flipped_bit_loses_nothing(fdeg: Run, file: Path, right: Samples, encoded: bytes) -> None:
    damaged = bytearray(encoded)
    damaged[len(encoded) // 2] ^= 4
    file.write_bytes(damaged)
    outcome = fdeg("decode", file, file.with_name("x.tif"), "--salvage")
    assert outcome.code == 0
    assert "a flipped bit was put right" in outcome.err
    np.testing.assert_array_equal(pixels(file.with_name("x.tif")), right)


def test_more_pixels_than_asked_for(fdeg: Run, file: Path) -> None:
    outcome = fdeg("decode", file, file.with_name("x.tif"), "--max-pixels", "7000")
    assert outcome.is_one_line(1, str(file), "120 x 64", "--max-pixels")
    assert fdeg("verify", file, "--max-pixels", "7000").is_one_line(1, str(file), "--max-pixels")
    assert fdeg("decode", file, file.with_name("x.tif"), "--max-pixels", "7680").code == 0
