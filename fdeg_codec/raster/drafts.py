"""Folders for what is not finished, each locked by the process that writes in it.

The system lets go of the lock when that process ends, however it ends. So a folder without a lock is rubbish, and the next
process to make one beside it takes it away.
"""

from __future__ import annotations

import fcntl
import os
import platform
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = ".fdeg-draft-"
OWN = f"{PREFIX}{re.sub('[^A-Za-z0-9.]', '', platform.node())[:64]}-"
TRIES = 100  # to remove a folder in which a thread goes on writing
_open: set[Path] = set()  # this process's
_swept: set[Path] = set()
_gate = threading.Lock()  # held while one is opened, and for good by `abandon`
DAY = 86400.0  # seconds for which another machine's folder is left alone: not every shared disk shares its locks


@contextmanager
def draft_folder(parent: Path) -> Iterator[Path]:
    """A new folder in `parent`, gone when the block ends."""
    _sweep(parent)
    with _gate:
        folder, lock = _locked(parent)
        _open.add(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _open.discard(folder)
        os.close(lock)


def abandon() -> None:
    """Take away what threads of this process are writing, which ends before they do."""
    _gate.acquire()
    for folder in list(_open):
        for _ in range(TRIES):
            shutil.rmtree(folder, ignore_errors=True)
            if not folder.exists():
                break


def _locked(parent: Path) -> tuple[Path, int]:
    """A new folder and its lock. Between the two someone may have taken it for rubbish: then another one."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=OWN, dir=parent))
        with suppress(FileNotFoundError):
            lock = os.open(folder, os.O_RDONLY)
            with suppress(OSError):  # a file system without locks
                fcntl.flock(lock, fcntl.LOCK_EX)
            if folder.exists():
                return folder, lock
            os.close(lock)


def _sweep(parent: Path) -> None:
    """Take away what the dead left: once in a process, as a batch may write a million files into one folder."""
    if parent.absolute() in _swept:
        return
    _swept.add(parent.absolute())
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):  # no longer there, someone else's, or locked
            if not folder.name.startswith(OWN) and time.time() - folder.stat().st_mtime < DAY:
                continue
            lock = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
