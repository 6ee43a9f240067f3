"""What evaluation asks of a codec: a file at a quality, its samples again, and how many of its bytes are no headers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from fdeg_codec.evaluation.pictures import Kind, Picture


@dataclass(frozen=True)
class Codec:
    """One codec with its settings. `qualities` rise in rate and stay within the first and the last of `bounds`."""

    name: str  # on the command line and in tables
    label: str  # in pictures
    about: str  # versions and settings
    suffix: str
    qualities: tuple[float, ...]
    bounds: tuple[float, float]
    encode: Callable[[Picture, Path, float], None]
    decode: Callable[[Path], NDArray[Any]]  # (band, row, column)
    payload: Callable[[Path], int]
    takes: Callable[[Kind], bool]
    whole: bool = False  # qualities are whole numbers
    slow: bool = False  # left out of --quick
    ours: bool = False

    def between(self, share: float) -> float:
        """The quality at a share of the way from the lowest rate to the highest."""
        low, high = self.bounds
        quality = low * (high / low) ** share  # all parameters act by ratios, or nearly
        return round(quality) if self.whole else quality


def listed(qualities: tuple[float, ...]) -> str:
    return ", ".join(f"{q:g}" for q in qualities)
