"""A val split cut from the train rows, for a manifest that has none."""

from leukctl import manifest
from leukctl.errors import UsageError
from leukctl.splits import units
from leukctl.splits.assignment import Assignment, assign
from leukctl.splits.plan import Plan
from leukctl.tables import Table


def cut_val(table: Table, percent: float, seed: int) -> tuple[Table, Assignment, int]:
    """Return the manifest with some of its train rows in val, stratified by label.

    Subjects stay together, else rows of one cell of the column group, else an image, its
    repetitions and what was made of it. What balance added and would come into val loses its
    split, since val is to have images as they are.

    Args:
        percent: of the train rows.

    Returns:
        the manifest; how its train rows were divided; the number of rows that lost their split.

    Raises:
        UsageError: where there are val rows. InputError: where train has too few subjects.
    """
    if manifest.rows_of_split(table, "val"):
        raise UsageError(f"--val-from-train: {table.name} has rows of split val already")
    rows = manifest.rows_of_split(table, "train")
    learned = table.select(rows)
    made = assign(learned, Plan(shares=[100 - percent, percent, 0], seed=seed), _unit(learned))
    if made.unit.name != "subject":
        made.warnings.append(
            f"val is cut by {made.unit.name}: one patient's cells may stand in train and val, "
            "which flatters val"
        )
    cells, lost = table.column("split"), 0
    parents, copies = table.column("parent", ""), table.column("copy", "")
    for row, part in zip(rows, made.cells, strict=True):
        is_added = parents[row] != "" or copies[row] not in ("", "0")
        cells[row] = "" if part == "val" and is_added else part
        lost += cells[row] == ""
    return table.with_columns(split=cells), made, lost


def _unit(table: Table) -> units.Unit:
    unit = units.choose(table, "auto")
    # Looking at the images for what looks alike is for split, which can be seen and audited.
    return units.UNITS["image"] if unit is units.UNITS["near-duplicate"] else unit
