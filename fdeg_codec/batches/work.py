"""One scene of a batch, wherever it is worked on."""

from __future__ import annotations

import inspect
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from fdeg_codec import api
from fdeg_codec.batches.plan import Job
from fdeg_codec.batches.record import Stamp, stamp
from fdeg_codec.codec.engine import load_engine
from fdeg_codec.codec.progress import Progress
from fdeg_codec.codec.smaller import shrink_span
from fdeg_codec.codec.tiles import Span
from fdeg_codec.codec.workers import one_thread_each
from fdeg_codec.container.header import LENGTHS, unpack
from fdeg_codec.errors import FdegError, UsageError, reason
from fdeg_codec.weights import DEFAULT_MODEL


@dataclass(frozen=True)
class Outcome:
    """What became of a scene: made now, kept from an earlier batch, or failed."""

    source: str
    target: str
    status: Literal["made", "kept", "failed"]
    error: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, job: Job, status: Literal["made", "kept", "failed"], **more: Any) -> Outcome:
        return cls(str(job.source), str(job.target), status, **more)

    def as_dict(self) -> dict[str, Any]:
        return {"source": self.source, "target": self.target, "status": self.status, "error": self.error} | self.details


class Result(NamedTuple):
    """What a scene was made from and became, and what to report of it."""

    source: Stamp
    target: Stamp
    details: dict[str, Any]


@dataclass(frozen=True)
class Task:
    """What is done with each scene: encode, or decode, with these words."""

    source: Path
    target: Path
    decode: bool
    words: dict[str, Any]

    def check(self) -> None:
        """Refuse words that encode, or decode, does not know."""
        encoding, decoding = (
            inspect.signature(word).parameters.keys() - {"source", "target", "overwrite", "progress", "window"}
            for word in (api.encode, api.decode)
        )
        for word in self.words.keys() - (decoding if self.decode else encoding):
            name = word.rstrip("_").replace("_", "-")
            if word not in encoding | decoding:
                raise UsageError(f"--{name}: batch has no such option")
            raise UsageError(f"--{name} does not go with --decode" if self.decode else f"--{name} goes with --decode only")

    def load(self, first: Job) -> None:
        """Load the weights ahead of all scenes: those of the words or, to decode, those that the first file names."""
        device, precision = self.words.get("device", "auto"), self.words.get("precision", "auto")
        if not self.decode:
            load_engine(self.words.get("model", DEFAULT_MODEL), device, precision)
            return
        with suppress(FdegError, OSError), (self.source / first.source).open("rb") as stream:  # else it will say so itself
            load_engine(unpack(stream.read(LENGTHS[-1])).fingerprint, device, precision)

    def perform(self, job: Job, progress: Progress | None = None) -> Result | str:
        """Make a scene's target, or say why that is refused; any other failure may pass, and is raised."""
        source, target = self.source / job.source, self.target / job.target
        before = stamp(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with one_thread_each():
                make = self._decode if self.decode else self._encode
                details = make(source, target, job.replaces, progress)
        except FdegError as error:
            return str(error)
        after: Stamp = []
        with suppress(FileNotFoundError):  # it may be taken away at once
            after = stamp(target)
        if after and after[0][0] != details["bytes"]:
            return f"{target}: was replaced by another process as soon as it was written"
        return Result(before, after, details)

    def _encode(self, source: Path, target: Path, overwrite: bool, progress: Progress | None) -> dict[str, Any]:
        report = api.encode(source, target, overwrite=overwrite, progress=progress, **self.words)
        return {k: v for k, v in report.as_dict().items() if k not in ("source", "target")}

    def _decode(self, source: Path, target: Path, overwrite: bool, progress: Progress | None) -> dict[str, Any]:
        damage = api.decode(source, target, overwrite=overwrite, progress=progress, **self.words)
        with api.open(source, salvage=self.words.get("salvage", False)) as scene:
            width, height = (shrink_span(Span(0, n), self.words.get("scale", 1)).size for n in (scene.width, scene.height))
            bands = np.size(self.words.get("bands") or scene.indexes)
        details = {"width": width, "height": height, "bands": bands, "bytes": target.stat().st_size}
        return details | ({"lost": [loss.tile for loss in damage.lost]} if damage else {})


def problem(error: BaseException) -> str:
    """What went wrong with a scene that was not refused, in one line."""
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {reason(error)}"
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "memory" in str(error)):
        return "not enough memory; fewer scenes at once or, to encode, a smaller --tile need less"
    return f"{type(error).__name__}: {error}".splitlines()[0]
