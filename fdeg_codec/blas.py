"""The threads of numpy's BLAS, which multiplies the matrices of the float64 networks on a CPU (networks/layers.py)."""

from __future__ import annotations

import os
from threading import Lock
from types import TracebackType
from typing import Any


class OneThread:
    """A context in which OpenBLAS has one thread: a setting of the whole process, so those inside may overlap."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._limit: Any = None
        os.register_at_fork(before=self._lock.acquire, after_in_parent=self._lock.release, after_in_child=self._lock.release)

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                from threadpoolctl import ThreadpoolController

                self._limit = ThreadpoolController().select(internal_api="openblas").limit(limits=1)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._limit.restore_original_limits()


one_thread = OneThread()
