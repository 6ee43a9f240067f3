"""What a training leaves behind: a model that encodes, what its files gave, and a plot."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from click.testing import CliRunner
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

import fdeg_codec
from fdeg_codec import weights
from fdeg_codec.cli.main import fdeg
from fdeg_codec.errors import FdegError, UsageError
from fdeg_codec.training.config import CONFIGS, find_config
from fdeg_codec.training.data import load_folder
from fdeg_codec.training.loop import LOG, Trainer, rows_of
from fdeg_codec.training.validation import table
from tests.pictures import landscape
from tests.raster.rasters import samples, write

CONFIG = """
name = "small"
steps = 4
lambdas = [512, 1024]
learning_rate = 1e-4

[[stages]]
until = 1.0
crop = 64
batch = 1

[architecture]
widths = [8, 8, 16]
latent = 16
hyper = 8
fusion = 24
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures, a configuration and, in out/, what training with them left."""
    folder = tmp_path_factory.mktemp("training")
    (folder / "pictures").mkdir()
    for seed in range(2):
        Image.fromarray(landscape(128, 128, seed=seed).transpose(1, 2, 0)).save(folder / "pictures" / f"{seed}.png")
    (folder / "small.toml").write_text(CONFIG)
    train(folder, folder / "out")
    return folder


def train(folder: Path, out: Path, *more: object) -> None:
    pictures = folder / "pictures"
    command("train", "--config", folder / "small.toml", "--out", out, "--train", pictures, "--val", pictures, *more)


def command(*words: object) -> None:
    assert CliRunner().invoke(fdeg, [*map(str, words)], catch_exceptions=False).exit_code == 0


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_is_validated_is_what_was_exported(run: Path, tmp_path: Path) -> None:
    manifest = json.loads((run / "out" / "small.json").read_text())
    rows = {row["lambda"]: row for row in manifest["validation"]}
    assert rows.keys() == {512.0, 1024.0}
    rates, qualities = [], []
    with weights.also_in(run / "out"):
        for path in sorted((run / "pictures").iterdir()):
            rates.append(fdeg_codec.encode(path, tmp_path / f"{path.stem}.fdg", model="small", lambda_=512).bpp)
            with fdeg_codec.open(tmp_path / f"{path.stem}.fdg") as scene:
                qualities.append(peak_signal_noise_ratio(np.asarray(Image.open(path)), scene.read().transpose(1, 2, 0)))
    assert rows[512.0]["bpp"] == pytest.approx(np.mean(rates), abs=1e-3)
    assert rows[512.0]["psnr"] == pytest.approx(np.mean(qualities), abs=1e-3)


def test_validation_takes_rasters_of_all_types(run: Path, tmp_path: Path) -> None:
    hills = samples(2, "float32", 64, 64)
    hills[:, :9] = np.nan
    write(tmp_path / "a.tif", samples(4, "uint16", 64, 64), photometric="minisblack")
    write(tmp_path / "b.tif", hills, nodata=np.nan)
    rows = {row["lambda"]: row for row in table(run / "out", "small", tmp_path)}
    qualities = []
    with weights.also_in(run / "out"):
        for path, kept in ((tmp_path / "a.tif", np.s_[:]), (tmp_path / "b.tif", np.s_[:, 9:])):
            fdeg_codec.encode(path, tmp_path / "x.fdg", model="small", lambda_=512, overwrite=True)
            with rasterio.open(path) as before, fdeg_codec.open(tmp_path / "x.fdg") as after:
                a, b = before.read()[kept], after.read()[kept]
            qualities.append(peak_signal_noise_ratio(a, b, data_range=np.ptp(a)))
    assert rows[512.0]["psnr"] == pytest.approx(np.mean(qualities), abs=1e-3)


def test_what_cannot_be_validated_is_refused_before_training(run: Path, tmp_path: Path) -> None:
    write(tmp_path / "a.tif", samples(1, "float32").astype(np.float64))
    words = ("--train", run / "pictures", "--val", tmp_path)
    with pytest.raises(FdegError, match=r"a\.tif: samples are float64"):
        command("train", "--config", run / "small.toml", "--out", tmp_path / "out", *words)
    assert not (tmp_path / "out").exists()


def test_training_replaces_a_training_only_if_told_to(run: Path, tmp_path: Path) -> None:
    out = shutil.copytree(run / "out", tmp_path / "out")
    before = contents(out)
    for name, words in (
        ("checkpoint.pt", "--resume goes on"),
        ("log.jsonl", "--overwrite begins anew"),
        ("small.json", "--ov"),
    ):
        with pytest.raises(FdegError, match=rf"{name}: exists already \(.*{words}"):
            train(run, out)
        assert contents(out) == before
        del before[name]
        (out / name).unlink()
    shutil.copytree(run / "out", out, dirs_exist_ok=True)
    before = contents(out)
    (tmp_path / "empty").mkdir()
    for words in (("--resume", "--overwrite"), ("--resume", "--pretrain", str(out / "small.safetensors"))):
        with pytest.raises(UsageError, match=f"--resume and {words[1]} exclude each other"):
            train(run, out, *words)
    for word in ("--resume", "--overwrite"):
        with pytest.raises(FdegError, match="empty: holds no pictures"):
            train(run, out, word, "--train", tmp_path / "empty")
        assert contents(out) == before


def test_a_file_in_place_of_the_folder_is_named(run: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"")
    with pytest.raises(FdegError, match=r"out: no folder can be made there \(File exists\)"):
        train(run, tmp_path / "out")


def test_a_log_that_was_cut_off_stops_no_training(run: Path, tmp_path: Path) -> None:
    trainer = Trainer(
        find_config(str(run / "small.toml")), load_folder(run / "pictures"), tmp_path / "out", torch.device("cpu")
    )
    trainer.save()
    (tmp_path / "out" / LOG).write_bytes(b'{"step": 0, "loss": 1}\n[]\n{"a": 1}\n{"step": "\xff"}\n{"step": 0, "lo')
    trainer.resume()
    assert rows_of(tmp_path / "out" / LOG) == [{"step": 0, "loss": 1}]


def test_the_pictures_of_a_run_do_not_train_it(run: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    for name in ("a.png", "out/log.png", ".hidden.png"):
        shutil.copy(run / "pictures" / "0.png", tmp_path / name)
    assert len(load_folder(tmp_path, tmp_path / "out")) == 1
    assert len(load_folder(tmp_path)) == 2


def test_a_training_that_begins_begins_its_log(run: Path, tmp_path: Path) -> None:
    pictures, config = load_folder(run / "pictures"), find_config(str(run / "small.toml"))
    out = shutil.copytree(run / "out", tmp_path / "out")
    for resume, steps in ((True, [4, 4]), (False, [0])):
        trainer = Trainer(config, pictures, out, torch.device("cpu"))
        if resume:
            trainer.resume()
        trainer.run(pictures[:1], max_minutes=0)
        assert [json.loads(line)["step"] for line in (out / "log.jsonl").read_text().splitlines()] == steps
        assert torch.load(out / "checkpoint.pt", weights_only=True)["step"] == steps[-1]


def test_export_replaces_a_model_only_if_told_to(run: Path, tmp_path: Path) -> None:
    words = ("export", run / "out", "small", "--config", run / "small.toml", "--weights", tmp_path)
    command(*words)
    before = contents(tmp_path)
    for there, gone in (("small.json", "small.safetensors"), ("small.safetensors", "small.json")):
        (tmp_path / gone).unlink()
        with pytest.raises(FdegError, match=rf"{there}: exists already \(--overwrite replaces it"):
            command(*words)
        assert contents(tmp_path) == {there: before[there]}
        (tmp_path / gone).write_bytes(before[gone])
    (tmp_path / "small.safetensors").write_bytes(b"other")
    command(*words, "--overwrite")
    assert contents(tmp_path) == before


def test_a_checkpoint_that_does_not_fit_or_is_damaged_is_named(run: Path, tmp_path: Path) -> None:
    out = shutil.copytree(run / "out", tmp_path / "out")
    (tmp_path / "wide.toml").write_text(CONFIG.replace("latent = 16", "latent = 24").replace("small", "wide"))
    pictures = run / "pictures"
    again = ("train", "--resume", "--out", out, "--train", pictures, "--val", pictures, "--config")
    exporting = ("export", out, "x", "--weights", tmp_path, "--config")
    for words in (again, exporting):
        with pytest.raises(FdegError, match=r"checkpoint\.pt: not of the network of --config wide; name the one"):
            command(*words, tmp_path / "wide.toml")
    for before, after in (
        ("fusion = 24", 'fusion = 24\ncontext = "serial"'),
        ("[512, 1024]", "[1024, 1024]"),
    ):  # with tensors alike
        (tmp_path / "wide.toml").write_text(CONFIG.replace(before, after).replace("small", "wide"))
        for words in (again, exporting):
            with pytest.raises(FdegError, match=r"checkpoint\.pt: not of the network of --config wide; name the one"):
                command(*words, tmp_path / "wide.toml")
    whole = (out / "checkpoint.pt").read_bytes()
    state = torch.load(out / "checkpoint.pt", weights_only=True)
    for wrong in ([1], state | {"step": "x"}, state | {"average": None}, state | {"seconds": None}):
        torch.save(wrong, out / "checkpoint.pt")
        for words in (again, exporting):
            with pytest.raises(FdegError, match=r"checkpoint\.pt: not of the network"):
                command(*words, run / "small.toml")
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for data in (whole[: len(whole) // 2], bytes(flipped), b"no checkpoint", b""):
        (out / "checkpoint.pt").write_bytes(data)
        for words in (again, exporting):
            with pytest.raises(FdegError, match=r"checkpoint\.pt: cannot be read as a checkpoint"):
                command(*words, run / "small.toml")
    (out / "checkpoint.pt").unlink()
    for words in (again, exporting):
        with pytest.raises(FdegError, match=r"checkpoint\.pt: no such checkpoint"):
            command(*words, run / "small.toml")


def test_a_full_disk_leaves_the_checkpoint_before(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = shutil.copytree(run / "out", tmp_path / "out")
    trainer = Trainer(find_config(str(run / "small.toml")), load_folder(run / "pictures"), out, torch.device("cpu"))
    before = contents(out)

    def full(_: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(FdegError, match=r"checkpoint\.pt: cannot be written; its disk may be full"):
        trainer.save()
    assert contents(out) == before


def test_a_training_without_a_checkpoint_is_begun_anew(run: Path, tmp_path: Path) -> None:
    (tmp_path / LOG).touch()
    with pytest.raises(FdegError, match=r"log\.jsonl: exists already \(--overwrite begins anew"):
        train(run, tmp_path)
    with pytest.raises(FdegError, match=r"checkpoint\.pt: no such checkpoint"):
        train(run, tmp_path, "--resume", "--train", tmp_path / "nothing")


@pytest.mark.parametrize("minutes", ["-3", "nan"])
def test_minutes_that_are_none(run: Path, tmp_path: Path, minutes: str) -> None:
    with pytest.raises(UsageError, match="--max-minutes"):
        train(run, tmp_path / "out", "--max-minutes", minutes)
    assert not (tmp_path / "out").exists()


def test_nothing_is_exported_that_cannot_be_validated(run: Path, tmp_path: Path) -> None:
    words = ("export", run / "out", "small", "--config", run / "small.toml", "--weights", tmp_path / "w")
    with pytest.raises(FdegError, match="nothing: no such folder"):
        command(*words, "--val", tmp_path / "nothing")
    assert not (tmp_path / "w").exists()


def test_a_model_is_replaced_whole_or_not_at_all(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("export", run / "out", "small", "--config", run / "small.toml", "--weights", tmp_path)
    command(*words)
    before = contents(tmp_path)

    def full(path: Path, data: bytes) -> None:
        with path.open("wb") as stream:
            stream.write(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(FdegError, match=r"small\.safetensors: cannot be written \(No space left"):
        command(*words, "--overwrite")
    assert contents(tmp_path) == before


def test_the_log_is_drawn(run: Path) -> None:
    with Image.open(run / "out" / "log.png") as picture:
        assert min(picture.size) > 300


def test_a_model_serves_the_lambdas_it_was_made_for(run: Path, tmp_path: Path) -> None:
    with weights.also_in(run / "out"), pytest.raises(UsageError, match="small: made for lambda 512 to 1024"):
        fdeg_codec.encode(run / "pictures" / "0.png", tmp_path / "x.fdg", model="small", quality=1)


def test_it_begins_with_what_fits(run: Path, tmp_path: Path) -> None:
    trainer = Trainer(
        find_config(str(run / "small.toml")), [landscape(64, 64).transpose(1, 2, 0)], tmp_path, torch.device("cpu")
    )
    trainer.start_from(run / "out" / "small.safetensors")
    with weights.also_in(run / "out"):
        _, tensors = weights.by_name("small").load()
    for name, tensor in trainer.net.state_dict().items():
        torch.testing.assert_close(tensor, tensors[name].float())
    with pytest.raises(FdegError, match="cannot be read as weights"):
        trainer.start_from(run / "small.toml")


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda p: p.stem)
def test_every_configuration_that_comes_along_can_be_read(path: Path) -> None:
    config = find_config(path.stem)
    assert config.name == path.stem
    if config.name.startswith("paper"):
        value = float(config.name.split("-")[1])
        assert config.lambdas == (value, value)
        assert config.architecture.latent == (192 if value <= 512 else 256)
        assert not config.architecture.linear_path


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"small"', '"../small"'),
        ('"small"', '""'),
        ('"small"', '"a@9"'),
        ("steps = 4", 'steps = "x"'),
        ("steps = 4", "steps = 0"),
        ("steps = 4", "minutes = 0"),
        ("steps = 4", "seed = -1"),
        ("learning_rate = 1e-4", "learning_rate = true"),
        ("crop = 64", "crop = 0"),
        ("crop = 64", "crop = -64"),
        ("batch = 1", "batch = 1.5"),
        ("[8, 8, 16]", "[8, 8]"),
        ("[8, 8, 16]", '["a", 8, 16]'),
        ("[8, 8, 16]", "[8, 0, 16]"),
        ("hyper = 8", 'context = "nope"'),
        ("latent = 16", "latent = 16.0"),
    ],
)
def test_configurations_that_make_no_sense_are_refused_before_any_work(tmp_path: Path, before: str, after: str) -> None:
    assert before in CONFIG
    (tmp_path / "a.toml").write_text(CONFIG)
    find_config(str(tmp_path / "a.toml"))
    (tmp_path / "a.toml").write_text(CONFIG.replace(before, after, 1))
    with pytest.raises(FdegError, match="not a training configuration"):
        find_config(str(tmp_path / "a.toml"))


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a@9", ".x", "n" * 101])
def test_names_that_no_model_can_have(tmp_path: Path, name: str) -> None:
    outcome = CliRunner().invoke(fdeg, ["export", str(tmp_path), name, "--config", "fdegcnet-lite"])
    assert isinstance(outcome.exception, UsageError)
    assert "no name for a model" in str(outcome.exception)
