"""Scenes that are no 8-bit RGB, as the network sees them: bands mapped around [0, 1], three to a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError

from fdeg_codec.codec.planes import groups, spread
from fdeg_codec.errors import FdegError
from fdeg_codec.ndtypes import Flags, Samples
from fdeg_codec.raster.mapping import REACH, Mapping, identity
from fdeg_codec.raster.masks import fill
from fdeg_codec.raster.source import reading
from fdeg_codec.raster.survey import Band
from fdeg_codec.raster.validity import sane


def load_scene(path: Path) -> list[NDArray[np.float32]]:
    """A picture (row, column, 3) of every three bands, mapped as an encoder maps them, holes filled."""
    try:
        with reading(), rasterio.open(path) as raster:
            bands = [b for b, c in zip(raster.indexes, raster.colorinterp, strict=True) if c is not ColorInterp.alpha]
            samples = raster.read(bands)
            valid = np.stack([raster.read_masks(b) > 0 for b in bands]) if bands else np.empty((0, 0, 0), bool)
    except RasterioError as error:
        raise FdegError(f"{path}: cannot be read as a picture ({error})") from error
    if np.iscomplexobj(samples):
        raise FdegError(f"{path}: holds complex samples; split them into real bands")
    valid &= sane(samples)
    dtype = str(samples.dtype)
    if dtype not in ("uint8", "int16", "uint16", "float32"):
        samples, dtype = samples.astype(np.float32), "float32"
    if not bands or not valid.any((1, 2)).all():
        raise FdegError(f"{path}: has a band without a valid sample")
    whole = np.stack([fill(band, known) for band, known in zip(np.where(valid, samples, 0), valid, strict=True)])
    x = np.clip(mapping(samples, valid, dtype).to_unit(whole), -REACH, 1 + REACH)
    return [np.ascontiguousarray(spread(x[group]).transpose(1, 2, 0)) for group in groups(list(range(len(x))))]


def mapping(samples: Samples, valid: Flags, dtype: str) -> Mapping:
    """As an encoder chooses it."""
    if dtype == "uint8":
        return identity(dtype, len(samples))
    known = [band[flags] for band, flags in zip(samples, valid, strict=True)]
    return Mapping(dtype, tuple(Band(float(b.min()), float(b.max()), drawn=[b]).line(dtype) for b in known))
