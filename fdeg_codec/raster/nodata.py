"""Nodata values as the container's section and back: one for all bands, or one for each."""

from __future__ import annotations

import math

from fdeg_codec.container.sections import pack_text, unpack_text
from fdeg_codec.errors import BadFileError
from fdeg_codec.raster import mapping

NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}

Nodata = tuple[float | None, ...]


def pack(values: Nodata) -> bytes:
    """The one value of all bands, or the list of those of each."""
    texts = [v if v is None or math.isfinite(v) else str(v) for v in values]
    return pack_text(texts[0] if len(set(texts)) == 1 else texts)


def unpack(data: bytes | None, dtype: str, bands: int) -> Nodata:
    if data is None:
        return (None,) * bands
    found = unpack_text(data)
    if not isinstance(found, list):
        return (_value(found, dtype),) * bands
    if len(found) != bands:
        raise BadFileError("its nodata values do not fit its bands")
    return tuple(None if v is None else _value(v, dtype) for v in found)


def _value(value: object, dtype: str) -> float:
    """A number that a sample can be."""
    if not mapping.is_integer(dtype) and isinstance(value, str) and value in NOT_FINITE:
        return NOT_FINITE[value]
    least, most = mapping.bounds(dtype)
    if type(value) not in (int, float) or not least <= value <= most:  # type: ignore[operator]
        raise BadFileError("its nodata value cannot be one")
    number = float(value)  # type: ignore[arg-type]
    if mapping.is_integer(dtype) and not number.is_integer():
        raise BadFileError("its nodata value cannot be one")
    return number
