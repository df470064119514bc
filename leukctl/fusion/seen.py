"""Images that a trained backbone has learned from, and that a classifier is to be tested on."""

from collections.abc import Sequence
from pathlib import Path

from leukctl import runs, tables
from leukctl.tables import Table

# The splits of a run whose images say too much of it in a split here: val chose its best epoch.
_TELLING = {"test": ("train", "val"), "val": ("train",)}


def count(table: Table, folds: Sequence[int], run: Path) -> int | None:
    """Return how many images of val and test ``run`` was trained on, or its epoch chosen by.

    Args:
        folds: of ``table``, where each is the test once; none takes its splits.

    None where the run has no predictions left, which say what its splits were.
    """
    path = run / runs.PREDICTIONS
    if not path.is_file():
        return None
    answers = tables.read_path(path)
    was = dict(zip(answers.column("path"), answers.column("split", ""), strict=True))
    cells = table.column("fold") if folds else table.column("split")
    tested = {
        (name, "test" if folds else cell)
        for name, cell in zip(table.column("path"), cells, strict=True)
        if cell
    }
    return sum(was.get(name, "") in _TELLING.get(split, ()) for name, split in tested)
