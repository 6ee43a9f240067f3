"""Which channels of a plane speak: of eight that are zero everywhere in a tile nothing is coded, and nothing computed.

Coarse rates leave most channels silent, smooth pictures the fine ones. Said of it are the lengths of alternate runs of eights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fdeg_codec.errors import BadFileError
from fdeg_codec.ndtypes import Flags, Integers

if TYPE_CHECKING:
    from fdeg_codec.entropy.coder import Coder

EIGHT = 8


def code_speaking(coder: Coder, count: int, speaking: Flags | None) -> Flags:
    """Code which of `count` channels speak, in either direction; what comes back may be more than was asked for."""
    eights = -(-count // EIGHT)
    known = None if speaking is None else _runs(speaking)
    (number,) = coder.numbers(1, None if known is None else np.array([len(known)], np.int32))
    if number > eights:
        raise BadFileError("it has more runs of channels than channels")
    runs = coder.numbers(int(number), known).astype(np.int64) + 1
    if runs.sum() > eights:
        raise BadFileError("more channels speak than there are")
    flags = np.repeat(np.arange(number) % 2 == 0, runs)
    return np.repeat(np.pad(flags, (0, eights - len(flags))), EIGHT)[:count]


def _runs(speaking: Flags) -> Integers:
    """The lengths of alternate runs, less one, the first and the last of eights that speak; none where all are silent."""
    eights = np.add.reduceat(speaking, np.arange(0, len(speaking), EIGHT)) > 0
    eights[0] = eights.any()  # so that the first run speaks
    edges = np.flatnonzero(np.diff(eights, prepend=False, append=False))
    return (np.diff(edges) - 1).astype(np.int32)
