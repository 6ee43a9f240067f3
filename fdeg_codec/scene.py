"""The object that `fdeg_codec.open` returns: an .fdg file that reads like a raster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fdeg_codec.choices import DeviceName, Precision
from fdeg_codec.codec.contents import contents
from fdeg_codec.codec.damage import Damage
from fdeg_codec.codec.decode import Decoder, Piece
from fdeg_codec.codec.engine import Engine, load_engine
from fdeg_codec.codec.tiles import Grid
from fdeg_codec.codec.windows import AnyWindow, Window, smaller, spans, whole
from fdeg_codec.container.file import Reader
from fdeg_codec.container.header import MAX_PIXELS
from fdeg_codec.container.salvage import Salvager
from fdeg_codec.container.sections import Kind
from fdeg_codec.errors import FdegError, RasterError, UnsupportedError, UsageError, reason
from fdeg_codec.raster import masks, metadata
from fdeg_codec.raster import nodata as nodatas
from fdeg_codec.raster.atomic import replacing, spare
from fdeg_codec.raster.metadata import Metadata
from fdeg_codec.raster.nodata import Nodata

if TYPE_CHECKING:
    from rasterio.coords import BoundingBox
    from rasterio.crs import CRS
    from rasterio.transform import Affine

    from fdeg_codec.codec.progress import Progress


class Scene:
    """An open .fdg file. Nothing is decoded, and no weights are loaded, before `read`.

    With `preview`, what bounds the errors is neither read nor decoded: several times faster, and lossy as without a bound.
    With `salvage`, what is damaged is no error: lost tiles become nodata, and `damage` lists them.
    Threads may share it: they decode in turn, each time with all that torch has.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        device: DeviceName = "auto",
        precision: Precision = "auto",
        preview: bool = False,
        salvage: bool = False,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        if not isinstance(max_pixels, int | np.integer):
            raise UsageError(f"--max-pixels {max_pixels!r}: a whole number")
        self.path = Path(path)
        self.damage = Damage()
        self._turn = RLock()
        self._preview = preview
        self._salvage = salvage
        self._max_pixels = max_pixels
        self._device: DeviceName = device
        self._precision: Precision = precision
        self._decoder: Decoder | None = None
        try:
            self._stream = self.path.open("rb")
        except (OSError, ValueError) as error:
            raise RasterError(f"{self.path}: cannot be read ({reason(error)})") from error
        try:
            with self._naming():
                self._reader: Reader = Reader(self._stream) if not salvage else self._salvaged()
                self.metadata: Metadata = metadata.from_sections(self._reader.sections, self._reader.header.bands)
                h = self._reader.header
                self.nodatavals = nodatas.unpack(self._reader.sections.get(Kind.NODATA), h.dtype, h.bands)
        except OSError as error:  # of a pipe, say
            self._stream.close()
            raise RasterError(f"{self.path}: cannot be read ({reason(error)})") from error
        except FdegError:
            self._stream.close()
            raise

    def _salvaged(self) -> Reader:
        reader = Salvager(self._stream)
        self.damage.mended = reader.mended
        return reader

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process opens the file for itself."""
        words: dict[str, Any] = {
            "device": self._device,
            "precision": self._precision,
            "preview": self._preview,
            "salvage": self._salvage,
        }
        return partial(Scene, self.path.absolute(), **words, max_pixels=self._max_pixels), ()

    def __enter__(self) -> Scene:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Once no other thread reads."""
        with self._turn:
            self._stream.close()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Bands, rows, columns."""
        h = self._reader.header
        return h.bands, h.height, h.width

    @property
    def count(self) -> int:
        return self.shape[0]

    @property
    def indexes(self) -> tuple[int, ...]:
        """The numbers of the bands, from 1."""
        return tuple(range(1, self.count + 1))

    @property
    def height(self) -> int:
        return self.shape[1]

    @property
    def width(self) -> int:
        return self.shape[2]

    @property
    def dtype(self) -> str:
        return self._reader.header.dtype

    @property
    def nodata(self) -> float | None:
        """The first band's nodata value."""
        return self.nodatavals[0]

    @property
    def has_mask(self) -> bool:
        """Whether a mask or an alpha band hides pixels, whatever their values."""
        with self._naming():
            return any(layer.kind in (*masks.MASK, *masks.ALPHA) for layer in contents(self._reader).layers)

    @property
    def tile(self) -> int:
        """The side of the squares that are decoded together."""
        return self._reader.header.tile

    @property
    def crs(self) -> CRS | None:
        if code := self.metadata.unknown:
            raise UnsupportedError(
                f"{self.path}: its reference system, {code}, is not in PROJ's database here: a newer one, "
                "or the right PROJ_DATA, may help (its pixels can be read, and `fdeg info` shows the rest)"
            )
        return self.metadata.crs

    @property
    def transform(self) -> Affine | None:
        return self.metadata.transform

    @property
    def profile(self) -> dict[str, Any]:
        """What rasterio calls a profile."""
        bands, height, width = self.shape
        known = {"count": bands, "height": height, "width": width, "dtype": self.dtype, "nodata": self.nodata}
        return {"driver": "FDEG", **known, "crs": self.crs, "transform": self.transform}

    @property
    def bounds(self) -> BoundingBox:
        """Left, bottom, right and top in the units of `crs`, in pixels where there is no transform."""
        from rasterio.coords import BoundingBox
        from rasterio.transform import Affine, array_bounds

        return BoundingBox(*array_bounds(*self.shape[1:], self.transform or Affine.identity()))

    def read(
        self,
        indexes: int | Sequence[int] | None = None,
        *,
        window: AnyWindow | None = None,
        masked: bool = False,
        scale: int = 1,
    ) -> NDArray[Any]:
        """The samples (band, row, column) of `window` (column, row, width, height), or all of them.

        `indexes` are the numbers of bands from 1; a single one leaves the axis of bands out. With `masked`, what is nodata,
        masked or wholly transparent is so in a masked array. With `scale` each pixel is the mean of as many by as many, of
        a window that is widened to whole ones.
        """
        w = self._inside(window)
        bands = self._bands(indexes)
        part = smaller(w, scale)
        shape = len(bands), part.height, part.width
        try:
            out, hidden = np.empty(shape, self.dtype), np.zeros(shape if masked else 0, bool)
        except MemoryError as error:
            raise UnsupportedError(f"{self.path}: {reason(error)}; read a window, or fewer bands") from error
        with self._turn:
            for piece in self._pieces(w, scale, bands):
                top, left = piece.row - part.row, piece.column - part.column
                here = np.s_[:, top : top + piece.samples.shape[1], left : left + piece.samples.shape[2]]
                out[here] = piece.samples[bands]
                if masked:
                    hidden[here] = ~piece.valid(bands)
        if masked:
            out = np.ma.MaskedArray(out, hidden, fill_value=self._first_nodata(bands))
        return out[0 if isinstance(indexes, int | np.integer) else slice(None)]

    def save(
        self,
        target: Path | str,
        window: AnyWindow | None = None,
        *,
        bands: Sequence[int] | None = None,
        scale: int = 1,
        cog: bool = False,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """Decode into a raster file, in the format that the ending of its name says; of `bands` (from 1) those, in this order.

        A GeoTIFF has one nodata value for all bands: where they differ, the first of them serves all.
        """
        from fdeg_codec.raster.sink import Sink, driver_of

        target, w = Path(target), self._inside(window)
        driver = driver_of(target, cog)
        spare(self.path, target)
        _ = self.crs  # which cannot be written where it is not known
        part, chosen = smaller(w, scale), self._bands(bands)
        described = metadata.within(self.metadata, part.column * scale, part.row * scale, scale)
        described = metadata.chosen(described, [band + 1 for band in chosen])
        with self._turn, replacing(target, overwrite) as partial:
            self._opened()
            shape = len(chosen), part.height, part.width
            value = self._first_nodata(chosen)
            with Sink(partial, driver, shape, self.dtype, value, described) as sink:
                total = len(Grid.of(self._reader.header).touching(*spans(w)))
                for done, piece in enumerate(self._pieces(w, scale, chosen, (value,) * self.count), 1):
                    samples, mask = piece.of(chosen, value)
                    sink.write(samples, piece.row - part.row, piece.column - part.column, mask)
                    if progress:
                        progress(done, total)

    def verify(self, progress: Progress | None = None) -> int:
        """Check every checksum and entropy-decode every tile, its residuals too; returns the number of entries."""
        self._inside(None)
        h = self._reader.header
        with self._turn, self._naming():
            for tile in Decoder(self._reader, self._engine()).check():
                if progress:
                    progress(tile.number + 1, h.tiles)
        return h.entries

    def _opened(self) -> Decoder:
        if self._decoder is None:
            with self._naming():
                damage = self.damage if self._salvage else None
                self._decoder = Decoder(self._reader, self._engine(), damage, self._preview)
        return self._decoder

    def _engine(self) -> Engine:
        return load_engine(self._reader.header.fingerprint, self._device, self._precision)

    def _pieces(self, w: Window, scale: int, bands: list[int] | None = None, nodata: Nodata | None = None) -> Iterator[Piece]:
        decoder = self._opened()
        with self._naming():
            yield from decoder.pieces(*spans(w), scale, bands, nodata)

    def _bands(self, indexes: int | Sequence[int] | None) -> list[int]:
        """The bands, from 0, of numbers from 1."""
        count = self.shape[0]
        try:
            numbers: list[Any] = list(self.indexes if indexes is None else indexes)  # type: ignore[arg-type]
        except TypeError:
            numbers = [indexes]
        if not numbers:
            raise UsageError(f"{self.path}: none of its {count} bands is asked for")
        for number in numbers:
            if not isinstance(number, int | np.integer) or not 1 <= number <= count:
                raise UsageError(f"{self.path}: has no band {number}; its bands are 1 to {count}")
        return [int(number) - 1 for number in numbers]

    def _first_nodata(self, bands: list[int]) -> float | None:
        return next((self.nodatavals[band] for band in bands if self.nodatavals[band] is not None), None)

    @contextmanager
    def _naming(self) -> Iterator[None]:
        """Put this file's name before what is wrong with it."""
        try:
            yield
        except FdegError as error:
            raise type(error)(f"{self.path}: {error}") from error

    def _inside(self, window: AnyWindow | None) -> Window:
        if self._stream.closed:
            raise UsageError(f"{self.path}: is closed")
        _, height, width = self.shape
        w = Window(0, 0, width, height) if window is None else Window(*whole(window))
        inside = w.column >= 0 and w.row >= 0 and w.column + w.width <= width and w.row + w.height <= height
        if not inside or w.width < 1 or w.height < 1:
            raise UsageError(
                f"{self.path}: window {w.column},{w.row},{w.width},{w.height} (column, row, width, height) "
                f"{'has no pixels' if inside else f'leaves the picture of {width} x {height}'}"
            )
        if w.width * w.height > self._max_pixels:
            raise UnsupportedError(
                f"{self.path}: {w.width} x {w.height} pixels are more than the {self._max_pixels} that --max-pixels allows"
            )
        return w
