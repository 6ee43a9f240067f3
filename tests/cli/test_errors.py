"""What can go wrong: one line each, the right exit code, no traceback, nothing left behind."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import fdeg_codec
from fdeg_codec.codec.engine import engine_of
from fdeg_codec.container.file import Writer
from fdeg_codec.errors import FdegError
from fdeg_codec.raster import metadata
from fdeg_codec.raster.sink import Sink
from fdeg_codec.raster.source import Source
from fdeg_codec.weights import SEARCH_VARIABLE
from tests.cli.conftest import Run
from tests.raster.rasters import samples, write
from tests.raster.test_sink import full_disk


@pytest.mark.parametrize(
    "arguments",
    [
        ["--quality", "0"],
        ["--quality", "7"],
        ["--quality", "x"],
        ["--lambda", "100"],
        ["--lambda", "5000"],
        ["--lambda", "nan"],
        ["--lambda", "256", "--quality", "2"],
        ["--tile", "0"],
        ["--tile", "100"],
        ["--tile", "1000000"],
        ["--bands", "1,x"],
        ["--bands", "99"],
        ["--bands", "1,1"],
        ["--device", "tpu"],
        ["--precision", "float16"],
        ["--nonsense"],
        ["one too many"],
    ],
)
def test_bad_usage_of_encode(fdeg: Run, raster: Path, arguments: list[str]) -> None:
    target = raster.with_name("x.fdg")
    assert fdeg("encode", raster, target, "--model", "tiny", *arguments).is_one_line(2)
    assert not target.exists()


def test_a_reference_system_that_is_not_known_here(fdeg: Run, raster: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, target = raster.with_name("x.fdg"), raster.with_name("x.tif")
    with monkeypatch.context() as patch:
        patch.setattr(metadata, "crs_text", lambda _: "EPSG:999999")
        fdeg_codec.encode(raster, file, model="tiny")
    assert fdeg("decode", file, target).is_one_line(1, f"{file}: its reference system, EPSG:999999, is not in PROJ's database")
    assert not target.exists()
    assert fdeg("verify", file).code == 0
    assert json.loads(fdeg("info", file, "--json").out)["crs"] == "EPSG:999999"
    with fdeg_codec.open(file) as scene:
        assert scene.read().shape == (3, 64, 120)
        with pytest.raises(FdegError, match="EPSG:999999"):
            _ = scene.crs


def test_without_projs_database_pixels_can_be_read(weights: Path, raster: Path) -> None:
    file, empty = raster.with_name("x.fdg"), raster.with_name("empty")
    fdeg_codec.encode(raster, file, model="tiny")
    empty.mkdir()
    main = f"from fdeg_codec.cli.main import main; import fdeg_codec; fdeg_codec.open({str(file)!r}).read(); main()"
    words = [sys.executable, "-c", main, "decode", str(file), str(raster.with_name("x.tif"))]
    done = subprocess.run(words, env=os.environ | {"PROJ_DATA": str(empty)}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"fdeg: {file}: its reference system, EPSG:32633, is not in PROJ's database here")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [["info"], ["decode", "--salvage"], ["decode"]])
def test_a_pipe_with_a_name(fdeg: Run, file: Path, command: list[str]) -> None:
    os.mkfifo(pipe := file.with_name("pipe.fdg"))
    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(_feed, pipe, file.read_bytes())
        target = [file.with_name("x.tif")] * (command[0] == "decode")
        assert fdeg(*command, pipe, *target).is_one_line(1, f"{pipe}: a pipe, in which nothing can be looked up (- is standard")
        written.result()


def _feed(pipe: Path, data: bytes) -> None:
    with suppress(BrokenPipeError):
        pipe.write_bytes(data)


@pytest.mark.parametrize("arguments", [["encode", "", "x.fdg"], ["encode", "in.tif", ""], ["info", ""], ["batch", "", "x"]])
def test_an_empty_argument_is_a_slip_of_a_script(fdeg: Run, arguments: list[str]) -> None:
    assert fdeg(*arguments).is_one_line(2, "empty")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["x.tif", "--window", "1,2,3"], "4 whole numbers"),
        (["x.tif", "--window", "a,b,c,d"], "4 whole numbers"),
        (["x.tif", "--window", "0,0,121,64"], "window 0,0,121,64 (column, row, width, height) leaves the picture of 120 x 64"),
        (["x.tif", "--window=-1,0,5,5"], "120 x 64"),
        (["x.bmp"], ".png"),
        (["x"], ".png"),
        (["x.fdg"], ".png"),
    ],
)
def test_bad_usage_of_decode(fdeg: Run, file: Path, arguments: list[str], part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    assert fdeg("decode", file, *arguments).is_one_line(2, part)
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("arguments", [["nope"], ["encode"], ["encode", "a"], ["decode"], ["info"], ["verify", "--x"], ["--x"]])
def test_bad_usage_of_anything(fdeg: Run, arguments: list[str]) -> None:
    assert fdeg(*arguments).is_one_line(2)


def test_no_command_at_all_shows_the_commands(fdeg: Run) -> None:
    outcome = fdeg()
    assert (outcome.code, outcome.out) == (2, "")
    assert "encode" in outcome.err


def make_bad_rasters(folder: Path) -> dict[str, str]:
    """Names of rasters that cannot be encoded, and what must be said of each."""
    (folder / "text.tif").write_text("hello")
    (folder / "empty.tif").touch()
    (folder / "folder.tif").mkdir()
    write(folder / "float.tif", np.zeros((1, 8, 8)))
    write(folder / "complex.tif", np.zeros((1, 8, 8), np.complex64))
    write(folder / "palette.tif", samples(1), lambda t: t.write_colormap(1, {0: (1, 2, 3, 255)}))
    whole = write(folder / "cut.tif", samples(3)).read_bytes()
    (folder / "cut.tif").write_bytes(whole[: len(whole) // 2])
    return {
        "missing.tif": "no such file",
        "text.tif": "not a raster",
        "empty.tif": "not a raster",
        "folder.tif": "not a raster",
        "float.tif": "float64",
        "complex.tif": "complex64",
        "palette.tif": "colour table",
        "cut.tif": "damaged",
    }


def test_bad_rasters(fdeg: Run, tmp_path: Path) -> None:
    bad = make_bad_rasters(tmp_path)
    before = set(tmp_path.iterdir())
    for name, why in bad.items():
        outcome = fdeg("encode", tmp_path / name, tmp_path / "x.fdg", "--model", "tiny")
        assert outcome.is_one_line(1, str(tmp_path / name), why), outcome
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize("command", ["decode", "info", "verify"])
@pytest.mark.parametrize("name", ["missing.fdg", ".", "in.tif"])
def test_bad_files(fdeg: Run, raster: Path, command: str, name: str) -> None:
    target = [raster.with_name("x.tif")] if command == "decode" else []
    outcome = fdeg(command, raster.with_name(name) if name != "." else raster.parent, *target)
    assert outcome.is_one_line(1, str(raster.parent)), outcome
    assert list(raster.parent.iterdir()) == [raster]


def test_bad_targets(fdeg: Run, raster: Path, file: Path) -> None:
    before = set(raster.parent.iterdir())
    for place, ending in [(raster.parent / "none", ""), (raster, ""), (Path("/proc"), "")]:
        target = place / f"x{ending}"
        assert fdeg("encode", raster, target, "--model", "tiny").is_one_line(1, str(target))
        assert fdeg("decode", file, f"{target}.tif").is_one_line(1, f"{target}.tif")
        assert fdeg("decode", file, f"{target}.png").is_one_line(1, f"{target}.png")
    assert fdeg("decode", file, raster).is_one_line(1, str(raster), "--overwrite")
    assert fdeg("encode", raster, raster.parent, "--overwrite", "--model", "tiny").is_one_line(1, str(raster.parent))
    assert fdeg("encode", raster, raster.with_name("n" * 300), "--model", "tiny").is_one_line(1, "too long")
    assert set(raster.parent.iterdir()) == before


def test_what_is_seen_at_a_glance_is_said_before_all_samples_are_looked_at(
    fdeg: Run, raster: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(_: Source) -> None:
        raise AssertionError("not to be reached")

    monkeypatch.setattr(Source, "_survey", look)
    there = raster.with_name("there.fdg")
    there.touch()
    assert fdeg("encode", raster, there, "--model", "tiny").is_one_line(1, str(there), "--overwrite")
    assert fdeg("encode", raster, raster.parent / "none" / "x", "--model", "tiny").is_one_line(1, "there is no folder")
    assert fdeg("encode", raster, raster.with_name("x"), "--model", "nonesuch").is_one_line(1, "nonesuch")


def test_a_source_that_cannot_be_looked_for_is_not_the_target_s_fault(fdeg: Run, raster: Path) -> None:
    name = raster.with_name("n" * 300)
    assert fdeg("encode", name, raster.with_name("x"), "--model", "tiny").is_one_line(1, f"{name}: cannot be read")


@pytest.mark.parametrize("bytes_left", [0, 100])
def test_a_full_disk(fdeg: Run, raster: Path, file: Path, bytes_left: int) -> None:
    before = set(raster.parent.iterdir())
    for arguments in (
        ["encode", raster, raster.with_name("x"), "--model", "tiny"],
        ["decode", file, raster.with_name("x.tif")],
    ):
        with full_disk(bytes_left):
            outcome = fdeg(*arguments)
        assert outcome.is_one_line(1, str(arguments[2]), "cannot be written"), outcome
    assert set(raster.parent.iterdir()) == before


def test_a_disk_that_is_really_full(fdeg: Run, raster: Path, file: Path, small_disk: Path) -> None:
    fill(small_disk)
    for command, source, name in (("encode", raster, "x.fdg"), ("decode", file, "x.tif"), ("decode", file, "x.png")):
        options = ["--model", "tiny"] if command == "encode" else []
        outcome = fdeg(command, source, small_disk / name, *options)
        assert outcome.is_one_line(1, str(small_disk / name), "No space left on device"), outcome
    assert [path.name for path in small_disk.iterdir()] == ["filler"]


def test_a_batch_onto_a_full_disk_goes_on_when_there_is_room(fdeg: Run, raster: Path, small_disk: Path) -> None:
    scenes, out = raster.parent / "scenes", small_disk / "out"
    scenes.mkdir()
    for name in "ab":
        shutil.copy(raster, scenes / f"{name}.tif")
    out.mkdir()
    fill(small_disk)
    batch = ["batch", scenes, out, "--model", "tiny", "--tile", 64, "--jobs", 1]
    outcome = fdeg(*batch)
    assert outcome.code == 1
    assert all(line.startswith("fdeg: ") for line in outcome.err.splitlines())
    assert "No space left on device" in outcome.err
    assert list(out.rglob("*.fdg")) == []
    (small_disk / "filler").unlink()
    assert fdeg(*batch, "--resume").code == 0
    assert fdeg("encode", raster, raster.with_name("x.fdg"), "--model", "tiny", "--tile", 64).code == 0
    assert {path.read_bytes() for path in out.rglob("*.fdg")} == {raster.with_name("x.fdg").read_bytes()}


def fill(folder: Path) -> None:
    """Take all room that there is."""
    with suppress(OSError), (folder / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))


@pytest.mark.parametrize(("command", "owner", "method"), [("encode", Writer, "add"), ("decode", Sink, "write")])
def test_an_interrupt_leaves_nothing(
    fdeg: Run, raster: Path, file: Path, monkeypatch: pytest.MonkeyPatch, command: str, owner: type, method: str
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(owner, method, interrupt)
    before = set(raster.parent.iterdir())
    source, name, options = (raster, "x.fdg", ["--model", "tiny"]) if command == "encode" else (file, "x.tif", [])
    assert fdeg(command, source, raster.with_name(name), *options).is_one_line(130, "interrupted")
    assert set(raster.parent.iterdir()) == before


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_too_little_memory(fdeg: Run, raster: Path, file: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(Writer, "add", fail)
    assert fdeg("encode", raster, raster.with_name("x"), "--model", "tiny").is_one_line(1, "not enough memory", "--tile")
    monkeypatch.setattr(Sink, "write", fail)
    assert fdeg("decode", file, raster.with_name("x.tif")).is_one_line(1, "not enough memory", "OMP_NUM_THREADS=1", "to encode")


class TestWeights:
    """Models that are missing, altered or others."""

    @pytest.fixture(autouse=True)
    def own(self, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        """A copy of `tiny` alone, searched for before any other; engines of earlier tests are forgotten."""
        folder = tmp_path / "own"
        folder.mkdir()
        for ending in ("json", "safetensors"):
            shutil.copy(weights / f"tiny.{ending}", folder)
        monkeypatch.setenv(SEARCH_VARIABLE, str(folder))
        engine_of.cache_clear()
        yield folder
        engine_of.cache_clear()

    def both(self, fdeg: Run, raster: Path, file: Path, *parts: str) -> None:
        """Neither command works, and both say so."""
        before = set(raster.parent.iterdir())
        encode = fdeg("encode", raster, raster.with_name("x.fdg"), "--model", "tiny")
        decode = fdeg("decode", file, raster.with_name("x.tif"))
        verify = fdeg("verify", file)
        assert all(outcome.is_one_line(1, *parts) for outcome in (encode, decode, verify)), (encode, decode, verify)
        assert fdeg("info", file).code == 0
        assert set(raster.parent.iterdir()) == before

    def test_missing(self, fdeg: Run, raster: Path, file: Path, own: Path) -> None:
        (own / "tiny.safetensors").unlink()
        self.both(fdeg, raster, file, "tiny.safetensors", "missing")
        assert "missing" in fdeg("models").out

    def test_altered_by_a_bit(self, fdeg: Run, raster: Path, file: Path, own: Path) -> None:
        data = bytearray((own / "tiny.safetensors").read_bytes())
        for at in (9, len(data) // 2, len(data) - 1):
            data[at] ^= 1
            (own / "tiny.safetensors").write_bytes(data)
            self.both(fdeg, raster, file, "tiny.safetensors", "SHA-256")
            data[at] ^= 1

    @pytest.mark.parametrize("fields", [None, {"clip_output": True}])
    def test_of_another_kind(self, fdeg: Run, raster: Path, file: Path, own: Path, fields: dict[str, bool] | None) -> None:
        """Without an architecture, and with one that says more than is known: decoding would give other pixels."""
        path, manifest = own / "tiny.safetensors", json.loads((own / "tiny.json").read_text())
        with safe_open(path, "pt") as weights:
            architecture = json.loads(weights.metadata()["architecture"])
        metadata = None if fields is None else {"architecture": json.dumps(architecture | fields)}
        save_file(load_file(path), path, metadata)
        manifest["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
        (own / "tiny.json").write_text(json.dumps(manifest))
        outcome = fdeg("encode", raster, raster.with_name("x.fdg"), "--model", "tiny")
        assert outcome.is_one_line(1, "tiny.safetensors", "do not fit"), outcome

    @pytest.mark.parametrize(
        "text", ["", "{", "[]", "3", "{}", '{"name": "tiny"}', '{"name": "tiny", "sha256": "xyz"}', "\xff"]
    )
    def test_a_broken_manifest(self, fdeg: Run, raster: Path, file: Path, own: Path, text: str) -> None:
        (own / "tiny.json").write_bytes(text.encode("latin-1"))
        self.both(fdeg, raster, file, "tiny.json")
        assert fdeg("models").is_one_line(1, "tiny.json")

    def test_what_is_no_manifest_and_has_no_weights_is_somebody_elses(self, fdeg: Run, raster: Path, own: Path) -> None:
        for k, text in enumerate(("{", "[1]", '{"name": "other"}')):
            (own / f"a{k}.json").write_text(text)
        assert fdeg("models").code == 0
        assert fdeg("encode", raster, raster.with_name("x.fdg"), "--model", "tiny").code == 0

    def test_a_hash_that_is_not_the_weights(self, fdeg: Run, raster: Path, own: Path) -> None:
        manifest = json.loads((own / "tiny.json").read_text())
        (own / "tiny.json").write_text(json.dumps(manifest | {"sha256": "0" * 64}))
        assert fdeg("encode", raster, raster.with_name("x.fdg"), "--model", "tiny").is_one_line(1, "SHA-256")

    def test_a_file_made_with_other_weights(self, fdeg: Run, raster: Path, file: Path, own: Path) -> None:
        fingerprint = json.loads((own / "tiny.json").read_text())["sha256"][:16]
        for path in list(own.iterdir()):
            path.unlink()
        for outcome in (fdeg("decode", file, raster.with_name("x.tif")), fdeg("verify", file)):
            assert outcome.is_one_line(1, str(file), fingerprint, "not installed")
        assert fdeg("info", file).code == 0

    def test_an_unknown_model(self, fdeg: Run, raster: Path) -> None:
        outcome = fdeg("encode", raster, raster.with_name("x.fdg"), "--model", "nonesuch")
        assert outcome.is_one_line(1, "nonesuch", "tiny")


def test_a_raster_is_not_replaced_by_its_own_file(fdeg: Run, raster: Path) -> None:
    before = raster.read_bytes()
    assert fdeg("encode", raster, raster, "--model", "tiny", "--overwrite").is_one_line(2, str(raster))
    assert raster.read_bytes() == before


def test_a_file_is_not_replaced_by_its_own_pixels(fdeg: Run, file: Path) -> None:
    raster = file.rename(file.with_name("x.tif"))
    before = raster.read_bytes()
    (link := raster.with_name("link.tif")).symlink_to(raster)
    for target in (raster, link):
        assert fdeg("decode", raster, target, "--overwrite").is_one_line(2, str(target), "itself")
    assert raster.read_bytes() == before


def test_metadata_that_rasterio_cannot_read(fdeg: Run, raster: Path, tmp_path: Path) -> None:
    with rasterio.open(raster) as found:
        rasterio.shutil.copy(found, tmp_path / "x.vrt", driver="VRT")
    text = (tmp_path / "x.vrt").read_text()
    rpc = '<Metadata domain="RPC"><MDI key="LINE_OFF">1</MDI><MDI key="SAMP_OFF">1</MDI></Metadata>'
    (tmp_path / "x.vrt").write_text(text.replace("<VRTRasterBand", rpc + "<VRTRasterBand", 1))
    assert fdeg("encode", tmp_path / "x.vrt", tmp_path / "x.fdg", "--model", "tiny").is_one_line(1, "x.vrt", "metadata")


def test_decode_only_words_of_a_batch(fdeg: Run, raster: Path, tmp_path: Path) -> None:
    for words in (["--scale", "8"], ["--format", "png"], ["--salvage"]):
        assert fdeg("batch", raster.parent, tmp_path / "out", *words).is_one_line(2, f"{words[0]} goes with --decode only")
