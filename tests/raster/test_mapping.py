"""Samples to [0, 1] and back."""

from __future__ import annotations

import numpy as np
import pytest

from fdeg_codec.errors import BadFileError
from fdeg_codec.raster.mapping import Mapping, identity, unpack

BOUNDS = [(0, 65535), (1, 65535), (0, 65534), (65534, 65535), (7, 4099), (3, 10000), (32767, 65521), (12345, 54321)]


@pytest.mark.parametrize(("low", "high"), BOUNDS)
def test_every_value_within_the_bounds_comes_back(low: int, high: int) -> None:
    values = np.arange(low, high + 1, dtype=np.uint16)[None, None]
    mapping = Mapping("uint16", (float(low),), (float(high),))
    unit = mapping.to_unit(values)
    assert unit.dtype == np.float32
    assert unit.min() == 0
    assert unit.max() == 1
    np.testing.assert_array_equal(mapping.from_unit(unit), values)


def test_every_8_bit_value_comes_back() -> None:
    values = np.arange(256, dtype=np.uint8)[None, None]
    np.testing.assert_array_equal(identity("uint8", 1).from_unit(identity("uint8", 1).to_unit(values)), values)


@pytest.mark.parametrize("value", [0, 1, 999, 65534, 65535])
def test_a_constant_band_stays_constant_whatever_the_network_says(value: int) -> None:
    mapping = Mapping("uint16", (float(value),), (float(value),))
    assert (mapping.to_unit(np.full((1, 2, 2), value, np.uint16)) == 0).all()
    noisy = np.array([[[-3, 0, 0.2, 0.7, 1, 5]]], np.float32)
    assert (mapping.from_unit(noisy) == value).all()


def test_what_the_network_overshoots_ends_at_the_bounds() -> None:
    mapping = Mapping("uint16", (100.0, 0.0), (200.0, 65535.0))
    out = mapping.from_unit(np.array([[[-9.0, 9.0]], [[-9.0, 9.0]]], np.float32))
    assert out.tolist() == [[[100, 200]], [[0, 65535]]]


def test_each_band_has_its_own_map_also_after_a_choice_of_bands() -> None:
    mapping = Mapping("uint16", (0.0, 100.0, 5.0), (10.0, 300.0, 6.0))
    half = np.full((2, 1, 1), 0.5, np.float32)
    assert mapping.select([1, 0]).from_unit(half).ravel().tolist() == [200, 5]


def test_the_plain_map_takes_no_bytes_and_others_come_back() -> None:
    assert identity("uint8", 3).pack() == b""
    mapping = Mapping("uint16", (3.0, 7.0), (1000.0, 65535.0))
    assert unpack(mapping.pack(), "uint16", 2) == mapping
    assert unpack(None, "uint16", 2) == identity("uint16", 2)


@pytest.mark.parametrize("mapping", [Mapping("uint16", (9.0,), (3.0,)), Mapping("uint16", (0.0,), (70000.0,))])
def test_an_impossible_map_is_a_damaged_file(mapping: Mapping) -> None:
    with pytest.raises(BadFileError):
        unpack(mapping.pack(), "uint16", 1)
    with pytest.raises(BadFileError):
        unpack(mapping.pack()[:-1], "uint16", 1)
