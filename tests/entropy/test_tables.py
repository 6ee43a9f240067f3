"""The Gaussian table against mpmath, the reaches against their definition."""

from __future__ import annotations

import hashlib

import mpmath
import numpy as np

from fdeg_codec.entropy.tables import ONE, REACH, SHA256, STEPS, TAIL, gaussian_cdf, reach, sigma
from fdeg_codec.grid import SCALES, WEIGHT_STEPS

FROM_BOUNDARY = 1e-9  # far above the error of any erf in double precision, scaled to 65536


def test_the_table_is_the_rounded_distribution_and_no_entry_is_a_close_call() -> None:
    rng = np.random.default_rng(0)
    table = gaussian_cdf()
    with mpmath.workprec(80):
        for scale in rng.integers(0, SCALES, 3000).tolist():
            width = STEPS * mpmath.mpf("0.05") * mpmath.mpf(2000) ** (mpmath.mpf(scale) / 63)
            offset = int(rng.integers(0, min(REACH, int(5 * width) + 2)))
            exact = ONE * mpmath.ncdf(offset / width) + mpmath.mpf(1) / 2
            assert table[scale, REACH + offset] == int(exact)
            assert table[scale, REACH - offset] == ONE - int(exact)
            assert FROM_BOUNDARY < exact - int(exact) < 1 - FROM_BOUNDARY or offset == 0


def test_the_table_rises_from_nothing_to_all() -> None:
    table = gaussian_cdf()
    assert table.shape == (SCALES, 2 * REACH + 1)
    assert (np.diff(table, axis=1) >= 0).all()
    assert (table[:, 0] == 0).all()
    assert (table[:, -1] == ONE).all()
    assert (table[:, REACH] == ONE // 2).all()


def test_the_table_has_the_hash_of_the_format() -> None:
    assert hashlib.sha256(gaussian_cdf().astype("<i4").tobytes()).hexdigest() == SHA256
    assert (sigma(0), sigma(SCALES - 1)) == (0.05, 100)


def test_the_table_cannot_be_changed_by_mistake() -> None:
    assert not gaussian_cdf().flags.writeable
    assert not reach().flags.writeable


def test_reaches_are_the_first_offsets_beyond_which_little_is_left() -> None:
    rng = np.random.default_rng(1)
    outside = ONE - gaussian_cdf()[:, REACH:].astype(int)
    for _ in range(1000):
        weight, scale = int(rng.integers(1, WEIGHT_STEPS + 1)), int(rng.integers(0, SCALES))
        enough = weight * outside[scale] <= TAIL * WEIGHT_STEPS
        assert reach()[weight, scale] == np.flatnonzero(enough)[0]


def test_a_component_of_no_weight_reaches_nowhere() -> None:
    assert (reach()[0] + 4 * 2**15 + STEPS * 2**12 < 0).all()
