"""What crosses the parts of a split that ought to stay apart."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from leukctl.auditing import pairs, parts
from leukctl.auditing.copies import Copy
from leukctl.auditing.look import Look
from leukctl.splits import units
from leukctl.tables import Table


@dataclass(frozen=True, slots=True)
class Leaks:
    """What an audit of a manifest found.

    Attributes:
        table: the manifest.
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
        look: at all its images; without it, files are known by path and ``sha256`` alone.
        root: where its paths start.
    """
    found = pairs.by_digest(table) if look is None else pairs.by_look(table, look, root)
    where = parts.of_rows(table)
    return Leaks(
        table,
        found,
        [copy for copy in found if parts.apart(where[copy.a], where[copy.b])],
        parts.crossing(table.column("subject", ""), where),
        parts.crossing(table.column(units.GROUP, ""), where),
        parts.crossing(families(table), where),
        _of_one_source(table),
    )


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
