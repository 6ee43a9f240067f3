"""A whole run: what is measured, what a report holds, and that an interruption loses nothing."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

import fdeg_codec
from fdeg_codec.errors import FdegError, UsageError
from fdeg_codec.evaluation import curves, measure, report, run, sheet, summary, table
from fdeg_codec.evaluation.codec import Codec
from fdeg_codec.evaluation.pictures import Kind, find, kind_of
from fdeg_codec.evaluation.rivals import rivals
from fdeg_codec.evaluation.run import Plan
from tests.cli.conftest import Run
from tests.pictures import landscape
from tests.raster.rasters import coloured, samples, write

FEW = {"codecs": ("jpeg", "jpeg2000"), "models": ("tiny",), "metrics": ("psnr", "max_error"), "jobs": 1}


@pytest.fixture
def folder(weights: Path, tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for k, name in enumerate(("beach4", "beach14", "forest4")):
        Image.fromarray(landscape(64, 96, seed=k).transpose(1, 2, 0)).save(tmp_path / "in" / f"{name}.png")
    return tmp_path / "in"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curves, "DRAWS", 10)


def plan(folder: Path, **more) -> Plan:
    return Plan(**({"sources": (folder,), "out": folder.parent / "out"} | FEW | more))


def test_every_figure_is_that_of_a_real_file(folder: Path, tmp_path: Path) -> None:
    points = table.read(run.run(plan(folder)))
    assert len(points) == 3 * (7 + 8 + 6)
    assert len({(p.picture, p.codec, p.quality) for p in points}) == len(points)
    codec = rivals(kind_of(find([folder])), ("jpeg",))[0][0]
    for picture in find([folder]):
        codec.encode(picture, tmp_path / "x.jpg", 50)
        found = next(p.values for p in points if (p.picture, p.codec, p.quality) == (picture.name, "jpeg", 50))
        with Image.open(tmp_path / "x.jpg") as image, Image.open(picture.path) as original:
            wanted = peak_signal_noise_ratio(np.asarray(original), np.asarray(image), data_range=255)
        assert found["bytes"] == (tmp_path / "x.jpg").stat().st_size
        assert found["bpp"] == 8 * found["bytes"] / (64 * 96)
        assert found["psnr"] == pytest.approx(wanted, abs=1e-9)
        assert 0 < found["payload_bpp"] < found["bpp"]
        assert found["encode_seconds"] > 0 < found["decode_seconds"]


def test_the_report_follows_from_the_table(folder: Path, fdeg: Run, tmp_path: Path) -> None:
    words = ["eval", folder, "--out", tmp_path / "out", "--codecs", "jpeg,jpeg2000", "--models", "tiny", "--limit", 2]
    outcome = fdeg(*words, "--metrics", "psnr,max_error", "--jobs", 1)
    assert (outcome.code, outcome.err, outcome.out.strip()) == (0, "", str(tmp_path / "out" / "report.html"))
    out = tmp_path / "out"
    found = json.loads((out / "summary.json").read_text())
    with (out / "points.csv").open() as stream:
        rows = [r for r in csv.DictReader(stream) if r["codec"] == "jpeg" and r["quality"] == "50"]
    place = found["curves"]["jpeg"]["quality"].index(50)
    assert found["curves"]["jpeg"]["psnr"][place] == pytest.approx(np.mean([float(r["psnr"]) for r in rows]))
    pooled = 10 * np.log10(255**2 / np.mean([float(r["mse"]) for r in rows]))
    assert found["curves"]["jpeg"]["psnr_pooled"][place] == pytest.approx(pooled)
    assert {*found["bd_rate"]["psnr"]} == {"jpeg", "tiny"}
    with (out / "curves.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == 7 + 8 + 6
    lines = (out / "table.md").read_text().splitlines()
    assert sorted(line.split("|")[1].strip() for line in lines[2:]) == ["JPEG", "JPEG 2000", "fdeg (tiny)"]
    assert f"{found['curves']['jpeg']['bpp'][0]:.3f}/{found['curves']['jpeg']['psnr'][0]:.2f}, " in "".join(lines)
    with Image.open(out / "sheet.png") as image, Image.open(out / "plots" / "psnr.png") as plot:
        assert image.width > 700 < plot.width
    page = (out / "report.html").read_text()
    assert not re.findall(r'(?:src|href|url)\s*[=(]\s*["\']?(?!data:|#)[a-z]+:', page)
    assert "<script" not in page
    assert all(name in page for name in ("libjpeg_turbo", "irreversible=True", "JPEG 2000", "fdeg (tiny)"))
    names = re.findall(r'\bid="([^"]+)"', page)
    assert len(names) == len({*names})
    again = summary.summarise(*summary.load(out), "jpeg2000")
    assert again["bd_rate"] == found["bd_rate"]


def test_an_interrupted_run_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = []

    def stopping(after: int) -> None:
        original = measure._point

        def point(codec: Codec, task, quality, file):
            if len(encoded) == after:
                raise KeyboardInterrupt
            encoded.append((task.picture.name, codec.name, quality))
            return original(codec, task, quality, file)

        monkeypatch.setattr(measure, "_point", point)

    with monkeypatch.context() as patch:
        patch.setattr(measure, "_point", measure._point)
        stopping(30)
        with pytest.raises(KeyboardInterrupt):
            run.run(plan(folder))
    kept = {(p.picture, p.codec, p.quality) for p in run.points_of(folder.parent / "out")}
    assert 0 < len(kept) <= 30
    with pytest.raises(FdegError, match=r"points\.csv: exists already \(--resume"):
        run.run(plan(folder))
    encoded.clear()
    stopping(10**6)
    points = table.read(run.run(plan(folder, resume=True)))
    assert not kept.intersection(encoded)
    assert len(points) == len({(p.picture, p.codec, p.quality) for p in points}) == 3 * 21
    encoded.clear()
    run.run(plan(folder, resume=True, codecs=("jpeg", "webp")))
    assert {codec for _, codec, _ in encoded} == {"webp"}


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("points.csv", lambda data: data[:200] + b"\xff" + data[201:]),
        ("points.csv", lambda data: data + b'"' + 200_000 * b"x" + b"\n"),
        ("run.json", lambda data: json.dumps(dict.fromkeys(json.loads(data))).encode()),
    ],
)
def test_a_damaged_run_is_named(folder: Path, fdeg: Run, tmp_path: Path, name: str, damage: Callable[[bytes], bytes]) -> None:
    words = ["eval", folder, "--out", tmp_path / "run", "--codecs", "jpeg", "--models", "tiny", "--metrics", "psnr"]
    assert fdeg(*words, "--jobs", "1", "--quick").code == 0
    path = tmp_path / "run" / name
    path.write_bytes(damage(path.read_bytes()))
    assert fdeg(*words, "--jobs", "1", "--quick", "--resume").is_one_line(1, str(path), "--overwrite")


@pytest.mark.parametrize(("words", "said"), [({"limit": 0}, "--limit 0"), ({"resume": True, "overwrite": True}, "exclude")])
def test_words_that_make_no_sense(folder: Path, words: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        run.run(plan(folder, **words))


def test_other_codecs_are_given_what_is_invalid_filled(tmp_path: Path) -> None:
    data = np.full((2, 40, 50), 1000, np.uint16)
    data[0, :, 25:] = 65535
    (picture,) = find([write(tmp_path / "a.tif", data, nodata=65535)])
    assert (picture.filled == 1000).all()
    assert (picture.samples == data).all()


def test_results_that_do_not_belong_together_are_not_mixed(folder: Path) -> None:
    run.run(plan(folder, codecs=("jpeg",), limit=1))
    with pytest.raises(UsageError, match="metrics"):
        run.run(plan(folder, codecs=("jpeg",), resume=True, metrics=("psnr",)))
    about = folder.parent / "out" / "run.json"
    about.write_text(about.read_text().replace("libjpeg_turbo", "libjpeg"))
    with pytest.raises(UsageError, match="its results of jpeg are of libjpeg "):
        run.run(plan(folder, codecs=("jpeg",), resume=True))
    assert len(table.read(run.run(plan(folder, codecs=("jpeg",), overwrite=True, limit=1)))) == 7 + 6


def test_going_on_with_other_pictures_of_the_same_names_is_refused(folder: Path) -> None:
    run.run(plan(folder, codecs=("jpeg",), models=()))
    Image.fromarray(landscape(64, 96, seed=9).transpose(1, 2, 0)).save(folder / "beach4.png")
    with pytest.raises(UsageError, match=r"its results of beach4\.png are of another picture"):
        run.run(plan(folder, codecs=("jpeg",), models=(), resume=True))
    with pytest.raises(UsageError, match="ndvi None and not"):
        run.run(plan(folder, codecs=("jpeg",), models=(), resume=True, ndvi=(1, 2)))


def test_the_pictures_of_a_report_are_not_evaluated(folder: Path) -> None:
    within = {"out": folder / "report", "codecs": ("jpeg", "jpeg2000"), "models": (), "metrics": ("psnr",)}
    out = run.run(plan(folder, **within)).parent
    report.write(out, "jpeg2000", (folder,))
    assert [*out.rglob("*.png")]
    report.write(run.run(plan(folder, **within, resume=True)).parent, "jpeg2000", (folder,))
    assert {p.picture for p in run.points_of(out)} == {"beach4.png", "beach14.png", "forest4.png"}


def test_a_report_of_one_tiny_picture_claims_no_interval_and_may_outlive_a_model(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JPEG 2000 takes the same few bytes at several settings, and then the model is gone."""
    Image.fromarray(landscape(32, 32).transpose(1, 2, 0)).save(tmp_path / "a.png")
    out = run.run(plan(tmp_path / "a.png", metrics=("psnr",))).parent
    here = report.find_codec

    def find_codec(kind: Kind, name: str) -> Codec:
        if name == "tiny":
            raise FdegError("tiny: no such model")
        return here(kind, name)

    monkeypatch.setattr(report, "find_codec", find_codec)
    target = report.write(out, "jpeg2000", (tmp_path / "a.png",))
    (shown,) = re.findall(r"<p>(a.png, [^<]*)</p>", target.read_text())
    assert shown.endswith("; no longer here: fdeg (tiny).")
    assert " to " not in (out / "table.md").read_text()


def test_processes_give_what_one_gives(folder: Path) -> None:
    few = {"codecs": ("jpeg", "webp"), "models": (), "limit": 2}
    alone = table.read(run.run(plan(folder, **few)))
    seen = []
    together = table.read(run.run(plan(folder, **few, jobs=2, overwrite=True), lambda done, total: seen.append((done, total))))
    key = ("bytes", "payload", "mse", "psnr", "max_error")
    one, two = ({(p.picture, p.codec, p.quality): [p.values[k] for k in key] for p in ps} for ps in (alone, together))
    assert one == two
    assert seen == [(k, 4) for k in range(5)]


def test_a_codec_that_fails_is_named_and_the_others_go_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(landscape(64, 97).transpose(1, 2, 0)).save(folder / "odd.png")
    few = {"codecs": ("jpeg", "hevc"), "models": ()}
    if rivals(kind_of(find([folder])), ("hevc",))[1]:
        pytest.skip("no HEVC here")
    points = table.read(run.run(plan(folder, **few, sources=(folder / "beach4.png", folder / "odd.png"))))
    assert sum(p.codec == "jpeg" for p in points) == 2 * 7
    problems = run.describe(folder.parent / "out")["problems"]
    assert [*problems] == ["hevc: odd.png"]
    assert "even sides" in problems["hevc: odd.png"]
    assert [*run.failures(folder.parent / "out")] == ["hevc"]


def test_our_files_leave_out_alpha_as_those_of_others_do(weights: Path, tmp_path: Path) -> None:
    data = samples(4, height=64, width=64)
    data[3] = np.where(np.indices((64, 64))[1] < 40, 255, 0)
    write(tmp_path / "a.tif", data, coloured("red", "green", "blue", "alpha"))
    points = table.read(run.run(plan(tmp_path / "a.tif", codecs=("jpeg",), metrics=("psnr",))))
    assert {p.codec for p in points} == {"jpeg", "tiny"}
    fdeg_codec.encode(write(tmp_path / "b.tif", data[:3]), tmp_path / "b.fdg", model="tiny", quality=3)
    with fdeg_codec.open(tmp_path / "b.fdg") as scene:
        wanted = peak_signal_noise_ratio(data[:3, :, :40], scene.read()[:, :, :40], data_range=255)
    assert next(p.values["psnr"] for p in points if (p.codec, p.quality) == ("tiny", 512)) == pytest.approx(wanted)


def test_flat_and_empty_pictures_take_psnr_from_no_other(folder: Path) -> None:
    Image.fromarray(np.zeros((64, 96, 3), np.uint8)).save(folder / "black.png")
    write(folder / "empty.tif", np.zeros((3, 64, 96), np.uint8), nodata=0)
    out = run.run(plan(folder, codecs=("jpeg", "jpeg2000"), models=(), metrics=("psnr",))).parent
    target = report.write(out, "jpeg2000", (folder,))
    found = json.loads((out / "summary.json").read_text())
    assert found["pictures"] == 3
    assert np.isfinite(found["curves"]["jpeg"]["psnr"]).all()
    assert {*found["bd_rate"]["psnr"]} == {"jpeg"}
    assert "JPEG 2000" in (out / "table.md").read_text()
    assert {*found["about"]["problems"]} == {"black.png", "empty.tif"}
    assert "keeps it exactly" in found["about"]["problems"]["black.png"]
    assert "no valid sample" in found["about"]["problems"]["empty.tif"]
    assert "black.png: " in target.read_text()


def test_pictures_are_taken_evenly_and_by_number(folder: Path) -> None:
    assert [p.name for p in find([folder])] == ["beach4.png", "beach14.png", "forest4.png"]
    assert [p.name for p in find([folder], 2)] == ["beach4.png", "forest4.png"]
    assert [p.name for p in find([folder / "beach14.png", folder / "beach4.png"])] == ["beach14.png", "beach4.png"]


def test_pictures_of_two_kinds_are_refused(folder: Path, fdeg: Run, tmp_path: Path) -> None:
    write(folder / "gray.tif", samples(1))
    assert fdeg("eval", folder, "--out", tmp_path / "o").is_one_line(
        2, "1 band of uint8", "3 bands of uint8", "evaluate them apart"
    )
    (tmp_path / "empty").mkdir()
    assert fdeg("eval", tmp_path / "empty", "--out", tmp_path / "o").is_one_line(1, "empty: holds no pictures")
    assert fdeg("eval", tmp_path / "none", "--out", tmp_path / "o").is_one_line(1, "none: no such file")
    assert fdeg("eval", folder / "beach4.png", "--out", tmp_path / "o", "--codecs", "bpg").is_one_line(2, "--codecs bpg")
    assert not (tmp_path / "o").exists()


def test_sixteen_bits(weights: Path, tmp_path: Path) -> None:
    for k in range(2):
        data = samples(4, "uint16", 70, 90) + 10 * k
        data[:, :9] = 0
        write(tmp_path / f"{k}.tif", data, nodata=0)
    wanted = Plan(
        (tmp_path / "0.tif", tmp_path / "1.tif"),
        tmp_path / "out",
        models=("tiny",),
        metrics=("psnr", "ndvi"),
        ndvi=(1, 4),
        jobs=1,
    )
    points = table.read(run.run(wanted))
    assert {p.codec for p in points} == {"tiny", "jpeg2000", "jxl", "lerc"}
    assert all(0 < p.values["ndvi"] < 1 and np.isfinite(p.values["psnr"]) for p in points)
    assert {*summary.summarise(*summary.load(tmp_path / "out"), "jpeg2000")["bd_rate"]} == {"psnr", "psnr_bands"}


def test_going_on_with_other_pictures_reports_on_these(fdeg: Run, folder: Path, tmp_path: Path) -> None:
    words = ("--codecs", "jpeg", "--models", "tiny", "--metrics", "psnr", "--jobs", "1", "--out", tmp_path / "out")
    assert fdeg("eval", folder, *words).code == 0
    one = sorted(folder.iterdir())[0]
    assert fdeg("eval", one, *words, "--resume").code == 0
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["pictures"] == 1


def test_an_anchor_that_takes_no_part_is_named_before_anything_is_coded(fdeg: Run, folder: Path, tmp_path: Path) -> None:
    words = ("eval", folder, "--codecs", "jpeg", "--models", "tiny", "--metrics", "psnr", "--out", tmp_path / "out")
    assert fdeg(*words, "--anchor", "webp").is_one_line(2, "--anchor webp", "jpeg")
    assert not (tmp_path / "out" / "points.csv").exists()
    assert fdeg(*words).code == 0


def test_what_no_other_codec_takes_is_reported_without_differences(fdeg: Run, tmp_path: Path) -> None:
    write(tmp_path / "x.tif", samples(1, height=64, width=64).astype(np.int16))
    assert fdeg("eval", tmp_path / "x.tif", "--models", "tiny", "--metrics", "psnr", "--out", tmp_path / "out").code == 0
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["anchor"] == "tiny"


@pytest.mark.parametrize("name", ["a\u2028b", "a\x0b\x85b", 'a"\n,b', "ü"])
def test_a_table_holds_any_name(tmp_path: Path, name: str) -> None:
    point = table.Point(name, "jpeg", 5.0, dict.fromkeys(table.COLUMNS[3:], 1.0))
    table.append(tmp_path / "points.csv", [point, point])
    assert table.read(tmp_path / "points.csv") == [point, point]


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 700), (700, 1), (300, 200)])
def test_a_sheet_shows_pictures_of_any_shape(height: int, width: int) -> None:
    pixels = landscape(height, width).transpose(1, 2, 0)
    image = sheet._sheet([sheet.Panel("a", "b", pixels)] * 3, sheet._busiest(pixels))
    assert image.width > image.height > 200
