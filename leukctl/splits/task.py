"""A split in numbers: rows, groups, classes, parts, and what is known of them beforehand."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leukctl import catalog
from leukctl.errors import InputError
from leukctl.splits import fixed, units
from leukctl.splits.fixed import FREE, Fixed
from leukctl.splits.greedy import Floats, Ints
from leukctl.splits.plan import Plan
from leukctl.splits.units import Unit
from leukctl.tables import Table

Bools = NDArray[np.bool_]

OUTSIDE = ""  # the part of rows that take none

_MOST_NAMED = 3


@dataclass(slots=True)
class Task:
    """The rows of a table that have a label, in numbers.

    Attributes:
        table: the manifest.
        unit: what stays together.
        parts: the names of the splits, or of the folds and, last, OUTSIDE.
        shares: float64 (parts,), of the rows to be divided; sums to 1.
        index: int64 (rows,), where each row stands in the table.
        groups: the names of the groups, sorted.
        group: int64 (rows,), the place of each row's among them.
        classes: the labels, sorted.
        klass: int64 (rows,), the place of each row's among them.
        place: int64 (rows,), each row's part, FREE where it is to be found.
        held_out: bool (rows,).
    """

    table: Table
    unit: Unit
    parts: list[str]
    shares: Floats
    index: Ints
    groups: list[str]
    group: Ints
    classes: list[str]
    klass: Ints
    place: Ints
    held_out: Bools

    def title(self, part: int) -> str:
        """Return what tables and sentences call a part; folds end with OUTSIDE, splits do not."""
        return f"fold {self.parts[part]}" if self.parts[-1] == OUTSIDE else self.parts[part]

    def counts(self) -> Ints:
        """Return the rows of each class in each group, int64 (groups, classes)."""
        return _tally(self.group, len(self.groups), self.klass, len(self.classes))

    def members(self) -> Bools:
        """Return which groups have rows in which parts, bool (groups, parts)."""
        known = self.place != FREE
        return _tally(self.group[known], len(self.groups), self.place[known], len(self.parts)) > 0

    def totals(self) -> Ints:
        """Return the rows of each class in each part, int64 (classes, parts)."""
        return _tally(self.klass, len(self.classes), self.place, len(self.parts))

    def naming(self, groups: Iterable[int]) -> str:
        """Return the names of some groups, for a sentence; all of few, the first of many."""
        names = [self.groups[group] for group in groups]
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        return ", ".join(map(repr, names[:_MOST_NAMED])) + more


def make(table: Table, plan: Plan, unit: Unit) -> Task:
    """Return ``plan`` for the rows of ``table``, with groups by ``unit``.

    Raises :class:`InputError` where no row has a label, a row lacks its unit, or what is to be
    held out or kept is not there.
    """
    labels = table.column("label")
    index = np.flatnonzero(np.fromiter(map(bool, labels), bool, len(labels)))
    if not len(index):
        raise InputError(
            "no row has a label, and without labels there is nothing to split",
            file=table.name,
            column="label",
        )
    groups, group = _codes(list(itertools.compress(units.keys(table, unit), labels)))
    classes, klass = _codes(list(filter(None, labels)))
    parts, shares, known = _folds(table, plan.folds) if plan.folds else _splits(table, plan)
    place, held_out = known.place[index], known.held_out[index]
    return Task(table, unit, parts, shares, index, groups, group, classes, klass, place, held_out)


def _splits(table: Table, plan: Plan) -> tuple[list[str], Floats, Fixed]:
    known = fixed.find(table, plan.hold_out, plan.keep)
    return list(catalog.SPLITS), np.array(plan.shares) / 100, known


def _folds(table: Table, folds: int) -> tuple[list[str], Floats, Fixed]:
    test = np.fromiter(map("test".__eq__, table.column("split", "")), bool, len(table))
    known = Fixed(np.where(test, folds, FREE), np.zeros(len(table), bool))
    return [*map(str, range(folds)), OUTSIDE], np.append(np.full(folds, 1 / folds), 0.0), known


def _codes(values: list[str]) -> tuple[list[str], Ints]:
    """Return the sorted distinct values and the place of each value among them."""
    names = sorted(set(values))
    place = {name: code for code, name in enumerate(names)}
    return names, np.fromiter(map(place.__getitem__, values), np.int64, len(values))


def _tally(rows: Ints, height: int, columns: Ints, width: int) -> Ints:
    """Count how often each pair stands at the same place; int64 (height, width)."""
    pairs = np.bincount(rows * width + columns, minlength=height * width)
    return pairs.reshape(height, width).astype(np.int64, copy=False)
