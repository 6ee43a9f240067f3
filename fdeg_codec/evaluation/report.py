"""The report of a run: summary.json, curves.csv, table.md, plots, a comparison sheet, and one HTML page that holds all."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from fdeg_codec.errors import FdegError, reason
from fdeg_codec.evaluation import markdown, page, plots, sheet, summary
from fdeg_codec.evaluation.curves import Cube
from fdeg_codec.evaluation.measure import find_codec
from fdeg_codec.evaluation.pictures import find, kind_of
from fdeg_codec.plain import plain

SHEET_QUALITY = 1  # the sheet's rate is that of the first codec at its second quality, if it has two
SHEET = "sheet.png"


def write(out: Path, anchor: str | None, sources: tuple[Path, ...]) -> Path:
    """Make everything from the table in `out`; returns the page's path."""
    about, pictures, found = summary.load(out)
    table = summary.summarise(about, pictures, found, anchor)
    try:
        (out / "summary.json").write_text(json.dumps(plain(table), indent=1) + "\n")
        _curves(out / "curves.csv", table)
        if "psnr" in table["bd_rate"]:
            (out / "table.md").write_text(markdown.render(table))
        drawn = plots.draw(table, out / "plots")
        words = _sheet(out / SHEET, sources, pictures, found, about)
        target = out / "report.html"
        target.write_text(page.render(table, drawn, out / SHEET, words))
    except OSError as error:
        raise FdegError(f"{out}: cannot be written ({reason(error)})") from error
    return target


def _sheet(target: Path, sources: tuple[Path, ...], names: list[str], found: list[Cube], about: dict[str, Any]) -> str:
    """Draw the sheet; returns what it shows."""
    pictures = [p for p in find(list(sources), without=target.parent) if p.name in names]
    kind = kind_of(pictures)
    first = found[0]
    quality = min(SHEET_QUALITY, len(first.qualities) - 1)
    rates = dict(zip(names, first.figures["bpp"][:, quality].tolist(), strict=True))
    picture = sheet.typical(pictures, [rates[p.name] for p in pictures])
    labels = {name: c["label"] for name, c in about["codecs"].items()}
    codecs, gone = [], []
    for cube in found:
        try:
            codecs.append(find_codec(kind, cube.codec))
        except FdegError:
            gone.append(labels[cube.codec])
    sheet.draw(picture, codecs, labels, rates[picture.name], target)
    words = f"{picture.name}, each codec's file as near as it comes to {rates[picture.name]:.3f} bits per pixel"
    return f"{words}; no longer here: {', '.join(gone)}" if gone else words


def _curves(path: Path, table: dict[str, Any]) -> None:
    """The mean curves, one row per codec and quality."""
    columns = list(dict.fromkeys(name for curve in table["curves"].values() for name in curve))
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["codec", *columns])
        for codec, curve in table["curves"].items():
            for k in range(len(curve["quality"])):
                writer.writerow([codec, *(repr(curve[name][k]) if name in curve else "" for name in columns)])
