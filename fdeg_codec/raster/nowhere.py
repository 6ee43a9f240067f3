"""Pictures that lie nowhere on earth."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from rasterio.errors import NotGeoreferencedWarning


@contextmanager
def may_lie_nowhere() -> Iterator[None]:
    """Without rasterio's warning of them: they are as welcome as any."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield
