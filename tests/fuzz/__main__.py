"""Coverage-guided fuzzing with atheris: `python -m tests.fuzz container|entropy [FOLDER] [options of libFuzzer]`.

What it finds goes into `tests/fuzz/found`, which the suite replays.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["fdeg_codec"]):
    from tests.fuzz import forge, targets

SECONDS = 2  # of a processor's time that any input may take; libFuzzer's limit is by the clock, and for what hangs
LIMITS = ["-timeout=60", "-malloc_limit_mb=512", "-rss_limit_mb=2048", "-max_len=65536"]


def mutator(data: bytes, max_size: int, seed: int) -> bytes:
    scramble = lambda part: atheris.Mutate(bytes(part), len(part) + 16)  # noqa: E731
    return forge.mutate(bytes(data), random.Random(seed), scramble)[:max_size]


def in_time(target: Callable[[bytes], None]) -> Callable[[bytes], None]:
    def limited(data: bytes) -> None:
        begin = time.process_time()
        target(data)
        assert time.process_time() - begin < SECONDS

    return limited


def main() -> None:
    name, *options = sys.argv[1:]
    structured = {"custom_mutator": mutator} if name == "container" else {}
    atheris.Setup([sys.argv[0], *LIMITS, *options], in_time(targets.TARGETS[name]), **structured)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    main()
