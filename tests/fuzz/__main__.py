"""Coverage-guided fuzzing with atheris: `python -m tests.fuzz container|entropy [FOLDER] [options of libFuzzer]`.

What it finds goes into `tests/fuzz/found`, which the suite replays.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["fdeg_codec"]):
    from tests.fuzz import forge, targets

LIMITS = ["-timeout=2", "-malloc_limit_mb=512", "-rss_limit_mb=2048", "-max_len=65536"]


def mutator(data: bytes, max_size: int, seed: int) -> bytes:
    scramble = lambda part: atheris.Mutate(bytes(part), len(part) + 16)  # noqa: E731
    return forge.mutate(bytes(data), random.Random(seed), scramble)[:max_size]


def main() -> None:
    name, *options = sys.argv[1:]
    structured = {"custom_mutator": mutator} if name == "container" else {}
    atheris.Setup([sys.argv[0], *LIMITS, *options], targets.TARGETS[name], **structured)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    main()
