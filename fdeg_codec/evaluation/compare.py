"""The metrics of two rasters of any size, in bounded memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fdeg_codec.codec.progress import Progress
from fdeg_codec.errors import RasterError, UsageError
from fdeg_codec.evaluation import metrics
from fdeg_codec.evaluation.metrics import Tally
from fdeg_codec.evaluation.views import View, boxes, view
from fdeg_codec.psnr import Range


def compare(
    a: Path | str,
    b: Path | str,
    *,
    names: tuple[str, ...] = metrics.NAMES,
    ndvi: tuple[int, int] | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """How far B is from A, the original. `ndvi` are the numbers of the red and the near-infrared band, from 1."""
    absent = metrics.missing(names)
    kept = tuple(name for name in names if name not in absent)
    with view(a) as original, view(b) as other:
        _same_shape(original, other)
        span = sample_range(original)
        found = Tally(original.shape[0], span.peak, span.low, kept, find_ndvi(original.names, ndvi))
        parts = boxes(*original.shape[1:])
        for done, box in enumerate(parts, 1):
            (x, valid_x), (y, valid_y) = original.read(box), other.read(box)
            found.add(x, y, valid_x, valid_y)
            if progress:
                progress(done, len(parts))
        if not found.counts.any():
            absent |= dict.fromkeys(kept, "no sample is valid in both")
        bands, height, width = original.shape
        size = {"width": width, "height": height, "bands": bands, "peak": span.peak}
        return {"a": str(a), "b": str(b)} | size | found.result() | {"by_band": found.bands(), "left_out": absent}


def sample_range(original: View) -> Range:
    """Read only where it has to be."""
    span = Range(original.dtype)
    for box in () if span.is_known else boxes(*original.shape[1:]):
        samples, valid = original.read(box)
        span.add(samples[valid])
    return span


def find_ndvi(names: list[str], asked: tuple[int, int] | None) -> tuple[int, int] | None:
    """The positions of the red and the near-infrared band: as asked for, else by what they are called."""
    if asked is None:
        found = [
            next((k for k, name in enumerate(names) if name in wanted), None) for wanted in (("red",), ("nir", "near-infrared"))
        ]
        return (found[0], found[1]) if found[0] is not None and found[1] is not None else None
    if not all(1 <= band <= len(names) for band in asked):
        raise UsageError(f"--ndvi {asked[0]},{asked[1]}: there are bands 1 to {len(names)}")
    return asked[0] - 1, asked[1] - 1


def _same_shape(a: View, b: View) -> None:
    if a.shape != b.shape:
        sizes = [f"{s[2]} x {s[1]} with {s[0]} band{'s' * (s[0] > 1)}" for s in (a.shape, b.shape)]
        raise RasterError(f"{a.path} is {sizes[0]} and {b.path} is {sizes[1]}: only rasters of one shape can be compared")
