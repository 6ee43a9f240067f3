"""How whoever waits learns how far long work is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]  # called with the tiles, or pictures, that are done and how many there are
