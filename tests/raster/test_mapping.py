"""Samples to numbers around [0, 1] and back."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fdeg_codec.container.sections import pack_text
from fdeg_codec.errors import BadFileError
from fdeg_codec.raster.mapping import REACH, Line, Mapping, identity, unpack

BOUNDS = [(0, 65535), (1, 65535), (0, 65534), (65534, 65535), (7, 4099), (3, 10000), (32767, 65521), (12345, 54321)]


def lined(dtype: str, *ends: tuple[float, float]) -> Mapping:
    """A map whose samples end where 0 and 1 are."""
    return Mapping(dtype, tuple(Line(low, high, low, high) for low, high in ends))


@pytest.mark.parametrize(("low", "high"), [*BOUNDS, (-32768, 32767), (-32768, -5), (-3, 7)])
def test_every_value_within_the_bounds_comes_back(low: int, high: int) -> None:
    dtype = "int16" if low < 0 else "uint16"
    values = np.arange(low, high + 1).astype(dtype)[None, None]
    mapping = lined(dtype, (low, high))
    unit = mapping.to_unit(values)
    assert unit.dtype == np.float32
    assert unit.min() == 0
    assert unit.max() == 1
    np.testing.assert_array_equal(mapping.from_unit(unit), values)


def test_every_8_bit_value_comes_back() -> None:
    values = np.arange(256, dtype=np.uint8)[None, None]
    np.testing.assert_array_equal(identity("uint8", 1).from_unit(identity("uint8", 1).to_unit(values)), values)


@pytest.mark.parametrize(("low", "high"), [(100, 200), (-20, 9000), (0, 1)])
def test_what_lies_beyond_the_ends_is_mapped_beyond_and_comes_back(low: int, high: int) -> None:
    line = Line(low, high, -32768, 32767)
    values = np.arange(max(line.limits[0], -32768), min(line.limits[1], 32767) + 1).astype(np.int16)[None, None]
    mapping = Mapping("int16", (line,))
    unit = mapping.to_unit(values)
    assert -REACH <= unit.min() < 0
    assert 1 < unit.max() <= 1 + REACH
    np.testing.assert_array_equal(mapping.from_unit(unit), values)


def test_real_numbers_come_back_to_six_digits() -> None:
    values = np.random.default_rng(0).normal(-12, 5, (1, 40, 50)).astype(np.float32)
    mapping = Mapping("float32", (Line(-20.5, 0.25, float(values.min()), float(values.max())),))
    np.testing.assert_allclose(mapping.from_unit(mapping.to_unit(values)), values, atol=2e-5)


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
@pytest.mark.parametrize("value", [0, 1, 999, 65534, 65535])
def test_a_constant_band_stays_constant_whatever_the_network_says(dtype: str, value: int) -> None:
    mapping = lined(dtype, (value, value))
    assert (mapping.to_unit(np.full((1, 2, 2), value, dtype)) == 0).all()
    noisy = np.array([[[-3, 0, 0.2, 0.7, 1, 5]]], np.float32)
    assert (mapping.from_unit(noisy) == value).all()


def test_what_the_network_overshoots_ends_at_the_bounds() -> None:
    mapping = Mapping("uint16", (Line(100, 200, 90, 200), Line(0, 65535, 0, 65535)))
    out = mapping.from_unit(np.array([[[-9.0, 9.0]], [[-9.0, 9.0]]], np.float32))
    assert out.tolist() == [[[90, 200]], [[0, 65535]]]


def test_each_band_has_its_own_map_also_after_a_choice_of_bands() -> None:
    mapping = lined("uint16", (0, 10), (100, 300), (5, 6))
    half = np.full((2, 1, 1), 0.5, np.float32)
    assert mapping.select([1, 0]).from_unit(half).ravel().tolist() == [200, 5]


def test_the_plain_map_takes_no_bytes_and_others_come_back() -> None:
    assert identity("uint8", 3).pack() == b""
    for mapping in (lined("uint16", (3, 1000), (7, 65535)), Mapping("float32", (Line(0.1, 0.25, -7.3e-30, 1e38),))):
        assert unpack(mapping.pack(), mapping.dtype, len(mapping.lines)) == mapping
    assert unpack(None, "uint16", 2) == identity("uint16", 2)


@pytest.mark.parametrize(
    "lines",
    [
        *([[9, 3, 0, 10]], [[0, 70000, 0, 9]], [[0, 9, 0, 70000]], [[0, 9, -1, 9]], [[0, 9, 5, 4]], [[0, 9, 0]], [7]),
        *(
            [[0, 9, 0, 9]] * 2,
            [],
            {},
            [[0, 9, 0, float("nan")]],
            [[0, float("inf"), 0, 9]],
            [["a", 9, 0, 9]],
            [["0", 9, 0, 9]],
            [[0, True, 0, 1]],
            [[0, 10**999, 0, 9]],
        ),
    ],
)
@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_an_impossible_map_is_a_damaged_file(lines: object, dtype: str) -> None:
    if dtype == "float32" and lines in ([[0, 70000, 0, 9]], [[0, 9, 0, 70000]], [[0, 9, -1, 9]]):
        pytest.skip("real numbers may lie there")
    with pytest.raises(BadFileError):
        unpack(b"\0" + json.dumps(lines).encode(), dtype, 1)


def test_real_numbers_need_a_map_of_a_span_they_can_hold() -> None:
    for data in (None, pack_text([[-3e38, 3e38, -3e38, 3e38]])):
        with pytest.raises(BadFileError):
            unpack(data, "float32", 1)
