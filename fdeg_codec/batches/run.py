"""A batch: what is left to do is done side by side, and nothing that fails stops the rest."""

from __future__ import annotations

import csv
import inspect
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, nullcontext
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from fdeg_codec.api import decode, encode
from fdeg_codec.batches import threads
from fdeg_codec.batches.plan import Job, Shard, plan
from fdeg_codec.batches.record import Record
from fdeg_codec.batches.work import Outcome, Result, Task
from fdeg_codec.choices import Format
from fdeg_codec.codec.goal import goal_of
from fdeg_codec.codec.smaller import check_scale
from fdeg_codec.errors import FdegError, UsageError, reason
from fdeg_codec.raster.atomic import check, replacing
from fdeg_codec.raster.sink import DRIVERS, driver_of
from fdeg_codec.weights import DEFAULT_MODEL, by_name

ENDING = ".fdg"


def batch(
    source: Path | str,
    target: Path | str,
    *,
    glob: str | None = None,
    jobs: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    shard: Shard = (1, 1),
    report: Path | str | None = None,
    decode: bool = False,
    format: Format | None = None,  # noqa: A002
    scheduler: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    tell: Callable[[Outcome], None] | None = None,
    **words: Any,
) -> list[Outcome]:
    """Encode, or decode, all scenes of a folder and its subfolders into another; `words` are those of `encode` or `decode`.

    A scene that fails does not stop the rest: it is an `Outcome` that says why. `tell` is called with each as it comes.
    """
    source, target = Path(source), Path(target)
    _check_work(jobs, shard, scheduler)
    if format is not None and not decode:
        raise UsageError("--format goes with --decode only")
    if report:
        _check_report(Path(report), target)
    words = {name: _plain(value) for name, value in words.items()}
    task = Task(source.absolute(), target.absolute(), decode, words)
    task.check()
    ending = f".{format or 'tif'}" if decode else ENDING
    if decode:
        driver_of(target / f"*{ending}", words.get("cog", False))
        check_scale(words.get("scale", 1))
    else:
        goal_of(**words)
    endings = (ENDING,) if decode else tuple(DRIVERS)
    planned = plan(source, ending, endings, glob, shard)
    record = Record(source, target, _identity(task), shard)
    outcomes = []
    with closing(_outcomes(task, planned, record, resume, overwrite, jobs, scheduler)) as coming:
        for outcome in coming:
            outcomes.append(outcome)
            if tell:
                tell(outcome)
            if progress:
                progress(len(outcomes), len(planned))
    outcomes.sort(key=lambda outcome: outcome.source)
    if report:
        _write(Path(report), outcomes)
    return outcomes


def _check_work(jobs: int | None, shard: Shard, scheduler: str | None) -> None:
    """Refuse numbers that make no sense, before anything is done."""
    if not (isinstance(shard, Sequence) and len(shard) == 2 and all(isinstance(n, Integral) for n in shard)):
        raise UsageError(f"--shard {shard!r}: two whole numbers, I and N")
    if jobs is None:
        return
    if not isinstance(jobs, Integral):
        raise UsageError(f"--jobs {jobs!r}: a whole number")
    if jobs < 1 or scheduler:
        raise UsageError("--jobs excludes --scheduler: the cluster decides" if scheduler else f"--jobs {jobs}: at least 1")


def _check_report(report: Path, target: Path) -> None:
    """Refuse a report that would replace a scene, or that cannot be written where the batch does not make its folder."""
    if report.suffix.lower() in (ENDING, *DRIVERS):
        raise UsageError(f"--report {report}: that is a scene's name, and a report is a table; .csv, say")
    try:
        made_here = not target.exists() and report.absolute().parent == target.absolute()
        if not made_here and not _is_stream(report):
            check(report, overwrite=True)
            if not os.access(report.absolute().parent, os.W_OK | os.X_OK):
                raise FdegError(f"{report}: cannot be written: nothing may be put into its folder")
    except OSError as error:
        raise FdegError(f"{report}: cannot be written ({reason(error)})") from error


def _identity(task: Task) -> dict[str, Any]:
    """What an output depends on besides its source: all words, without where it was computed, and the weights."""
    known = inspect.signature(decode if task.decode else encode).parameters
    plain = {name: p.default for name, p in known.items() if p.default is not p.empty}
    words = {k: v for k, v in (plain | task.words).items() if k not in ("device", "model", "overwrite", "progress", "window")}
    model = {} if task.decode else {"model": by_name(task.words.get("model", DEFAULT_MODEL)).fingerprint.hex()}
    return words | model | {"decode": task.decode}


def _plain(value: Any) -> Any:
    """As JSON has it: lists for sequences, Python's numbers for numpy's."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Iterable) and not isinstance(value, str):
        return list(value)
    return float(value) if isinstance(value, Real) and not isinstance(value, int | float) else value


def _outcomes(
    task: Task, planned: list[Job], record: Record, resume: bool, overwrite: bool, jobs: int | None, scheduler: str | None
) -> Generator[Outcome]:
    """What stands before any work, then what the work gives, as it comes."""
    left = []
    for job in planned:
        known = record.done(job) if resume else None
        there = os.access(task.target / job.target, os.F_OK)  # of a closed folder making it will tell
        if known is not None:
            yield Outcome.of(job, "kept", details=known)
        elif job.problem or (there and not overwrite and not (resume and record.owns(job))):
            yield Outcome.of(job, "failed", error=job.problem or _stands(task.target / job.target, record.maker(job), resume))
        else:
            left.append(job._replace(replaces=there or overwrite))
    record.begin(left)
    for job, result in _results(task, left, jobs, scheduler):
        if isinstance(result, str):
            named = result if str(job.source) in result else f"{task.source / job.source}: {result}"
            yield Outcome.of(job, "failed", error=named)
        else:
            record.add(job, *result)
            yield Outcome.of(job, "made", details=result.details)


def _stands(target: Path, maker: str, resume: bool) -> str:
    """Why a target is not replaced."""
    hint = "--overwrite replaces it" if resume else "--resume keeps what is done, --overwrite replaces it"
    return f"{target}: exists already{f', made from {maker}' if maker and resume else ''} ({hint})"


def _results(task: Task, left: list[Job], jobs: int | None, scheduler: str | None) -> Iterator[tuple[Job, Result | str]]:
    if scheduler is None:
        return threads.run(task, left, jobs)
    from fdeg_codec.batches import cluster

    return cluster.run(task, left, scheduler)


def _is_stream(path: Path) -> bool:
    """Whether it is something like /dev/stdout."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _write(path: Path, outcomes: list[Outcome]) -> None:
    """The report: in place of an earlier one, or straight into a pipe or a device."""
    rows = [outcome.as_dict() for outcome in outcomes]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    try:
        with (
            nullcontext(path) if _is_stream(path) else replacing(path, overwrite=True) as place,
            place.open("w", newline="", encoding="utf-8", errors="surrogateescape") as stream,
        ):
            writer = csv.DictWriter(stream, columns)
            writer.writeheader()
            writer.writerows(rows)
    except OSError as error:
        raise FdegError(f"{path}: cannot be written ({reason(error)})") from error
