"""Files that GDAL writes through Python, because GDAL forgets the errors of a full disk that show while it closes."""

from __future__ import annotations

import io
from typing import Any


class Recorder:
    """What `rasterio.open` takes as its opener; `problem` is the first error of writing."""

    def __init__(self) -> None:
        self.problem: OSError | None = None

    def __call__(self, path: str, mode: str = "rb", **_: Any) -> io.FileIO:
        try:
            return _File(self, path, mode.replace("b", "").replace("t", ""))
        except OSError as error:
            if "w" in mode:
                self.note(error)
            raise

    def note(self, error: OSError) -> None:
        self.problem = self.problem or error


class _File(io.FileIO):
    """Says that all was written, so that GDAL goes on quietly to its end, where `problem` is looked at."""

    def __init__(self, recorder: Recorder, path: str, mode: str) -> None:
        super().__init__(path, mode)
        self._recorder = recorder

    def write(self, data: Any) -> int:
        left = memoryview(data).cast("B")
        size = len(left)
        try:
            while left:
                left = left[super().write(left) :]
        except OSError as error:
            self._recorder.note(error)
        return size

    def close(self) -> None:
        try:
            super().close()
        except OSError as error:
            self._recorder.note(error)
