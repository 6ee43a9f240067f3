"""Which scenes a batch is about, what becomes of each, and in which order: the largest first, lest one be left for the end."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fdeg_codec.errors import FdegError, UsageError, reason

Shard = tuple[int, int]  # the i-th of n, from 1


class Job(NamedTuple):
    """A scene and what it becomes, both named relative to their folders."""

    source: Path
    target: Path
    problem: str = ""  # why it cannot be done, if it cannot
    replaces: bool = False  # whether what is at the target now may be replaced; nothing that comes later is


def plan(folder: Path, ending: str, endings: tuple[str, ...], glob: str | None = None, shard: Shard = (1, 1)) -> list[Job]:
    """The scenes in `folder`: those that match `glob`, or have one of `endings`; of these, by their names, a shard's."""
    try:
        if not folder.is_dir():
            raise FdegError(f"{folder}: is no folder")
    except OSError as error:
        raise FdegError(f"{folder}: cannot be read ({reason(error)})") from error
    part, parts = shard
    if not 1 <= part <= parts:
        raise UsageError(f"--shard {part}/{parts}: the first number is at least 1 and at most the second")
    closed: list[Job] = []
    sizes = {path.relative_to(folder): _size(path) for path in _files(folder, endings, glob, closed)}
    if not sizes and not closed:
        raise FdegError(f"{folder}: holds nothing like {glob or ', '.join(f'*{e}' for e in endings)}")
    jobs = [*_targets(sorted(sizes, key=lambda name: (-sizes[name], name)), ending), *closed]
    # Whatever else comes or goes while the jobs of an array begin, a scene stays in its shard.
    return [job for job in jobs if zlib.crc32(bytes(job.target)) % parts == part - 1]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # gone since: making it will say so
        return 0


def _files(folder: Path, endings: tuple[str, ...], glob: str | None, closed: list[Job]) -> list[Path]:
    """All that match. Hidden files and folders are nobody's scenes: unfinished output lies in some."""
    try:
        found = list(_below(folder, closed) if glob is None else folder.glob(glob))
    except (ValueError, NotImplementedError) as error:
        raise UsageError(f"--glob {glob}: {error}") from error
    visible = (p for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts))
    return [p for p in visible if (glob or p.suffix.lower() in endings) and _is_scene(p)]


def _is_scene(path: Path) -> bool:
    """Whether it is a file, or a link to nothing or what cannot be looked at: scenes that fail, and not none."""
    try:
        return path.is_file() or (path.is_symlink() and not path.exists())
    except OSError:
        return True


def _below(folder: Path, closed: list[Job]) -> Iterator[Path]:
    """All files, those in linked folders, too, but no folder twice; one that cannot be looked into is a job that fails."""

    def note(error: OSError) -> None:
        name = Path(error.filename).relative_to(folder)
        closed.append(Job(name, name, f"{error.filename}: cannot be read ({reason(error)})"))

    met = set()
    for top, folders, files in os.walk(folder, onerror=note, followlinks=True):
        try:
            status = Path(top).stat()
        except OSError as error:
            note(error)
            folders.clear()
            continue
        if (status.st_dev, status.st_ino) in met:
            folders.clear()
            continue
        met.add((status.st_dev, status.st_ino))
        visible = (name for name in folders if not name.startswith("."))
        folders[:] = sorted(visible, key=lambda name: (Path(top, name).is_symlink(), name))
        yield from (Path(top, name) for name in files)


def _targets(sources: list[Path], ending: str) -> list[Job]:
    """What the sources become; those that would become the same are refused, all of them."""
    by_target: dict[Path, list[Path]] = {}
    for source in sources:
        by_target.setdefault(source.with_suffix(ending), []).append(source)
    return [Job(s, s.with_suffix(ending), _clash(s, by_target[s.with_suffix(ending)])) for s in sources]


def _clash(source: Path, together: list[Path]) -> str:
    others = " and ".join(str(s) for s in sorted(together) if s != source)
    return f"{source}: {others} would become the same file; rename one, or choose by --glob" if others else ""
