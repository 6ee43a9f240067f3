"""Once over a raster before it is encoded: the range of its valid samples, and which exact layers it needs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from fdeg_codec.ndtypes import Flags, Floats, Samples
from fdeg_codec.raster import bound, mapping
from fdeg_codec.raster.bound import Bound
from fdeg_codec.raster.mapping import Line, Mapping
from fdeg_codec.raster.masks import MISSING, Layer, Layer8, LayerKind
from fdeg_codec.raster.validity import Rules, sane

TAILS = (1.0, 0.1, 0.0)  # percent of the samples that are mapped below 0, and as many above 1: the first that will do
FAR_SHARE = 1e-3  # of the samples may end up beyond the mapping's limits
DRAWN = 1 << 16  # samples of each band that percentiles are taken from
WHOLE = 2.0**20  # up to here whole numbers held as float32 are treated as such
FINE = 5  # digits of a map's ends
COMPARED = 1 << 13  # pixels that bands are compared at


@dataclass
class Band:
    """What is known of a band so far."""

    least: float = np.inf
    most: float = -np.inf
    lacking: set[LayerKind] = field(default_factory=set)  # nodata, nan
    huge: bool = False
    whole: bool = True  # whether its samples are whole numbers of moderate size
    drawn: list[Samples] = field(default_factory=list)

    def line(self, dtype: str) -> Line:
        """The map that uses the network's range best and still leaves hardly a sample outside its limits."""
        if self.least > self.most:
            return Line(0.0, 0.0, 0.0, 0.0)
        drawn = np.concatenate(self.drawn)
        least, most = (float(str(np.dtype(dtype).type(n))) for n in (self.least, self.most))
        for tail in TAILS:
            first, last = map(float, (self.least, self.most) if tail == 0 else np.percentile(drawn, (tail, 100 - tail)))
            digits = _digits(first, last, dtype)
            line = Line(round(first, digits), round(last, digits), least, most)
            lowest, highest = line.limits
            if line.high > line.low and np.count_nonzero((drawn < lowest) | (drawn > highest)) <= FAR_SHARE * drawn.size:
                break
        return line


def _digits(low: float, high: float, dtype: str) -> int:
    """Behind the point, of the ends of a map: none of whole numbers, else down to a hundred thousandth of their distance."""
    return 0 if mapping.is_integer(dtype) or not low < high else FINE - math.floor(math.log10(high - low))


class Survey:
    """Takes a raster's strips; then says how it is mapped and which layers it needs."""

    def __init__(self, rules: Rules, pixels: int) -> None:
        self._rules = rules
        self._bands = [Band() for _ in rules.nodata]
        self._stride = max(pixels // DRAWN, 1) | 1  # odd, so that it does not fall in step with columns
        self._alike = dict.fromkeys(MISSING, True)
        self.hides_something = False  # whether any sample under a mask or alpha of 0 is not 0 itself
        self._sparse = max(pixels // COMPARED, 1) | 1
        self._pixels: list[NDArray[np.float32]] = []  # (band, pixel), NaN where not valid

    def see(self, samples: Samples, mask: Layer8 | None) -> None:
        rules = self._rules
        shown = replace(rules, veils=True).shown(samples, mask)
        first: dict[LayerKind, Flags] = {}
        pixels = samples.reshape(len(samples), -1)[:, :: self._sparse].astype(np.float32)
        for b in rules.coded:
            band = self._bands[b]
            found = {kind: rules.lets(kind, samples[b], b) for kind in MISSING}
            for kind, flags in found.items():
                self._alike[kind] &= bool((first.setdefault(kind, flags) == flags).all())
                band.lacking |= set() if flags.all() else {kind}
            self.hides_something |= bool(samples[b][~shown].any())
            valid = self._measure(band, samples[b], found["nodata"] & found["nan"] & (shown | (not rules.veils)))
            pixels[b, ~valid.ravel()[:: self._sparse]] = np.nan
        self._pixels.append(pixels)

    def _measure(self, band: Band, samples: Samples, valid: Flags) -> Flags:
        if self._rules.dtype == "float32":
            moderate = sane(samples)
            band.huge |= bool((valid & ~moderate).any())
            valid &= moderate
            kept = samples[valid]
            band.whole &= bool(((kept == np.rint(kept)) & (np.abs(kept) < WHOLE)).all())
        kept = samples[valid]
        if kept.size:
            band.least, band.most = min(band.least, float(kept.min())), max(band.most, float(kept.max()))
            band.drawn.append(kept[:: self._stride].copy())  # a view would keep the whole strip
        return valid

    @property
    def likeness(self) -> Floats:
        """How alike bands are: their correlations, 0 where there is nothing to compare."""
        pixels = np.concatenate(self._pixels, 1).astype(np.float64) if self._pixels else np.zeros((len(self._bands), 1))
        known = np.isfinite(pixels)
        pixels -= np.where(known, pixels, 0).sum(1, keepdims=True) / np.maximum(known.sum(1, keepdims=True), 1)
        pixels[~known] = 0
        lengths = np.sqrt((pixels**2).sum(1))
        return (pixels @ pixels.T) / np.maximum(np.outer(lengths, lengths), np.finfo(np.float64).tiny)

    @property
    def mapping(self) -> Mapping:
        dtype = self._rules.dtype
        if dtype == "uint8":
            return mapping.identity(dtype, len(self._bands))
        return Mapping(dtype, tuple(band.line(dtype) for band in self._bands))

    def bounds(self, lines: Iterable[Line], max_error: float) -> list[Bound]:
        """What keeps the error of every band within `max_error`."""
        nodata = self._rules.nodata
        return [
            bound.choose(line, max_error, band.whole, value)
            for line, band, value in zip(lines, self._bands, nodata, strict=True)
        ]

    def layers(self, lines: Iterable[Line]) -> list[Layer]:
        coded = self._rules.coded
        layers: list[Layer] = []
        for kind in MISSING:
            if any(kind in self._bands[b].lacking for b in coded):
                layers += [Layer(kind, None)] if self._alike[kind] else [Layer(kind, b) for b in coded]
        return layers + [Layer("far", b) for b, line in enumerate(lines) if b in coded and self._is_far(b, line)]

    def _is_far(self, b: int, line: Line) -> bool:
        """Whether samples of a band were seen beyond its limits, or beyond all measure."""
        band = self._bands[b]
        return band.huge or band.least < line.limits[0] or band.most > line.limits[1]
