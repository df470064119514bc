"""Random under- and oversampling: rows dropped or repeated, no image touched."""

import itertools

import numpy as np

from leukctl.balancing import targets
from leukctl.balancing.requests import Made, Request
from leukctl.balancing.rows import Members, drawn, dropped, groups, latest_copies
from leukctl.tables import Table


def undersample(table: Table, members: Members, request: Request) -> Made:
    """Drop random train rows of each class that has more than asked for; the order stays."""
    random = np.random.default_rng(request.seed)
    gone: set[int] = set()
    for rows, excess in _differences(members, request, 1):
        gone.update(dropped(groups(table, rows, request.even), excess, random))
    return Made(table.select(index for index in range(len(table)) if index not in gone))


def oversample(table: Table, members: Members, request: Request) -> Made:
    """Repeat random train rows of each class that has fewer than asked for.

    Every row of a class (with ``even``: of a group) is repeated before one is repeated again. The
    repetitions follow after all other rows; the column ``copy`` numbers them 1, 2 … for each
    image, and a new one has 0 elsewhere.
    """
    random = np.random.default_rng(request.seed)
    repeats: list[int] = []
    for rows, lack in _differences(members, request, -1):
        found = groups(table, rows, request.even)
        sizes = {name: len(own) for name, own in found.items()}
        repeats += itertools.islice(drawn(found, sizes, random), lack)
    latest = latest_copies(table)
    paths, copies = table.column("path"), table.column("copy", "0")
    for index in repeats:
        latest[paths[index]] += 1
        copies.append(str(latest[paths[index]]))
    longer = table.select([*range(len(table)), *repeats])
    return Made(longer.with_columns(copy=copies))


def _differences(members: Members, request: Request, sign: int) -> list[tuple[list[int], int]]:
    """Return the rows of each class that differs from the size asked for in this sign's way."""
    sizes = {label: len(rows) for label, rows in members.items()}
    size = targets.size(request.to, sizes)
    found = [(rows, sign * (len(rows) - size)) for rows in members.values()]
    return [(rows, difference) for rows, difference in found if difference > 0]
