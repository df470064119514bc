"""Balancing: the train rows of every class made equal in number; other rows stay as they are."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from leukctl import manifest
from leukctl.errors import InputError
from leukctl.tables import Table


@dataclass(slots=True)
class Balanced:
    """A balanced manifest.

    Attributes:
        table: its rows.
        before, after: train rows of each class.
        absent: classes that occur, but not in train.
    """

    table: Table
    before: dict[str, int]
    after: dict[str, int]
    absent: list[str]


def balance(table: Table, method: str, seed: int) -> Balanced:
    """Return ``table`` with its train rows balanced by ``method``, one of :data:`METHODS`.

    Raises :class:`InputError` for a missing column, for a train row without a label, and where no
    row is in train.
    """
    table.require("label", "split")
    members = _train_rows(table)
    balanced = METHODS[method](table, members, np.random.default_rng(seed))
    after = {label: len(rows) for label, rows in _train_rows(balanced).items()}
    before = {label: len(rows) for label, rows in members.items()}
    absent = [label for label in manifest.classes(table) if label not in members]
    return Balanced(balanced, before, after, absent)


def _train_rows(table: Table) -> dict[str, list[int]]:
    """Return the train rows of each class, classes sorted."""
    labels = table.column("label")
    members = defaultdict(list)
    for index in manifest.rows_of_split(table, "train"):
        if not labels[index]:
            raise table.error(index, "label", "empty, and a train row needs one")
        members[labels[index]].append(index)
    if not members:
        raise InputError(
            "no row is in train; leukctl split assigns them", file=table.name, column="split"
        )
    return dict(sorted(members.items()))


Members = dict[str, list[int]]


def undersample(table: Table, members: Members, rng: np.random.Generator) -> Table:
    """Keep as many random train rows of each class as the smallest has; the order stays."""
    size = min(len(rows) for rows in members.values())
    dropped: set[int] = set()
    for rows in members.values():
        dropped.update(rng.permutation(rows)[size:].tolist())
    return table.select(index for index in range(len(table)) if index not in dropped)


def oversample(table: Table, members: Members, rng: np.random.Generator) -> Table:
    """Repeat random train rows of each class until it has as many as the largest.

    Every row of a class is repeated before one is repeated again. The repetitions follow after all
    other rows; the column ``copy`` numbers them 1, 2 … for each path, and has 0 elsewhere.
    """
    size = max(len(rows) for rows in members.values())
    repeats: list[int] = []
    for rows in members.values():
        rounds = -(-(size - len(rows)) // len(rows))
        drawn = [index for _ in range(rounds) for index in rng.permutation(rows).tolist()]
        repeats += drawn[: size - len(rows)]
    copies = [copy or "0" for copy in table.column("copy", "")]
    latest: dict[str, int] = defaultdict(int)
    paths = table.column("path")
    for path, copy in zip(paths, copies, strict=True):
        latest[path] = max(latest[path], int(copy) if copy.isdecimal() else 0)
    for index in repeats:
        latest[paths[index]] += 1
        copies.append(str(latest[paths[index]]))
    longer = table.select([*range(len(table)), *repeats])
    return longer.with_columns(copy=copies)


METHODS: dict[str, Callable[[Table, Members, np.random.Generator], Table]] = {
    "undersample": undersample,
    "oversample": oversample,
}
