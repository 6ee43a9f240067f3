"""A batch in this process: a scene per thread, so that one reads while another computes; all share the loaded model."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from threading import Event

import torch

from fdeg_codec.batches.plan import Job
from fdeg_codec.batches.work import Result, Task, problem
from fdeg_codec.codec.workers import MAX_WORKERS

NAME = "fdeg-scene"  # of the threads: cli/main.py does not wait for them when it is interrupted


class StoppedError(Exception):
    """The batch was broken off."""


def run(task: Task, jobs: list[Job], count: int | None) -> Iterator[tuple[Job, Result | str]]:
    """Each job with its result, or with what went wrong, as they are done."""
    cores = torch.get_num_threads()
    count = min(cores, MAX_WORKERS) if count is None else count
    if not jobs:
        return
    task.load(jobs[0])
    stop = Event()

    def check(_done: int, _total: int) -> None:
        if stop.is_set():
            raise StoppedError

    share = max(cores // count, 1)
    pool = ThreadPoolExecutor(count, NAME, torch.set_num_threads, (share,))
    futures = {pool.submit(task.perform, job, check): job for job in jobs}
    try:
        for future in as_completed(futures):
            error = future.exception()
            yield futures.pop(future), future.result() if error is None else problem(error)
    finally:
        stop.set()  # running scenes notice at their next tile, but an interrupt does not wait for that
        pool.shutdown(wait=not futures, cancel_futures=True)
        torch.set_num_threads(cores)
