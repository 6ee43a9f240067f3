"""Encoder time for fewer bits: which integers stand for a tile. A decoder does not notice.

Effort 0 rounds. Effort 1 minds each latent's rate while rounding (entropy/rounding.py). From effort 2 on the whole tile's
rate and error decide: integers are changed step by step, and at the highest efforts real numbers settle on integers before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from fdeg_codec.codec.engine import Engine, Picture
from fdeg_codec.codec.slope import Slope
from fdeg_codec.codec.tile import encode_plane
from fdeg_codec.entropy.rounding import NEAREST, THRIFTY
from fdeg_codec.ndtypes import Integers


class Effort(NamedTuple):
    """How often the gradient of a tile is taken, which is what costs time."""

    annealing: int  # while its latents are real numbers
    descent: int  # once they are integers


_DESCENTS = (0, 0, 2, 4, 8, 12, 20, 40)
_SPENT = (*(Effort(0, passes) for passes in _DESCENTS), Effort(120, 40), Effort(240, 40))  # by each of EFFORTS


def encode_picture(
    engine: Engine, picture: Picture, counts: Callable[[], Picture], log2_lambda: int, effort: int
) -> tuple[bytes, Integers]:
    """The entry of a plane and its latents, from the network's input (3, row, column) and how much errors in it count."""
    annealing, descent = _SPENT[effort]
    z, y = engine.scale(engine.analyse(picture), log2_lambda)
    predictor = engine.predictor(log2_lambda)
    entry, start = encode_plane(predictor, z, y, NEAREST if effort == 0 else THRIFTY)
    if not annealing + descent:
        return entry, start
    slope = Slope(engine, picture, counts(), z, log2_lambda)
    found = slope.descend(start, descent)
    if annealing:  # pays at high rates, and not always at low ones
        found = min(found, slope.descend(slope.anneal(y, start, annealing), descent), key=lambda f: f.cost)
    less, other = encode_plane(predictor, z, found.latents)
    if len(less) >= len(entry) and slope.error(other) >= slope.error(start):  # a tiny picture's few words got no fewer
        return entry, start
    return less, other
