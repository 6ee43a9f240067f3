"""Values from a file's metadata, which a stranger may have written: what they must be, or a ValueError."""

from __future__ import annotations

import re
from typing import Any

import rasterio
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.errors import CRSError

from fdeg_codec.container.sections import number

LONGEST_CRS = 1 << 16  # characters; PROJ takes long over long ones, the longest of EPSG have some 10,000


class UnknownCodeError(Exception):
    """The code of a reference system that is not known here. It may be elsewhere."""


def text(value: Any) -> str:
    """A string that other programs can hold."""
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("no text")
    value.encode()  # refuses half of a surrogate pair
    return value


def optional_text(value: Any) -> str | None:
    return None if value is None else text(value)


def colour(value: Any) -> str:
    """A name that rasterio has for the role of a band; later releases may have more."""
    return ColorInterp.__members__.get(text(value), ColorInterp.undefined).name


def crs(value: Any) -> CRS:
    """From "EPSG:n" or WKT, and from nothing else that PROJ would understand, such as the name of a file."""
    if len(text(value)) > LONGEST_CRS:
        raise ValueError("a reference system without end")
    code = re.fullmatch(r"EPSG:(\d{1,7})", value)
    with rasterio.Env():  # or GDAL itself would print what it says
        if not code:
            return CRS.from_wkt(value)
        try:
            return CRS.from_epsg(int(code[1]))
        except CRSError as error:
            raise UnknownCodeError(value) from error


def point(value: Any) -> GroundControlPoint:
    row, column, x, y, z, name, info = value
    places = [number(v) for v in (row, column, x, y)]
    return GroundControlPoint(*places, None if z is None else number(z), optional_text(name), optional_text(info))


def texts(value: Any) -> dict[str, str]:
    """An object of texts, whose names are texts."""
    return {text(k): text(v) for k, v in value.items()}
