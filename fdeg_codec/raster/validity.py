"""Which samples count, and what is kept exactly beside the network: decided here for encoder and survey alike.

A sample is *hidden* under a mask or alpha of 0, *missing* if it is its band's nodata value or not a number, and *far* if
it lies where the network is not to be asked: infinite, or out of all proportion to its band.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fdeg_codec.ndtypes import Flags, Samples
from fdeg_codec.raster.masks import ALPHA, MASK, MISSING, Layer, Layer8, LayerKind

HUGE = 2.0**100  # no measurement: a nodata value that nobody declared, or that was declared with too few digits


def sane(samples: Samples) -> Flags:
    """Where samples can be measurements at all."""
    return np.abs(samples) < HUGE if samples.dtype.kind in "fc" else np.ones(samples.shape, bool)


@dataclass(frozen=True)
class Rules:
    """What a raster's bands call missing, and which of them are alpha."""

    dtype: str
    nodata: tuple[float | None, ...]
    alphas: tuple[int, ...]
    veils: bool = True  # whether mask and alpha hide what lies below them, or merely come along

    @property
    def coded(self) -> list[int]:
        return [b for b in range(len(self.nodata)) if b not in self.alphas]

    def present(self, samples: Samples, band: int) -> Flags:
        """Where one band (row, column) does not have its nodata value."""
        value = self.nodata[band]
        if value is None:
            return np.ones(samples.shape, bool)
        return ~np.isnan(samples) if math.isnan(value) else samples != samples.dtype.type(value)

    def numbers(self, samples: Samples, band: int) -> Flags:
        """Where one band is a number at all, or its nodata value."""
        value = self.nodata[band]
        if self.dtype != "float32" or (value is not None and math.isnan(value)):
            return np.ones(samples.shape, bool)
        return ~np.isnan(samples)

    def lets(self, kind: LayerKind, samples: Samples, band: int) -> Flags:
        """What a layer of kind nodata or nan says of one band."""
        return self.present(samples, band) if kind == "nodata" else self.numbers(samples, band)

    def near(self, samples: Samples, limits: tuple[float, float]) -> Flags:
        """Where one band lies within limits; what is no number does not."""
        if self.dtype == "uint8":
            return np.ones(samples.shape, bool)
        return (samples >= limits[0]) & (samples <= limits[1])

    def shown(self, samples: Samples, mask: Layer8 | None) -> Flags:
        """Where neither the mask nor an alpha band of `samples` (band, row, column) hides what lies below."""
        shown = np.ones(samples.shape[1:], bool) if mask is None or not self.veils else mask > 0
        for band in self.alphas if self.veils else ():
            shown &= samples[band] > 0
        return shown


@dataclass(frozen=True)
class Cut:
    """A window of a raster: its samples (band, row, column), the dataset's mask, and what is to be made of them."""

    rules: Rules
    limits: tuple[tuple[float, float], ...]  # of each band
    samples: Samples
    mask: Layer8 | None

    def valid(self, band: int) -> Flags:
        """Where the network is asked for a band."""
        samples = self.samples[band]
        return self.rules.present(samples, band) & self.near(band) & self.rules.shown(self.samples, self.mask)

    def near(self, band: int) -> Flags:
        return self.rules.near(self.samples[band], self.limits[band])

    def flags(self, layer: Layer) -> Layer8:
        """A layer's bytes: those of alpha, else 255 where it lets the samples pass."""
        if layer.kind in MASK:
            assert self.mask is not None
            return self.mask
        band = self.rules.coded[0] if layer.band is None else layer.band
        samples = self.samples[band]
        if layer.kind in ALPHA:
            return samples if self.rules.dtype == "uint8" else (samples > 0).astype(np.uint8) * np.uint8(255)
        if layer.kind in MISSING:
            passed = self.rules.lets(layer.kind, samples, band)
        else:
            passed = self.near(band) | ~self.rules.present(samples, band) | ~self.rules.numbers(samples, band)
            passed |= ~self.rules.shown(self.samples, self.mask)
        return passed.astype(np.uint8) * np.uint8(255)
