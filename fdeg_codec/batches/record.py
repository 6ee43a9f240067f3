"""What earlier batches did, in a hidden folder beside their outputs: one line of JSON per scene.

A scene is done if the line that would describe it now, with place, size and time of source and target and the words it was
made with, is there. So what has changed since, or was cut off, is not. Before that, a line claims its target: what was made
from another scene is not replaced. Each shard writes a file of its own and reads all.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from fdeg_codec.batches.plan import Job, Shard
from fdeg_codec.errors import FdegError, reason
from fdeg_codec.raster.atomic import SIDECARS

FOLDER = ".fdeg-batch"
OF_SENSORS = (".hdr", ".HDR", ".RPB", ".rpb", ".IMD", ".imd", ".tab", ".TAB")  # and of where a raster lies

Words = dict[str, Any]
Stamp = list[tuple[int, int]]


class Claim(NamedTuple):
    """Since when a target is made from a scene."""

    at: int  # nanoseconds
    source: str


class Record:
    """The record of the folder `target`, of scenes from the folder `source` made with `words`."""

    def __init__(self, source: Path, target: Path, words: Words, shard: Shard) -> None:
        self._source, self._target, self._words = source, target, words
        self._path = target / FOLDER / "{}-of-{}.jsonl".format(*shard)
        self._claims: dict[str, Claim] = {}
        self._done: dict[str, Words] = {}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            for path in sorted(self._path.parent.glob("*.jsonl")):
                for line in _lines(path):
                    if "made" in line:
                        self._done[_key(line["made"])] = line["details"]
                    else:
                        claim = Claim(line["at"], line["source"])
                        self._claims[line["target"]] = max(claim, self._claims.get(line["target"], claim))
        except OSError as error:
            raise FdegError(f"{target}: cannot be used for output ({reason(error)})") from error

    def done(self, job: Job) -> Words | None:
        """What was said of a scene when it was done, if it was and nothing has changed since."""
        try:
            return self._done.get(_key(self._made(job, stamp(self._source / job.source), stamp(self._target / job.target))))
        except OSError:
            return None

    def maker(self, job: Job) -> str:
        """The scene that a batch last made, or began to make, the target from; "" if none did."""
        claim = self._claims.get(str(job.target))
        return claim.source if claim else ""

    def owns(self, job: Job) -> bool:
        """Whether that was this scene."""
        return self.maker(job) == self._named(job)

    def begin(self, jobs: list[Job]) -> None:
        """Claim the targets of scenes that are about to be made."""
        now = time.time_ns()
        claims = [{"target": str(j.target), "at": now, "source": self._named(j)} for j in jobs if not self.owns(j)]
        if jobs:  # if only to learn now, and not after the first scene, that nothing can be written
            self._write(claims)

    def add(self, job: Job, source: Stamp, target: Stamp, details: Words) -> None:
        """Remember that a scene was done: the stamp of its source before it was read, and of what was made of it."""
        self._write([{"target": str(job.target), "made": self._made(job, source, target), "details": details}])

    def _named(self, job: Job) -> str:
        return str(self._source.absolute() / job.source)

    def _made(self, job: Job, source: Stamp, target: Stamp) -> Words:
        return {"source": self._named(job), "from": source, "target": str(job.target), "to": target, "words": self._words}

    def _write(self, lines: list[Words]) -> None:
        """Every line begins with its line feed, so that one that was cut off does not spoil the next."""
        try:
            with self._path.open("a") as stream:
                stream.write("".join("\n" + json.dumps(line) for line in lines))
        except OSError as error:
            raise FdegError(f"{self._path}: cannot be written ({reason(error)})") from error


def _lines(path: Path) -> Iterator[Words]:
    """Those that are whole, and ours."""
    for text in path.read_text(errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        kinds = {name: type(value) for name, value in line.items()} if isinstance(line, dict) else {}
        if kinds in ({"target": str, "at": int, "source": str}, {"target": str, "made": dict, "details": dict}):
            yield line


def _key(made: Words) -> str:
    return json.dumps(made, sort_keys=True)


def stamp(path: Path) -> Stamp:
    """What tells whether a file, or what lies beside it and says more of it, has changed."""
    ending = path.suffix
    beside = [Path(f"{path}{suffix}") for suffix in SIDECARS]
    worlds = (f"{ending}w", f"{ending[:2]}{ending[-1:]}w", ".wld")
    beside += [path.with_suffix(other) for other in (*worlds, *OF_SENSORS) if ending]
    beside += [path.with_name(f"{path.stem}{name}") for name in ("_RPC.TXT", "_rpc.txt")]
    found = [path.stat(), *(other.stat() for other in beside if os.access(other, os.F_OK))]
    return [(status.st_size, status.st_mtime_ns) for status in found]
