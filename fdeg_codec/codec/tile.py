"""One plane of one tile, integers to bytes and back, by one walk for both directions.

Encoder and decoder go through the same steps in the same order and ask the same predictor, so they cannot disagree
unless a machine computes differently; then the CRC of the latents says so.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fdeg_codec.codec.engine import Predictor, hyper_side
from fdeg_codec.codec.seal import seal, unseal
from fdeg_codec.entropy.coder import Coder, Encoder
from fdeg_codec.entropy.mixture import code_latents, code_rows, mixtures
from fdeg_codec.entropy.rounding import NEAREST, Rounding
from fdeg_codec.entropy.silence import code_speaking
from fdeg_codec.ndtypes import Integers

Latents = NDArray[Any]  # real numbers to be rounded, or integers


def walk(
    coder: Coder,
    predictor: Predictor,
    shape: tuple[int, int],
    z: Integers | None,
    y: Latents | None,
    rounding: Rounding = NEAREST,
) -> tuple[Integers, Integers]:
    """Code z and y (row, column, channel), which is rounded on the way; a decoder passes None for both and gets them."""
    side = hyper_side(shape[0]), hyper_side(shape[1])
    frequencies = np.tile(predictor.z_rows, (side[0] * side[1], 1))
    z = code_rows(coder, frequencies, None if z is None else z.reshape(-1)).reshape(*side, -1)
    speaking = code_speaking(coder, predictor.latent, None if y is None else rounding.speaking(y))
    out = np.zeros((*shape, predictor.latent), np.int32)
    if speaking.any():
        predictor.begin(z, *shape, speaking)
        known = None if y is None else np.compress(speaking, y, axis=-1)  # cells together, unlike by an index
        out[..., speaking] = _code_spoken(coder, predictor, (*shape, speaking.sum()), known, rounding)
    return z, out


def _code_spoken(coder: Coder, predictor: Predictor, shape: tuple[int, ...], y: Latents | None, rounding: Rounding) -> Integers:
    """Code the latents of the channels that speak."""
    out = np.zeros(shape, np.int32)
    for rows, columns in predictor.passes(*shape[:2]):
        predictor.turn_to((rows, columns))
        for number, part in enumerate(predictor.slices):
            mixture = mixtures(coder.round(predictor.grid(number)))
            known = None if y is None else rounding.choose(y[rows, columns, part].reshape(-1), mixture)
            values = code_latents(coder, mixture, known).reshape(len(rows), -1)
            out[rows, columns, part] = values
            predictor.learn(number, values)
    return out


def encode_plane(predictor: Predictor, z: Integers, y: Latents, rounding: Rounding = NEAREST) -> tuple[bytes, Integers]:
    """The entry of a plane, the CRC of its latents and the range coder's words; and the y a decoder will read from it."""
    coder = Encoder()
    _, y_hat = walk(coder, predictor, (y.shape[0], y.shape[1]), z, y, rounding)
    return seal(coder, latents_crc(z, y_hat)), y_hat


def decode_plane(predictor: Predictor, entry: bytes, height: int, width: int) -> Integers:
    """The latents y of an entry, checked."""
    _, y = unseal(
        entry,
        lambda coder: walk(coder, predictor, (height, width), None, None),
        lambda found: latents_crc(*found),
        "latents",
    )
    return y


def latents_crc(z: Integers, y: Integers) -> int:
    """CRC-32 of z, then y, each as little-endian 32-bit integers in the order (row, column, channel)."""
    return zlib.crc32(y.astype("<i4").tobytes(), zlib.crc32(z.astype("<i4").tobytes()))
