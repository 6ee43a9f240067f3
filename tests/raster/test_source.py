"""Rasters as the encoder sees them, and those it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasterio.windows import Window

from fdeg_codec.errors import FdegError, UnsupportedError
from fdeg_codec.raster.source import Source, reflected
from tests.raster.rasters import coloured, samples, write


@given(st.integers(1, 40), st.integers(0, 100), st.integers(0, 100))
def test_reflection_is_that_of_numpy(size: int, before: int, after: int) -> None:
    expected = np.pad(np.arange(size), (before, after), mode="reflect")
    np.testing.assert_array_equal(reflected(-before, size + after, size), expected)


def test_what_analysis_sees_is_the_picture_in_unit_range(tmp_path: Path) -> None:
    data = samples(3, "uint16")
    with Source(write(tmp_path / "a.tif", data)) as source:
        unit = source.unit(np.arange(10, 30), np.arange(40, 45))
    low, high = (f(data, axis=(1, 2))[:, None, None] for f in (np.min, np.max))
    expected = (data[:, 10:30, 40:45] - low.astype(float)) / (high - low.astype(float))
    np.testing.assert_allclose(unit, expected, atol=1e-6)


def test_the_range_is_that_of_valid_samples(tmp_path: Path) -> None:
    data = samples(2, "uint16")
    data[:, :10] = 65535
    with Source(write(tmp_path / "a.tif", data, nodata=65535)) as source:
        assert source.mapping.highs == tuple(float(band[10:].max()) for band in data)


@pytest.mark.parametrize("nodata", [0, 65535])
def test_analysis_never_sees_nodata(tmp_path: Path, nodata: int) -> None:
    """Not even where a band has no valid sample at all."""
    data = samples(2, "uint16")
    data[0], data[1, 10:20, 10:20] = nodata, nodata
    with Source(write(tmp_path / "a.tif", data, nodata=nodata)) as source:
        unit = source.unit(np.arange(70), np.arange(90))
    assert unit.min() >= 0
    assert unit.max() <= 1
    inside, whole = unit[1, 10:20, 10:20], unit[1]
    assert whole.min() < inside.min() <= inside.max() < whole.max()


def palette(target: Any) -> None:
    target.write_colormap(1, {0: (1, 2, 3, 255)})


REFUSED = {
    "float32": (np.zeros((1, 8, 8), np.float32), None, "float32"),
    "complex64": (np.zeros((1, 8, 8), np.complex64), None, "complex64"),
    "int8": (np.zeros((1, 8, 8), np.int8), None, "int8"),
    "five bands": (np.zeros((5, 8, 8), np.uint8), None, "5 bands"),
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
    with Source(path) as source, pytest.raises(UnsupportedError, match="half transparent"):
        source.exact(source.layers[0], Window(0, 0, 8, 8))


def test_nodata_that_differs_between_bands_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.tif", samples(2))
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{b}"><NoDataValue>{b}</NoDataValue><SimpleSource>'
        f'<SourceFilename relativeToVRT="1">a.tif</SourceFilename><SourceBand>{b}</SourceBand></SimpleSource></VRTRasterBand>'
        for b in (1, 2)
    )
    (tmp_path / "a.vrt").write_text(f'<VRTDataset rasterXSize="90" rasterYSize="70">{bands}</VRTDataset>')
    with pytest.raises(UnsupportedError, match="different nodata"):
        Source(tmp_path / "a.vrt")


def test_a_raster_that_is_cut_off_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", samples(3))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FdegError, match=r"a\.tif: damaged"), Source(path) as source:
        source.unit(np.arange(70), np.arange(90))


def test_alpha_is_no_band_of_the_network(tmp_path: Path) -> None:
    with Source(write(tmp_path / "a.tif", samples(4), coloured("alpha", "red", "green", "blue"))) as source:
        assert source.coded == [1, 2, 3]
        assert [(layer.kind, layer.band) for layer in source.layers] == [("alpha", 0)]
        assert source.metadata.colours[0] == "alpha"
