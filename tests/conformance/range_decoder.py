"""The range decoder of FORMAT.md in integers: plain Python, nothing of fdeg. Slow, and meant to be read beside the text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

TOTAL = 1 << 22


class RangeDecoder:
    """What reads the words of a plane."""

    def __init__(self, words: Iterable[int]) -> None:
        self._words = list(words)
        self._at = 0
        self._range = 2**64 - 1
        self._offset = self._word() << 32 | self._word()

    def _word(self) -> int:
        self._at += 1
        return self._words[self._at - 1] if self._at <= len(self._words) else 0

    def symbol(self, frequencies: Sequence[int]) -> int:
        n, total = len(frequencies), sum(frequencies)
        assert total == TOTAL
        unit = self._range >> 24
        q = self._offset // unit
        assert q < 1 << 24, "damaged"
        left, right, cumulative = 0, 0, 0
        for k, frequency in enumerate(frequencies):
            cumulative += frequency
            left, right = right, (cumulative * (2**24 - n) >> 22) + k + 1
            if q < right:
                break
        self._offset -= unit * left
        self._range = unit * (right - left)
        if self._range < 1 << 32:
            self._offset = self._offset << 32 | self._word()
            self._range <<= 32
        return k

    @property
    def used_up(self) -> bool:
        return self._at >= len(self._words) and self._offset < 2**33 - 1
