"""The column ``weight``: written by inverse class frequency, honored by ``train`` and ``fuse``."""

import math

import numpy as np
from numpy.typing import NDArray

from leukctl import manifest
from leukctl.balancing.requests import Made, Request
from leukctl.balancing.rows import Members
from leukctl.errors import InputError, UsageError
from leukctl.tables import Table

COLUMN = "weight"


def weight(table: Table, members: Members, request: Request) -> Made:
    """Write the weight of every train row: inverse to the size of its class, 1 in the mean.

    Cells of other rows stay as they are.

    Raises :class:`UsageError` where train rows have weights and none may be replaced.
    """
    cells = table.column(COLUMN, "")
    count = sum(len(rows) for rows in members.values())
    weights = {label: count / (len(members) * len(rows)) for label, rows in members.items()}
    for label, rows in members.items():
        for index in rows:
            if cells[index] and not request.replace:
                raise UsageError(
                    f"{table.name}: the column weight is filled already; --force replaces it"
                )
            cells[index] = repr(weights[label])
    return Made(table.with_columns(**{COLUMN: cells}), weights=weights)


def learned(table: Table) -> tuple[list[int], NDArray[np.float64] | None]:
    """Return the train rows that a model is fitted on, and their weights.

    Without a column ``weight`` these are all train rows, and None. With one, rows of weight 0 are
    left out, and the others' weights are float64 (N,), scaled to a mean of 1; equal ones become
    exactly 1.

    Raises :class:`InputError` for a weight of a train row that is no finite number of 0 or more,
    and where all are 0.
    """
    rows = manifest.rows_of_split(table, "train")
    if COLUMN not in table:
        return rows, None
    cells = table.column(COLUMN)
    values = np.array([_read(table, index, cells[index]) for index in rows], np.float64)
    if rows and not values.any():
        raise InputError("0 on every train row", file=table.name, column=COLUMN)
    positive = values[values > 0]
    relative = positive / positive.max(initial=0.0)  # so that no sum overflows
    return [rows[place] for place in np.flatnonzero(values)], relative / relative.mean()


def balanced(labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return weights inverse to the size of each row's class, float64 (N,), with a mean of 1.

    Args:
        labels: int64 (N,).
    """
    _, klass, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return len(labels) / (len(counts) * counts[klass])


def _read(table: Table, index: int, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise table.error(
            index,
            COLUMN,
            f"{cell!r} is no number of 0 or more; train and fuse weight train rows by this "
            "column, so rename it where it means something else",
        )
    return value
