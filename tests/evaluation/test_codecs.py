"""Rivals and our own models: files of rising rate and quality, readable, whose bytes without headers are told apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image

import fdeg_codec
from fdeg_codec.errors import UsageError
from fdeg_codec.evaluation import payload, sheet
from fdeg_codec.evaluation.baselines import NAMES
from fdeg_codec.evaluation.codec import Codec
from fdeg_codec.evaluation.ours import models
from fdeg_codec.evaluation.pictures import Kind, Picture
from fdeg_codec.evaluation.rivals import rivals
from tests.pictures import landscape
from tests.raster.rasters import samples, write

RGB, WIDE = Kind(3, "uint8"), Kind(4, "uint16")
EIGHT = ("jpeg", "jpeg2000", "webp", "avif", "jxl", "hevc", "vvc")


def named(kind: Kind, name: str) -> Codec:
    found, missing = rivals(kind, (name,))
    if missing:
        pytest.skip(missing[name])
    return found[0]


@pytest.fixture
def picture(tmp_path: Path) -> Picture:
    Image.fromarray(landscape(64, 96).transpose(1, 2, 0)).save(tmp_path / "a.png")
    return Picture(tmp_path / "a.png", "a.png")


@pytest.fixture
def wide(tmp_path: Path) -> Picture:
    write(tmp_path / "w.tif", samples(4, "uint16", 70, 90))
    return Picture(tmp_path / "w.tif", "w.tif")


def error(picture: Picture, found) -> float:
    assert (found.shape, found.dtype) == (picture.samples.shape, picture.samples.dtype)
    return float(np.mean((found.astype(float) - picture.samples) ** 2))


def coded(codec: Codec, picture: Picture, tmp_path: Path) -> None:
    sizes, errors = [], []
    for k in (0, -1):
        file = tmp_path / f"{k}{codec.suffix}"
        codec.encode(picture, file, codec.qualities[k])
        sizes.append(file.stat().st_size)
        errors.append(error(picture, codec.decode(file)))
        assert 0 < codec.payload(file) <= sizes[-1]
    assert sizes[0] < sizes[1]
    assert errors[0] > errors[1]
    assert errors[1] < 0.1 * picture.samples.astype(float).var()


@pytest.mark.parametrize("name", EIGHT)
def test_a_rival_of_8_bits(name: str, picture: Picture, tmp_path: Path) -> None:
    coded(named(RGB, name), picture, tmp_path)


@pytest.mark.parametrize("name", ["jpeg2000", "jxl", "lerc"])
def test_a_rival_of_16_bits(name: str, wide: Picture, tmp_path: Path) -> None:
    coded(named(WIDE, name), wide, tmp_path)


def test_jpeg_xl_of_a_single_band_and_without_loss(picture: Picture, tmp_path: Path) -> None:
    write(tmp_path / "p.tif", samples(1, "uint16", 70, 90))
    pan = Picture(tmp_path / "p.tif", "p.tif")
    for one, kind in ((pan, Kind(1, "uint16")), (picture, RGB)):
        codec = named(kind, "jxl")
        coded(codec, one, tmp_path)
        codec.encode(one, tmp_path / "lossless", 0)
        assert error(one, codec.decode(tmp_path / "lossless")) == 0


def test_lerc_keeps_its_bound(wide: Picture, tmp_path: Path) -> None:
    codec = named(WIDE, "lerc")
    codec.encode(wide, tmp_path / "x.tif", 96)
    with rasterio.open(tmp_path / "x.tif") as data:
        assert data.profile["compress"].lower().startswith("lerc")
    found = np.abs(codec.decode(tmp_path / "x.tif").astype(float) - wide.samples).max()
    assert 0 < found <= 96 * wide.peak / 4096


def test_our_own(weights: Path, picture: Picture, wide: Picture, tmp_path: Path) -> None:
    codec = models(("tiny",))[0]
    coded(codec, picture, tmp_path)
    assert codec.takes(WIDE)
    assert codec.takes(Kind(5, "float32"))
    assert not codec.takes(Kind(5, "float64"))
    assert {c.name for c in models()} >= {"tiny", "tiny-none", "fdegcnet-lite"}


def test_a_model_at_another_effort(weights: Path, picture: Picture, tmp_path: Path) -> None:
    plain, tried = models(("tiny", "tiny@9"))
    assert (tried.name, "effort 9" in tried.label, "effort 9" in tried.about) == ("tiny@9", True, True)
    for codec in (plain, tried):
        codec.encode(picture, tmp_path / f"{codec.name}.fdg", 512)
    fdeg_codec.encode(picture.path, tmp_path / "x.fdg", model="tiny", lambda_=512, effort=9)
    assert (tmp_path / "tiny@9.fdg").read_bytes() == (tmp_path / "x.fdg").read_bytes() != (tmp_path / "tiny.fdg").read_bytes()
    with pytest.raises(UsageError, match="tiny@9"):
        models(("tiny@best",))
    with pytest.raises(UsageError, match="0 to 9"):
        models(("tiny@12",))


def test_who_takes_what() -> None:
    eight, missing = rivals(RGB)
    assert {c.name for c in eight} | {*missing} == {*EIGHT, *NAMES, "lerc"}
    assert missing["lerc"] == "takes no pictures with 3 bands of uint8"
    assert {c.name for c in rivals(WIDE)[0]} == {"jpeg2000", "jxl", "lerc"}
    with pytest.raises(UsageError, match="codecs are jpeg, jpeg2000"):
        rivals(RGB, ("bpg",))
    assert rivals(WIDE, ("webp",))[1] == {"webp": "takes no pictures with 4 bands of uint16"}


def test_a_package_that_is_missing_is_named_before_another_codec_of_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """JPEG XL of 8 bits is there, of 16 bits it is not."""
    pytest.importorskip("imagecodecs")
    monkeypatch.setattr("fdeg_codec.evaluation.wide.jpegxl", lambda: {"jxl": "needs tifffile"})
    assert rivals(WIDE)[1]["jxl"] == rivals(WIDE, ("jxl",))[1]["jxl"] == "needs tifffile"
    assert "jxl" in {codec.name for codec in rivals(RGB)[0]}


@pytest.mark.parametrize(("name", "least"), [("jpeg", 100), ("jpeg2000", 90), ("webp", 20), ("avif", 200), ("hevc", 50)])
def test_headers_cost_what_they_cost_on_a_larger_picture(name: str, least: int, picture: Picture, tmp_path: Path) -> None:
    """The bytes that are no samples hardly depend on quality: had samples been counted among them they would."""
    codec = named(RGB, name)
    costs = []
    for k in (1, -2):
        codec.encode(picture, tmp_path / f"x{codec.suffix}", codec.qualities[k])
        costs.append((tmp_path / f"x{codec.suffix}").stat().st_size - codec.payload(tmp_path / f"x{codec.suffix}"))
    assert min(costs) >= least
    assert max(costs) < 1.6 * min(costs) + 16


def test_the_payload_of_an_fdg_file_is_its_tiles(weights: Path, picture: Picture, tmp_path: Path, monkeypatch) -> None:
    from fdeg_codec.container.file import Writer

    entries = []
    add = Writer.add
    monkeypatch.setattr(Writer, "add", lambda self, entry: entries.append(len(entry)) or add(self, entry))
    models(("tiny",))[0].encode(picture, tmp_path / "x.fdg", 512)
    assert payload.of_fdg(tmp_path / "x.fdg") == sum(entries) + 4 * len(entries)  # each with its checksum


def test_the_sheet_finds_the_rate(picture: Picture, tmp_path: Path) -> None:
    for name in ("jpeg2000", "jxl"):
        size, found = sheet.nearest(picture, named(RGB, name), 1.5)
        assert 8 * size / picture.pixels == pytest.approx(1.5, rel=0.1)
        assert error(picture, found) > 0
