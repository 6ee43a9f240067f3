"""Output appears whole or not at all: written beside its target, then renamed."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fdeg_codec.errors import FdegError

SIDECAR = ".aux.xml"  # where GDAL puts what a format cannot hold


@contextmanager
def replacing(target: Path, overwrite: bool) -> Iterator[Path]:
    """A path to write to; it becomes `target` when the block ends well and vanishes when it does not."""
    if target.exists() and not overwrite:
        raise FdegError(f"{target}: exists already (--overwrite replaces it)")
    if not target.parent.is_dir():
        raise FdegError(f"{target}: there is no folder {target.parent}")
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        yield partial
        for suffix in (SIDECAR, ""):
            if (made := Path(f"{partial}{suffix}")).exists():
                made.replace(f"{target}{suffix}")
    except OSError as error:
        raise FdegError(f"{target}: cannot be written ({error.strerror or error})") from error
    finally:
        for suffix in (SIDECAR, ""):
            Path(f"{partial}{suffix}").unlink(missing_ok=True)
