"""What FORMAT.md says of a plane's words, as plain Python: from grids of real numbers to latents, nothing of fdeg."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from functools import cache
from itertools import accumulate, pairwise

from tests.conformance.range_decoder import TOTAL, RangeDecoder

HALVES = (0, 1, 2, 3, 5, 8, 16, 32, 64, 128, 256)


LENGTHS = [2**k for k in range(21, 6, -1)] + [8] * 16


@cache
def cdf(s: int, t: int) -> int:
    if t < 0:
        return 65536 - cdf(s, -t)
    sigma = 0.05 * 2000 ** (s / 63)
    return math.floor(65536 * (1 + math.erf(t / (16 * sigma) / math.sqrt(2))) / 2 + 0.5)


@cache
def reach(w: int, s: int) -> float:
    return next(t for t in range(12297) if w * (65536 - cdf(s, t)) <= 2048) if w else -math.inf


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
        edges = [edge - (edge >> 13) for edge in edges]
        row = [b - a + 128 // (self.half + 1) for a, b in pairwise(edges)]
        return [*row, TOTAL - sum(row)]

    def _edge(self, at: int) -> int:
        return sum(w * cdf(s, min(max(16 * self.centre - m, -8192), 8192) + at) for w, m, s in self._parts)


class Words:
    """The range coder's words in a plane's entry: the z of a tile, then pass by pass its y."""

    def __init__(self, data: bytes) -> None:
        self._range = RangeDecoder(struct.unpack(f"<{len(data) // 4}I", data))

    def numbers(self, count: int) -> list[int]:
        """A group of numbers."""
        lengths = [self._range.symbol(LENGTHS) for _ in range(count)]
        numbers = []
        for length in lengths:
            plus = 1
            for _ in range(length):
                plus = 2 * plus + self._range.symbol([TOTAL // 2] * 2)
            numbers.append(plus - 1)
        return numbers

    def values(self, centres: Sequence[int], rows: Sequence[Sequence[int]]) -> list[int]:
        """A group of values: their centres, and the frequencies of each; sure ones, which have none, come first."""
        halves = [len(row) // 2 - 1 if row else 0 for row in rows]
        sure = halves.count(0)
        symbols = self.strays(sure) + [self._range.symbol(row) for row in rows[sure:]]
        escaped = [k > 2 * half for k, half in zip(symbols, halves, strict=True)]
        beyond = iter(self.numbers(sum(escaped)))
        found = zip(centres, symbols, halves, escaped, strict=True)
        return [c + (outside(next(beyond), half) if far else k - half) for c, k, half, far in found]

    def exceptions(self, size: int) -> list[tuple[int, int]]:
        """Positions, and 1 for up or 0 for down."""
        count = 1 + self.numbers(1)[0] if self._range.symbol([TOTAL // 32 * 31, TOTAL // 32]) else 0
        assert count <= size, "more than positions"
        at, found = -1, []
        for mark in self.numbers(count):
            at += mark // 2 + 1
            assert at < size, "beyond the end"
            found.append((at, mark % 2))
        return found

    def z(self, cells: int, tables: Sequence[Sequence[int]]) -> list[int]:
        """In the order (cell, channel)."""
        return self.values([0] * cells * len(tables), [table for _ in range(cells) for table in tables])

    def speaking(self, channels: int) -> list[int]:
        """The channels that speak."""
        eights = -(-channels // 8)
        (count,) = self.numbers(1)
        assert count <= eights, "more runs than eights"
        ends = list(accumulate((run + 1 for run in self.numbers(count)), initial=0))
        assert ends[-1] <= eights, "beyond the channels"
        loud = [eight for a, b in list(pairwise(ends))[::2] for eight in range(a, b)]
        return [channel for channel in range(channels) if channel // 8 in loud]

    def latents(self, grid: Sequence[Sequence[float]]) -> list[int]:
        """The y of a pass, in the order (cell, channel), from the eight rows of its grid."""
        return self.mixed(self.rounded(grid, 2**-21))

    def rounded(self, grid: Sequence[Sequence[float]], near: float) -> list[list[int]]:
        """Rows of numbers, rounded as the encoder did."""
        count = len(grid[0])
        rounded = [[math.floor(x + 0.5) for x in row] for row in grid]
        for at, up in self.exceptions(len(grid) * count):
            row, column = divmod(at, count)
            down = math.floor(grid[row][column])
            assert abs(grid[row][column] - down - 0.5) < near, "no exception"
            rounded[row][column] = down + up
        return rounded

    def bits(self, count: int, width: int) -> list[int]:
        """Numbers of so many even bits."""
        return [sum(self._range.symbol([TOTAL // 2] * 2) << k for k in reversed(range(width))) for _ in range(count)]

    def mixed(self, rounded: Sequence[Sequence[int]]) -> list[int]:
        """Values under the mixtures that the eight rows of integers say."""
        count = len(rounded[0])
        latents = [Latent([row[n] for row in rounded]) for n in range(count)]
        order = sorted(range(count), key=lambda n: latents[n].half)
        rows = [latents[n].frequencies() if latents[n].half else [] for n in order]
        values = dict(zip(order, self.values([latents[n].centre for n in order], rows), strict=True))
        return [values[n] for n in range(count)]

    def strays(self, sure: int) -> list[int]:
        """Of so many sure latents, 1 for those that are elsewhere."""
        (count,) = self.numbers(1) if sure else (0,)
        assert count <= sure, "more than latents"
        width = (sure // count).bit_length() - 1 if count else 0
        high = self.numbers(count)
        gaps = [(a << width) + b for a, b in zip(high, self.bits(count, width), strict=True)]
        places = [at + n for n, at in enumerate(accumulate(gaps))]
        assert all(at < sure for at in places), "beyond the latents"
        return [int(at in places) for at in range(sure)]

    @property
    def used_up(self) -> bool:
        return self._range.used_up


def outside(number: int, half: int) -> int:
    """How far from its centre a value lies that escaped."""
    return (number // 2 + half + 1) * (-1 if number % 2 else 1)


QUARTERS = ((0, 2), (3, 1))  # when the cells of each 2 x 2 have their turn


def passes(context: str, height: int, width: int) -> list[list[tuple[int, int]]]:
    """The cells (row, column) of each pass."""
    turn = {
        "none": lambda r, c: 0,
        "checkerboard": lambda r, c: (r + c) % 2,
        "quarters": lambda r, c: QUARTERS[r % 2][c % 2],
        "serial": lambda r, c: c + 3 * r,
    }[context]
    cells = [(r, c) for r in range(height) for c in range(width)]
    return [[cell for cell in cells if turn(*cell) == t] for t in sorted({turn(*cell) for cell in cells})]
