"""What FORMAT.md says of residuals, as plain Python: from a picture of real numbers to samples, nothing of fdeg."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

from tests.conformance.latents import Words

Picture = list[list[int]]
PASSES = [
    ([(0, 0)], []),
    ([(2, 2)], [(2, 2), (2, -2)]),
    ([(0, 2), (2, 0)], [(0, 2), (2, 0)]),
    ([(1, 1), (1, 3), (3, 1), (3, 3)], [(1, 1), (1, -1)]),
    ([(0, 1), (0, 3), (1, 0), (1, 2), (2, 1), (2, 3), (3, 0), (3, 2)], [(0, 1), (1, 0)]),
]


def samples(
    words: Words,
    x: Sequence[Sequence[Sequence[float]]],
    lines: Sequence[Sequence[float]],
    bounds: Sequence[Sequence[float]],
    valid: Sequence[Sequence[Sequence[bool]]],
) -> list[list[list[float]]]:
    """The samples of a plane (band, row, column), 0 where not valid."""
    height, width = len(x[0]), len(x[0][0])
    rows = []
    for picture, (low, high, least, most), (unit, _) in zip(x, lines, bounds, strict=True):
        span, origin = high - low or 1.0, math.floor(low / unit) * unit
        first = max(math.floor((least - origin) / unit), -(2**30))
        last = min(math.ceil((most - origin) / unit), 2**30)
        rows.append([min(max((v * span + (low - origin)) / unit, first), last) for row in picture for v in row])
    flat = words.rounded(rows, 2**-15)
    bases = [[row[k : k + width] for k in range(0, height * width, width)] for row in flat]
    out, earlier = [], []
    for base, line, (unit, step), allowed in zip(bases, lines, bounds, valid, strict=True):
        r, e = band(words, base, allowed, earlier)
        earlier.append((r, e))
        origin = math.floor(line[0] / unit) * unit
        out.append([[0.0] * width for _ in range(height)])
        for y in range(height):
            for column in range(width):
                if allowed[y][column]:
                    value = base[y][column] * unit + origin
                    exact = value + r[y][column] * step
                    out[-1][y][column] = min(max(exact, line[2]), line[3]) if step else ranked(rank(value) + r[y][column])
    return out


def band(
    words: Words, base: Picture, valid: Sequence[Sequence[bool]], earlier: list[tuple[Picture, Picture]]
) -> tuple[Picture, Picture]:
    height, width = len(base), len(base[0])
    r, e = ([[0] * width for _ in range(height)] for _ in range(2))

    def pair(picture: Picture, p: tuple[int, int], d: tuple[int, int]) -> int:
        places = ((p[0] + s * d[0], p[1] + s * d[1]) for s in (1, -1))
        return sum(picture[min(max(y, 0), height - 1)][min(max(c, 0), width - 1)] for y, c in places)

    for lattice, steps in PASSES:
        places = [(y, c) for y in range(height) for c in range(width) if (y % 4, c % 4) in lattice and valid[y][c]]
        if not places:
            continue
        means, sizes = [], []
        for p in places:
            y, c = p
            curves = [pair(base, p, d) - 2 * base[y][c] for d in ((0, 1), (1, 0))]
            means.append([8 * pair(r, p, d) for d in steps] + curves)
            sizes.append(
                [4 * (abs(curves[0]) + abs(curves[1]) + 16), 16] + [sum(pair(e, p, d) for d in steps) >> 2] * bool(steps)
            )
            for its_r, its_e in earlier:
                means[-1] += [16 * its_r[y][c], *(8 * pair(its_r, p, d) for d in steps)]
                sizes[-1].append(its_e[y][c])
        a = signed(words, len(means[0]))
        assert max(map(abs, a)) <= 2048
        m = [sum(k * f for k, f in zip(a, features, strict=True)) >> 8 for features in means]
        w = words.numbers(len(sizes[0]))
        assert max(w) <= 2048
        v = [sum(k * f for k, f in zip(w, features, strict=True)) + 256 for features in sizes]
        assert max(v) < 2**53
        buckets = [4 * n.bit_length() + (n >> (n.bit_length() - 3)) % 4 for n in v]
        (shift,) = words.numbers(1)
        occurring = sorted(set(buckets))
        scale, scales = 0, {}
        for bucket, difference in zip(occurring, signed(words, len(occurring)), strict=True):
            scale += difference
            scales[bucket] = scale
        centres = [n + 8 >> 4 for n in m]
        t = [(n - 16 * centre - 8 * (2**shift - 1)) >> shift for n, centre in zip(m, centres, strict=True)]
        spread = [[min(max(scales[bucket] + k, 0), 63) for bucket in buckets] for k in (-6, 0, 6)]
        high = words.mixed([t, t, t, *spread, [22] * len(t), [28] * len(t)])
        low = words.bits(len(t), shift)
        for (y, c), *parts in zip(places, centres, high, low, m, strict=True):
            r[y][c] = parts[0] + parts[1] * 2**shift + parts[2]
            assert abs(r[y][c]) <= 2**33
            e[y][c] = abs(16 * r[y][c] - parts[3])
    return r, e


def signed(words: Words, count: int) -> list[int]:
    return [-(n + 1) // 2 if n % 2 else n // 2 for n in words.numbers(count)]


def rank(value: float) -> int:
    (bits,) = struct.unpack("<i", struct.pack("<f", value))
    return bits if bits >= 0 else -(bits + 2**31) - 1


def ranked(at: int) -> float:
    (value,) = struct.unpack("<f", struct.pack("<i", at if at >= 0 else -(at + 1) - 2**31))
    return float(value)
