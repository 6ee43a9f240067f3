"""What earlier batches did, in a hidden folder beside their outputs: one line of JSON per scene.

A scene is done if the line that would describe it now, with size and time of source and target and the words it was made
with, is there. So what has changed since, or was cut off, is not. Each shard writes a file of its own and reads all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fdeg_codec.batches.plan import Job, Shard
from fdeg_codec.errors import FdegError

FOLDER = ".fdeg-batch"

Words = dict[str, Any]
Stamp = tuple[int, int]


class Record:
    """The record of the folder `target`, of scenes from the folder `source` made with `words`."""

    def __init__(self, source: Path, target: Path, words: Words, shard: Shard) -> None:
        self._source, self._target, self._words = source, target, words
        self._path = target / FOLDER / "{}-of-{}.jsonl".format(*shard)
        self._claims: set[str] = set()
        self._done: dict[str, Words] = {}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            for path in sorted(self._path.parent.glob("*.jsonl")):
                for line in _lines(path):
                    self._claims.add(line["target"])
                    if "made" in line:
                        self._done[_key(line["made"])] = line["details"]
        except OSError as error:
            raise FdegError(f"{target}: cannot be used for output ({error.strerror or error})") from error

    def done(self, job: Job) -> Words | None:
        """What was said of a scene when it was done, if it was and nothing has changed since."""
        try:
            return self._done.get(_key(self._made(job, stamp(self._source / job.source))))
        except OSError:
            return None

    def owns(self, job: Job) -> bool:
        """Whether a batch wrote, or began to write, the scene's target."""
        return str(job.target) in self._claims

    def begin(self, jobs: list[Job]) -> None:
        """Claim the targets of scenes that are about to be made."""
        self._write([{"target": str(job.target)} for job in jobs if not self.owns(job)])

    def add(self, job: Job, source: Stamp, details: Words) -> None:
        """Remember that a scene was done, from a source that had this stamp before it was read."""
        self._write([{"target": str(job.target), "made": self._made(job, source), "details": details}])

    def _made(self, job: Job, source: Stamp) -> Words:
        target = stamp(self._target / job.target)
        return {"source": str(job.source), "from": source, "target": str(job.target), "to": target, "words": self._words}

    def _write(self, lines: list[Words]) -> None:
        """Every line begins with its line feed, so that one that was cut off does not spoil the next."""
        try:
            with self._path.open("a") as stream:
                stream.write("".join("\n" + json.dumps(line) for line in lines))
        except OSError as error:
            raise FdegError(f"{self._path}: cannot be written ({error.strerror or error})") from error


def _lines(path: Path) -> Iterator[Words]:
    for text in path.read_text().splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and "target" in line:
            yield line


def _key(made: Words) -> str:
    return json.dumps(made, sort_keys=True)


def stamp(path: Path) -> Stamp:
    """What tells whether a file has changed."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns
