"""A run: every picture through every codec, in processes side by side, into a table that an interruption does not spoil."""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from fdeg_codec import __version__
from fdeg_codec.codec.progress import Progress
from fdeg_codec.errors import FdegError, UsageError, reason
from fdeg_codec.evaluation import metrics, ours, rivals, table
from fdeg_codec.evaluation.classifier import save, train
from fdeg_codec.evaluation.codec import Codec
from fdeg_codec.evaluation.measure import Outcome, Task, measure
from fdeg_codec.evaluation.pictures import Kind, Picture, find, kind_of
from fdeg_codec.evaluation.table import Point

POINTS, ABOUT, CLASSIFIER = "points.csv", "run.json", "classifier.npz"
NOTED: dict[str, Any] = {
    **{"kind": str, "metrics": list, "classes": str | None, "ndvi": list | None, "pictures": list},
    **{"digests": dict, "codecs": dict, "left_out": dict, "problems": dict},
}
QUICK_PICTURES = 10
QUICK_METRICS = ("psnr", "max_error", "ms_ssim")


@dataclass(frozen=True)
class Plan:
    """What is asked for; None means all there is."""

    sources: tuple[Path, ...]
    out: Path
    codecs: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None
    metrics: tuple[str, ...] | None = None
    limit: int | None = None
    jobs: int | None = None
    quick: bool = False
    classes: Path | None = None  # a folder of pictures to train the classifier on
    ndvi: tuple[int, int] | None = None
    resume: bool = False
    overwrite: bool = False
    anchor: str | None = None  # the codec that differences are against


@dataclass(frozen=True)
class Cast:
    """Who takes part, and who would if it could be had."""

    pictures: list[Picture]
    kind: Kind
    codecs: list[Codec]
    metrics: tuple[str, ...]
    missing: dict[str, str]
    digests: dict[str, str]  # of the pictures' files, by name


def run(plan: Plan, progress: Progress | None = None) -> Path:
    """Measure what is not measured yet. Returns the table's path; what was left out, and why, is beside it in run.json."""
    cast = choose(plan)
    points = plan.out / POINTS
    done = _prepare(plan, cast)
    here = describe(plan.out)["codecs"]
    if plan.anchor is not None and plan.anchor not in here:
        raise UsageError(f"--anchor {plan.anchor}: the run has {', '.join(here)}")
    classifier = _train(plan) if plan.classes else None
    tasks = list(_tasks(plan, cast, done, classifier))
    if progress and tasks:
        progress(0, len(tasks))
    problems: dict[str, str] = {}
    for count, outcome in enumerate(_outcomes(tasks, plan.jobs or _processors()), 1):
        table.append(points, outcome.points)
        if outcome.problem:
            problems.setdefault(_title(outcome.task), outcome.problem)
        if progress:
            progress(count, len(tasks))
    _note(plan, cast, {_title(task) for task in tasks}, problems)
    if not points.exists():
        raise FdegError(
            f"{plan.out}: nothing could be measured ({next(iter(problems.values()), 'no codec takes these pictures')})"
        )
    return points


def choose(plan: Plan) -> Cast:
    """Pictures, codecs and metrics that the plan asks for and that are here."""
    asked = plan.metrics or (QUICK_METRICS if plan.quick else metrics.NAMES)
    missing = metrics.missing(asked)
    limit = QUICK_PICTURES if plan.quick and plan.limit is None else plan.limit
    pictures = find(list(plan.sources), limit, plan.out)
    kind = kind_of(pictures)
    others, absent = rivals.rivals(kind, plan.codecs)
    if plan.quick and plan.codecs is None:
        absent |= {c.name: "too slow for --quick" for c in others if c.slow}
        others = [c for c in others if not c.slow]
    own = [c for c in ours.models(plan.models) if c.takes(kind)]
    measured = tuple(n for n in asked if n not in missing)
    return Cast(pictures, kind, [*own, *others], measured, missing | absent, {p.name: p.digest for p in pictures})


def _prepare(plan: Plan, cast: Cast) -> set[tuple[str, str, float]]:
    """Make or reopen the folder; returns the keys of what it holds already."""
    points, about = plan.out / POINTS, plan.out / ABOUT
    if plan.resume and plan.overwrite:
        raise UsageError("--resume and --overwrite exclude each other")
    if points.exists() and not plan.resume and not plan.overwrite:
        raise FdegError(f"{points}: exists already (--resume goes on with it, --overwrite begins anew)")
    try:
        plan.out.mkdir(parents=True, exist_ok=True)
        if plan.overwrite:
            points.unlink(missing_ok=True)
            about.unlink(missing_ok=True)
        _agree(plan, cast)
        _note(plan, cast, set(), {})
    except OSError as error:
        raise FdegError(f"{plan.out}: cannot be written ({reason(error)})") from error
    return {(p.picture, p.codec, p.quality) for p in table.read(points)} if points.exists() else set()


def _agree(plan: Plan, cast: Cast) -> None:
    """Refuse to go on with results of other versions, settings or metrics: they would end in one mean."""
    if not (plan.out / POINTS).exists():
        return
    before = describe(plan.out)
    for codec in cast.codecs:
        known = before["codecs"].get(codec.name)
        if known and known["about"] != codec.about:
            raise UsageError(
                f"{plan.out}: its results of {codec.name} are of {known['about']}; here is {codec.about}; --overwrite"
            )
    for name, value in _settings(plan, cast).items():
        if before[name] != value:
            raise UsageError(f"{plan.out}: its results have {name} {before[name]} and not {value}; --overwrite begins anew")
    for name, digest in cast.digests.items():
        if before["digests"].get(name, digest) != digest:
            raise UsageError(f"{plan.out}: its results of {name} are of another picture; --overwrite begins anew")


def _settings(plan: Plan, cast: Cast) -> dict[str, Any]:
    """What all results of a run have in common, beside the codecs' own."""
    return {
        "kind": str(cast.kind),
        "metrics": list(cast.metrics),
        "classes": str(plan.classes.resolve()) if plan.classes else None,
        "ndvi": list(plan.ndvi) if plan.ndvi else None,
    }


def describe(out: Path) -> dict[str, Any]:
    """What run.json says."""
    try:
        about = json.loads((out / ABOUT).read_text())
    except (OSError, ValueError) as error:
        raise FdegError(f"{out / ABOUT}: cannot be read; --overwrite begins anew") from error
    if not isinstance(about, dict) or not all(isinstance(about.get(name, ...), kind) for name, kind in NOTED.items()):
        raise FdegError(f"{out / ABOUT}: is none of this version; --overwrite begins anew")
    return about


def failures(out: Path) -> dict[str, str]:
    """What went wrong first with each codec that failed."""
    found: dict[str, str] = {}
    for title, problem in describe(out)["problems"].items():
        found.setdefault(title.partition(":")[0], f"{title}: {problem}")
    return found


def _note(plan: Plan, cast: Cast, tried: set[str], problems: dict[str, str]) -> None:
    """Write run.json. Of what was tried now, earlier problems are forgotten."""
    nothing: dict[str, Any] = {"codecs": {}, "problems": {}, "left_out": {}, "digests": {}}
    before = describe(plan.out) if (plan.out / ABOUT).exists() else nothing
    here = {c.name: {"label": c.label, "about": c.about, "ours": c.ours} for c in cast.codecs}
    about = {
        "fdeg": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
        "jobs": plan.jobs or _processors(),
        **_settings(plan, cast),
        "pictures": [picture.name for picture in cast.pictures],
        "digests": before["digests"] | cast.digests,
        "codecs": before["codecs"] | here,
        "left_out": {k: v for k, v in (before["left_out"] | cast.missing).items() if k not in before["codecs"] | here},
        "problems": {k: v for k, v in before["problems"].items() if k not in tried} | problems,
    }
    draft = plan.out / f".{ABOUT}"
    draft.write_text(json.dumps(about, indent=2) + "\n")
    draft.replace(plan.out / ABOUT)


def _title(task: Task) -> str:
    return f"{task.codec}: {task.picture.name}"


def _tasks(plan: Plan, cast: Cast, done: set[tuple[str, str, float]], classifier: Path | None) -> Iterator[Task]:
    """Picture by picture, so that an interrupted run has whole pictures to report on."""
    for picture in cast.pictures:
        for codec in cast.codecs:
            wanted = codec.qualities[::2] if plan.quick else codec.qualities
            left = tuple(q for q in wanted if (picture.name, codec.name, q) not in done)
            if left:
                yield Task(picture, cast.kind, codec.name, left, cast.metrics, plan.ndvi, classifier)


def _outcomes(tasks: list[Task], jobs: int) -> Iterator[Outcome]:
    """The tasks' outcomes as they come. One process is this one."""
    if min(jobs, len(tasks)) < 2:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield from map(measure, tasks)
        finally:
            torch.set_num_threads(threads)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(tasks)), context, initializer=_begin) as pool:
        futures: list[Future[Outcome]] = [pool.submit(measure, task) for task in tasks]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            raise FdegError("a process of the run was ended from outside, perhaps for its memory; --resume goes on") from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _begin() -> None:
    """In a process of the pool: one thread, and an end when that of the run ends, however it does."""
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_run, daemon=True).start()


def _end_with_run() -> None:
    run = multiprocessing.parent_process()
    assert run
    run.join()
    os._exit(1)


def _train(plan: Plan) -> Path:
    """The classifier in the run's folder, trained if it is not there."""
    path = plan.out / CLASSIFIER
    assert plan.classes
    if not path.exists() or plan.overwrite:
        save(train(find([plan.classes])), path)
    return path


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def points_of(out: Path) -> list[Point]:
    """The table of a finished or interrupted run."""
    return table.read(out / POINTS)
