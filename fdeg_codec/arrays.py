"""`xarray.open_dataset("scene.fdg", engine="fdeg")`: a lazy array (band, y, x), of which only the tiles needed are decoded.

Found through the entry point `xarray.backends`. Names and attributes are those that rioxarray gives and reads.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from xarray.backends import BackendArray, BackendEntrypoint, CachingFileManager
from xarray.backends.locks import SerializableLock
from xarray.core import indexing

from fdeg_codec.choices import DeviceName, Precision
from fdeg_codec.codec.smaller import check_scale
from fdeg_codec.container.header import MAX_PIXELS
from fdeg_codec.raster import metadata
from fdeg_codec.scene import Scene

# What xarray may ask to have decoded, and no scene has.
NOT_HERE = ("decode_times", "decode_timedelta", "use_cftime", "concat_characters", "decode_coords")
LOCK = SerializableLock()  # scenes are read one after the other, each with threads of its own


class FdegBackend(BackendEntrypoint):
    """What xarray asks. With `scale`, the array is of a picture 2, 4, 8 or 16 times smaller."""

    description = "Open .fdg files, lazily by tile"
    open_dataset_parameters = (
        "filename_or_obj",
        "drop_variables",
        "mask_and_scale",
        "scale",
        "device",
        "precision",
        "max_pixels",
        *NOT_HERE,
    )

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        mask_and_scale: bool = True,
        scale: int = 1,
        device: DeviceName = "auto",
        precision: Precision = "auto",
        max_pixels: int = MAX_PIXELS,
        **others: Any,
    ) -> xr.Dataset:
        if unknown := others.keys() - {*NOT_HERE}:
            raise TypeError(f"open_dataset with engine='fdeg' has no {', '.join(sorted(unknown))}")
        path = os.fspath(filename_or_obj)
        check_scale(scale)
        choices = {"device": device, "precision": precision, "max_pixels": max_pixels}
        manager = CachingFileManager(_open, path, mode="r", lock=LOCK, kwargs=choices)
        scene = manager.acquire()
        masked = mask_and_scale and _hides_more_than_nodata(scene)
        lazy = indexing.LazilyIndexedArray(FdegArray(manager, scene, scale, masked))
        bands, tile = scene.shape[0], scene.tile // scale
        encoding = {"preferred_chunks": {"band": bands, "y": tile, "x": tile}, "source": path}
        data = xr.Variable(("band", "y", "x"), lazy, _attributes(scene, masked), encoding)
        dataset = xr.Dataset({"band_data": data}, _coordinates(scene, scale), _tags(scene))
        dataset.set_close(manager.close)
        dropped = [drop_variables] if isinstance(drop_variables, str) else list(drop_variables or [])
        decoded: xr.Dataset = xr.decode_cf(dataset, mask_and_scale=mask_and_scale, decode_times=False, drop_variables=dropped)
        return decoded

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        return isinstance(filename_or_obj, str | os.PathLike) and os.fspath(filename_or_obj).lower().endswith(".fdg")


class FdegArray(BackendArray):
    """The samples of a scene, decoded when they are asked for; with `masked` as floats, of which some are no number."""

    def __init__(self, manager: CachingFileManager[Scene], scene: Scene, scale: int, masked: bool) -> None:
        self._manager, self._scale, self._masked = manager, scale, masked
        bands, height, width = scene.shape
        self._full = height, width
        self.shape = bands, -(-height // scale), -(-width // scale)
        self.dtype = np.dtype(np.float32 if masked else scene.dtype)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        """The smallest window that holds all that is asked for, and of that what is."""
        bands, rows, columns = (_positions(k, size) for k, size in zip(key, self.shape, strict=True))
        if not (bands.size and rows.size and columns.size):
            part = np.empty((bands.size, rows.size, columns.size), self.dtype)
        else:
            top, left = (int(n.min()) * self._scale for n in (rows, columns))
            bottom, right = (
                min((int(n.max()) + 1) * self._scale, size) for n, size in zip((rows, columns), self._full, strict=True)
            )
            with LOCK:
                scene = self._manager.acquire(needs_lock=False)
                window = left, top, right - left, bottom - top
                part = scene.read([int(b) + 1 for b in bands], window=window, scale=self._scale, masked=self._masked)
            if self._masked:
                part = part.astype(self.dtype).filled(np.nan)  # type: ignore[attr-defined]
            for axis, positions in ((1, rows), (2, columns)):
                if positions.size < part.shape[axis] or (np.diff(positions) != 1).any():
                    part = part.take(positions - positions.min(), axis)
        single = tuple(0 if isinstance(k, int | np.integer) else slice(None) for k in key)
        return part[single]


def _open(path: str, mode: str, **choices: Any) -> Scene:
    """As xarray opens files: without a mode it gives one of its own in another process."""
    assert mode == "r"
    return Scene(path, **choices)


def _positions(key: Any, size: int) -> NDArray[np.intp]:
    if isinstance(key, slice):
        return np.arange(size)[key]
    return np.atleast_1d(np.asarray(key, np.intp))


def _hides_more_than_nodata(scene: Scene) -> bool:
    """Whether pixels are left out that one fill value for all bands does not tell."""
    return scene.has_mask or len({str(value) for value in scene.nodatavals}) > 1


def _attributes(scene: Scene, masked: bool) -> dict[str, Any]:
    """What CF and rioxarray call nodata, scale and offset, and the names of bands; what bands do not share is not applied."""
    m = scene.metadata
    attributes: dict[str, Any] = {"grid_mapping": "spatial_ref"}
    if scene.nodata is not None and not masked:
        attributes["_FillValue"] = np.dtype(scene.dtype).type(scene.nodata)
    scales, offsets = {*m.scales} or {1.0}, {*m.offsets} or {0.0}
    if len(scales) == 1 == len(offsets) and (scales, offsets) != ({1.0}, {0.0}):
        attributes |= {"scale_factor": scales.pop(), "add_offset": offsets.pop()}
    elif len(scales) > 1 or len(offsets) > 1:
        attributes |= {"scales": tuple(m.scales) or (1.0,) * scene.count, "offsets": tuple(m.offsets) or (0.0,) * scene.count}
    if any(m.descriptions):
        attributes["long_name"] = tuple(name or "" for name in m.descriptions)
    if any(m.units):
        attributes["units"] = m.units[0] if len({*m.units}) == 1 else tuple(unit or "" for unit in m.units)
    return attributes


def _tags(scene: Scene) -> dict[str, str]:
    return dict(scene.metadata.tags.get("", {}))


def _coordinates(scene: Scene, scale: int) -> dict[str, Any]:
    """Bands from 1; the centres of pixels where rows and columns follow the axes; the reference system as CF has it."""
    bands, height, width = scene.shape
    transform = metadata.within(scene.metadata, 0, 0, scale).transform
    reference: dict[str, Any] = {}
    if scene.crs:
        reference |= {"crs_wkt": scene.crs.to_wkt(), "spatial_ref": scene.crs.to_wkt()}
    coordinates: dict[str, Any] = {"band": np.arange(1, bands + 1)}
    if transform is not None:
        reference["GeoTransform"] = " ".join(map(str, transform.to_gdal()))
        if transform.b == transform.d == 0:
            coordinates["x"] = transform.c + transform.a * (np.arange(-(-width // scale)) + 0.5)
            coordinates["y"] = transform.f + transform.e * (np.arange(-(-height // scale)) + 0.5)
    coordinates["spatial_ref"] = ((), 0, reference)
    return coordinates
