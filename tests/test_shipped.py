"""The weights that come along: quality, rate against the float model, and overhead."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from skimage.metrics import peak_signal_noise_ratio

import fdeg_codec
from fdeg_codec.choices import Precision
from fdeg_codec.codec.engine import load_engine
from fdeg_codec.codec.tile import encode_plane
from fdeg_codec.container.file import Reader
from fdeg_codec.container.header import fixed_point
from fdeg_codec.entropy.coder import Encoder
from fdeg_codec.entropy.mixture import code_rows
from fdeg_codec.entropy.rounding import nearest
from fdeg_codec.networks.entropy_model import cells
from fdeg_codec.networks.rate import LIKELIHOOD_FLOOR, mixture_mass
from fdeg_codec.training.loss import prior_mass

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "sample" / "landscape.tif"
AT_MOST, AT_LEAST = {1: 3350, 3: 8600, 6: 36000}, {1: 28.4, 3: 30.2, 6: 34.2}  # bytes and decibels, by quality
MODELS = sorted(path.stem for path in (ROOT / "weights").glob("*.json"))


@pytest.mark.parametrize("model", MODELS)
def test_the_sample_comes_back_well(tmp_path: Path, model: str) -> None:
    sizes, qualities = [], []
    with rasterio.open(SAMPLE) as source:
        pixels = source.read()
    for quality in AT_MOST:
        sizes.append(fdeg_codec.encode(SAMPLE, tmp_path / f"{quality}.fdg", model=model, quality=quality).bytes)
        with fdeg_codec.open(tmp_path / f"{quality}.fdg") as scene:
            qualities.append(peak_signal_noise_ratio(pixels, scene.read()))
            assert scene.crs.to_epsg() == 32632
    assert sizes == sorted(sizes)
    assert qualities == sorted(qualities)
    assert all(size < most for size, most in zip(sizes, AT_MOST.values(), strict=True))
    assert all(quality > least for quality, least in zip(qualities, AT_LEAST.values(), strict=True))


@pytest.mark.parametrize("model", MODELS)
def test_precisions_differ_by_a_unit_at_most(tmp_path: Path, model: str) -> None:
    """In either a file is made and decoded; that its latents are the same is checked as it is decoded."""
    precisions: tuple[Precision, ...] = "float32", "bfloat16"
    for made_in in precisions:
        fdeg_codec.encode(SAMPLE, tmp_path / "x.fdg", model=model, precision=made_in, overwrite=True)
        pictures = []
        for read_in in precisions:
            with fdeg_codec.open(tmp_path / "x.fdg", precision=read_in) as scene:
                pictures.append(scene.read().astype(int))
        apart = np.abs(pictures[0] - pictures[1])
        assert 0 < apart.mean() < 0.1
        assert apart.max() == 1


def test_a_plain_small_picture_costs_40_bytes_besides_its_symbols(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    coded = []
    finish = Encoder.finish
    monkeypatch.setattr(Encoder, "finish", lambda self: coded.append(finish(self)) or coded[-1])
    plain = {"driver": "GTiff", "count": 3, "height": 256, "width": 256, "dtype": "uint8", "photometric": "rgb"}
    with rasterio.open(SAMPLE) as source, rasterio.open(tmp_path / "in.tif", "w", **plain) as target:
        target.write(source.read()[:, :256, :256])
    report = fdeg_codec.encode(tmp_path / "in.tif", tmp_path / "x.fdg")
    with (tmp_path / "x.fdg").open("rb") as stream:
        assert not Reader(stream).sections
    assert report.bytes - sum(map(len, coded)) <= 40


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("quality", [1, 3, 6])
def test_the_payload_is_within_half_a_percent_of_the_float_cross_entropy(model: str, quality: int) -> None:
    engine = load_engine(model, "cpu", "float32")
    log2_lambda = fixed_point(64 * 2.0**quality)
    with rasterio.open(SAMPLE) as source:
        y = engine.analyse(source.read().astype(np.float32) / 255)
    z, y = engine.scale(y, log2_lambda)
    symbols = nearest(y)
    entry, _ = encode_plane(engine.predictor(log2_lambda), z, symbols)
    assert 8 * len(entry) < 1.005 * cross_entropy(engine, z, symbols, log2_lambda) + 8 * 8


@pytest.mark.parametrize("model", MODELS)
def test_hyper_latents_suit_their_frequencies_between_the_presets_too(model: str) -> None:
    engine = load_engine(model, "cpu", "float32")
    with rasterio.open(SAMPLE) as source:
        y = engine.analyse(source.read().astype(np.float32) / 255)
    for quality in np.arange(1, 6.25, 0.25):
        log2_lambda = fixed_point(64 * 2.0**quality)
        z, _ = engine.scale(y, log2_lambda)
        coder = Encoder()
        code_rows(coder, np.tile(engine.z_rows(log2_lambda), (z.shape[0] * z.shape[1], 1)), z.reshape(-1))
        assert 8 * len(coder.finish()) < 1.05 * z_entropy(engine, z, log2_lambda) + 8 * 8, quality


@torch.no_grad()
def cross_entropy(engine, z: np.ndarray, y: np.ndarray, log2_lambda: int) -> float:
    """Bits of z and y under the float model as training computes them, without tables, grids or windows."""
    model, level = engine.net.entropy, engine.level(log2_lambda)
    z_hat, y_hat = map(as_batch, (z, y))
    features = model.features(z_hat, level)[:, :, : y.shape[0], : y.shape[1]]
    mixture = model(features, y_hat, level)
    return bits(mixture_mass(cells(y_hat), mixture)) + z_entropy(engine, z, log2_lambda)


@torch.no_grad()
def z_entropy(engine, z: np.ndarray, log2_lambda: int) -> float:
    mass = prior_mass(engine.net.double(), as_batch(z), engine.level(log2_lambda))
    engine.net.float()
    engine.net.entropy.double()
    return bits(mass)


def as_batch(latents: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(latents.astype(np.float64)).permute(2, 0, 1)[None]


def bits(mass: torch.Tensor) -> float:
    return -torch.log2(mass + LIKELIHOOD_FLOOR * 1e-6).sum().item()
