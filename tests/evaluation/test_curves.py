"""Bjontegaard's differences beside an implementation of other making; curves come from the table alone."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from fdeg_codec.errors import FdegError
from fdeg_codec.evaluation import curves, table
from fdeg_codec.evaluation.curves import Cube
from fdeg_codec.evaluation.table import COLUMNS, Point

# The example that goes with implementations of VCEG-M33, in Bjontegaard's own terms.
A = ([85.95, 157.11, 309.58, 686.76], [31.42, 34.24, 37.18, 40.28])
B = ([112.75, 204.93, 407.8, 893.34], [31.24, 34.17, 37.21, 40.39])


def cube(rates, qualities, name="x") -> Cube:
    return Cube(name, tuple(range(len(rates))), {"bpp": np.array([rates]), "psnr": np.array([qualities])})


def m33(anchor, test) -> tuple[float, float]:
    """VCEG-M33: cubic polynomials through four points, integrated over what both span; rate (%) and PSNR (dB)."""
    logs = [(np.log10(r), np.array(q)) for r, q in (anchor, test)]

    def mean(pairs) -> float:
        low, high = max(x.min() for x, _ in pairs), min(x.max() for x, _ in pairs)
        areas = [np.diff(np.polyval(np.polyint(np.polyfit(x, y, 3)), [low, high]))[0] for x, y in pairs]
        return (areas[1] - areas[0]) / (high - low)

    return 100 * (10 ** mean([(q, r) for r, q in logs]) - 1), mean(logs)


@pytest.mark.parametrize("method", ["akima", "pchip"])
def test_the_published_example(method) -> None:
    rate, psnr = m33(A, B)
    assert (rate, psnr) == (pytest.approx(31.40, abs=0.005), pytest.approx(-1.185, abs=0.0005))
    assert curves.bd_rate(cube(*A), cube(*B), "psnr", method) == pytest.approx(rate, abs=0.05)
    assert curves.bd_quality(cube(*A), cube(*B), "psnr", method) == pytest.approx(psnr, abs=0.002)


def test_half_the_rate_is_minus_fifty_per_cent() -> None:
    rates, qualities = np.array([0.2, 0.5, 1.0, 2.0, 3.0]), [25, 29, 33, 37, 39]
    assert curves.bd_rate(cube(rates, qualities), cube(rates / 2, qualities), "psnr") == pytest.approx(-50)
    # A point that costs more and gives less is not on the curve.
    worse = np.array([0.2, 0.5, 0.9, 1.0, 2.0, 3.0]), [25, 29, 28, 33, 37, 39]
    assert curves.bd_rate(cube(rates, qualities), cube(*worse), "psnr") == pytest.approx(0, abs=1e-9)


def test_curves_that_share_no_quality_have_no_difference() -> None:
    low, high = cube([0.2, 0.5, 1.0], [20, 22, 24]), cube([0.2, 0.5, 1.0], [30, 32, 34])
    assert math.isnan(curves.bd_rate(low, high, "psnr"))
    assert math.isnan(curves.with_interval(low, high, "psnr").low)


def test_the_interval_holds_the_value_and_shrinks_with_more_pictures() -> None:
    rng = np.random.default_rng(0)

    def many(count: int, factor: float) -> Cube:
        rates = np.array([0.2, 0.5, 1.0, 2.0]) * factor * rng.lognormal(0, 0.3, (count, 1))
        return Cube("x", (1, 2, 3, 4), {"bpp": rates, "psnr": np.tile([25.0, 30.0, 34.0, 38.0], (count, 1))})

    spans = []
    for count in (10, 300):
        found = curves.with_interval(many(count, 1.0), many(count, 0.7), "psnr")
        assert found.low < found.value < found.high
        spans.append(found.high - found.low)
    assert spans[1] < 0.5 * spans[0]
    assert found.low < -30 < found.high


def test_quality_at_a_rate() -> None:
    line = cube([0.25, 0.5, 1.0, 2.0], [20.0, 25.0, 30.0, 35.0])
    assert curves.at_rate(line, "psnr", math.sqrt(0.5)) == pytest.approx(27.5)
    assert math.isnan(curves.at_rate(line, "psnr", 3))


def point(picture: str, codec: str, quality: float, **values: float) -> Point:
    return Point(picture, codec, quality, {"bpp": quality / 10, "psnr": 20 + quality} | values)


def test_only_pictures_that_all_codecs_have_count(tmp_path: Path) -> None:
    rows = [point(p, c, q, bpp=q * k) for k, p in enumerate("abc", 1) for c in ("x", "y") for q in (3, 1, 2)]
    rows = [r for r in rows if (r.picture, r.codec, r.quality) != ("b", "y", 2)]
    table.append(tmp_path / "p.csv", rows[:5])
    table.append(tmp_path / "p.csv", rows[5:])
    pictures, found = curves.cubes(table.read(tmp_path / "p.csv"))
    assert pictures == ["a", "c"]
    assert [c.codec for c in found] == ["x", "y"]
    assert found[0].qualities == (1, 2, 3)
    assert found[0].mean("bpp") == pytest.approx([2, 4, 6])
    assert set(found[0].figures) == {"bpp", "psnr"}


def test_the_table_keeps_all_digits_and_forgets_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    table.append(path, [point("a", "x", 1, psnr=1 / 3), point("b", "x", 1, psnr=math.inf)])
    whole = path.read_bytes()
    path.write_bytes(whole + b"c,x,1,0.1")
    rows = table.read(path)
    assert [r.values["psnr"] for r in rows] == [1 / 3, math.inf]
    assert math.isnan(rows[0].values["lpips"])
    assert path.read_bytes() == whole
    table.append(path, [point("c", "x", 1)])
    assert [r.picture for r in table.read(path)] == ["a", "b", "c"]


def test_a_table_of_other_making_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    for text in ("", "a,b\n1,2\n", ",".join(COLUMNS) + "\na,x,one\n"):
        path.write_text(text)
        with pytest.raises(FdegError, match="--overwrite"):
            table.read(path)
