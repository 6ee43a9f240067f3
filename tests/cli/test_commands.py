"""What each command does when all is well."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.transform import Affine

import fdeg_codec
from fdeg_codec import __version__
from fdeg_codec.cli.main import COMMANDS
from fdeg_codec.container.sections import Kind, pack_text
from tests.cli.conftest import Run
from tests.conformance.make_golden import Parts
from tests.raster.rasters import samples, write
from tests.raster.test_sink import full_disk

FDEG = [sys.executable, "-c", "from fdeg_codec.cli.main import main; main()"]


def test_encode_and_decode_are_quiet_in_a_pipe(fdeg: Run, raster: Path) -> None:
    file, target = raster.with_name("x.fdg"), raster.with_name("x.png")
    assert fdeg("encode", raster, file, "--model", "tiny") == (0, "", "")
    assert fdeg("decode", file, target) == (0, "", "")
    with rasterio.open(target) as decoded:
        assert decoded.shape == (64, 120)


def test_rasters_by_gdals_names(fdeg: Run, raster: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(raster, "inside.tif")
    monkeypatch.chdir(tmp_path)
    fdeg("encode", raster, "plain.fdg", "--model", "tiny")
    for name in (f"/vsizip/{tmp_path}/a.zip/inside.tif", f"zip://{tmp_path}/a.zip!inside.tif", f"GTIFF_DIR:1:{raster}"):
        assert fdeg("encode", name, "x.fdg", "--model", "tiny", "--overwrite") == (0, "", "")
        assert Path("x.fdg").read_bytes() == Path("plain.fdg").read_bytes()
    assert "inf" in fdeg("compare", f"/vsizip/{tmp_path}/a.zip/inside.tif", raster, "--metrics", "psnr").out
    assert fdeg("encode", "/vsizip/a.zip/none.tif", "y.fdg", "--model", "tiny").is_one_line(1, "/vsizip/a.zip/none.tif")


def test_one_raster_of_several(fdeg: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rasterio.shutil.copy(write(tmp_path / "a.tif", samples(2)), "a.nc", driver="netCDF")
    assert fdeg("encode", "a.nc", "x.fdg", "--model", "tiny").is_one_line(1, "a.nc", "netcdf:a.nc:Band1")
    assert fdeg("encode", "netcdf:a.nc:Band2", "x.fdg", "--model", "tiny", "--max-error", "0") == (0, "", "")
    fdeg("decode", "x.fdg", "x.tif")
    with rasterio.open("x.tif") as found, rasterio.open("a.tif") as wanted:
        np.testing.assert_array_equal(found.read(1), wanted.read(2))


def test_a_window(fdeg: Run, file: Path, tmp_path: Path) -> None:
    fdeg("decode", file, tmp_path / "whole.tif")
    assert fdeg("decode", file, tmp_path / "part.tif", "--window", "50,10,30,20") == (0, "", "")
    with rasterio.open(tmp_path / "whole.tif") as whole, rasterio.open(tmp_path / "part.tif") as part:
        np.testing.assert_array_equal(part.read(), whole.read()[:, 10:30, 50:80])


def test_overwrite(fdeg: Run, raster: Path, file: Path) -> None:
    before = file.read_bytes()
    assert fdeg("encode", raster, file, "--model", "tiny").is_one_line(1, str(file), "--overwrite")
    assert file.read_bytes() == before
    assert fdeg("encode", raster, file, "--model", "tiny", "--overwrite").code == 0
    assert file.read_bytes() != before


def test_the_options_of_encode_reach_the_file(fdeg: Run, raster: Path) -> None:
    file = raster.with_name("x.fdg")
    fdeg("encode", raster, file, "--model", "tiny-none", "--lambda", "300", "--tile", "64", "--precision", "float32")
    table = json.loads(fdeg("info", file, "--json").out)
    assert table["lambda"] == pytest.approx(300, rel=1e-3)
    assert (table["tile"], len(table["tiles"])) == (64, 2)
    names = {row["fingerprint"]: row["name"] for row in json.loads(fdeg("models", "--json").out)}
    assert names[table["model"]] == "tiny-none"


def test_chosen_bands_come_in_their_order_with_what_is_said_of_them(fdeg: Run, tmp_path: Path) -> None:
    def describe(target: Any) -> None:
        target.descriptions, target.scales, target.offsets = ("b", "g", "r", "n"), (1, 2, 3, 4), (5, 6, 7, 8)
        target.update_tags(4, WAVELENGTH="0.86")
        target.colorinterp = [ColorInterp[name] for name in ("blue", "green", "red", "nir")]

    raster = write(tmp_path / "a.tif", samples(4, "int16"), describe)
    assert fdeg("encode", raster, tmp_path / "x.fdg", "--model", "tiny", "--bands", "4,3,2").code == 0
    assert fdeg("decode", tmp_path / "x.fdg", tmp_path / "b.tif").code == 0
    with rasterio.open(raster) as before, rasterio.open(tmp_path / "b.tif") as after:
        assert after.descriptions == ("n", "r", "g")
        assert (after.scales, after.offsets, after.dtypes) == ((4, 3, 2), (8, 7, 6), ("int16",) * 3)
        assert after.tags(1) == before.tags(4)
        assert after.colorinterp == tuple(before.colorinterp[n] for n in (3, 2, 1))
        for n, wanted in enumerate((4, 3, 2), 1):
            assert np.corrcoef(after.read(n).ravel(), before.read(wanted).ravel())[0, 1] > 0.9


def test_json_holds_no_numbers_that_are_none(fdeg: Run, raster: Path, tmp_path: Path) -> None:
    with rasterio.open(raster) as found:
        write(tmp_path / "nan.tif", found.read(), transform=Affine(np.nan, 0, 5, 0, -1, 7))
    assert fdeg("encode", tmp_path / "nan.tif", tmp_path / "nan.fdg", "--model", "tiny").code == 0
    assert json.loads(fdeg("info", tmp_path / "nan.fdg", "--json").out)["transform"][0] is None


def test_json_of_encode(fdeg: Run, raster: Path) -> None:
    outcome = fdeg("encode", raster, raster.with_name("x.fdg"), "--model", "tiny", "--quality", 2, "--json")
    report = json.loads(outcome.out)
    assert outcome.err == ""
    assert report["bytes"] == raster.with_name("x.fdg").stat().st_size
    assert (report["lambda"], report["model"], report["width"], report["height"]) == (256, "tiny", 120, 64)


def test_info_tells_everything(fdeg: Run, file: Path) -> None:
    table = json.loads(fdeg("info", file, "--json").out)
    assert (table["bands"], table["height"], table["width"], table["dtype"]) == (3, 64, 120, "uint8")
    assert (table["crs"], table["nodata"], table["tags"]["tags"][""]["A"]) == ("EPSG:32633", 0, "b")
    sizes = [sum(tile["bytes"]) for tile in table["tiles"]]
    assert sum(sizes) + table["overhead"] == table["bytes"] == file.stat().st_size
    text = fdeg("info", file).out
    assert all(str(table[name]) in text for name in ("model", "crs", "width", "bytes"))
    assert f"{' + '.join(str(n) for n in table['tiles'][1]['bytes'])} bytes" in text


def test_info_lets_no_file_steer_the_terminal(fdeg: Run, file: Path) -> None:
    named = "Rhône \x1b]0;title\x07 \x9b31m \u202e"
    parts = Parts(file.read_bytes())
    parts.sections[Kind.CRS] = pack_text(named)
    file.write_bytes(parts.with_section(Kind.TAGS, pack_text({"tags": {"": {"A": named}}, "bands": []})))
    text = fdeg("info", file).out
    assert all(line.isprintable() for line in text.splitlines())
    assert text.count("\\u009b31m") == 2


def test_info_shows_the_beginning_of_long_texts(fdeg: Run, file: Path) -> None:
    long = pack_text({"tags": {"": {"A": "x" * 4000}}, "bands": []})
    file.write_bytes(Parts(file.read_bytes()).with_section(Kind.TAGS, long))
    assert max(map(len, fdeg("info", file).out.splitlines())) < 600
    assert json.loads(fdeg("info", file, "--json").out)["tags"]["tags"][""]["A"] == "x" * 4000


def test_verify(fdeg: Run, file: Path) -> None:
    outcome = fdeg("verify", file)
    assert outcome.code == 0
    assert "whole" in outcome.out


def test_models_are_listed(fdeg: Run, weights: Path) -> None:
    rows = {row["name"]: row for row in json.loads(fdeg("models", "--json").out)}
    assert rows["tiny"]["bytes"] == (weights / "tiny.safetensors").stat().st_size
    assert all(row["fingerprint"] in fdeg("models").out for row in rows.values())


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)])
def test_every_command_explains_itself(fdeg: Run, command: tuple[str, ...]) -> None:
    for flag in ("--help", "-h"):
        outcome = fdeg(*command, flag)
        assert outcome.code == 0
        assert outcome.err == ""
        assert outcome.out.startswith("Usage: fdeg")


def test_the_version(fdeg: Run) -> None:
    assert __version__ in fdeg("--version").out


@pytest.mark.parametrize("streams", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(weights: Path, raster: Path, tmp_path: Path, streams: str) -> None:
    """No file takes their place, and what should go there is refused."""
    run = partial(subprocess.run, shell=True, capture_output=True, text=True, check=False)
    command = f"{sys.executable} -c 'from fdeg_codec.cli.main import main; main()' encode --model tiny"
    file = run(f"{command} {raster} {tmp_path}/x.fdg {streams}")
    assert (file.returncode, file.stdout, file.stderr) == (0, "", "")
    assert fdeg_codec.open(tmp_path / "x.fdg").verify() > 0
    if "2" not in streams:
        pipe = run(f"{command} - - {streams}", input="")
        assert pipe.returncode == 2
        assert pipe.stderr.startswith("fdeg: - is standard ")


def test_standard_input_and_output(weights: Path, raster: Path, fdeg: Run, tmp_path: Path) -> None:
    """A real pipe of two processes gives the bytes that files give."""
    fdeg("encode", raster, tmp_path / "x.fdg", "--model", "tiny")
    fdeg("decode", tmp_path / "x.fdg", tmp_path / "x.tif")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    encoder = subprocess.Popen([*FDEG, "encode", "-", "-", "--model", "tiny", "--json"], env=os.environ, **pipes)
    file, report = encoder.communicate(raster.read_bytes(), timeout=120)
    assert (encoder.returncode, file) == (0, (tmp_path / "x.fdg").read_bytes())
    assert json.loads(report)["bytes"] == len(file)
    decoder = subprocess.Popen([*FDEG, "decode", "-", "-"], env=os.environ, **pipes)
    assert decoder.communicate(file, timeout=120) == ((tmp_path / "x.tif").read_bytes(), b"")
    assert decoder.returncode == 0


def test_what_standard_output_leaves_out_is_said(weights: Path, fdeg: Run, tmp_path: Path) -> None:
    rare = CRS.from_proj4("+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=39.25 +lon_0=18 +to_meter=0.01745329252")
    source = write(tmp_path / "rare.tif", samples(3), crs=rare, transform=Affine(0.1, 0, 5, 0, -0.1, 50))
    fdeg("encode", source, tmp_path / "x.fdg", "--model", "tiny")
    done = subprocess.run([*FDEG, "decode", str(tmp_path / "x.fdg"), "-"], capture_output=True, timeout=60, check=True)
    assert b"reference system" in done.stderr


def test_standard_output_that_takes_nothing_is_an_error(file: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*FDEG, "info", str(file)], stdout=full, stderr=subprocess.PIPE, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.decode().strip() == "fdeg: [Errno 28] No space left on device"


def test_a_temporary_file_that_cannot_grow_is_called_by_what_it_is_for(file: Path, fdeg: Run) -> None:
    with full_disk(3000):
        outcome = fdeg("decode", file, "-")
    assert outcome.is_one_line(1, tempfile.gettempdir(), "for standard output", "cannot be written"), outcome
    assert "draft" not in outcome.err
