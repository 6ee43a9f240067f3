"""What FORMAT.md says of a plane's streams, as plain Python: from grids of real numbers to latents, nothing of fdeg."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise

from tests.conformance.range_decoder import TOTAL, RangeDecoder

HALVES = (0, 1, 2, 3, 5, 8, 16, 32, 64, 128, 256)


class Aside:
    """Stream A."""

    def __init__(self, data: bytes) -> None:
        self._data = iter(data)

    def varint(self) -> int:
        byte = next(self._data)
        if byte < 128:
            return byte
        higher = self.varint()
        assert higher, "longer than it needs to be"
        return byte - 128 + (higher << 7)

    def svarint(self) -> int:
        n = self.varint()
        return -(n + 1) // 2 if n % 2 else n // 2

    def positions(self, size: int) -> list[int]:
        return list(rising([self.varint() for _ in range(self.varint())], size))

    def exceptions(self, size: int) -> list[tuple[int, int]]:
        """Positions, and 1 for up or 0 for down."""
        marks = [self.varint() for _ in range(self.varint())]
        return list(zip(rising([mark // 2 for mark in marks], size), [mark % 2 for mark in marks], strict=True))

    @property
    def used_up(self) -> bool:
        return next(self._data, None) is None


def rising(skipped: Sequence[int], size: int) -> Iterator[int]:
    at = -1
    for gap in skipped:
        at += gap + 1
        assert at < size, "beyond the end"
        yield at


@cache
def cdf(s: int, t: int) -> int:
    if t < 0:
        return 65536 - cdf(s, -t)
    sigma = 0.05 * 2000 ** (s / 63)
    return math.floor(65536 * (1 + math.erf(t / (16 * sigma) / math.sqrt(2))) / 2 + 0.5)


@cache
def reach(w: int, s: int) -> float:
    return next(t for t in range(12297) if w * (65536 - cdf(s, t)) <= 128) if w else -math.inf


class Latent:
    """One latent's mixture, from the eight integers of the grid."""

    def __init__(self, grid: Sequence[int]) -> None:
        first = grid[6]
        second = min(grid[7], 64 - first)
        self._parts = list(zip((first, second, 64 - first - second), grid[:3], grid[3:6], strict=True))
        self.centre = sum(w * m for w, m, _ in self._parts) + 512 >> 10
        needed = max(abs(m - 16 * self.centre) + reach(w, s) for w, m, s in self._parts)
        self.half = next((h for h in HALVES[:-1] if needed <= 16 * h + 8), HALVES[-1])

    def frequencies(self) -> list[int]:
        edges = [self._edge(16 * (k - self.half) - 8) for k in range(2 * self.half + 2)]
        return [b - a for a, b in pairwise(edges)] + [TOTAL + edges[0] - edges[-1]]

    def _edge(self, at: int) -> int:
        return sum(w * cdf(s, min(max(16 * self.centre - m, -8192), 8192) + at) for w, m, s in self._parts)


class Streams:
    """The streams of a plane's entry: the z of a tile, then pass by pass its y."""

    def __init__(self, data: bytes) -> None:
        start = next(k for k, byte in enumerate(data) if byte < 128) + 1
        length = Aside(data[:start]).varint()
        words = data[start + length :]
        self._aside = Aside(data[start : start + length])
        self._range = RangeDecoder(struct.unpack(f"<{len(words) // 4}I", words))

    def z(self, cells: int, tables: Sequence[Sequence[int]]) -> list[int]:
        """In the order (cell, channel)."""
        half = len(tables[0]) // 2 - 1
        symbols = [self._range.symbol(table) for _ in range(cells) for table in tables]
        return [self._aside.svarint() if k > 2 * half else k - half for k in symbols]

    def latents(self, grid: Sequence[Sequence[float]]) -> list[int]:
        """The y of a pass, in the order (cell, channel), from the eight rows of its grid."""
        count = len(grid[0])
        rounded = [[math.floor(x + 0.5) for x in row] for row in grid]
        for at, up in self._aside.exceptions(8 * count):
            row, column = divmod(at, count)
            down = math.floor(grid[row][column])
            assert abs(grid[row][column] - down - 0.5) < 2**-21, "no exception"
            rounded[row][column] = down + up
        latents = [Latent([row[n] for row in rounded]) for n in range(count)]
        values = [latent.centre for latent in latents]
        certain = [n for n in range(count) if latents[n].half == 0]
        for n in [certain[k] for k in self._aside.positions(len(certain))]:
            values[n] += self._aside.svarint()
        for half in HALVES[1:]:
            escaped = []
            for n in (n for n in range(count) if latents[n].half == half):
                k = self._range.symbol(latents[n].frequencies())
                values[n] += 0 if k > 2 * half else k - half
                escaped += [n] * (k > 2 * half)
            for n in escaped:
                values[n] += self._aside.svarint()
        return values

    @property
    def used_up(self) -> bool:
        return self._aside.used_up and self._range.used_up


def passes(context: str, height: int, width: int) -> list[list[tuple[int, int]]]:
    """The cells (row, column) of each pass."""
    turn = {"none": lambda r, c: 0, "checkerboard": lambda r, c: (r + c) % 2, "serial": lambda r, c: c + 3 * r}[context]
    cells = [(r, c) for r in range(height) for c in range(width)]
    return [[cell for cell in cells if turn(*cell) == t] for t in sorted({turn(*cell) for cell in cells})]
