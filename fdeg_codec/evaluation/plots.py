"""Rate-distortion curves, legible at the width of a README and to the colour-blind: hue, marker and line style all differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

FIGURES = {
    "psnr": ("PSNR (dB)", "psnr"),
    "ms_ssim_db": ("MS-SSIM (dB)", "ms_ssim"),
    "vifp": ("VIFp", "vifp"),
    "lpips": ("LPIPS (less is better)", "lpips"),
    "sam": ("spectral angle (degrees, less is better)", "sam"),
    "ndvi": ("NDVI error (less is better)", "ndvi"),
    "max_error": ("largest error of a picture (less is better)", "max_error"),
    "scene_right": ("land use recognised (%)", "classes"),
}
# Okabe and Ito's colours; ours are black and vermilion, which no rival has.
OURS = (("#000000", "o"), ("#D55E00", "D"), ("#7F3C00", "P"), ("#666666", "X"))
THEIRS = {
    "jpeg": ("#999999", "v", ":"),
    "jpeg2000": ("#E69F00", "s", "--"),
    "webp": ("#009E73", "^", "-."),
    "avif": ("#0072B2", "D", "-"),
    "jxl": ("#CC79A7", "p", "--"),
    "hevc": ("#56B4E9", "<", "-."),
    "vvc": ("#5D3A9B", ">", "-"),
    "lerc": ("#B8860B", "h", ":"),
}
RATE_SPAN = (0.12, 2.6)  # bits per pixel that a plot of 8-bit pictures shows
SIZE = (7.0, 4.6)
DPI = 120


def draw(summary: dict[str, Any], folder: Path) -> list[Path]:
    """One plot per metric, PNG and SVG; the SVGs' paths."""
    import matplotlib as mpl

    mpl.use("Agg")
    folder.mkdir(exist_ok=True)
    made = []
    for metric, (words, name) in FIGURES.items():
        if all(metric in curve for curve in summary["curves"].values()):
            made.append(_plot(summary, metric, words, folder / name))
    return made


def _plot(summary: dict[str, Any], metric: str, words: str, target: Path) -> Path:
    from matplotlib import pyplot

    style: dict[Any, Any] = {
        "font.size": 11,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "svg.fonttype": "path",
        "svg.hashsalt": "fdeg",
    }
    with pyplot.rc_context(style):
        figure, axes = pyplot.subplots(figsize=SIZE, layout="constrained")
        scale = 100 if metric == "scene_right" else 1
        rates = []
        for codec, look in looks(summary).items():
            curve = summary["curves"][codec]
            rates += curve["bpp"]
            axes.plot(
                curve["bpp"], [scale * v for v in curve[metric]], label=summary["about"]["codecs"][codec]["label"], **look
            )
        if metric == "scene_right":
            original = 100 * next(iter(summary["curves"].values()))["original_right"][0]
            axes.axhline(original, color="#444444", linewidth=1, label="originals")
        eight_bits = max(rates) < 8
        axes.set_xscale("log")
        if eight_bits:
            axes.set_xlim(max(RATE_SPAN[0], 0.9 * min(rates)), min(RATE_SPAN[1], 1.1 * max(rates)))
            _cut(axes)
            ticks = [t for t in (0.15, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2) if axes.get_xlim()[0] <= t <= axes.get_xlim()[1]]
            axes.set_xticks(ticks, [f"{t:g}" for t in ticks], minor=False)
            axes.set_xticks([], minor=True)
        axes.set_xlabel("bits per pixel, whole files (logarithmic)")
        axes.set_ylabel(words)
        axes.grid(color="#DDDDDD", linewidth=0.7)
        axes.legend(frameon=False, fontsize=9.5, loc="upper left" if metric in ("psnr", "ms_ssim_db", "vifp") else "best")
        axes.set_title(f"{summary['pictures']} pictures, {summary['about']['kind']}", fontsize=10, color="#555555")
        for suffix, extra in ((".png", {"dpi": DPI}), (".svg", {"metadata": {"Date": None}})):
            figure.savefig(f"{target}{suffix}", **extra)
        pyplot.close(figure)
    return Path(f"{target}.svg")


def looks(summary: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """How each codec's line is drawn, ours last and so on top."""
    codecs = summary["about"]["codecs"]
    own = [c for c in summary["curves"] if codecs[c]["ours"]]
    found: dict[str, dict[str, Any]] = {}
    for codec in summary["curves"]:
        if codec in own:
            colour, marker = OURS[own.index(codec) % len(OURS)]
            found[codec] = {"color": colour, "marker": marker, "linewidth": 2.6, "markersize": 6, "zorder": 5}
        else:
            colour, marker, line = THEIRS.get(codec, ("#333333", "*", "-"))
            found[codec] = {
                "color": colour,
                "marker": marker,
                "linestyle": line,
                "linewidth": 1.6,
                "markersize": 5,
                "zorder": 3,
            }
    return found


def _cut(axes: Any) -> None:
    """Limit the vertical axis to what the shown rates reach."""
    low, high = axes.get_xlim()
    shown = [y for line in axes.lines for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True) if low <= x <= high]
    if shown:
        margin = 0.04 * (max(shown) - min(shown)) or 1
        axes.set_ylim(min(shown) - margin, max(shown) + margin)
