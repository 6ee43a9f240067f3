"""The report as one HTML page that needs nothing else: pictures inside, no scripts."""

from __future__ import annotations

import base64
import html
import math
import re
from pathlib import Path
from typing import Any

METRICS = {"psnr": "PSNR", "psnr_bands": "mean PSNR of the bands", "ms_ssim_db": "MS-SSIM", "vifp": "VIFp"}
HEADINGS = {
    "bpp": "bpp",
    "payload_bpp": "bpp without headers",
    "psnr": "PSNR",
    "psnr_bands": "PSNR, mean of bands",
    "psnr_pooled": "PSNR, all samples pooled",
    "ms_ssim": "MS-SSIM",
    "ms_ssim_db": "MS-SSIM, dB",
    "vifp": "VIFp",
    "lpips": "LPIPS",
    "sam": "angle, &deg;",
    "ndvi": "NDVI error",
    "max_error": "largest error",
    "scene_right": "land use right",
}
STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 1180px; margin: 2em auto; padding: 0 1em; color: #222; }
h1 { font-size: 1.6em; } h2 { margin-top: 2em; border-bottom: 1px solid #ddd; }
table { border-collapse: collapse; margin: 1em 0; font-variant-numeric: tabular-nums; }
th, td { padding: .25em .7em; text-align: right; border-bottom: 1px solid #eee; }
th { text-align: right; vertical-align: bottom; font-weight: 600; } th:first-child, td:first-child { text-align: left; }
tr.ours td { font-weight: 600; background: #fff6ef; } td.text { text-align: left; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(520px, 1fr)); gap: 1em; }
.plots svg, img { max-width: 100%; height: auto; } .note { color: #555; } details { margin: .5em 0; }
"""


def render(table: dict[str, Any], plots: list[Path], sheet: Path, sheet_words: str) -> str:
    """The whole page."""
    about = table["about"]
    what = f"{table['pictures']} pictures with {_text(about['kind'])}; rates of whole files, means over the pictures."
    parts = [
        f"<h1>fdeg {_text(about['fdeg'])} beside other codecs</h1>",
        f"<p>{what} Made by <code>fdeg eval</code>; all of it follows from the single results in <code>points.csv</code>.</p>",
        "<h2>Differences</h2>",
        *(_differences(table, metric) for metric in table["bd_rate"]),
        _matrix(table),
        "<h2>Curves</h2>",
        f"<div class=plots>{''.join(f'<figure>{_svg(path)}</figure>' for path in plots)}</div>",
        "<h2>To look at</h2>",
        f"<p>{_text(sheet_words)}.</p>",
        f'<img alt="comparison" src="data:image/png;base64,{base64.b64encode(sheet.read_bytes()).decode()}">',
        *("<h2>Speed</h2>", _speed(table)),
        *("<h2>Means</h2>", *_means(table)),
        *("<h2>How it was made</h2>", _settings(table)),
    ]
    head = f"<meta charset=utf-8><title>fdeg beside other codecs</title><style>{STYLE}</style>"
    return f"<!doctype html><html lang=en>{head}<body>{''.join(parts)}</body></html>\n"


def _differences(table: dict[str, Any], metric: str) -> str:
    anchor = _label(table, table["anchor"])
    unit = "" if metric == "vifp" else ", dB"
    head = [
        "codec",
        "BD-rate (Akima)",
        "95 % interval",
        "BD-rate (PCHIP)",
        "BD-rate without headers",
        f"difference in quality{unit}",
        "(PCHIP)",
    ]
    rows = []
    for codec, d in table["bd_rate"][metric].items():
        interval = f"{_signed(d['low'])} to {_signed(d['high'])}"
        digits = 4 if metric == "vifp" else 2
        cells = [_percent(d["value"]), interval, _percent(d["pchip"]), _percent(d["payload"])]
        rows.append((codec, [*cells, _signed(d["quality"], digits), _signed(d["quality_pchip"], digits)]))
    return f"<h3>{METRICS[metric]}, against {anchor}</h3>" + _table(table, head, rows)


def _matrix(table: dict[str, Any]) -> str:
    matrix = table["bd_rate_matrix"]
    if not matrix:
        return ""
    head = ["BD-rate, % (PSNR, Akima)", *(f"against {_label(table, c)}" for c in matrix)]
    rows = [(a, ["" if a == b else _signed(matrix[a][b]) for b in matrix]) for a in matrix]
    return "<h3>Each against each</h3>" + _table(table, head, rows)


def _speed(table: dict[str, Any]) -> str:
    rows = [(c, [f"{s['encode']:.2f}", f"{s['decode']:.2f}"]) for c, s in table["speed"].items()]
    jobs = table["about"]["jobs"]
    words = (
        "Megapixels a second on one thread, mean over all pictures and qualities of this run, after one warm-up per process; "
        f"{jobs} process{'es' * (jobs > 1)} side by side. fdeg is timed from file to samples and back, the others from samples "
        "in memory to a file and back; HEVC and VVC include the start of ffmpeg."
    )
    return f"<p class=note>{words}</p>" + _table(table, ["codec", "encoding", "decoding"], rows)


def _means(table: dict[str, Any]) -> list[str]:
    parts = []
    for codec, curve in table["curves"].items():
        names = [name for name in HEADINGS if name in curve]
        lines = [
            [f"{q:g}", *(f"{curve[n][k]:.4g}" if n != "psnr" else f"{curve[n][k]:.2f}" for n in names)]
            for k, q in enumerate(curve["quality"])
        ]
        head = "".join(f"<th>{h}</th>" for h in ["setting", *(HEADINGS[n] for n in names)])
        body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in line)}</tr>" for line in lines)
        parts.append(f"<details><summary>{_label(table, codec)}</summary><table><tr>{head}</tr>{body}</table></details>")
    return parts


def _settings(table: dict[str, Any]) -> str:
    about = table["about"]
    rows = [
        f"<tr><td>{_label(table, c)}</td><td class=text>{_text(about['codecs'][c]['about'])}</td></tr>" for c in table["curves"]
    ]
    absent = "".join(f"<li>{_text(name)}: {_text(reason)}</li>" for name, reason in about["left_out"].items())
    failed = "".join(f"<li>{_text(name)}: {_text(reason)}</li>" for name, reason in about["problems"].items())
    notes = (
        "PSNR is 10 log10(peak&sup2; / mean squared error) of each picture over all its samples, then the mean; the peak is "
        "255 for 8 bits and the range of the picture's valid samples for others. Samples that are not valid do not count. "
        "BD-rate and its like are of the mean curves, over what both span, by the package bjontegaard; intervals are a "
        "bootstrap over pictures."
    )
    machine = f"{about['machine']}, Python {about['python']}, torch {about['torch']}"
    settings = f"<table><tr><th>codec</th><th class=text>versions and settings</th></tr>{''.join(rows)}</table>"
    return (
        f"{settings}<p>{notes}</p><p>{_text(machine)}.</p>"
        + (f"<p>Left out:</p><ul>{absent}</ul>" if absent else "")
        + (
            f"<p>Problems (pictures that some codec has no figures of are left out of all means):</p><ul>{failed}</ul>"
            if failed
            else ""
        )
    )


def _table(table: dict[str, Any], head: list[str], rows: list[tuple[str, list[str]]]) -> str:
    lines = []
    for codec, cells in rows:
        mark = ' class="ours"' if table["about"]["codecs"][codec]["ours"] else ""
        lines.append(f"<tr{mark}><td>{_label(table, codec)}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    return f"<table><tr>{''.join(f'<th>{h}</th>' for h in head)}</tr>{''.join(lines)}</table>"


def _svg(path: Path) -> str:
    """A drawing, its names made its own: several of them share the page."""
    text = path.read_text()
    text = text[text.index("<svg") :]
    for name in set(re.findall(r'id="([^"]+)"', text)):
        text = re.sub(rf'(id="|url\(#|href="#){re.escape(name)}(?=["\)])', rf"\g<1>{path.stem}-{name}", text)
    return text


def _label(table: dict[str, Any], codec: str) -> str:
    return _text(table["about"]["codecs"][codec]["label"])


def _percent(value: float) -> str:
    return f"{_signed(value)} %"


def _signed(value: float, digits: int = 1) -> str:
    return f"{value:+.{digits}f}".replace("-", "&minus;") if math.isfinite(value) else "&ndash;"


def _text(value: Any) -> str:
    return html.escape(str(value))
