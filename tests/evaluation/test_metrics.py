"""Each metric beside an implementation of other making."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.ndimage import correlate1d
from scipy.spatial.distance import cosine
from sewar.full_ref import vifp as sewar_vifp
from skimage.metrics import peak_signal_noise_ratio

from fdeg_codec.errors import UsageError
from fdeg_codec.evaluation import lpips, metrics
from fdeg_codec.evaluation.metrics import Tally, msssim, rectangles, spectral_angles, vifp
from tests.pictures import landscape

A = landscape(200, 230)
RNG = np.random.default_rng(0)
B = np.clip(A + RNG.normal(2, 6, A.shape), 0, 255).astype(np.uint8)
ERRORS = ("psnr", "max_error", "sam", "ndvi")


def measured(a, b, valid=None, names=ERRORS, ndvi=None, peak=255.0):
    tally = Tally(len(a), peak, 0.0, names, ndvi)
    full = np.ones(a.shape, bool)
    tally.add(a, b, full if valid is None else valid, full)
    return tally.result()


def test_psnr_and_the_largest_error() -> None:
    found = measured(A, B)
    assert found["psnr"] == pytest.approx(peak_signal_noise_ratio(A, B, data_range=255), abs=1e-9)
    each = [peak_signal_noise_ratio(x, y, data_range=255) for x, y in zip(A, B, strict=True)]
    assert found["psnr_bands"] == pytest.approx(np.mean(each), abs=1e-9)
    assert found["max_error"] == np.abs(A.astype(int) - B).max()


def test_blocks_add_up() -> None:
    tally = Tally(3, 255, 0, ERRORS, (0, 1))
    for rows in (slice(0, 70), slice(70, 200)):
        part = A[:, rows]
        tally.add(part, B[:, rows], np.ones(part.shape, bool), np.ones(part.shape, bool))
    whole = measured(A, B, ndvi=(0, 1))
    assert tally.result() == pytest.approx(whole)


def test_what_is_invalid_does_not_count() -> None:
    valid = np.ones(A.shape, bool)
    valid[:, :60] = False
    spoilt = B.copy()
    spoilt[:, :60] = 255 - A[:, :60]
    found, wanted = measured(A, spoilt, valid, ndvi=(0, 2)), measured(A[:, 60:], B[:, 60:], ndvi=(0, 2))
    assert (found["valid"], found["validity_differs"]) == (pytest.approx(140 / 200), 60 * 230)
    assert all(found[name] == pytest.approx(wanted[name]) for name in ("psnr", "psnr_bands", "max_error", "sam", "ndvi"))


def test_nothing_valid_is_nothing_measured() -> None:
    found = measured(A, B, np.zeros(A.shape, bool), names=("psnr", "max_error", "sam", "ms_ssim"))
    assert {found[name] for name in ("psnr", "psnr_bands", "max_error", "sam", "ms_ssim", "ms_ssim_db")} == {None}


def test_ms_ssim_beside_the_paper() -> None:
    a, b = A.astype(float), B.astype(float)
    assert msssim(a, b) == pytest.approx(own_msssim(a, b), abs=1e-6)
    found = measured(A, B, names=("ms_ssim",))
    assert found["ms_ssim"] == pytest.approx(own_msssim(a, b), abs=1e-6)
    assert found["ms_ssim_db"] == pytest.approx(-10 * np.log10(1 - own_msssim(a, b)), abs=1e-3)


def blurred(x, size, sigma):
    """(band, row, column) under a Gaussian window, only where it lies inside."""
    window = np.exp(-((np.arange(size) - size // 2) ** 2) / (2 * sigma**2))
    x = correlate1d(correlate1d(x, window / window.sum(), 1), window / window.sum(), 2)
    return x[:, size // 2 : x.shape[1] - size // 2, size // 2 : x.shape[2] - size // 2]


def own_msssim(a, b):
    """Wang, Simoncelli and Bovik 2003, written from the paper."""
    factors, c1, c2 = [], (0.01 * 255) ** 2, (0.03 * 255) ** 2
    for level in range(5):
        mean_a, mean_b, square_a, square_b, product = (blurred(x, 11, 1.5) for x in (a, b, a * a, b * b, a * b))
        var_a, var_b, cov = square_a - mean_a**2, square_b - mean_b**2, product - mean_a * mean_b
        contrast = (2 * cov + c2) / (var_a + var_b + c2)
        luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
        factors.append((contrast * (luminance if level == 4 else 1)).mean((1, 2)))
        odd = [(0, 0), *((n % 2, n % 2) for n in a.shape[1:])]  # as the library pads: zeros on both sides of an odd side
        a, b = (halved(np.pad(x, odd)) for x in (a, b))
    return np.prod([f**w for f, w in zip(factors, (0.0448, 0.2856, 0.3001, 0.2363, 0.1333), strict=True)], 0).mean()


def halved(x):
    x = x[:, : x.shape[1] // 2 * 2, : x.shape[2] // 2 * 2]
    return x.reshape(len(x), x.shape[1] // 2, 2, x.shape[2] // 2, 2).mean((2, 4))


def test_vifp_beside_sewar() -> None:
    a, b = A.astype(float), B.astype(float)
    assert vifp(a, b) == pytest.approx(sewar_vifp(A.transpose(1, 2, 0), B.transpose(1, 2, 0)), abs=1e-9)
    assert vifp(a, a) == pytest.approx(1)
    flat = np.full_like(a[:1], 90)
    assert vifp(flat, flat) == 1
    assert math.isnan(vifp(flat, flat + 9))
    assert vifp(np.concatenate((a, flat)), np.concatenate((b, flat + 9))) == pytest.approx(vifp(a, b))


def test_spectral_angles_beside_scipy() -> None:
    a, b = RNG.uniform(0, 100, (4, 50)), RNG.uniform(0, 100, (4, 50))
    wanted = [np.degrees(np.arccos(1 - cosine(x, y))) for x, y in zip(a.T, b.T, strict=True)]
    assert spectral_angles(a, b) == pytest.approx(wanted, abs=1e-6)
    assert spectral_angles(a, 3 * a) == pytest.approx(np.zeros(50), abs=1e-9)
    assert spectral_angles(np.zeros((3, 1)), np.zeros((3, 1))) == pytest.approx([0])


def test_ndvi_error() -> None:
    red, infrared = np.array([[[10, 20]]], np.uint16), np.array([[[30, 20]]], np.uint16)
    a = np.concatenate([red, infrared])
    b = np.concatenate([red, infrared + np.array([10, 0], np.uint16)])
    assert measured(a, b, ndvi=(0, 1))["ndvi"] == pytest.approx((abs(30 / 50 - 20 / 40) + 0) / 2)


def test_rectangles_are_valid_and_apart() -> None:
    valid = np.ones((700, 900), bool)
    valid[100, 50] = valid[500, 880] = False
    seen = np.zeros(valid.shape, int)
    for part in rectangles(valid):
        assert valid[part].all()
        seen[part] += 1
    assert seen.max() == 1
    assert seen.mean() > 0.5


def test_structure_is_measured_beside_a_hole() -> None:
    a = landscape(400, 400)
    b = np.clip(a + RNG.normal(0, 6, a.shape), 0, 255).astype(np.uint8)
    valid = np.ones(a.shape, bool)
    valid[:, :20, :20] = False
    found = measured(a, b, valid, names=("ms_ssim",))["ms_ssim"]
    parts = [(slice(0, 200), slice(200, 400)), (slice(200, 400), slice(0, 200)), (slice(200, 400), slice(200, 400))]
    assert found == pytest.approx(np.mean([own_msssim(a[:, r, c].astype(float), b[:, r, c].astype(float)) for r, c in parts]))


def test_what_cannot_be_measured_is_named() -> None:
    assert metrics.missing(("psnr", "ms_ssim")) == {}
    with pytest.raises(UsageError, match="metrics are psnr"):
        metrics.missing(("ssim",))


def test_lpips_without_its_backbone_says_where_it_looked(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(lpips.importlib.util, "find_spec", lambda name: object())
    assert lpips.missing() == f"the weights of its backbone are not there: {tmp_path}/hub/checkpoints/alexnet-owt-7be5be79.pth"
