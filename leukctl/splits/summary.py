"""An assignment in words, for whoever splits."""

from collections.abc import Sequence

import numpy as np

from leukctl.splits import units
from leukctl.splits.assignment import Assignment
from leukctl.splits.plan import Plan
from leukctl.tables import Table


def grid(made: Assignment, plan: Plan) -> tuple[list[str], list[list[str]]]:
    """Return a table of rows by class and part, header and rows; groups in the last row."""
    names = [_title(part, plan) for part in made.parts]
    counts = [made.counts, made.counts.sum(axis=0, keepdims=True), made.groups[None]]
    numbers = [row for block in counts for row in block.tolist()]
    titles = [*made.classes, "rows", made.unit.plural]
    rows = [
        [title, *map(str, row), str(sum(row))] for title, row in zip(titles, numbers, strict=True)
    ]
    return ["class", *names, "all"], rows


def _title(part: str, plan: Plan) -> str:
    return f"fold {part}" if plan.folds else part


def notes(made: Assignment, plan: Plan) -> list[str]:
    """Return what there is to know."""
    found = []
    if made.distance is not None:
        away, klass, part = made.distance
        found.append(
            f"shares of each class are within {away:.3g} points of those asked for "
            f"(farthest: {klass!r} in {_title(part, plan)})"
        )
    if outside := made.cells.count(""):
        why = "no label, or in test" if plan.folds else "no label"
        found.append(f"{outside} rows stay outside ({why})")
    return found


def warnings(table: Table, made: Assignment) -> list[str]:
    """Return what is not as one would wish, a sentence each.

    Whenever it is not sure that no subject stands in two parts, that is among them.
    """
    found = list(made.warnings)
    unit = made.unit.name
    # Folds leave test rows outside, and they are a part all the same.
    cells = [
        cell or ("test" if split == "test" else "")
        for cell, split in zip(made.cells, table.column("split", ""), strict=True)
    ]
    if unit == "image" and "sha256" not in table:
        found.append("no column sha256: identical files are not kept together")
    if unit != "image" and (number := crossing(table.column("sha256", ""), cells)):
        found.append(f"{number} files stand in more than one part: {made.unit.plural} share them")
    if unit == "subject":
        return found
    subjects = crossing(table.column("subject", ""), cells)
    if subjects:
        found.append(
            f"{subjects} subjects stand in more than one part; --by subject keeps them together"
        )
    if subjects or units.first_lacking(table, "subject") is not None:
        found.append(
            f"split by {unit}: one patient's cells may stand in train and test, so performance on "
            "unseen patients stays unknown"
        )
    return found


def crossing(values: Sequence[str], cells: Sequence[str]) -> int:
    """Return how many values, such as a file's SHA-256, stand in more than one part."""
    if not any(values):
        return 0
    hashes = np.fromiter(map(hash, values), np.int64, len(values))
    order = np.argsort(hashes, kind="stable")
    same = hashes[order[1:]] == hashes[order[:-1]]
    # Most files are there once, and a million of them need not be kept by name to see that.
    repeated = np.unique(np.concatenate([order[1:][same], order[:-1][same]]))
    first: dict[str, str] = {}
    found = set()
    for row in repeated.tolist():
        value, part = values[row], cells[row]
        if value and part and first.setdefault(value, part) != part:
            found.add(value)
    return len(found)
