"""A batch on a Dask cluster whose workers see the same folders: a task per scene, the weights loaded once per worker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fdeg_codec.batches.plan import Job
from fdeg_codec.batches.work import Result, Task, problem
from fdeg_codec.errors import FdegError, UsageError

try:
    from distributed import Client, as_completed
    from distributed.diagnostics.plugin import WorkerPlugin
except ImportError as error:
    raise UsageError("--scheduler needs Dask: pip install 'fdeg[dask]'") from error

if TYPE_CHECKING:
    from distributed import Worker

RETRIES = 2  # of a scene that failed otherwise than by being refused; one whose worker was lost is done again in any case


class Loaded(WorkerPlugin):
    """Has a worker load the weights before its first scene."""

    name = "fdeg"

    def __init__(self, task: Task, first: Job) -> None:
        self._task, self._first = task, first

    def setup(self, worker: Worker) -> None:
        self._task.load(self._first)


def run(task: Task, jobs: list[Job], scheduler: str) -> Iterator[tuple[Job, Result | str]]:
    """Each job with its result, or with what went wrong, as they are done."""
    if not jobs:
        return
    with _client(scheduler) as client:
        client.register_plugin(Loaded(task, jobs[0]))
        # A scene whose worker was lost may be there already when it is done again.
        futures = {client.submit(task.perform, job._replace(replaces=True), retries=RETRIES, pure=False): job for job in jobs}
        try:
            for future in as_completed(list(futures), loop=client.loop):
                error = future.exception()
                yield futures.pop(future), future.result() if error is None else problem(error)
        finally:
            client.cancel(list(futures))
            with suppress(OSError, ValueError):  # of a scheduler that is gone, or a plugin that another batch took away
                client.unregister_worker_plugin(Loaded.name)


def _client(scheduler: str) -> Any:
    """`scheduler` is an address, or the file that a scheduler leaves for its clients."""
    place: dict[str, Any] = {"scheduler_file": scheduler} if Path(scheduler).is_file() else {"address": scheduler}
    try:
        return Client(**place, set_as_default=False)
    except (OSError, ValueError) as error:
        raise FdegError(f"{scheduler}: no Dask scheduler answers there ({error})") from error
