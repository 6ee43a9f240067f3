"""Tiles side by side: one thread each, since many small layers gain little from sharing one tile among threads.

A picture of a single tile, and a GPU, are served by the caller's own thread with all of torch's threads. How many these are
shows in the last digits of float32: whoever wants the same files from any number of them asks for `one_thread_each`.
numpy's BLAS has one in any case: where torch's threads and its own wait for each other a tile takes four times as long.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier, Lock, local
from types import TracebackType
from typing import Any, TypeVar

import torch

from fdeg_codec.blas import one_thread

NAME = "fdeg-tile"  # of the threads: cli/main.py does not wait for them when it is interrupted
MAX_WORKERS = 8
ROOM = 4 << 30  # bytes for what they hold while they work on a tile
PATIENCE = 60.0  # seconds for threads to start in
HELD = 1 << 30  # bytes of samples in the tiles under way and those that wait for their turn; one of 242 bands has a quarter

T = TypeVar("T")

_asked = local()
_starting = Lock()


def _forked() -> None:
    """In a new process, which has but one thread."""
    torch.set_num_threads(1)
    _starting.release()


# Held meanwhile, lest it is another thread's, which the new process does not have.
os.register_at_fork(before=_starting.acquire, after_in_parent=_starting.release, after_in_child=_forked)


@contextmanager
def one_thread_each() -> Iterator[None]:
    """What this thread does meanwhile is computed with one thread per tile, even if there is but one tile."""
    _asked.one = True
    try:
        yield
    finally:
        _asked.one = False


class Workers:
    """A pool for `tiles` jobs of `tile_bytes` each on `device`; as a context manager it gives torch its threads back.

    `work_bytes` is what one needs besides while it is under way.
    """

    def __init__(self, device: torch.device, tiles: int, tile_bytes: int = 0, work_bytes: int = 0) -> None:
        fitting = ROOM // max(work_bytes, 1) or 1
        with _starting:
            self._threads = torch.get_num_threads()
            count = min(self._threads, tiles, MAX_WORKERS, fitting) if device.type == "cpu" else 1
            self._pool = _pool(count) if count > 1 else None
            torch.set_num_threads(self._threads)
        self.ahead = min(2 * count, HELD // max(tile_bytes, 1) or 1) if count > 1 else 0

    def __enter__(self) -> Workers:
        if getattr(_asked, "one", False):
            torch.set_num_threads(1)
        one_thread.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._pool:  # an interrupt does not wait for the tiles under way
            self._pool.shutdown(wait=kind is None or issubclass(kind, Exception), cancel_futures=True)
        one_thread.__exit__(kind, error, trace)
        torch.set_num_threads(self._threads)

    def submit(self, job: Callable[[], T]) -> Future[T]:
        """The job's result, computed at once where there is no pool."""
        if self._pool:
            return self._pool.submit(job)
        return finished(job())

    def in_order(self, jobs: Iterable[Callable[[], T]]) -> Iterator[T]:
        """The results of `jobs` in their order; a few are drawn and under way before they are asked for."""
        waiting: deque[Future[T]] = deque()
        for job in jobs:
            waiting.append(self.submit(job))
            if len(waiting) > self.ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _pool(count: int) -> ThreadPoolExecutor:
    """Threads of which each has one of torch's, all of them started: torch gives later ones what any has asked for last."""
    pool = ThreadPoolExecutor(count, NAME)
    together = Barrier(count, timeout=PATIENCE)

    def start() -> None:
        torch.set_num_threads(1)
        together.wait()

    for started in [pool.submit(start) for _ in range(count)]:
        started.result()
    return pool


def finished(result: T) -> Future[T]:
    """A future that is already there."""
    future: Future[T] = Future()
    future.set_result(result)
    return future


def failed(error: Exception) -> Future[Any]:
    """A future that will not come."""
    future: Future[Any] = Future()
    future.set_exception(error)
    return future
