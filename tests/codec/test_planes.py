"""Bands to planes of three and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdeg_codec.codec import planes
from fdeg_codec.errors import BadFileError

COLOURS = st.lists(st.sampled_from(["red", "green", "blue", "nir", "undefined"]), min_size=1, max_size=9)


@given(COLOURS)
def test_every_band_has_one_place_and_it_is_kept(colours: list[str]) -> None:
    bands = list(range(len(colours)))
    likeness = np.corrcoef(np.random.default_rng(len(colours)).random((len(colours), 5))).reshape(len(colours), -1)
    ordered = planes.order(bands, colours, likeness)
    assert sorted(ordered) == bands
    assert planes.unpack(planes.pack(ordered), len(bands), set()) == ordered
    assert [b for group in planes.groups(ordered) for b in group] == ordered
    assert all(1 <= len(group) <= 3 for group in planes.groups(ordered))


@pytest.mark.parametrize(
    ("colours", "expected"),
    [
        (["blue", "green", "red"], [[2, 1, 0]]),
        (["red", "green", "blue", "nir"], [[0, 1, 2], [3]]),
        (["blue", "green", "red", "nir"], [[2, 1, 0], [3]]),
        (["undefined"] * 4, [[0, 1, 2], [3]]),
    ],
)
def test_red_green_and_blue_share_a_plane(colours: list[str], expected: list[list[int]]) -> None:
    alike = np.eye(len(colours))
    assert planes.groups(planes.order(list(range(len(colours))), colours, alike)) == expected


def test_what_is_most_alike_shares_a_plane() -> None:
    alike = np.eye(7)
    for a, b, value in [(1, 6, 0.9), (1, 3, 0.5), (3, 6, 0.6), (0, 5, 0.8), (0, 2, 0.2), (2, 5, 0.1), (4, 0, -0.9)]:
        alike[a, b] = alike[b, a] = value
    assert planes.groups(planes.order(list(range(7)), ["undefined"] * 7, alike)) == [[1, 3, 6], [0, 2, 5], [4]]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_group_comes_back_from_the_networks_three_channels(count: int) -> None:
    bands = np.random.default_rng(0).random((count, 5, 7), np.float32)
    spread = planes.spread(bands)
    assert spread.shape == (3, 5, 7)
    np.testing.assert_allclose(planes.gather(spread, count), bands, rtol=1e-6)


def test_repeated_bands_are_averaged() -> None:
    assert planes.gather(np.array([[[1.0]], [[2.0]], [[6.0]]], np.float32), 1).item() == 3
    assert planes.gather(np.array([[[1.0]], [[2.0]], [[6.0]]], np.float32), 2).ravel().tolist() == [3.5, 2]


@pytest.mark.parametrize("data", [b"\0", b"\0\0\0\0\1\0", b"\5\0\0\0"])
def test_an_order_that_is_none_is_a_damaged_file(data: bytes) -> None:
    with pytest.raises(BadFileError):
        planes.unpack(data, 2, set())
