"""A raster to encode: what it is, which of its samples count, and its windows."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import numpy as np
import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import RasterioError
from rasterio.windows import Window

from fdeg_codec.choices import DEFAULT_TILE
from fdeg_codec.container.header import CODES, PLANE_BANDS
from fdeg_codec.errors import RasterError, UnsupportedError, UsageError, reason
from fdeg_codec.ndtypes import Flags, Samples
from fdeg_codec.raster import mapping, metadata
from fdeg_codec.raster.masks import ALPHA, MASK, Layer, Layer8
from fdeg_codec.raster.nowhere import may_lie_nowhere
from fdeg_codec.raster.survey import Survey
from fdeg_codec.raster.validity import Cut, Rules

STRIP_BYTES = 128 << 20  # of samples that a survey reads at once, unless a row of blocks has more
CACHE_BYTES = 256 << 20  # GDAL's own cache; its default is a share of all memory
MOST_CACHE_BYTES = 1 << 30
ELSEWHERE = re.compile(r"/vsi|\w[\w+.-]*:")  # /vsizip/a.zip/b.tif, https://..., NETCDF:a.nc:b: GDAL knows what is there
ADVICE = {  # what samples of other types can be made into
    "int8": "Int16",
    "uint32": "Float32, or UInt16 if they fit",
    "int32": "Float32, or Int16 if they fit",
    "uint64": "Float32, or UInt16 if they fit",
    "int64": "Float32, or Int16 if they fit",
    "float64": "Float32",
}


logging.getLogger("rasterio").addHandler(logging.NullHandler())


def reading(cache: int = CACHE_BYTES) -> rasterio.Env:
    """GDAL's settings to read with: its quick way through a PNG takes whatever lies in memory for what a cut-off file lacks."""
    return rasterio.Env(GDAL_CACHEMAX=cache, GDAL_PNG_WHOLE_IMAGE_OPTIM="NO")


@contextmanager
def readable(path: Path | str) -> Iterator[None]:
    """What rasterio finds wrong with a raster, in one line."""
    try:
        yield
    except (RasterioError, CPLE_BaseError) as error:  # the latter of files beside it
        raise RasterError(f"{path}: not a raster that can be read ({reason(error)})") from error
    except UnicodeEncodeError as error:
        raise RasterError(f"{path}: its name is not UTF-8, as GDAL wants it; a link may have another") from error
    except (LookupError, ValueError) as error:  # as it reads metadata and names
        raise RasterError(f"{path}: its metadata cannot be read ({type(error).__name__}: {error})") from error


def is_missing(path: Path | str) -> bool:
    """Whether there is no such file, as far as can be told without GDAL."""
    try:
        return not ELSEWHERE.match(str(path)) and not Path(path).exists()
    except OSError as error:
        raise RasterError(f"{path}: cannot be read ({reason(error)})") from error


class Source:
    """An open raster, or those of its `bands` (from 1) that are named.

    `coded` are the bands the network codes, counted from 0 among those; `layers` are kept exactly. With `max_error` there
    are `bounds`, and what lies under a mask or alpha of 0 counts unless it is all 0 anyway. It is to be cut into tiles of
    `tile` rows.
    """

    def __init__(
        self,
        path: Path | str,
        bands: int | Sequence[int] | None = None,
        max_error: float | None = None,
        tile: int = DEFAULT_TILE,
    ) -> None:
        self.path = path
        self.max_error = max_error
        if is_missing(path):
            raise RasterError(f"{path}: no such file")
        with ExitStack() as opened, readable(path):
            opened.enter_context(reading())
            with may_lie_nowhere():
                self._data = opened.enter_context(rasterio.open(path))
            opened.enter_context(reading(self._cache_bytes(tile)))
            self._examine(bands)
            self._opened = opened.pop_all()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._opened.close()

    def _cache_bytes(self, tile: int) -> int:
        """What GDAL must keep lest it read rows that reach across the whole raster again for every tile beside each other."""
        d = self._data
        if d.count == 0 or d.block_shapes[0][1] < d.width:
            return CACHE_BYTES
        row = sum(d.width * np.dtype(kind).itemsize for kind in d.dtypes if kind in CODES)
        needed = row * (tile + d.block_shapes[0][0]) * 5 // 4  # and what GDAL notes of each block
        return needed if CACHE_BYTES < needed <= MOST_CACHE_BYTES else CACHE_BYTES

    def _examine(self, bands: int | Sequence[int] | None) -> None:
        d = self._data
        if len(d.subdatasets) > 1 or d.count == 0:
            advice = f"; name one, as {d.subdatasets[0]}" if d.subdatasets else ""
            raise UnsupportedError(f"{self.path}: holds {len(d.subdatasets)} rasters, and is none itself{advice}")
        self.indexes = self._chosen(bands)
        self.dtype = self._dtype({d.dtypes[n - 1] for n in self.indexes})
        colours = [d.colorinterp[n - 1] for n in self.indexes]
        if d.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES":
            white = f"{mapping.bounds(self.dtype)[1]:.0f}"
            raise UnsupportedError(
                f"{self.path}: its zeros are white (MINISWHITE), and would come back black; "
                f"turn it over (gdal_translate -scale 0 {white} {white} 0)"
            )
        if ColorInterp.palette in colours:
            raise UnsupportedError(
                f"{self.path}: holds class numbers behind a colour table, which a lossy codec would blur; keep it as it is"
            )
        self.height, self.width, self.bands = d.height, d.width, len(self.indexes)
        self.metadata = metadata.chosen(metadata.describe(d), self.indexes)
        alphas = tuple(b for b, c in enumerate(colours) if c is ColorInterp.alpha)
        if alphas and self.dtype not in ("uint8", "uint16"):
            raise UnsupportedError(f"{self.path}: has transparency as {self.dtype}; name the other bands with --bands")
        self.rules = Rules(self.dtype, tuple(self._nodata(d.nodatavals[n - 1]) for n in self.indexes), alphas)
        self.coded = self.rules.coded
        if not self.coded:
            raise UnsupportedError(f"{self.path}: holds transparency and nothing else")
        flags = [d.mask_flag_enums[n - 1] for n in self.indexes]
        if [] in flags and len(flags) > 1:
            raise UnsupportedError(f"{self.path}: its bands have a mask each; encode one at a time (--bands {self.indexes[0]})")
        self._masked = not flags[0] or (MaskFlags.per_dataset in flags[0] and MaskFlags.alpha not in flags[0])
        self._prepare()

    def _chosen(self, bands: int | Sequence[int] | None) -> list[int]:
        """The numbers of the bands to encode, from 1, in their new order."""
        if bands is None:
            return list(range(1, self._data.count + 1))
        bands = list(bands) if isinstance(bands, Iterable) else [bands]
        named = ",".join(map(str, bands))
        if not bands or not all(isinstance(n, int | np.integer) and 1 <= n <= self._data.count for n in bands):
            raise UsageError(f"--bands {named}: {self.path} has bands 1 to {self._data.count}")
        if len(set(bands)) < len(bands):
            raise UsageError(f"--bands {named}: names a band twice")
        return [int(n) for n in bands]

    def _dtype(self, kinds: set[str]) -> str:
        if len(kinds) > 1:
            raise UnsupportedError(
                f"{self.path}: its bands are {', '.join(sorted(kinds))}; choose some of one type with --bands"
            )
        (kind,) = kinds
        if kind not in CODES:
            can = f"convert it (gdal_translate -ot {ADVICE[kind]})" if kind in ADVICE else "split it into real bands of Float32"
            raise UnsupportedError(f"{self.path}: samples are {kind}; {', '.join(CODES)} can be encoded: {can}")
        return kind

    def _nodata(self, value: float | None) -> float | None:
        """A nodata value, if samples of the type can have it."""
        if value is None:
            return None
        if self.dtype == "float32":
            with np.errstate(over="ignore"):
                return float(np.float32(value))
        least, most = mapping.bounds(self.dtype)
        return value if math.isfinite(value) and value.is_integer() and least <= value <= most else None

    def _prepare(self) -> None:
        """Find the mapping and the layers, by a look at all samples where these are not plain."""
        survey = self._survey()
        if self.max_error is not None and survey.hides_something:
            self.rules = replace(self.rules, veils=False)
            survey = self._survey()
        self.mapping, self.likeness = survey.mapping, survey.likeness
        self.bounds = [] if self.max_error is None else survey.bounds(self.mapping.lines, self.max_error)
        self._limits = tuple(line.limits for line in self.mapping.lines)
        mask, alpha = (MASK[0], ALPHA[0]) if self.rules.veils else (MASK[1], ALPHA[1])
        self.layers = [Layer(mask, None)] * self._masked + [Layer(alpha, b) for b in self.rules.alphas]
        self.layers += survey.layers(self.mapping.lines)
        possible = [Layer("nodata", b) for b in self.coded if self.rules.nodata[b] is not None]
        possible += [Layer("nan", b) for b in self.coded if self.dtype == "float32"]
        possible += [Layer("far", b) for b in self.coded if self.dtype != "uint8"]
        self._unseen = [y for y in possible if y not in self.layers and Layer(y.kind, None) not in self.layers]

    def _survey(self) -> Survey:
        """A look at all samples, unless nothing that matters could come of it."""
        survey = Survey(self.rules, self.height * self.width)
        plain = self.dtype == "uint8" and len(self.coded) <= PLANE_BANDS and all(v is None for v in self.rules.nodata)
        if not plain or (self.max_error is not None and (self._masked or self.rules.alphas)):
            for strip in self._strips():
                samples = self._read(strip)
                self._check_alpha(samples)
                survey.see(samples, self._mask(strip))
        return survey

    def _strips(self) -> Iterator[Window]:
        """The raster in strips of whole blocks."""
        block = min(self._data.block_shapes[0][0], self.height)
        row = self.width * self.bands * np.dtype(self.dtype).itemsize
        rows = max(STRIP_BYTES // (row * block), 1) * block
        for start in range(0, self.height, rows):
            yield Window(0, start, self.width, min(rows, self.height - start))

    def cut(self, window: Window) -> Cut:
        """A window, as the encoder needs it."""
        cut = Cut(self.rules, self._limits, self._read(window), self._mask(window))
        self._check_alpha(cut.samples)
        if not all(cut.flags(layer).all() for layer in self._unseen):
            raise RasterError(f"{self.path}: changed while it was read")
        return cut

    def _check_alpha(self, samples: Samples) -> None:
        """A layer has a byte for it at most."""
        if self.dtype == "uint16" and not np.isin(samples[list(self.rules.alphas)], (0, np.iinfo(self.dtype).max)).all():
            raise UnsupportedError(f"{self.path}: its alpha band is 16-bit and half transparent; make it 8-bit or drop it")

    def _read(self, window: Window) -> Samples:
        with self._whole():
            return self._data.read(self.indexes, window=window)

    def _mask(self, window: Window) -> Layer8 | None:
        if not self._masked:
            return None
        with self._whole():
            return self._data.read_masks(self.indexes[0], window=window)

    @contextmanager
    def _whole(self) -> Iterator[None]:
        try:
            yield
        except RasterioError as error:
            raise RasterError(
                f"{self.path}: damaged, or changed while it was read ({reason(error.__cause__ or error)})"
            ) from error

    def truth(self, window: Window) -> tuple[Samples, Flags]:
        """The samples of all bands in a window, and which of them count."""
        cut = self.cut(window)
        return cut.samples, np.stack([cut.valid(band) for band in range(self.bands)])
