"""One vocabulary for the labels of several sources, by a table ``source,from,to``."""

from collections.abc import Iterable

from leukctl.errors import InputError
from leukctl.tables import Table

COLUMNS = ("source", "from", "to")


def check(table: Table) -> dict[tuple[str, str], str]:
    """Return (source, label) → new label.

    An empty source stands for every source that has no line of its own for that label; an empty
    new label takes the label away.

    Raises :class:`InputError` for a missing column, an empty ``from``, or two lines for one label.
    """
    table.require(*COLUMNS)
    found: dict[tuple[str, str], str] = {}
    rows = zip(*(table.column(name) for name in COLUMNS), strict=True)
    for index, (source, old, new) in enumerate(rows):
        if not old:
            raise table.error(index, "from", "empty; rows without a label stay without")
        if (source, old) in found:
            raise table.error(index, "from", f"{old!r} of source {source!r} stands above")
        found[source, old] = new
    return found


def apply(table: Table, labels: Table) -> Table:
    """Return the rows of ``table`` with their labels as the map ``labels`` has them.

    Rows without a label stay without.

    Raises :class:`InputError` for a label that the map does not name.
    """
    known = check(labels)
    pairs = list(zip(table.column("source", ""), table.column("label"), strict=True))
    new = {
        (source, old): known.get((source, old), known.get(("", old)))
        for source, old in dict.fromkeys(pairs)
        if old
    }
    _check_all_named(labels.name, [pair for pair, to in new.items() if to is None])
    return table.with_columns(label=[new.get(pair) or "" for pair in pairs])


def _check_all_named(name: str, missed: Iterable[tuple[str, str]]) -> None:
    told = [f"{old!r} of source {source!r}" for source, old in sorted(missed)]
    if told:
        more = f", nor for {len(told) - 1} others" if len(told) > 1 else ""
        raise InputError(f"no line for the label {told[0]}{more}", file=name)
