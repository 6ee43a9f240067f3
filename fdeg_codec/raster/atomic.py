"""Output appears whole or not at all: written in a folder of its own beside its target, then moved."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fdeg_codec.errors import FdegError, UsageError, reason
from fdeg_codec.raster.drafts import draft_folder

SIDECARS = (".aux.xml", ".msk", ".ovr")  # where GDAL puts, or looks for, what the file itself does not hold


@contextmanager
def replacing(target: Path, overwrite: bool) -> Iterator[Path]:
    """A path to write to. It becomes `target`, its sidecars those of `target`, when the block ends well, and else vanishes.

    Where `target` is a link, the file behind it is replaced. An OSError in the block is the target's.
    """
    try:
        check(target, overwrite)
        place = Path(os.path.realpath(target))
        with draft_folder(place.parent) as folder:
            draft = folder / f"draft{place.suffix[:8]}"  # whatever GDAL makes of the name, or adds to it
            yield draft
            check(target, overwrite)  # once more: the work may have taken hours
            _settle(draft, place)
    except OSError as error:
        raise FdegError(f"{target}: cannot be written ({reason(error)})") from error


def check(target: Path, overwrite: bool) -> None:
    """Refuse what cannot become a file here. A device or a pipe would be gone once a file took its place."""
    if target.is_dir():
        raise FdegError(f"{target}: is a folder")
    if target.exists() and not target.is_file():
        raise FdegError(f"{target}: is no regular file, and only such a one is replaced (- is standard output)")
    if target.exists() and not overwrite:
        raise FdegError(f"{target}: exists already (--overwrite replaces it)")
    place = Path(os.path.realpath(target))
    if not place.parent.is_dir():
        raise FdegError(f"{target}: there is no folder {place.parent}")
    for beside in _sidecars(place).values():
        if beside.is_dir():
            raise FdegError(f"{target}: beside it there is a folder called {beside.name}, where GDAL looks for a file")


def spare(source: Path | str, target: Path) -> None:
    """Refuse to replace what is read."""
    with suppress(OSError):
        if target.samefile(source):
            raise UsageError(f"{target}: is the source itself")


def _settle(draft: Path, target: Path) -> None:
    """Move what was written into its place, by one step where it can be done in one.

    Where it cannot, because there are sidecars, the target comes last, and goes first if it is there already: whenever the
    process is killed, no picture stands beside another one's sidecars. What is there comes back if that fails.
    """
    stale, made = _sidecars(target).values(), _sidecars(draft)
    for path in (draft, *made.values()):
        with path.open("rb") as written:
            os.fsync(written.fileno())  # a name must not outlive its bytes when the power fails
    kept: list[tuple[Path, Path]] = []
    try:
        for k, path in enumerate((target, *stale) if stale or made else ()):
            with suppress(FileNotFoundError):
                kept.append((path.replace(draft.with_name(f"old-{k}")), path))
        for suffix, path in made.items():
            path.replace(f"{target}{suffix}")
        draft.replace(target)
    except OSError:
        for suffix in made:
            Path(f"{target}{suffix}").unlink(missing_ok=True)
        for old, path in reversed(kept):
            old.replace(path)
        raise


def _sidecars(path: Path) -> dict[str, Path]:
    """Those that are there, by their suffix; none are there whose names would be too long."""
    found = {suffix: f"{path}{suffix}" for suffix in SIDECARS}
    return {suffix: Path(name) for suffix, name in found.items() if os.access(name, os.F_OK)}
