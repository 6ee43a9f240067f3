"""--max-error: no sample is further off, whatever the network says. rasterio and numpy are the judges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st

import fdeg_codec
from fdeg_codec.codec import cuts
from fdeg_codec.codec.engine import Engine
from fdeg_codec.codec.exact import Band, decode_residual, encode_residual
from fdeg_codec.container.file import Reader
from fdeg_codec.container.sections import Kind, pack_text
from fdeg_codec.entropy.coder import Decoder, Encoder
from fdeg_codec.entropy.residual import code_band
from fdeg_codec.errors import BadFileError, FdegError, UsageError
from fdeg_codec.raster import masks
from fdeg_codec.raster.bound import choose
from fdeg_codec.raster.mapping import Line
from tests.conformance import reader
from tests.fuzz import forge
from tests.raster.rasters import Samples, coloured, samples, write


@pytest.fixture
def folder(weights: Path, tmp_path: Path) -> Path:
    return tmp_path


def bounded(source: Path, max_error: float, **options: Any) -> Samples:
    """What a raster becomes when its errors are bounded; the file stays beside it."""
    file = source.with_name("bounded.fdg")
    fdeg_codec.encode(source, file, model="tiny", tile=64, max_error=max_error, overwrite=True, **options)
    fdeg_codec.decode(file, source.with_name("bounded.tif"), overwrite=True)
    with rasterio.open(source.with_name("bounded.tif")) as after:
        return after.read()


@pytest.mark.parametrize("number", [np.int64(4), np.float32(4)])
def test_a_bound_may_be_a_number_of_numpy(folder: Path, number: Any) -> None:
    source = write(folder / "a.tif", samples(3))
    assert np.abs(bounded(source, number).astype(int) - samples(3)).max() <= 4


@pytest.mark.parametrize(
    ("dtype", "max_error"), [("uint8", 2.5), ("uint16", 0), ("int16", 16), ("float32", 1), ("float32", 1e5)]
)
def test_no_sample_is_further_off(folder: Path, dtype: str, max_error: float) -> None:
    data = samples(4, dtype)
    if dtype == "float32":
        max_error /= 300
    errors = np.abs(bounded(write(folder / "a.tif", data), max_error).astype(np.float64) - data)
    assert errors.max() <= max_error


@pytest.mark.parametrize("max_error", [0, 3])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_noise_and_extremes_are_held_too(folder: Path, dtype: str, max_error: float) -> None:
    rng = np.random.default_rng(0)
    if dtype == "float32":
        data = rng.normal(0, 1, (2, 70, 90)).astype(np.float32) ** 9
        data[0, :3] = [[0.0], [-0.0], [1e-45]]
    else:
        info = np.iinfo(dtype)
        data = rng.integers(info.min, info.max + 1, (2, 70, 90)).astype(dtype)
        data[0, :20, :20], data[0, 30:, 40:] = info.min, info.max
    errors = np.abs(bounded(write(folder / "a.tif", data), max_error).astype(np.float64) - data)
    assert errors.max() <= max_error


def test_lossless_means_every_bit(folder: Path) -> None:
    """Nodata, NaN, infinities, negative zeros, and what lies under a mask."""
    data = samples(3, "float32")
    data[0, 5:9, 5:9], data[1, 20, :], data[2, 30, 30:40], data[2, 50:60] = -9999, np.nan, np.inf, -0.0
    mask = np.full(data.shape[1:], 255, np.uint8)
    mask[:30, 40:] = 0
    after = bounded(write(folder / "a.tif", data, mask=mask, nodata=-9999), 0)
    np.testing.assert_array_equal(after, data)
    np.testing.assert_array_equal(np.signbit(after), np.signbit(data))
    with rasterio.open(folder / "bounded.tif") as decoded:
        np.testing.assert_array_equal(decoded.dataset_mask(), mask)


@pytest.mark.parametrize("max_error", [0, 5])
def test_what_lies_under_alpha_counts(folder: Path, max_error: float) -> None:
    data = samples(4)
    data[3] = np.where(np.arange(90) < 40, 0, 255)
    for hidden in (data, np.where(data[3] > 0, data, 0)):
        after = bounded(write(folder / "a.tif", hidden, coloured("red", "green", "blue", "alpha")), max_error)
        assert np.abs(after.astype(int) - hidden).max() <= max_error
        np.testing.assert_array_equal(after[3], data[3])


def test_a_move_past_nodata_keeps_the_bound_of_floats() -> None:
    """Above a power of two floats lie twice as far apart as below it."""
    nodata, max_error, line = 128.0, 7.601e-5, Line(127.98, 128.02, 127.957, 128.0417)
    bound = choose(line, max_error, False, nodata)
    x = (128 + np.arange(-40, 41) * bound.unit - line.low)[None, None] / line.span
    for steps in range(-8, 9):
        if steps:
            data = np.full((1, 1, 81), 128 + steps * 2.0 ** (-17 if steps < 0 else -16), np.float32)
            band = Band(line, bound, np.ones((1, 81), bool), nodata)
            entry = encode_residual(x, [band], data, max_error)
            after = masks.avoid(decode_residual(x, [band], entry, "float32")[0], nodata, band.valid)
            assert np.abs(after.astype(float) - data).max() <= max_error


@pytest.mark.parametrize(("nodata", "max_error"), [(0, 30), (100, 1), (100, 30), (255, 2)])
def test_nodata_inside_the_range_leaves_the_bound_and_the_mask_as_they_are(folder: Path, nodata: int, max_error: int) -> None:
    data = np.random.default_rng(0).integers(80, 120, (3, 70, 90)).astype(np.uint8)
    after = bounded(write(folder / "a.tif", data, nodata=nodata), max_error)
    assert np.abs(after.astype(int) - data).max() <= max_error
    np.testing.assert_array_equal(after == nodata, data == nodata)


def test_windows_are_the_same_pixels_and_a_preview_is_near_and_reads_less(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = samples(4, "uint16", 150, 140)
    bounded(write(folder / "a.tif", data), 20, quality=6)
    with fdeg_codec.open(folder / "bounded.fdg") as scene:
        np.testing.assert_array_equal(scene.read(window=(50, 60, 40, 30)), scene.read()[:, 60:90, 50:90])
        assert scene.verify() == 9 * 4
    asked: list[int] = []
    entry = Reader.entry
    monkeypatch.setattr(Reader, "entry", lambda self, tile, k: asked.append(k) or entry(self, tile, k))
    monkeypatch.setattr(Engine, "synthesise_exactly", None)
    with fdeg_codec.open(folder / "bounded.fdg", preview=True) as scene:
        preview = scene.read()
    assert set(asked) == {0, 1}
    assert np.abs(preview.astype(int) - data).max() > 20
    fdeg_codec.encode(folder / "a.tif", folder / "plain.fdg", model="tiny", tile=64, quality=6)
    with fdeg_codec.open(folder / "plain.fdg") as scene:
        np.testing.assert_array_equal(preview, scene.read())


def test_a_machine_that_computes_a_little_otherwise_gets_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise far above that of float64 changes nothing; noise that rounding cannot tell is an error, never other pixels."""
    right = bounded(write(folder / "a.tif", samples(3, "uint16", 128, 128)), 0)
    synthesise = Engine.synthesise_exactly
    rng = np.random.default_rng(0)
    for noise, found_out in ((1e-11, False), (1e-4, True)):
        monkeypatch.setattr(
            Engine, "synthesise_exactly", lambda *a, n=noise: (x := synthesise(*a)) + n * rng.uniform(-1, 1, x.shape)
        )
        with fdeg_codec.open(folder / "bounded.fdg") as scene:
            if found_out:
                with pytest.raises(FdegError, match=r"residual 0.*(computes differently|exception)"):
                    scene.read()
            else:
                np.testing.assert_array_equal(scene.read(), right)


@pytest.mark.parametrize("max_error", [-1, float("nan"), float("inf")])
def test_bounds_that_are_none(folder: Path, max_error: float) -> None:
    with pytest.raises(UsageError, match="--max-error"):
        bounded(write(folder / "a.tif", samples(1)), max_error)


def test_a_unit_that_nothing_can_be_divided_by(folder: Path) -> None:
    bounded(write(folder / "a.tif", samples(1, "float32")), 1)
    parts = forge.apart((folder / "bounded.fdg").read_bytes())
    unit = pack_text({"max_error": 1, "bands": [[1e-320, 1]]})
    parts.sections = [(kind, unit if kind == Kind.BOUND else data) for kind, data in parts.sections]
    (folder / "forged.fdg").write_bytes(parts.join())
    with pytest.raises(BadFileError, match="bounds do not fit"), fdeg_codec.open(folder / "forged.fdg") as scene:
        scene.verify()


@settings(max_examples=20)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**31), st.sampled_from([0, 1, 30, 1e4, 2**33]))
def test_every_residual_comes_back(height: int, width: int, seed: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    base = rng.integers(-99, 99, (2, height, width))
    valid = rng.random((2, height, width)) < rng.random()
    residual = np.rint(spread * rng.standard_cauchy(base.shape).clip(-50, 50)).astype(np.int64).clip(-(2**32), 2**32)
    encoder, earlier = Encoder(), []
    for k in range(2):
        earlier.append(code_band(encoder, base[k], valid[k], earlier, residual[k]))
    decoder, found = Decoder(encoder.finish()), []
    for k in range(2):
        found.append(code_band(decoder, base[k], valid[k], found, None))
        np.testing.assert_array_equal(found[k].residual[valid[k]], residual[k][valid[k]])
    decoder.finish()


def test_a_tile_that_hides_everything_may_say_it_all_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Encoders may leave such planes, and with them their residuals, empty, but need not."""
    data = np.full((1, 64, 128), 7, np.int16)
    data[:, :, 64:] = -1
    monkeypatch.setattr(cuts.masks, "is_hidden", lambda *_: False)
    for words in ({}, {"max_error": 1}):
        fdeg_codec.encode(
            write(folder / "h.tif", data, nodata=-1), folder / "h.fdg", model="tiny", tile=64, overwrite=True, **words
        )
        with fdeg_codec.open(folder / "h.fdg") as scene:
            assert (abs(scene.read().astype(int) - data) <= (1 if words else 4)).all()
        assert reader.read(folder / "h.fdg").header["bounded"] == bool(words)
