"""Rasters as the encoder sees them, and those it refuses."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.errors import RasterioError
from rasterio.windows import Window

import fdeg_codec
from fdeg_codec.codec.cuts import fill
from fdeg_codec.codec.windows import Window as CodecWindow
from fdeg_codec.errors import FdegError, RasterError, UnsupportedError, UsageError
from fdeg_codec.evaluation.views import view
from fdeg_codec.raster import source as source_module
from fdeg_codec.raster.masks import Layer
from fdeg_codec.raster.source import Source
from fdeg_codec.raster.survey import Survey
from fdeg_codec.raster.validity import Rules
from fdeg_codec.training.scenes import load_scene
from tests.raster.rasters import Samples, coloured, samples, write


def unit(source: Source, window: Window | None = None) -> Samples:
    """What analysis sees of a window."""
    cut = source.cut(window or Window(0, 0, source.width, source.height))
    return source.mapping.to_unit(np.stack([fill(cut, band, source.mapping) for band in source.coded]))


def test_what_analysis_sees_is_the_picture_between_its_percentiles(tmp_path: Path) -> None:
    data = samples(3, "uint16")
    with Source(write(tmp_path / "a.tif", data)) as source:
        seen = unit(source, Window(40, 10, 5, 20))
    low, high = (np.rint(np.percentile(data, p, axis=(1, 2)))[:, None, None] for p in (1, 99))
    np.testing.assert_allclose(seen, (data[:, 10:30, 40:45] - low) / (high - low), atol=1e-6)


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32"])
def test_the_range_is_that_of_valid_samples(tmp_path: Path, dtype: str) -> None:
    """Not of nodata, and not of what lies under a mask or alpha."""
    data = samples(2, dtype)
    data[:, :10], data[:, 10:20] = 20000, 15000
    mask = np.full(data.shape[1:], 255, np.uint8)
    mask[10:20] = 0
    with Source(write(tmp_path / "a.tif", data, mask=mask, nodata=20000)) as source:
        lines = source.mapping.lines
    assert [np.array(line[2:], dtype).tolist() for line in lines] == [[band[20:].min(), band[20:].max()] for band in data]
    if dtype == "uint16":
        data[1] = 65535
        data[1, :20] = 0
        with Source(write(tmp_path / "b.tif", data, coloured("gray", "alpha"))) as source:
            assert source.mapping.lines[0].most == float(data[0, 20:].max())


def test_what_is_refused_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []
    begin = rasterio.open
    path = write(tmp_path / "a.tif", samples(1).astype(np.float64))
    monkeypatch.setattr(rasterio, "open", lambda *words: opened.append(begin(*words)) or opened[-1])
    with pytest.raises(UnsupportedError, match="float64"):
        Source(path)
    assert [data.closed for data in opened] == [True]


def test_a_survey_keeps_few_of_the_samples_that_it_sees() -> None:
    survey, seen = Survey(Rules("uint16", (None,), ()), 64 << 20), 8
    tracemalloc.start()
    for _ in range(seen):
        survey.see(np.ones((1, 1 << 10, 1 << 10), np.uint16), None)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 1 << 20 < 2 * seen << 20


@pytest.mark.parametrize("nodata", [0, 65535])
def test_analysis_never_sees_nodata(tmp_path: Path, nodata: int) -> None:
    """Not even where a band has no valid sample at all."""
    data = samples(2, "uint16")
    data[0], data[1, 10:20, 10:20] = nodata, nodata
    with Source(write(tmp_path / "a.tif", data, nodata=nodata)) as source:
        seen = unit(source)
    assert not seen[0].any()
    inside, whole = seen[1, 10:20, 10:20], seen[1]
    assert whole.min() < inside.min() <= inside.max() < whole.max()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -3.4028235e38, 1e35])
def test_analysis_never_sees_what_is_no_measurement(tmp_path: Path, value: float) -> None:
    data = samples(2, "float32")
    data[0, 10:20, 10:20] = data[1, 3] = value
    with Source(write(tmp_path / "a.tif", data, nodata=-9999)) as source:
        assert np.isfinite(unit(source)).all()
        assert np.abs(unit(source)).max() < 2
        assert {layer.kind for layer in source.layers} == {"nan" if np.isnan(value) else "far"}


def test_a_few_samples_out_of_all_proportion_do_not_spoil_the_range(tmp_path: Path) -> None:
    data = samples(1, "uint16") // 10
    data[0, 5, 7] = 65535
    with Source(write(tmp_path / "a.tif", data)) as source:
        assert source.mapping.lines[0].high < 2000
        assert source.layers == [Layer("far", 0)]
        flags = source.cut(Window(0, 0, 90, 70)).flags(source.layers[0])
    assert np.argwhere(flags == 0).tolist() == [[5, 7]]


def test_many_far_samples_are_the_range(tmp_path: Path) -> None:
    """A band of zeros with a share of anything else is coded, not listed."""
    data = np.zeros((1, 70, 90), np.uint16)
    data[0, 30, :40] = samples(1, "uint16")[0, 30, :40]
    with Source(write(tmp_path / "a.tif", data)) as source:
        assert source.layers == []
        assert source.mapping.lines[0].high > data.max() / 2


def test_the_ends_of_a_map_are_as_fine_as_its_span(tmp_path: Path) -> None:
    """Seconds since 1970 in float32, 5000 of them."""
    data = (1.6e9 + samples(1, height=64, width=80) * 20.0).astype(np.float32)
    with Source(write(tmp_path / "a.tif", data)) as source:
        assert source.layers == []
        low, high = np.percentile(data, (1, 99))
        assert source.mapping.lines[0][:2] == pytest.approx((low, high), rel=0, abs=1e-4 * (high - low))


def palette(target: Any) -> None:
    target.write_colormap(1, {0: (1, 2, 3, 255)})


REFUSED = {
    "float64": (np.zeros((1, 8, 8), np.float64), None, r"float64.*gdal_translate -ot Float32"),
    "complex64": (np.zeros((1, 8, 8), np.complex64), None, r"complex64.*real bands"),
    "int8": (np.zeros((1, 8, 8), np.int8), None, r"int8.*gdal_translate -ot Int16"),
    "uint32": (np.zeros((1, 8, 8), np.uint32), None, r"uint32.*gdal_translate -ot Float32"),
    "int32": (np.zeros((1, 8, 8), np.int32), None, r"int32.*gdal_translate -ot Float32"),
    "float32 alpha": (samples(2, "float32"), coloured("gray", "alpha"), "transparency as float32"),
    "palette": (np.zeros((1, 8, 8), np.uint8), palette, "colour table"),
    "alpha alone": (samples(2), coloured("alpha", "alpha"), "transparency"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_encoded_is_refused_by_name(tmp_path: Path, name: str) -> None:
    data, setup, why = REFUSED[name]
    path = write(tmp_path / "a.tif", data, setup)
    with pytest.raises(UnsupportedError, match=why) as caught:
        Source(path)
    assert str(path) in str(caught.value)


def test_half_transparent_16_bit_alpha_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", samples(2, "uint16"), coloured("gray", "alpha"))
    with pytest.raises(UnsupportedError, match="half transparent"):
        Source(path)


def test_a_raster_that_is_cut_off_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", samples(3))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FdegError, match=r"a\.tif: damaged"), Source(path) as source:
        source.cut(Window(0, 0, 90, 70))


def test_alpha_is_no_band_of_the_network(tmp_path: Path) -> None:
    with Source(write(tmp_path / "a.tif", samples(4), coloured("alpha", "red", "green", "blue"))) as source:
        assert source.coded == [1, 2, 3]
        assert [(layer.kind, layer.band) for layer in source.layers] == [("alpha", 0)]
        assert source.metadata.colours[0] == "alpha"


def test_bands_are_chosen_and_ordered(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", samples(4), coloured("red", "green", "blue", "alpha"))
    with Source(path, [3, 1]) as source:
        assert source.metadata.colours == ["blue", "red"]
        assert source.layers == []
        np.testing.assert_array_equal(source.cut(Window(0, 0, 90, 70)).samples, samples(4)[[2, 0]])


@pytest.mark.parametrize("bands", [[], [0], [5], [-1], [1, 1]])
def test_bands_that_are_not_there_are_usage_errors(tmp_path: Path, bands: list[int]) -> None:
    with pytest.raises(UsageError, match="--bands"):
        Source(write(tmp_path / "a.tif", samples(4)), bands)


def test_masks_of_single_bands(tmp_path: Path) -> None:
    """As a VRT of files with masks of their own has them."""
    data = samples(2)
    masks = np.full(data.shape, 255, np.uint8)
    masks[0, 5:20], masks[1, 30:] = 0, 0
    for name, bands in (("data", data), ("masks", masks)):
        write(tmp_path / f"{name}.tif", bands)
    place = '<SimpleSource><SourceFilename relativeToVRT="1">{}.tif</SourceFilename><SourceBand>{}</SourceBand></SimpleSource>'
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{b}">{place.format("data", b)}'
        f'<MaskBand><VRTRasterBand dataType="Byte">{place.format("masks", b)}</VRTRasterBand></MaskBand></VRTRasterBand>'
        for b in (1, 2)
    )
    path = tmp_path / "a.vrt"
    path.write_text(f'<VRTDataset rasterXSize="{data.shape[2]}" rasterYSize="{data.shape[1]}">{bands}</VRTDataset>')
    with rasterio.open(path) as judge:
        np.testing.assert_array_equal(judge.read_masks(), masks)
    with pytest.raises(UnsupportedError, match=r"a mask each; encode one at a time \(--bands 1\)"):
        Source(path)
    for band in (1, 2):
        with Source(path, bands=band) as source:
            _, valid = source.truth(Window(0, 0, data.shape[2], data.shape[1]))
            np.testing.assert_array_equal(valid[0], masks[band - 1] > 0)


@pytest.mark.parametrize(
    ("driver", "bands"), [("PNG", 1), ("PNG", 3), ("JPEG", 1), ("JPEG", 3), ("WEBP", 3), ("TIFF", 1), ("TIFF", 3)]
)
def test_what_was_cut_off_is_no_picture(tmp_path: Path, weights: Path, driver: str, bands: int) -> None:
    """GDAL's quick way through a PNG gives whatever lies in memory, and says nothing."""
    path = tmp_path / f"a.{driver}"
    Image.fromarray(samples(bands).transpose(1, 2, 0).squeeze()).save(path, driver)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(FdegError, match="a\\."):
        fdeg_codec.encode(path, tmp_path / "x.fdg", model="tiny")
    with pytest.raises((FdegError, RasterioError)), view(path) as seen:
        seen.read(CodecWindow(0, 0, *seen.shape[:0:-1]))
    with pytest.raises(FdegError, match="a\\."):
        load_scene(path)


def test_rows_across_a_wide_raster_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In such a file every block lies in every tile of a row; GDAL's cache is to hold a row of tiles, up to a limit."""
    monkeypatch.setattr(source_module, "CACHE_BYTES", 1 << 20)
    rows = 4 * 1000 * 2
    for kind, expected in (
        ({"blockysize": 4}, rows * (512 + 4) * 5 // 4),
        ({"blockysize": 1}, rows * (512 + 1) * 5 // 4),
        ({"tiled": True, "blockxsize": 64, "blockysize": 64}, 1 << 20),
    ):
        path = write(tmp_path / "a.tif", samples(4, "uint16", 8, 1000), **kind)
        with Source(path):
            assert int(rasterio.env.getenv()["GDAL_CACHEMAX"]) == expected
    monkeypatch.setattr(source_module, "MOST_CACHE_BYTES", 2 << 20)
    with Source(write(tmp_path / "a.tif", samples(4, "uint16", 8, 1000))):
        assert int(rasterio.env.getenv()["GDAL_CACHEMAX"]) == 1 << 20


def test_a_broken_file_of_coefficients_beside_a_raster_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "scene.tif", samples(3))
    (tmp_path / "scene_RPC.TXT").write_text("x")
    with pytest.raises(FdegError, match=r"scene_RPC\.TXT"):
        Source(path)
    with pytest.raises(FdegError, match=r"scene_RPC\.TXT"), view(path):
        pass


def test_of_several_pages_one_is_to_be_named(tmp_path: Path) -> None:
    path, pages = tmp_path / "pages.tif", [Image.fromarray(samples(1)[0]) for _ in range(3)]
    pages[0].save(path, save_all=True, append_images=pages[1:])
    with pytest.raises(FdegError, match=f"holds 3 rasters, and is none itself; name one, as GTIFF_DIR:1:{path}"):
        Source(path)
    with Source(f"GTIFF_DIR:2:{path}") as source:
        assert (source.height, source.width) == samples(1).shape[1:]


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_white_zeros_are_refused_for_what_they_are(tmp_path: Path, dtype: str) -> None:
    path = write(tmp_path / "a.tif", samples(1).astype(dtype), photometric="MINISWHITE")
    with pytest.raises(FdegError, match="MINISWHITE"):
        Source(path)


@pytest.mark.parametrize(("value", "max_error"), [(60000, None), (60000, 5.0), (3000, 5.0), (7, None), (7, 5.0)])
def test_samples_that_change_after_they_were_looked_at_are_told(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: int, max_error: float | None
) -> None:
    """Beyond the limits of a band, above all that was seen, and nodata where there was none."""
    data = np.random.default_rng(0).integers(1000, 2000, (1, 64, 128)).astype(np.uint16)
    path = write(tmp_path / "a.tif", data, lambda raster: setattr(raster, "nodata", 7))
    read = Source._read

    def changed(self: Source, window: Window) -> Samples:
        found = read(self, window)
        if hasattr(self, "layers"):
            found[:, 5, 9] = value
        return found

    monkeypatch.setattr(Source, "_read", changed)
    with pytest.raises(RasterError, match=r"a\.tif: changed while it was read"):
        fdeg_codec.encode(path, tmp_path / "a.fdg", model="tiny", max_error=max_error)
    assert not (tmp_path / "a.fdg").exists()
