"""The train rows of each class, and the order in which random ones are taken."""

import heapq
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from leukctl import manifest
from leukctl.errors import InputError
from leukctl.tables import Table

Members = dict[str, list[int]]


def train_rows(table: Table) -> Members:
    """Return the train rows of each class, classes sorted.

    Raises :class:`InputError` for a missing column, for a train row without a label, and where no
    row is in train.
    """
    table.require("label", "split")
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


def groups(table: Table, rows: list[int], even: str | None) -> dict[str, list[int]]:
    """Return ``rows`` by their value in the column ``even``, all in one group for None.

    Values and rows are sorted by name, so that what is drawn from them does not depend on the
    order of the table.

    Raises :class:`InputError` for a missing column and for an empty cell in it.
    """
    paths, copies = table.column("path"), table.column("copy", "")
    ordered = sorted(rows, key=lambda index: (paths[index], len(copies[index]), copies[index]))
    if even is None:
        return {"": ordered}
    values = table.column(even)
    found: dict[str, list[int]] = defaultdict(list)
    for index in ordered:
        if not values[index]:
            raise table.error(index, even, f"empty, and --even {even} needs it on every train row")
        found[values[index]].append(index)
    return dict(sorted(found.items()))


def dropped(
    members: dict[str, list[int]], count: int, random: np.random.Generator
) -> Iterator[int]:
    """Yield ``count`` random rows of the groups ``members``, each time of the largest group."""
    shuffled = [random.permutation(rows).tolist() for rows in members.values()]
    ties = random.permutation(len(shuffled)).tolist()
    heap = [(-len(rows), tie, rows) for tie, rows in zip(ties, shuffled, strict=True)]
    heapq.heapify(heap)
    for _ in range(count):
        _, tie, rows = heap[0]
        yield rows.pop()
        heapq.heapreplace(heap, (-len(rows), tie, rows))


def drawn(
    members: dict[str, list[int]], sizes: dict[str, int], random: np.random.Generator
) -> Iterator[int]:
    """Yield random rows of the groups ``members`` for ever, each time of the smallest group.

    Every row of a group comes once before one comes again.

    Args:
        sizes: what each group has before; it grows by one with each row.
    """
    ties = random.permutation(len(members)).tolist()
    heap = [
        (sizes[name], tie, _rounds(rows, random))
        for tie, (name, rows) in zip(ties, members.items(), strict=True)
    ]
    heapq.heapify(heap)
    while True:
        size, tie, rounds = heap[0]
        yield next(rounds)
        heapq.heapreplace(heap, (size + 1, tie, rounds))


def _rounds(rows: list[int], random: np.random.Generator) -> Iterator[int]:
    while True:
        yield from random.permutation(rows).tolist()


def latest_copies(table: Table) -> dict[str, int]:
    """Return the highest number in the column ``copy`` of every image.

    Its repetitions and what was made of it count alike.
    """
    latest: dict[str, int] = defaultdict(int)
    columns = (table.column("path"), table.column("parent", ""), table.column("copy", ""))
    for path, parent, copy in zip(*columns, strict=True):
        number = int(copy) if copy.isascii() and copy.isdecimal() and len(copy) < 10 else 0
        for image in {path, parent or path}:
            latest[image] = max(latest[image], number)
    return latest
