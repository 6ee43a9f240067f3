"""Visual information fidelity in the pixel domain, VIFp: Sheikh and Bovik, IEEE Trans. Image Processing 15(2), 2006.

Written here because the libraries that have it either need torchvision or take a second per picture (no separable filters).
"""

from __future__ import annotations

import math

import numpy as np

from fdeg_codec.ndtypes import Floats

SCALES = 4
NOISE = 2.0  # variance of the visual noise, for samples in 0..255
TINY = 1e-10


def vifp(a: Floats, b: Floats) -> float:
    """The information about A (band, row, column) that B keeps, mean over the bands; 1 where they are equal.

    A band without any information is left out; not a number where none has some.
    """
    equal = (a == b).all((1, 2))
    kept, whole = np.zeros(len(a)), np.zeros(len(a))
    for scale in range(SCALES):
        size = 2 ** (SCALES - scale) + 1
        if scale:
            a, b = (_blurred(x, size)[:, ::2, ::2] for x in (a, b))
        information = _information(a, b, size)
        kept += information[0]
        whole += information[1]
    shares = np.where(equal, 1, kept / np.where(whole > 0, whole, 1))[equal | (whole > 0)]
    return float(shares.mean()) if shares.size else math.nan


def _information(a: Floats, b: Floats, size: int) -> tuple[Floats, Floats]:
    """What B = gain * A + noise tells of A at one scale, and what A itself does, in each band."""
    mean_a, mean_b = _blurred(a, size), _blurred(b, size)
    var_a = np.maximum(_blurred(a * a, size) - mean_a**2, 0)
    var_b = np.maximum(_blurred(b * b, size) - mean_b**2, 0)
    covariance = _blurred(a * b, size) - mean_a * mean_b
    gain = np.where((var_a < TINY) | (var_b < TINY), 0, covariance / (var_a + TINY))
    noise = np.where(gain == 0, var_b, var_b - gain * covariance)
    noise = np.maximum(np.where(gain < 0, var_b, noise), TINY)
    gain = np.maximum(gain, 0)
    kept = np.log10(1 + gain**2 * var_a / (noise + NOISE)).sum((1, 2))
    return kept, np.log10(1 + np.where(var_a < TINY, 0, var_a) / NOISE).sum((1, 2))


def _blurred(x: Floats, size: int) -> Floats:
    """Under a Gaussian window of that many pixels, where it lies inside."""
    from scipy.ndimage import correlate1d

    half = size // 2
    window = np.exp(-((np.arange(size) - half) ** 2) / (2 * (size / 5) ** 2))
    smooth: Floats = correlate1d(correlate1d(x, window / window.sum(), 1), window / window.sum(), 2)
    return smooth[:, half : x.shape[1] - half, half : x.shape[2] - half]
