"""A command of fdeg's in a process of its own: how long it takes from start to end, and how much memory."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-c", "import sys; from fdeg_codec.cli.main import main; sys.argv[0] = 'fdeg'; main()")
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}


class Cost(NamedTuple):
    """Of a process: its exit code, seconds, and the most memory it had, in MiB."""

    code: int
    seconds: float
    memory: float


def run(*words: object) -> Cost:
    """What `fdeg` with these words takes."""
    begin = time.monotonic()
    child = os.posix_spawn(sys.executable, [*COMMAND, *map(str, words)], ENVIRONMENT)
    _, status, usage = os.wait4(child, 0)
    return Cost(os.waitstatus_to_exitcode(status), time.monotonic() - begin, usage.ru_maxrss / 1024)
