"""What a prediction leaves, exactly: whole numbers under mixtures whose means and scales follow from their neighbours.

A band's residuals are coded in five passes over ever denser lattices, so that most have neighbours on all sides. In each pass
the encoder fits how the mean and the magnitude of a residual follow from what is known already (neighbours, earlier bands, the
curvature of the prediction), and sends the coefficients; both sides then compute the mixtures in integers, and code
as they code latents (mixture.py). Low bits that are as good as random are sent as they are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fdeg_codec.entropy.coder import Coder
from fdeg_codec.entropy.mixture import code_latents, mixtures
from fdeg_codec.entropy.tables import STEPS
from fdeg_codec.errors import BadFileError
from fdeg_codec.grid import SCALE_MAX, SCALE_MIN, SCALES
from fdeg_codec.ndtypes import Flags, Integers, Longs

Places = tuple[tuple[int, int], ...]  # (row, column)
# The places of each pass, modulo 4, and the pairs of neighbours that it sees: opposite each other, one of the two.
PASSES: tuple[tuple[Places, Places], ...] = (
    (((0, 0),), ()),
    (((2, 2),), ((2, 2), (2, -2))),
    (((0, 2), (2, 0)), ((0, 2), (2, 0))),
    (((1, 1), (1, 3), (3, 1), (3, 3)), ((1, 1), (1, -1))),
    (((0, 1), (0, 3), (1, 0), (1, 2), (2, 1), (2, 3), (3, 0), (3, 2)), ((0, 1), (1, 0))),
)
COEFFICIENT = 8  # bits behind the point
LIMIT = 1 << 11  # of a coefficient
MOST = 1 << 33  # of a residual: two float32 are at most 2^32 apart
EXACT = (1 << 53) - 1  # of a magnitude, whose bit length is that of a double
SPREAD = 6  # steps of scale between the mixture's components
WEIGHTS = (22, 28)  # of the narrow and the middle component, in 1/64
FINE = 28  # a scale from here on (sigma 3.6) leaves the lowest bit nearly random
MOST_SHIFT = 32
MOST_BITS = 32  # of a surprise, 1/16 and all, before the low ones go: what is left of it fits 32-bit integers
BUCKETS = 4  # of magnitude in each octave


class Plane(NamedTuple):
    """One band on its way: the prediction, which of its samples count, and what is known of the residual."""

    base: Longs
    valid: Flags
    residual: Longs  # 0 where not valid or not yet known
    surprise: Longs  # |residual - mean| in 1/16


def code_band(coder: Coder, base: Longs, valid: Flags, earlier: list[Plane], residual: Longs | None) -> Plane:
    """Code a band's residual (row, column); a decoder passes None and gets it. `earlier` bands of the picture are known."""
    plane = Plane(base, valid, np.zeros_like(base), np.zeros_like(base))
    for places, pairs in PASSES:
        where = np.flatnonzero(_lattice(places, base.shape) & valid)
        if where.size:
            _code_pass(coder, plane, earlier, pairs, where, None if residual is None else residual.ravel()[where])
    return plane


def _code_pass(
    coder: Coder,
    plane: Plane,
    earlier: list[Plane],
    pairs: Places,
    where: NDArray[np.intp],
    values: Longs | None,
) -> None:
    expectation, magnitude = _features(plane, earlier, pairs, where)
    slopes = _code_signed(coder, len(expectation), None if values is None else _fit(expectation, STEPS * values))
    _refuse_beyond(LIMIT, slopes)
    mean = _weigh(expectation, slopes) // (1 << COEFFICIENT)
    surprise = None if values is None else np.abs(STEPS * values - mean)
    fit = None if surprise is None else np.maximum(_fit(magnitude, surprise), 0).astype(np.int32)
    weights = coder.numbers(len(magnitude), fit).astype(np.int64)
    _refuse_beyond(LIMIT, weights)
    buckets, bucket = np.unique(_bucket(_weigh(magnitude, weights)), return_inverse=True)
    shift, scales = _code_scales(coder, len(buckets), None if surprise is None else _scales(surprise, bucket, len(buckets)))
    centre = (mean + STEPS // 2) // STEPS
    grid = _grid((mean - STEPS * centre - STEPS // 2 * ((1 << shift) - 1)) >> shift, scales[bucket])
    rest = None if values is None else values - centre
    high = code_latents(coder, mixtures(grid), None if rest is None else (rest >> shift).astype(np.int32))
    low = coder.bits(len(where), shift, None if rest is None else rest & ((1 << shift) - 1))
    found = centre + (high.astype(np.int64) << shift) + low
    _refuse_beyond(MOST, found)
    plane.residual.ravel()[where] = found
    plane.surprise.ravel()[where] = np.abs(STEPS * found - mean)


def _lattice(places: Places, shape: tuple[int, ...]) -> Flags:
    """Where the places of a pass are."""
    cell = np.zeros((4, 4), bool)
    cell[tuple(zip(*places, strict=True))] = True
    return np.tile(cell, (-(-shape[0] // 4), -(-shape[1] // 4)))[: shape[0], : shape[1]]


def _features(plane: Plane, earlier: list[Plane], pairs: Places, where: NDArray[np.intp]) -> tuple[list[Longs], list[Longs]]:
    """What the mean (in 1/16) and the magnitude of a residual may follow from, at `where`."""
    curves = [_pair(plane.base, step, where) - 2 * plane.base.ravel()[where] for step in ((0, 1), (1, 0))]
    expectation = [8 * _pair(plane.residual, step, where) for step in pairs] + curves
    magnitude = [sum((np.abs(curve) for curve in curves), np.full(len(where), STEPS, np.int64)) * STEPS // 4]
    magnitude.append(np.full(len(where), STEPS, np.int64))
    if pairs:
        magnitude.append(sum((_pair(plane.surprise, step, where) for step in pairs), np.zeros(len(where), np.int64)) // 4)
    for other in earlier:
        here = STEPS * other.residual.ravel()[where]
        expectation += [here, *(8 * _pair(other.residual, step, where) for step in pairs)]
        magnitude.append(other.surprise.ravel()[where])
    return expectation, magnitude


def _pair(picture: Longs, step: tuple[int, int], where: NDArray[np.intp]) -> Longs:
    """The sum of two neighbours opposite each other, at `where`; a place outside the picture is its edge."""
    rows, columns = np.divmod(where, picture.shape[1])
    total = np.zeros(len(where), np.int64)
    for sign in (1, -1):
        row = np.clip(rows + sign * step[0], 0, picture.shape[0] - 1)
        total += picture[row, np.clip(columns + sign * step[1], 0, picture.shape[1] - 1)]
    return total


def _fit(features: list[Longs], wanted: Longs) -> Longs:
    """The coefficients that predict best in the sense of least squares, in 1/256."""
    columns = np.stack(features).astype(np.float64)
    share = np.diag(np.full(len(columns), 1e-6 * (1 + (columns**2).sum() / len(columns))))
    slopes = np.linalg.solve(columns @ columns.T + share, columns @ wanted.astype(np.float64))
    return np.clip(np.rint(slopes * (1 << COEFFICIENT)), -LIMIT, LIMIT).astype(np.int64)


def _weigh(features: list[Longs], slopes: Longs) -> Longs:
    return sum((slope * feature for slope, feature in zip(slopes, features, strict=True)), np.zeros_like(features[0]))


def _bucket(magnitude: Longs) -> Longs:
    """The octave of a magnitude, and the quarter of that."""
    plus = magnitude + (1 << COEFFICIENT)
    _refuse_beyond(EXACT, plus)
    octave = np.frexp(plus.astype(np.float64))[1].astype(np.int64)
    return BUCKETS * octave + (plus >> octave - 3) % BUCKETS


def _scales(surprise: Longs, bucket: NDArray[np.intp], count: int) -> tuple[int, Longs]:
    """How many low bits are random, and the scale of each bucket above them."""
    mean = np.bincount(bucket, surprise.astype(np.float64), count) / np.bincount(bucket, minlength=count) / STEPS
    steps = (SCALES - 1) / np.log(SCALE_MAX / SCALE_MIN)
    index = np.rint(np.log(np.maximum(mean, SCALE_MIN) / SCALE_MIN) * steps)
    common = np.average(index, weights=np.bincount(bucket, minlength=count))
    octave = steps * np.log(2)
    shift = max(int((common - FINE) // octave) + 1, int(surprise.max()).bit_length() - MOST_BITS, 0)
    return shift, np.clip(np.rint(index - shift * octave), 0, SCALES - 1).astype(np.int64)


def _grid(mean: Longs, scale: Longs) -> Integers:
    """A grid for code_latents: three components of one mean, one narrower and one wider than the other."""
    scales = [np.clip(scale + k, 0, SCALES - 1) for k in (-SPREAD, 0, SPREAD)]
    weights = [np.full_like(mean, w) for w in WEIGHTS]
    return np.stack([mean, mean, mean, *scales, *weights]).astype(np.int32)


def _refuse_beyond(most: int, values: Longs) -> None:
    """What no encoder needs, lest sums of it leave 64 bits."""
    if max(int(values.max()), -int(values.min())) > most:
        raise BadFileError("it holds a number beyond all bounds")


def _code_signed(coder: Coder, count: int, values: Longs | None) -> Longs:
    """Small numbers of either sign."""
    folded = None if values is None else np.where(values < 0, -2 * values - 1, 2 * values).astype(np.int32)
    numbers = coder.numbers(count, folded).astype(np.int64)
    return np.where(numbers % 2, -(numbers + 1) // 2, numbers // 2)


def _code_scales(coder: Coder, count: int, known: tuple[int, Longs] | None) -> tuple[int, Longs]:
    shift = int(coder.numbers(1, None if known is None else np.array([known[0]], np.int32))[0])
    if shift > MOST_SHIFT:
        raise BadFileError("it holds more random bits than any sample")
    steps = _code_signed(coder, count, None if known is None else np.diff(known[1], prepend=0))
    return shift, np.cumsum(steps)
