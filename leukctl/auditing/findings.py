"""What an audit found, as a table of pairs, as sentences, and as the JSON that report reads."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from leukctl import catalog, manifest
from leukctl.auditing import copies
from leukctl.auditing.copies import Copy
from leukctl.auditing.leaks import Leaks
from leukctl.auditing.look import Look
from leukctl.tables import Table

COLUMNS = (
    *("path_a", "path_b", "kind", "score", "shared", "angle", "scale", "mirrored"),
    *("label_a", "label_b", "split_a", "split_b", "fold_a", "fold_b", "crosses"),
)

_MOST_NAMED = 5


def pairs_table(leaks: Leaks) -> Table:
    """Return the copies as a table, a pair a row, those that cross first."""
    crossing = set(leaks.crossing)
    ordered = sorted(leaks.copies, key=lambda copy: (copy not in crossing, copy.a, copy.b))
    cells = {name: leaks.table.column(name, "") for name in ("path", "label", "split", "fold")}
    rows = [_pair_row(copy, cells, copy in crossing) for copy in ordered]
    return Table("pairs", list(COLUMNS), rows)


def _pair_row(copy: Copy, cells: dict[str, list[str]], crosses: bool) -> list[str]:
    def both(column: str) -> tuple[str, str]:
        return cells[column][copy.a], cells[column][copy.b]

    return [
        *both("path"),
        copy.kind,
        *(repr(value) for value in (copy.score, copy.shared, copy.angle, copy.scale)),
        _yes(copy.mirrored),
        *both("label"),
        *both("split"),
        *both("fold"),
        _yes(crosses),
    ]


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def by_kind(leaks: Leaks) -> dict[str, dict[str, int]]:
    """Return how many pairs there are of each kind, and how many of them cross."""
    pairs = Counter(copy.kind for copy in leaks.copies)
    crossing = Counter(copy.kind for copy in leaks.crossing)
    return {kind: {"pairs": pairs[kind], "crossing": crossing[kind]} for kind in copies.KINDS}


def sentences(leaks: Leaks) -> list[str]:
    """Return what was found as sentences, the gravest first."""
    said = [
        f"{counts['crossing']} pairs cross the splits: {copies.KINDS[kind]} ({kind})"
        for kind, counts in by_kind(leaks).items()
        if counts["crossing"]
    ]
    for what, names in (("subjects", leaks.subjects), ("groups", leaks.groups)):
        if names:
            said.append(f"{len(names)} {what} stand in two splits: {_named(names)}")
    if leaks.parents:
        said.append(
            f"{len(leaks.parents)} images stand in another split than images made of them by "
            f"augmentation: {_named(leaks.parents)}"
        )
    labels = leaks.table.column("label", "")
    contrary = sum(
        bool(labels[copy.a] and labels[copy.b]) and labels[copy.a] != labels[copy.b]
        for copy in leaks.copies
    )
    if contrary:
        said.append(f"{contrary} pairs of copies bear two different labels")
    if leaks.classes_of_one_source:
        said.append(
            f"all images of {_named(leaks.classes_of_one_source)} come from one source, and the "
            "source may tell the class"
        )
    return said


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(map(repr, names[:_MOST_NAMED])) + more


def to_document(
    leaks: Leaks, shortcuts: list[dict[str, Any]] | None, look: Look | None
) -> dict[str, Any]:
    """Return the audit as its JSON holds it.

    Args:
        shortcuts: of :func:`leukctl.auditing.shortcuts.to_document`; None where not assessed.
        look: at the images; None where there was none.
    """
    document: dict[str, Any] = {
        "schema": catalog.AUDIT_SCHEMA,
        "kind": catalog.AUDIT,
        "images": len(manifest.originals(leaks.table)),
        "looked": look is not None,
        "unread": [] if look is None else [str(path) for path in look.unread()],
        "leaks": {
            "crossing": len(leaks.crossing),
            "by_kind": by_kind(leaks),
            "subjects": leaks.subjects,
            "groups": leaks.groups,
            "parents": leaks.parents,
            "classes_of_one_source": leaks.classes_of_one_source,
        },
        "findings": sentences(leaks),
    }
    if shortcuts is not None:
        document["shortcuts"] = shortcuts
        document["findings"] += [
            found["sentence"] for found in shortcuts if found["verdict"].endswith("above chance")
        ]
    return document
