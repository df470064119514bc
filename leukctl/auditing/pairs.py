"""Copies as pairs of a manifest's rows, among them one that crosses wherever one does."""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from leukctl import manifest
from leukctl.auditing import copies, parts
from leukctl.auditing.copies import Copy
from leukctl.auditing.look import Look
from leukctl.auditing.parts import Part
from leukctl.tables import Table

Rows = list[int]


def by_digest(table: Table) -> list[Copy]:
    """Return the rows of the same bytes by the column ``sha256``, or of one path."""
    where = parts.of_rows(table)
    members: dict[str, Rows] = defaultdict(list)
    paths = [os.path.normpath(path) for path in table.column("path")]
    for row, (path, digest) in enumerate(zip(paths, table.column("sha256", ""), strict=True)):
        members[digest.lower() or path].append(row)
    given = table.column("path")
    return [
        Copy(a, b, copies.SAME_BYTES)
        for rows in members.values()
        for a, b in _within(rows, where, given)
    ]


def by_look(table: Table, look: Look, root: Path | None) -> list[Copy]:
    """Return the copies that were seen, as pairs of rows.

    Of rows that show the very same picture each is paired with the first; of two such pictures
    that are copies of each other, one row of the one with one of the other. Where rows on two sides
    of a split are among them, a pair that crosses is too.
    """
    where = parts.of_rows(table)
    rows_of: dict[Path, Rows] = defaultdict(list)
    for row, file in enumerate(manifest.image_paths(table, root)):
        rows_of[file].append(row)
    first = list(range(len(look.files)))
    for copy in look.copies:
        if copy.kind in copies.EXACT:
            first[copy.b] = copy.a
    members: dict[int, Rows] = defaultdict(list)
    for place, file in enumerate(look.files):
        members[first[place]] += rows_of[file]
    found = list(_exact(table, members.values(), where, _digests(look, rows_of)))
    for copy in look.copies:
        if copy.kind not in copies.EXACT and members[copy.a] and members[copy.b]:
            a, b = _between(members[copy.a], members[copy.b], where)
            found.append(replace(copy, a=a, b=b))
    return sorted(found, key=lambda copy: (copy.a, copy.b))


def _digests(look: Look, rows_of: dict[Path, Rows]) -> dict[int, str]:
    """Return for every row a text that rows of the same bytes share."""
    named = {}
    for file, item in zip(look.files, look.examined, strict=True):
        for row in rows_of[file]:
            named[row] = str(file) if isinstance(item, str) else item.sha256
    return named


def _exact(
    table: Table, classes: Iterable[Rows], where: Sequence[Part], digests: dict[int, str]
) -> Iterator[Copy]:
    paths = table.column("path")
    for rows in classes:
        for a, b in _within(sorted(rows), where, paths):
            same = digests[a] == digests[b]
            yield Copy(a, b, copies.SAME_BYTES if same else copies.SAME_PIXELS)


def _within(rows: Rows, where: Sequence[Part], paths: Sequence[str]) -> list[tuple[int, int]]:
    """Return the pairs of rows of one picture: with the first, and one that crosses if any does.

    Rows of one path are repetitions that oversampling made, and a pair only when they are apart.
    """
    pairs = [
        (rows[0], row)
        for row in rows[1:]
        if paths[row] != paths[rows[0]] or parts.apart(where[row], where[rows[0]])
    ]
    crosses = any(parts.apart(where[a], where[b]) for a, b in pairs)
    if not crosses and parts.any_apart(where[row] for row in rows):
        pairs.append(_between(rows, rows, where))
    return pairs


def _between(one: Rows, other: Rows, where: Sequence[Part]) -> tuple[int, int]:
    """Return a row of each, on two sides of a split if there are such, the earlier row first."""
    firsts = [_first_of_each_part(rows, where) for rows in (one, other)]
    apart = ((a, b) for a in firsts[0] for b in firsts[1] if parts.apart(where[a], where[b]))
    a, b = next(apart, (one[0], other[0]))
    return min(a, b), max(a, b)


def _first_of_each_part(rows: Rows, where: Sequence[Part]) -> Rows:
    first: dict[Part, int] = {}
    for row in rows:
        first.setdefault(where[row], row)
    return list(first.values())
