"""What a damaged file lost, as those learn it who asked for the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from fdeg_codec.codec.tiles import Tile
from fdeg_codec.errors import BadFileError

T = TypeVar("T")


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


class Losses:
    """The tiles of a view that cannot be decoded: noted in `damage`, or where there is none, errors."""

    def __init__(self, damage: Damage | None) -> None:
        self._damage = damage
        self._found: dict[int, BadFileError] = {}  # by tile

    def begin(self) -> None:
        """Another view."""
        self._found.clear()

    @property
    def are_allowed(self) -> bool:
        return self._damage is not None

    def __contains__(self, tile: Tile) -> bool:
        return tile.number in self._found

    def add(self, tile: Tile, error: BadFileError) -> None:
        if self._damage is None:
            raise error
        self._found.setdefault(tile.number, error)

    def left(self, tile: Tile, read: Callable[[], T]) -> T | None:
        """What is read of a tile, or None where that is lost."""
        try:
            return read()
        except BadFileError as error:
            self.add(tile, error)
            return None

    def note(self, tile: Tile) -> None:
        """If a tile of the window is lost, list it."""
        if self._damage is not None and tile in self:
            self._damage.note_loss(Loss(tile.number, tile.rows, tile.columns, str(self._found[tile.number])))

    def note_beside(self, tile: Tile) -> None:
        """A tile of the window is whole, but lies beside one that is lost."""
        if self._damage is not None:
            self._damage.note_beside(tile.number)
