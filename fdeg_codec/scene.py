"""The object that `fdeg_codec.open` returns: an .fdg file that reads like a raster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fdeg_codec.codec.damage import Damage
from fdeg_codec.codec.decode import Decoder, Piece
from fdeg_codec.codec.engine import load_engine
from fdeg_codec.codec.tiles import Grid, Span
from fdeg_codec.container.file import Reader
from fdeg_codec.container.salvage import Salvager
from fdeg_codec.container.sections import Kind
from fdeg_codec.devices import DeviceName, Precision
from fdeg_codec.errors import FdegError, RasterError, UnsupportedError, UsageError
from fdeg_codec.raster import metadata, nodata
from fdeg_codec.raster.atomic import replacing
from fdeg_codec.raster.metadata import Metadata
from fdeg_codec.raster.nodata import Nodata

if TYPE_CHECKING:
    from rasterio.crs import CRS
    from rasterio.transform import Affine

Progress = Callable[[int, int], None]

MAX_PIXELS = 1 << 32  # decoded at once unless asked for: a few kilobytes may claim far more than any disk holds


class Window(NamedTuple):
    """A rectangle of pixels."""

    column: int
    row: int
    width: int
    height: int


class Scene:
    """An open .fdg file. Nothing is decoded, and no weights are loaded, before `read`.

    With `preview`, what bounds the errors is neither read nor decoded: several times faster, and lossy as without a bound.
    With `salvage`, what is damaged is no error: lost tiles become nodata, and `damage` lists them.
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
        self.path = Path(path)
        self.damage = Damage()
        self._preview = preview
        self._salvage = salvage
        self._max_pixels = max_pixels
        self._device: DeviceName = device
        self._precision: Precision = precision
        self._decoder: Decoder | None = None
        try:
            self._stream = self.path.open("rb")
        except OSError as error:
            raise RasterError(f"{self.path}: cannot be read ({error.strerror})") from error
        try:
            with self._naming():
                self._reader: Reader = Reader(self._stream) if not salvage else self._salvaged()
                self.metadata: Metadata = metadata.from_sections(self._reader.sections, self._reader.header.bands)
                h = self._reader.header
                self.nodatavals = nodata.unpack(self._reader.sections.get(Kind.NODATA), h.dtype, h.bands)
        except FdegError:
            self._stream.close()
            raise

    def _salvaged(self) -> Reader:
        reader = Salvager(self._stream)
        self.damage.mended = reader.mended
        return reader

    def __enter__(self) -> Scene:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._stream.close()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Bands, rows, columns."""
        h = self._reader.header
        return h.bands, h.height, h.width

    @property
    def dtype(self) -> str:
        return self._reader.header.dtype

    @property
    def nodata(self) -> float | None:
        """The first band's nodata value."""
        return self.nodatavals[0]

    @property
    def crs(self) -> CRS | None:
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

    def read(self, window: tuple[int, int, int, int] | None = None) -> NDArray[Any]:
        """The samples (band, row, column) of `window` (column, row, width, height), or all of them."""
        return self.read_masked(window)[0]

    def read_masked(self, window: tuple[int, int, int, int] | None = None) -> tuple[NDArray[Any], NDArray[np.uint8] | None]:
        """The samples of `window`, and the dataset's mask (row, column) if it has one: 0 where nothing is valid."""
        w = self._inside(window)
        out = np.empty((self.shape[0], w.height, w.width), self.dtype)
        mask = None
        for piece in self._pieces(w):
            top, left = piece.row - w.row, piece.column - w.column
            here = slice(top, top + piece.samples.shape[1]), slice(left, left + piece.samples.shape[2])
            out[:, *here] = piece.samples
            if piece.mask is not None:
                mask = np.empty(out.shape[1:], np.uint8) if mask is None else mask
                mask[here] = piece.mask
        return out, mask

    def save(
        self,
        target: Path | str,
        window: tuple[int, int, int, int] | None = None,
        *,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """Decode into a raster file, in the format that the ending of its name says.

        A GeoTIFF has one nodata value for all bands: where they differ, the first of them serves all.
        """
        from fdeg_codec.raster.sink import Sink, driver_of

        target, w = Path(target), self._inside(window)
        driver = driver_of(target)
        described = metadata.within(self.metadata, w.column, w.row)
        with replacing(target, overwrite) as partial:
            self._opened()
            shape = self.shape[0], w.height, w.width
            value = next((v for v in self.nodatavals if v is not None), None)
            with Sink(partial, driver, shape, self.dtype, value, described) as sink:
                total = len(Grid(*self.shape[1:], self._reader.header.tile).touching(*_spans(w)))
                for done, piece in enumerate(self._pieces(w, (value,) * self.shape[0]), 1):
                    sink.write(piece.samples, piece.row - w.row, piece.column - w.column, piece.mask)
                    if progress:
                        progress(done, total)

    def verify(self, progress: Progress | None = None) -> int:
        """Check every checksum and entropy-decode every tile, its residuals too; returns the number of entries."""
        self._inside(None)
        decoder = self._opened()
        h = self._reader.header
        for tile in Grid(h.height, h.width, h.tile):
            with self._naming():
                for plane in range(h.planes):
                    decoder.latents(tile, plane)
                for k in range(h.layers):
                    decoder.layer(tile, k)
                if h.bounded:
                    list(decoder.pieces(tile.rows, tile.columns))
            decoder.forget(tile)
            if progress:
                progress(tile.number + 1, h.tile_rows * h.tile_columns)
        return h.entries

    def _opened(self) -> Decoder:
        if self._decoder is None:
            with self._naming():
                engine = load_engine(self._reader.header.fingerprint, self._device, self._precision)
                damage = self.damage if self._salvage else None
                self._decoder = Decoder(self._reader, engine, damage, self._preview)
        return self._decoder

    def _pieces(self, w: Window, values: Nodata | None = None) -> Iterator[Piece]:
        decoder = self._opened()
        with self._naming():
            yield from decoder.pieces(*_spans(w), values)

    @contextmanager
    def _naming(self) -> Iterator[None]:
        """Put this file's name before what is wrong with it."""
        try:
            yield
        except FdegError as error:
            raise type(error)(f"{self.path}: {error}") from error

    def _inside(self, window: tuple[int, int, int, int] | None) -> Window:
        _, height, width = self.shape
        w = Window(0, 0, width, height) if window is None else Window(*window)
        if w.column < 0 or w.row < 0 or w.width < 1 or w.height < 1 or w.column + w.width > width or w.row + w.height > height:
            raise UsageError(
                f"{self.path}: window {w.column},{w.row},{w.width},{w.height} (column, row, width, height) "
                f"leaves the picture of {width} x {height}"
            )
        if w.width * w.height > self._max_pixels:
            raise UnsupportedError(
                f"{self.path}: {w.width} x {w.height} pixels are more than the {self._max_pixels} that --max-pixels allows"
            )
        return w


def _spans(w: Window) -> tuple[Span, Span]:
    return Span(w.row, w.row + w.height), Span(w.column, w.column + w.width)
