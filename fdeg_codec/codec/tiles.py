"""Where tiles lie: cores that partition the picture, and the halo of latents that synthesis sees around each.

Analysis sees the core alone. A halo of 16 or 32 pixels was measured to change neither rate nor error, not even with
tiles of 128 pixels; without a halo of latents, synthesis leaves up to 5 % more error along the borders.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from fdeg_codec.container.header import Header
from fdeg_codec.networks.fdegcnet import STRIDE

SYNTHESIS_HALO = 1  # latents


class Span(NamedTuple):
    """Positions start..stop-1 along one side."""

    start: int
    stop: int

    @property
    def size(self) -> int:
        return self.stop - self.start


class Tile(NamedTuple):
    """A tile's number, counted in rows, and the pixels of its core."""

    number: int
    rows: Span
    columns: Span

    @property
    def latents(self) -> tuple[int, int]:
        return latents(self.rows.size), latents(self.columns.size)


@dataclass(frozen=True)
class Grid:
    """The tiles of a picture."""

    height: int
    width: int
    side: int

    @classmethod
    def of(cls, header: Header) -> Grid:
        return cls(header.height, header.width, header.tile)

    @property
    def down(self) -> int:
        return -(-self.height // self.side)

    @property
    def across(self) -> int:
        return -(-self.width // self.side)

    def tile(self, row: int, column: int) -> Tile:
        rows = Span(row * self.side, min((row + 1) * self.side, self.height))
        columns = Span(column * self.side, min((column + 1) * self.side, self.width))
        return Tile(row * self.across + column, rows, columns)

    def __iter__(self) -> Iterator[Tile]:
        return (self.tile(r, c) for r in range(self.down) for c in range(self.across))

    def touching(self, rows: Span, columns: Span) -> list[Tile]:
        """The tiles that a window of pixels meets."""
        return [
            self.tile(r, c)
            for r in range(max(rows.start, 0) // self.side, -(-min(rows.stop, self.height) // self.side))
            for c in range(max(columns.start, 0) // self.side, -(-min(columns.stop, self.width) // self.side))
        ]


def latents(pixels: int) -> int:
    return -(-pixels // STRIDE)


def synthesis_span(core: Span, size: int) -> Span:
    """The latents, counted over the whole picture, that a core is synthesised from."""
    first, last = core.start // STRIDE, latents(core.stop)
    return Span(max(first - SYNTHESIS_HALO, 0), min(last + SYNTHESIS_HALO, latents(size)))
