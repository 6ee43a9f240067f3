"""What a damaged file lost, as those learn it who asked for the rest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class Loss(NamedTuple):
    """A tile that could not be decoded: its number, its first row and column and those behind its last, and why."""

    tile: int
    rows: tuple[int, int]
    columns: tuple[int, int]
    why: str


@dataclass
class Damage:
    """What happened to a file: true if pixels are not what was encoded."""

    lost: list[Loss] = field(default_factory=list)  # filled as nodata
    beside: list[int] = field(default_factory=list)  # tiles next to these: decoded, but a little different
    mended: list[str] = field(default_factory=list)  # flipped bits put right, copies read: nothing is lost by these
    _noted: set[Loss | int] = field(default_factory=set, repr=False)  # there may be many, and windows that overlap

    def note_loss(self, loss: Loss) -> None:
        if loss not in self._noted:
            self._noted.add(loss)
            self.lost.append(loss)

    def note_beside(self, tile: int) -> None:
        if tile not in self._noted:
            self._noted.add(tile)
            self.beside.append(tile)

    def __bool__(self) -> bool:
        return bool(self.lost or self.beside)

    def as_dict(self) -> dict[str, object]:
        return {"lost": [loss._asdict() for loss in self.lost], "beside": self.beside, "mended": self.mended}
