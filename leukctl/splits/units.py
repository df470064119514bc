"""What stays together in one split: a subject, a source, a group of images, or an image."""

from dataclasses import dataclass

from leukctl import catalog
from leukctl.errors import UsageError
from leukctl.tables import Table

GROUP = "group"  # the column that the groups found by their looks are written into

_COLUMN = "group:"


@dataclass(frozen=True, slots=True)
class Unit:
    """What stays together.

    Attributes:
        name: as ``--by`` calls it.
        plural: for tables and sentences.
        column: rows with equal cells of it stay together; "" where identical files do.
    """

    name: str
    plural: str
    column: str = ""


UNITS = {
    "subject": Unit("subject", "subjects", "subject"),
    "source": Unit("source", "sources", "source"),
    "image": Unit("image", "distinct images"),
    "near-duplicate": Unit("near-duplicate", "groups", GROUP),
}


def check_name(by: str) -> None:
    """Raise :class:`UsageError` for what ``--by`` does not know."""
    if by != "auto" and by not in UNITS and not (by.startswith(_COLUMN) and by != _COLUMN):
        raise UsageError(f"--by {by!r}: unknown (known: {', '.join(catalog.SPLIT_UNITS)})")


def choose(table: Table, by: str) -> Unit:
    """Return the unit that ``by`` names; for auto, the surest that the columns allow.

    That is subject where every row with a label has one, else the column group likewise, else
    near-duplicate.
    """
    if by == "auto":
        by = "near-duplicate"
        for column, unit in (("subject", "subject"), (GROUP, _COLUMN + GROUP)):
            if first_lacking(table, column) is None:
                by = unit
                break
    return UNITS.get(by) or Unit(by, "groups", by.removeprefix(_COLUMN))


def first_lacking(table: Table, column: str) -> int | None:
    """Return the first row that has a label but no cell of ``column``; None where all have one."""
    cells = table.column(column, "")
    if "" not in cells:
        return None
    rows = zip(table.column("label"), cells, strict=True)
    return next((index for index, (label, cell) in enumerate(rows) if label and not cell), None)


def keys(table: Table, unit: Unit) -> list[str]:
    """Return for every row a text that rows of one unit share; "" only where there is no label.

    Raises :class:`InputError` for a row that has a label and no cell of the unit's column.
    """
    if not unit.column:
        digests, paths = table.column("sha256", ""), table.column("path")
        pairs = zip(digests, paths, strict=True)
        own = [digest if digest.islower() else digest.lower() or path for digest, path in pairs]
        if "parent" not in table:
            return own
        # What balance made of an image is that image still, also where its own row has gone.
        place = dict(zip(paths, own, strict=True))
        parents = zip(table.column("parent"), own, strict=True)
        return [place.get(parent, parent) if parent else key for parent, key in parents]
    table.require(unit.column)
    lacking = first_lacking(table, unit.column)
    if lacking is not None:
        raise table.error(
            lacking,
            unit.column,
            f"empty, and --by {unit.name} needs it on every row that has a label",
        )
    return table.column(unit.column)
