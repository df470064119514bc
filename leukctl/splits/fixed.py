"""Rows whose split is known beforehand: held out for the test, or kept as the manifest has them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leukctl import catalog
from leukctl.errors import InputError, UsageError
from leukctl.tables import Table

FREE = -1

_MOST_VALUES_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Condition:
    """That a column has a value."""

    column: str
    value: str

    def __str__(self) -> str:
        return f"{self.column}={self.value}"


@dataclass(slots=True)
class Fixed:
    """The rows whose split is known.

    Attributes:
        place: int64 (rows,), the split's place in ``catalog.SPLITS``; FREE where it is not known.
        held_out: bool (rows,), whether the row was held out by a condition.
    """

    place: NDArray[np.int64]
    held_out: NDArray[np.bool_]


def parse_conditions(texts: Iterable[str]) -> list[Condition]:
    """Read what follows ``--hold-out``; raises :class:`UsageError` unless it is COLUMN=VALUE."""
    found = []
    for text in texts:
        column, equals, value = text.partition("=")
        if not (column and equals and value):
            raise UsageError(f"--hold-out {text!r}: not COLUMN=VALUE, such as source=lab2")
        found.append(Condition(column, value))
    return found


def parse_keep(text: str | None) -> list[str]:
    """Read what follows ``--keep``; raises :class:`UsageError` for what is no split."""
    names = [part.strip() for part in text.split(",")] if text is not None else []
    for name in names:
        if name not in catalog.SPLITS:
            raise UsageError(f"--keep {name!r}: no split (known: {', '.join(catalog.SPLITS)})")
    return names


def find(table: Table, hold_out: Sequence[Condition], keep: Sequence[str]) -> Fixed:
    """Return which labelled rows are held out or kept.

    Raises :class:`InputError` where a condition or a split to be kept has no labelled row, and for
    a row that is held out and kept elsewhere.
    """
    labelled = np.fromiter(map(bool, table.column("label")), bool, len(table))
    place = np.full(len(table), FREE, np.int64)
    for name in keep:
        rows = _equal(table, Condition("split", name)) & labelled
        if not rows.any():
            raise InputError(
                f"no row with a label is in {name}, to be kept", file=table.name, column="split"
            )
        place[rows] = catalog.SPLITS.index(name)
    held_out = np.zeros(len(table), bool)
    for condition in hold_out:
        rows = _equal(table, condition) & labelled
        if not rows.any():
            raise _nothing_held_out(table, condition)
        held_out |= rows
    test = catalog.SPLITS.index("test")
    if (clash := held_out & (place != FREE) & (place != test)).any():
        row = int(clash.argmax())
        kept = catalog.SPLITS[place[row]]
        raise table.error(row, "split", f"--hold-out wants it in test, --keep in {kept}")
    place[held_out] = test
    return Fixed(place, held_out)


def _equal(table: Table, condition: Condition) -> NDArray[np.bool_]:
    table.require(condition.column)
    cells = table.column(condition.column)
    return np.fromiter(map(condition.value.__eq__, cells), bool, len(cells))


def _nothing_held_out(table: Table, condition: Condition) -> InputError:
    rows = zip(table.column("label"), table.column(condition.column), strict=True)
    values = sorted({cell for label, cell in rows if label and cell})
    shown = ", ".join(values[:_MOST_VALUES_SHOWN]) or "nothing"
    more = ", …" if len(values) > _MOST_VALUES_SHOWN else ""
    return InputError(
        f"no row with a label has {condition.value!r}, to be held out (there are: {shown}{more})",
        file=table.name,
        column=condition.column,
    )
