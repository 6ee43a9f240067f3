"""One picture through one codec at all its qualities: through real files, timed, measured."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from fdeg_codec.errors import FdegError
from fdeg_codec.evaluation import ours, rivals
from fdeg_codec.evaluation.classifier import Classifier, class_of, load
from fdeg_codec.evaluation.codec import Codec
from fdeg_codec.evaluation.metrics import Tally
from fdeg_codec.evaluation.pictures import Kind, Picture
from fdeg_codec.evaluation.table import Point


@dataclass(frozen=True)
class Task:
    """A picture, and the codec and the qualities that it is still to be coded with."""

    picture: Picture
    kind: Kind
    codec: str
    qualities: tuple[float, ...]
    metrics: tuple[str, ...]
    ndvi: tuple[int, int] | None
    classifier: Path | None


@dataclass(frozen=True)
class Outcome:
    """The points of a task; or what prevented them."""

    task: Task
    points: list[Point]
    problem: str = ""


def measure(task: Task) -> Outcome:
    """The points of a task. The first of a codec in a process is preceded by one that is not timed."""
    try:
        codec = find_codec(task.kind, task.codec)
        with tempfile.TemporaryDirectory(prefix="fdeg-eval-") as folder:
            _warm(codec, task, Path(folder) / f"warm{codec.suffix}")
            points = [_point(codec, task, q, Path(folder) / f"{k}{codec.suffix}") for k, q in enumerate(task.qualities)]
    except (FdegError, OSError, ValueError, RuntimeError) as error:  # what codecs' bindings raise
        return Outcome(task, [], f"{type(error).__name__}: {error}" if not isinstance(error, FdegError) else str(error))
    return Outcome(task, points)


@lru_cache(maxsize=64)
def find_codec(kind: Kind, name: str) -> Codec:
    """A codec by its name: a rival's or a model's."""
    known = {c.name: c for c in rivals.rivals(kind)[0]}
    return known[name] if name in known else ours.models((name,))[0]


_warmed: set[Codec] = set()


def _warm(codec: Codec, task: Task, file: Path) -> None:
    """Load libraries and weights."""
    if codec not in _warmed:
        codec.encode(task.picture, file, task.qualities[0])
        codec.decode(file)
        _warmed.add(codec)


def _point(codec: Codec, task: Task, quality: float, file: Path) -> Point:
    picture = task.picture
    original = picture.samples  # read before the clock runs
    begin = time.perf_counter()
    codec.encode(picture, file, quality)
    encoded = time.perf_counter()
    samples = codec.decode(file)
    decoded = time.perf_counter()
    if samples.shape != original.shape or samples.dtype != original.dtype:
        raise FdegError(f"{codec.name} gives {samples.shape} {samples.dtype} for {original.shape} {original.dtype}")
    size, payload = file.stat().st_size, codec.payload(file)
    values = {
        "pixels": float(picture.pixels),
        "bytes": float(size),
        "payload": float(payload),
        "bpp": 8 * size / picture.pixels,
        "payload_bpp": 8 * payload / picture.pixels,
        "encode_seconds": encoded - begin,
        "decode_seconds": decoded - encoded,
    }
    tally = Tally(len(samples), picture.peak, picture.low, task.metrics, picture.ndvi(task.ndvi))
    tally.add(original, samples, picture.valid, picture.valid)
    values |= {name: value for name, value in tally.result().items() if value is not None}
    if task.classifier:
        see = _classifier(task.classifier)
        wanted = class_of(picture.path)
        values["scene_right"] = float(see(samples) == wanted)
        values["original_right"] = float(_class_of_original(task.classifier, picture) == wanted)
    return Point(picture.name, codec.name, quality, {name: float(np.float64(v)) for name, v in values.items()})


@lru_cache(maxsize=1)
def _classifier(path: Path) -> Classifier:
    return load(path)


@lru_cache(maxsize=1)
def _class_of_original(path: Path, picture: Picture) -> str:
    return _classifier(path)(picture.samples)
