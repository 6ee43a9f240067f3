"""Layers that are stored exactly, and what is put under them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from fdeg_codec.errors import BadFileError
from fdeg_codec.raster import masks

SHAPES = array_shapes(min_dims=2, max_dims=2, max_side=40)
BINARY = arrays(np.uint8, SHAPES, elements=st.sampled_from([0, 255]))
GREY = arrays(np.uint8, SHAPES)


@given(BINARY | GREY)
def test_every_layer_comes_back(values: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(masks.unpack_layer(masks.pack_layer(values), *values.shape), values)


@pytest.mark.parametrize(("value", "size"), [(0, 1), (255, 0)])
def test_plain_layers_cost_a_byte_at_most(value: int, size: int) -> None:
    assert len(masks.pack_layer(np.full((512, 512), value, np.uint8))) == size


@given(BINARY | GREY, st.data())
def test_a_flipped_bit_never_gives_another_layer(values: NDArray[np.uint8], data: st.DataObject) -> None:
    entry = bytearray(masks.pack_layer(values))
    if not entry:
        return
    bit = data.draw(st.integers(0, 8 * len(entry) - 1))
    entry[bit // 8] ^= 1 << bit % 8
    try:
        after = masks.unpack_layer(bytes(entry), *values.shape)
    except BadFileError:
        return
    np.testing.assert_array_equal(after, values)  # deflate's last byte is padded with bits that mean nothing


@given(arrays(np.uint16, SHAPES), st.data())
def test_fill_keeps_valid_samples_and_stays_between_them(samples: NDArray[np.uint16], data: st.DataObject) -> None:
    valid = data.draw(arrays(np.bool_, samples.shape))
    filled = masks.fill(samples, valid)
    assert filled.dtype == samples.dtype
    np.testing.assert_array_equal(filled[valid], samples[valid])
    if valid.any():
        assert samples[valid].min() <= filled.min() <= filled.max() <= samples[valid].max()


def test_a_sample_kept_exactly_is_no_nodata_of_another_band() -> None:
    flags = np.array([[True, False, False]])
    found: dict[masks.Layer, Any] = {
        masks.Layer("far", 0): masks.Far(flags, np.array([-9999], np.int16)),
        masks.Layer("nodata", 0): np.array([[255, 0, 255]], np.uint8),
    }
    picture = np.array([[[5, 6, -9999]]], np.int16)
    masks.restore(picture, found, {0: -9999})
    assert picture.tolist() == [[[-9998, -9999, -9998]]]


def test_layers_are_applied_in_the_order_of_the_format() -> None:
    """Samples kept exactly, then nodata 7, which moves a valid 7 and hides what is kept, then what is no number."""
    samples = np.array([[[5, 7, 5, 7, 5, 5]]], np.float32)
    kept = masks.Far(np.array([[False, False, True, True, True, True]]), np.array([900, 900, 7, 900], np.float32))
    found = {
        masks.Layer("nan", 0): np.array([[255, 255, 255, 255, 255, 0]], np.uint8),
        masks.Layer("nodata", 0): np.array([[0, 255, 0, 255, 255, 255]], np.uint8),
        masks.Layer("far", 0): kept,
    }
    masks.restore(samples, found, {0: 7.0})
    moved = np.nextafter(np.float32(7), np.float32(8))
    np.testing.assert_array_equal(samples[0, 0], [7, moved, 7, 900, moved, np.nan])


def test_fill_is_smooth() -> None:
    """A hole in a ramp is bridged in small steps, and not with the nodata value."""
    ramp = np.tile(np.arange(100, 228, dtype=np.uint8), (64, 1))
    valid = np.ones_like(ramp, bool)
    valid[20:44, 50:80] = False
    holed = np.where(valid, ramp, 0).astype(np.uint8)
    filled = masks.fill(holed, valid)
    assert np.abs(filled.astype(int) - ramp).max() <= 30
    assert np.abs(np.diff(filled.astype(int), axis=1)).max() < np.abs(np.diff(holed.astype(int), axis=1)).max() / 4


@given(arrays(np.uint8, SHAPES), st.integers(0, 255), st.data())
def test_nodata_is_where_it_was_and_nowhere_else(samples: NDArray[np.uint8], value: int, data: st.DataObject) -> None:
    valid = data.draw(arrays(np.bool_, samples.shape))
    out = masks.avoid(samples, float(value), valid)
    np.testing.assert_array_equal(out != value, valid)
    assert (np.abs(out.astype(int) - samples)[valid] <= 1).all()
