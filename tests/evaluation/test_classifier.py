"""The classifier sees classes in originals, and no longer in what was coded to nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fdeg_codec.errors import FdegError
from fdeg_codec.evaluation import classifier, run, table
from fdeg_codec.evaluation.pictures import find
from fdeg_codec.evaluation.run import Plan


def draw(folder: Path, first: int, count: int) -> Path:
    """Stripes along, stripes across, and grain, with colours that tell nothing."""
    folder.mkdir()
    for k in range(first, first + count):
        rng = np.random.default_rng(k)
        waves = np.sin(np.arange(96) / rng.uniform(0.9, 1.3) + rng.uniform(0, 6))
        patterns = {
            "along": np.tile(waves, (96, 1)),
            "across": np.tile(waves, (96, 1)).T,
            "grain": rng.normal(0, 0.7, (96, 96)),
        }
        for name, pattern in patterns.items():
            pixels = 120 + 15 * pattern[..., None] + rng.uniform(-40, 40, 3) + rng.normal(0, 4, (96, 96, 3))
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / f"{name}{k}.png")
    return folder


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("SIDE", 96), ("WORDS", 24), ("PATCHES_PER_PICTURE", 60)):
        monkeypatch.setattr(classifier, name, value)


def test_classes_are_learnt_and_lost_with_their_texture(tmp_path: Path) -> None:
    train, val = draw(tmp_path / "train", 0, 8), draw(tmp_path / "val", 50, 3)
    plan = Plan((val,), tmp_path / "out", ("jpeg2000",), (), ("psnr",), classes=train, jobs=1)
    points = table.read(run.run(plan))
    assert np.mean([p.values["original_right"] for p in points]) == 1
    right = {q: np.mean([p.values["scene_right"] for p in points if p.quality == q]) for q in (80, 7)}
    assert right[7] == 1
    assert right[80] < 1
    assert (tmp_path / "out" / "classifier.npz").exists()


def test_a_few_pictures_have_fewer_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "PATCHES_PER_PICTURE", 5)
    train, val = draw(tmp_path / "train", 0, 1), draw(tmp_path / "val", 50, 1)
    plan = Plan((val,), tmp_path / "out", ("jpeg",), (), ("psnr",), classes=train, jobs=1)
    assert all(p.values["scene_right"] in (0, 1) for p in table.read(run.run(plan)))


def test_names_tell_classes(tmp_path: Path) -> None:
    assert [classifier.class_of(Path(n)) for n in ("airplane04.webp", "dense_residential_7.tif", "42.png")] == [
        "airplane",
        "dense_residential",
        "",
    ]
    draw(tmp_path / "train", 0, 1)
    for name in ("across0.png", "grain0.png"):
        (tmp_path / "train" / name).unlink()
    with pytest.raises(FdegError, match="tell no classes"):
        classifier.train(find([tmp_path / "train"]))
