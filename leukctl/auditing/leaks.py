"""What crosses the parts of a split that ought to stay apart."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from leukctl import manifest
from leukctl.auditing import copies
from leukctl.auditing.copies import Copy
from leukctl.auditing.look import Look
from leukctl.splits import units
from leukctl.tables import Table


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
