"""The rows of a table, kept as columns."""

from collections.abc import Iterable, Iterator, Sequence
from typing import overload


class Rows(Sequence[list[str]]):
    """The rows of a table: kept as columns, since a million lists take more room than their text.

    A row that is asked for is a list of its own; to change it changes nothing here.

    Attributes:
        columns: the cells of each.
        lent: whether these lists are another table's too, so that they must not grow.
    """

    __slots__ = ("columns", "lent")

    def __init__(self, columns: list[list[str]], lent: bool = False) -> None:
        self.columns = columns
        self.lent = lent

    def __len__(self) -> int:
        return len(self.columns[0]) if self.columns else 0

    @overload
    def __getitem__(self, place: int) -> list[str]: ...
    @overload
    def __getitem__(self, place: slice) -> list[list[str]]: ...
    def __getitem__(self, place: int | slice) -> list[str] | list[list[str]]:
        if isinstance(place, slice):
            return list(Rows([cells[place] for cells in self.columns]))
        return [cells[place] for cells in self.columns]

    def __iter__(self) -> Iterator[list[str]]:
        return map(list, zip(*self.columns, strict=True))

    def __eq__(self, other: object) -> bool:
        return list(self) == (list(other) if isinstance(other, Rows) else other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(list(self))

    def __iadd__(self, rows: Iterable[Sequence[str]]) -> "Rows":
        added = list(rows)
        for width in {*map(len, added)} - {len(self.columns)}:
            raise ValueError(f"{width} cells for {len(self.columns)} columns")
        if self.lent:
            self.columns = [cells.copy() for cells in self.columns]
            self.lent = False
        for cells, new in zip(self.columns, zip(*added, strict=True), strict=False):
            cells += new
        return self

    def append(self, row: Sequence[str]) -> None:
        """Add ``row`` at the end."""
        self += [row]
