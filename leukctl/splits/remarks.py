"""What is to be said of an assignment: what is not as one would wish, a sentence each."""

from collections.abc import Iterator

import numpy as np

from leukctl.splits.fixed import FREE
from leukctl.splits.greedy import Ints
from leukctl.splits.task import OUTSIDE, Bools, Task


def torn(work: Task, groups: Bools) -> Iterator[str]:
    """Tell of the groups that the manifest itself has in several splits."""
    if groups.any():
        names = work.naming(np.flatnonzero(groups))
        yield f"{groups.sum()} {work.unit.plural} stand in several of the splits kept: {names}"


def followers(work: Task, place: Ints) -> Iterator[str]:
    """Tell which rows go where others of their group are already.

    Args:
        place: int64 (groups,), FREE where a group has no row whose part is known.
    """
    goes = np.where(work.place == FREE, place[work.group], FREE)
    for part, name in enumerate(work.parts):
        rows = np.flatnonzero(goes == part)
        if len(rows):
            where, there = ("stay outside", "test") if name == OUTSIDE else (f"go to {name}", name)
            names = work.naming(np.unique(work.group[rows]))
            yield (
                f"{len(rows)} rows {where} too, since other rows of their {work.unit.plural} are "
                f"in {there}: {names}"
            )


def gaps(work: Task, counts: Ints) -> Iterator[str]:
    """Tell which class is missing in which part.

    Args:
        counts: int64 (groups, classes), rows of the groups that were divided.
    """
    if not len(counts):
        return
    divided = work.shares > 0
    totals = work.totals()
    filled = totals.any(axis=0)
    for klass, name in enumerate(work.classes):
        empty = np.flatnonzero((totals[klass] == 0) & (divided | filled))
        lacking = [work.title(int(part)) for part in empty if divided[part]]
        if lacking:
            yield (
                f"class {name!r} has {(counts[:, klass] > 0).sum()} {work.unit.plural} for "
                f"{divided.sum()} parts: none in {', '.join(lacking)}"
            )
        for part in empty:
            if not divided[part] and work.parts[part] != OUTSIDE:
                yield f"class {name!r} has no row that is held out or kept in {work.parts[part]}"


def distance(work: Task, counts: Ints, place: Ints) -> tuple[float, str, str] | None:
    """Return how far a class is at most from its share of a part, and which class and part.

    In percent points of the rows that were divided; None where there are none.

    Args:
        counts: int64 (groups, classes), rows of the groups that were divided.
        place: int64 (groups,), the part of each.
    """
    present = np.flatnonzero(counts.any(axis=0))
    if not len(present):
        return None
    totals = np.zeros((len(work.parts), len(present)))
    np.add.at(totals, place, counts[:, present])
    away = 100 * np.abs(totals / totals.sum(axis=0) - work.shares[:, None])
    part, klass = np.unravel_index(away.argmax(), away.shape)
    return float(away[part, klass]), work.classes[present[klass]], work.parts[part]
