"""Output appears whole or not at all: written in a folder of its own beside its target, then moved."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fdeg_codec.errors import FdegError

SIDECARS = (".aux.xml", ".msk", ".ovr")  # where GDAL puts, or looks for, what the file itself does not hold


@contextmanager
def replacing(target: Path, overwrite: bool) -> Iterator[Path]:
    """A path to write to. It becomes `target`, its sidecars those of `target`, when the block ends well, and else vanishes.

    An OSError in the block is the target's.
    """
    try:
        if target.is_dir():
            raise FdegError(f"{target}: is a folder")
        if target.exists() and not overwrite:
            raise FdegError(f"{target}: exists already (--overwrite replaces it)")
        if not target.parent.is_dir():
            raise FdegError(f"{target}: there is no folder {target.parent}")
        stale = [path for suffix in SIDECARS if (path := Path(f"{target}{suffix}")).exists()]
        with tempfile.TemporaryDirectory(prefix=".fdeg-", dir=target.parent) as folder:
            draft = Path(folder) / target.name
            yield draft
            draft.replace(target)
            for path in stale:
                path.unlink()
            for suffix in SIDECARS:
                if (made := Path(f"{draft}{suffix}")).exists():
                    made.replace(f"{target}{suffix}")
    except OSError as error:
        raise FdegError(f"{target}: cannot be written ({error.strerror or error})") from error
