"""Which split or fold every row goes to."""

from dataclasses import dataclass, field

import numpy as np

from leukctl.errors import InputError
from leukctl.splits import greedy, remarks, task
from leukctl.splits.fixed import FREE
from leukctl.splits.greedy import Ints
from leukctl.splits.plan import Plan
from leukctl.splits.task import OUTSIDE, Bools, Task
from leukctl.splits.units import Unit
from leukctl.tables import Table


@dataclass(slots=True)
class Assignment:
    """Where every row of a table goes.

    Attributes:
        unit: what was kept together.
        parts: the names of the splits or folds that have rows.
        classes: the labels, sorted.
        cells: the part of each row, "" for rows that take no part.
        counts: int64 (classes, parts), rows.
        groups: int64 (parts,), how many groups have rows in each part.
        distance: how far a class is at most from the share that a part should have of its rows
            that were divided, in percent points; which class, and which part. None where no row
            was divided.
        warnings: what is not as one would wish, a sentence each.
        leaks: whether a group stands in several parts, since the manifest has it so.
    """

    unit: Unit
    parts: list[str]
    classes: list[str]
    cells: list[str]
    counts: Ints
    groups: Ints
    distance: tuple[float, str, str] | None = None
    warnings: list[str] = field(default_factory=list)
    leaks: bool = False


def assign(table: Table, plan: Plan, unit: Unit) -> Assignment:
    """Return where the rows of ``table`` that have a label go.

    No group is torn apart: its rows follow one whose split is known, or, with folds, stay outside
    with one of the split test. Only a group that the kept splits tear apart already stays so.

    Raises :class:`InputError` where there are no labels or too few groups, where nothing is left
    to be divided, and for a group that is held out and kept elsewhere.
    """
    work = task.make(table, plan, unit)
    member = work.members()
    torn = member.sum(axis=1) > 1
    _check_held_out(work, member, torn)
    place = np.where(member.any(axis=1), member.argmax(axis=1), FREE)
    warnings = [*remarks.torn(work, torn), *remarks.followers(work, place)]
    free = np.flatnonzero(place == FREE)
    counts = work.counts()[free]
    if len(free):
        place[free] = _divide(work, counts, plan.seed)
    elif not plan.keep:
        raise InputError(
            "nothing is left to be divided: all that has a label is in test", file=table.name
        )
    work.place = np.where(work.place == FREE, place[work.group], work.place)
    made = _made(work)
    made.warnings = [*warnings, *remarks.gaps(work, counts)]
    made.leaks = bool(torn.any())
    made.distance = remarks.distance(work, counts, place[free])
    return made


def _divide(work: Task, counts: Ints, seed: int) -> Ints:
    """Return the part of each group, int64 (groups,), of which ``counts`` has the rows."""
    active = np.flatnonzero(work.shares > 0)
    few = f"{len(counts)} {work.unit.plural} for {len(active)} parts: too few"
    if len(counts) < len(active):
        raise InputError(f"{few}; ask for fewer parts", file=work.table.name)
    place = greedy.assign_groups(counts, work.shares[active], seed)
    for part in np.flatnonzero(np.bincount(place, minlength=len(active)) == 0):
        raise InputError(
            f"{few} to fill {work.parts[active[part]]} without taking a class out of another; ask "
            "for fewer parts",
            file=work.table.name,
        )
    return active[place]


def _made(work: Task) -> Assignment:
    """Return the assignment that the rows' places make, without remarks."""
    cells = np.full(len(work.table), OUTSIDE, object)
    cells[work.index] = np.array(work.parts, object)[work.place]
    shown = [i for i, name in enumerate(work.parts) if name != OUTSIDE and (work.place == i).any()]
    return Assignment(
        work.unit,
        [work.parts[part] for part in shown],
        work.classes,
        cells.tolist(),
        work.totals()[:, shown],
        work.members().sum(axis=0)[shown],
    )


def _check_held_out(work: Task, member: Bools, torn: Bools) -> None:
    """Raise :class:`InputError` for a group with rows held out and others kept elsewhere."""
    for row in np.flatnonzero(work.held_out & torn[work.group])[:1]:
        group = work.group[row]
        kept = [part for part, there in zip(work.parts, member[group], strict=True) if there]
        raise work.table.error(
            int(work.index[row]),
            work.unit.column or "path",
            f"{work.groups[group]!r} is held out for test, and --keep has rows of it in {kept[0]}",
        )
