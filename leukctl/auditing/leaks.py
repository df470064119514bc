"""What crosses the parts of a split that ought to stay apart."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leukctl import manifest
from leukctl.auditing import copies
from leukctl.auditing.copies import Copy
from leukctl.auditing.look import Look
from leukctl.splits import units
from leukctl.tables import Table

SCHEMA = 1  # of the audit's JSON
COLUMNS = (
    *("path_a", "path_b", "kind", "score", "shared", "angle", "scale", "mirrored"),
    *("label_a", "label_b", "split_a", "split_b", "fold_a", "fold_b", "crosses"),
)

_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Leaks:
    """What an audit of a manifest found.

    Attributes:
        table: the manifest, each image once.
        copies: pairs of its rows.
        crossing: those of them that stand in two splits or folds.
        subjects, groups: names that stand in two splits or folds.
        parents: images that stand in another split or fold than what augmentation made of them.
        classes_of_one_source: classes of which all images come from one source, where other
            classes do not; that is no leak across splits, but the source may tell them.
    """

    table: Table
    copies: list[Copy]
    crossing: list[Copy]
    subjects: list[str]
    groups: list[str]
    parents: list[str]
    classes_of_one_source: list[str]

    @property
    def any(self) -> bool:
        """Whether something crosses the splits."""
        return bool(self.crossing or self.subjects or self.groups or self.parents)


def find(table: Table, look: Look | None = None, root: Path | None = None) -> Leaks:
    """Return what leaks in a manifest.

    Args:
        table: a manifest; repetitions of a row that oversampling added count once.
        look: at all its images; without it, files are known by the column ``sha256`` alone.
        root: where its paths start.
    """
    once = manifest.originals(table)
    parts = _parts(once)
    found = _by_digest(once) if look is None else _of_rows(once, look, root)
    return Leaks(
        once,
        found,
        [copy for copy in found if _apart(parts[copy.a], parts[copy.b])],
        _in_two_parts(once.column("subject", ""), parts),
        _in_two_parts(once.column(units.GROUP, ""), parts),
        _in_two_parts(families(once), parts),
        _of_one_source(once),
    )


Part = tuple[str, str]


def _parts(table: Table) -> list[Part]:
    """Return split and fold of every row, each "" where there is none."""
    return list(zip(table.column("split", ""), table.column("fold", ""), strict=True))


def _apart(a: Part, b: Part) -> bool:
    return any(one and other and one != other for one, other in zip(a, b, strict=True))


def _in_two_parts(names: Sequence[str], parts: Sequence[Part]) -> list[str]:
    """Return the names that stand in two splits or folds, sorted."""
    first: dict[str, list[str]] = {}
    crossing = set()
    for name, part in zip(names, parts, strict=True):
        if not name:
            continue
        known = first.setdefault(name, ["", ""])
        for place, value in enumerate(part):
            if value and known[place] and value != known[place]:
                crossing.add(name)
            known[place] = known[place] or value
    return sorted(crossing)


def families(table: Table) -> list[str]:
    """Return the image that each row was made of, or its own where it was made of none."""
    pairs = zip(table.column("parent", ""), table.column("path"), strict=True)
    return [parent or path for parent, path in pairs]


def _of_one_source(table: Table) -> list[str]:
    sources = defaultdict(set)
    for label, source in zip(table.column("label", ""), table.column("source", ""), strict=True):
        if label:
            sources[label].add(source)
    several = len(set().union(*sources.values())) > 1
    return sorted(label for label, of in sources.items() if several and len(of) == 1)


def _by_digest(table: Table) -> list[Copy]:
    first: dict[str, int] = {}
    found = []
    for place, digest in enumerate(table.column("sha256", "")):
        if digest and (same := first.setdefault(digest.lower(), place)) != place:
            found.append(Copy(same, place, copies.SAME_BYTES))
    return found


def _of_rows(table: Table, look: Look, root: Path | None) -> list[Copy]:
    """Return the copies as pairs of rows; rows without an image that was looked at have none."""
    rows = {path: row for row, path in enumerate(manifest.image_paths(table, root))}
    place = [rows.get(file, -1) for file in look.files]
    found = []
    for copy in look.copies:
        a, b = place[copy.a], place[copy.b]
        if a >= 0 and b >= 0:
            found.append(
                Copy(
                    *(a, b, copy.kind, copy.score),
                    *(copy.shared, copy.angle, copy.scale, copy.mirrored),
                )
            )
    return found


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
        *(f"{value:.4g}" for value in (copy.score, copy.shared, copy.angle, copy.scale)),
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


def findings(leaks: Leaks) -> list[str]:
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
    leaks: Leaks, shortcuts: list[dict[str, Any]] | None, unread: Sequence[str]
) -> dict[str, Any]:
    """Return the audit as its JSON holds it.

    Args:
        shortcuts: of :func:`leukctl.auditing.shortcuts.to_document`; None where not assessed.
        unread: the paths of images that could not be read.
    """
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "kind": "audit",
        "images": len(leaks.table),
        "unread": list(unread),
        "leaks": {
            "crossing": len(leaks.crossing),
            "by_kind": by_kind(leaks),
            "subjects": leaks.subjects,
            "groups": leaks.groups,
            "parents": leaks.parents,
            "classes_of_one_source": leaks.classes_of_one_source,
        },
        "findings": findings(leaks),
    }
    if shortcuts is not None:
        document["shortcuts"] = shortcuts
        document["findings"] += [
            found["sentence"] for found in shortcuts if found["verdict"].endswith("above chance")
        ]
    return document
