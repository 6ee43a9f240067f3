"""Windows of a picture: as they are asked for, in a smaller picture, and as spans of rows and columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from fdeg_codec.codec.smaller import check_scale, shrink_span
from fdeg_codec.codec.tiles import Span
from fdeg_codec.errors import UsageError

if TYPE_CHECKING:
    from rasterio.windows import Window as RasterioWindow

AnyWindow: TypeAlias = "tuple[int, int, int, int] | RasterioWindow"


class Window(NamedTuple):
    """A rectangle of pixels."""

    column: int
    row: int
    width: int
    height: int


def whole(window: AnyWindow) -> tuple[int, int, int, int]:
    """Column, row, width and height; of rasterio's windows, too."""
    try:
        numbers = window if isinstance(window, Sequence) else window.flatten()
        column, row, width, height = (int(n) for n in numbers)
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"window {window}: column, row, width and height make one") from error
    if (column, row, width, height) != tuple(numbers):
        raise UsageError(f"window {numbers}: whole pixels only")
    return column, row, width, height


def smaller(w: Window, scale: int) -> Window:
    """A window in pixels of the smaller picture, those that it meets."""
    rows, columns = (shrink_span(span, check_scale(scale)) for span in spans(w))
    return Window(columns.start, rows.start, columns.size, rows.size)


def spans(w: Window) -> tuple[Span, Span]:
    return Span(w.row, w.row + w.height), Span(w.column, w.column + w.width)
