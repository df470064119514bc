"""history.csv as numbers, for the curves of a training."""

import itertools
import math

from leukctl.tables import Table

# The columns that curves are drawn of, after ``train_`` and ``val_``, and what they are called.
CURVES = {"loss": "loss", "accuracy": "accuracy", "f1_macro": "macro F1"}


def numbers(history: Table, column: str) -> list[float]:
    """Return a column of numbers, NaN where a cell is empty; raise InputError for anything else."""
    values = []
    for index, cell in enumerate(history.column(column)):
        try:
            values.append(float(cell) if cell else math.nan)
            if column == "epoch" and not math.isfinite(values[-1]):
                raise ValueError
        except ValueError:
            raise history.error(index, column, f"{cell!r} is no number") from None
    return values


def stage_borders(history: Table) -> list[float]:
    """Return the epochs between which the stage changes, as their midpoints."""
    stages = history.column("stage", "")
    epochs = numbers(history, "epoch")
    return [
        (epochs[index] + epochs[index + 1]) / 2
        for index, (before, after) in enumerate(itertools.pairwise(stages))
        if before != after
    ]
