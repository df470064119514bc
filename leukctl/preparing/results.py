"""The rows that prep reads and writes: jobs out of a manifest, a manifest out of outcomes."""

import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from leukctl import files, tables
from leukctl.preparing import naming
from leukctl.preparing.work import Job, Outcome
from leukctl.tables import Table

_FIRST = ("path", "label", "subject", "source", "split", "fold", "mask", "sha256")
_OWN = ("prep", "prep_note", "original")
_MOST_KEPT = 20


@dataclass(frozen=True, slots=True)
class Plan:
    """What is made of each row of a manifest; rows of one image share it.

    Attributes:
        names: of each row's results, without suffix, relative to ``folder``.
        folder: where the prepared images go.
        archives: the archive of each path that lies in one.
        firsts: the first row of every name that more than one row has.
    """

    table: Table
    names: Sequence[str]
    folder: Path
    archives: Mapping[str, str]
    firsts: Mapping[str, int]

    def __len__(self) -> int:
        """Return how many images there are."""
        repeated = sum(name in self.firsts for name in self.names) if self.firsts else 0
        return len(self.names) - repeated + len(self.firsts)

    def jobs(self) -> Iterator[Job]:
        """Yield the job of every image, in the order of its first row."""
        return (self.job(i) for i in range(len(self.names)) if self.is_first(i))

    def is_first(self, index: int) -> bool:
        """Tell whether no row above is of the same image."""
        return self.firsts.get(self.names[index], index) == index

    def job(self, index: int) -> Job:
        """Return the job of a row."""
        path, mask, digest, before = (
            self.cell(index, column) for column in ("path", "mask", "sha256", "prep")
        )
        target = naming.image_path(self.folder, self.names[index])
        mask_target = naming.mask_path(self.folder, self.names[index]) if mask else ""
        return Job(path, target, mask, mask_target, digest, before, self.archives.get(path, ""))

    def source_folders(self) -> list[Path]:
        """Return the absolute folders that images and masks are read from, archives left out."""
        images = (path for path in self.table.column("path") if path not in self.archives)
        masks = (mask for mask in self.table.column("mask", "") if mask)
        folders = {os.path.dirname(path) for path in itertools.chain(images, masks)}
        return sorted({Path(folder).absolute() for folder in folders})

    def cell(self, index: int, column: str) -> str:
        """Return a cell of the table, "" where it has no such column."""
        columns = self.table.columns
        return self.table.rows[index][columns.index(column)] if column in columns else ""


@dataclass(slots=True)
class Summary:
    """How many images were prepared, and what became of them; the first rejected with reasons."""

    images: int = 0
    skipped: int = 0
    noted: int = 0
    rejected: int = 0
    reasons: list[tuple[str, str]] = field(default_factory=list)

    def add(self, job: Job, outcome: Outcome) -> None:
        """Count an image."""
        self.images += 1
        self.skipped += outcome.skipped
        self.noted += bool(outcome.note)
        self.rejected += bool(outcome.rejected)
        if outcome.rejected and len(self.reasons) < _MOST_KEPT:
            self.reasons.append((job.source, outcome.rejected))


def plan(
    table: Table,
    relative: Iterable[str],
    folder: Path,
    archives: Mapping[str, str] | None = None,
) -> Plan:
    """Return what is to be made of the rows of ``table``.

    Args:
        relative: the path of each image inside its source.

    Raises :class:`InputError` for two rows of one image that name different masks.
    """
    names = naming.targets(relative, table.column("source", ""))
    made = Plan(table, names, folder, archives or {}, _firsts(names))
    for index, name in enumerate(names if made.firsts else ()):
        if not made.is_first(index) and made.job(index) != made.job(made.firsts[name]):
            path = made.cell(index, "path")
            raise table.error(index, "mask", f"{path!r} stands above with another mask or chain")
    return made


def _firsts(names: Sequence[str]) -> dict[str, int]:
    if len(set(names)) == len(names):
        return {}
    counts = Counter(names)
    backwards = reversed(list(enumerate(names)))
    return {name: index for index, name in backwards if counts[name] > 1}


def write(
    plan: Plan,
    outcomes: Iterator[tuple[Job, Outcome]],
    manifest: IO[str],
    rejected: IO[str],
    on_done: Callable[[Summary], None] = lambda summary: None,
) -> Summary:
    """Write the manifest of the prepared images, and the table of those rejected, as they come.

    The rows not rejected stay in their order. The columns of a manifest come first, then ``prep``,
    ``prep_note`` and ``original``, then all others as they were. An image that was prepared before
    keeps its first original.

    Args:
        outcomes: the plan's jobs, each with what became of it, in their order.
        on_done: called after each image.
    """
    summary, shared = Summary(), dict[str, tuple[Job, Outcome]]()
    columns = _columns(plan.table)
    rows, refused = tables.writer(manifest), tables.writer(rejected)
    rows.writerow(columns)
    refused.writerow(["path", "reason"])
    for index, name in enumerate(plan.names):
        job, outcome = next(outcomes) if plan.is_first(index) else shared[name]
        if name in plan.firsts:
            shared[name] = job, outcome
        if plan.is_first(index):
            summary.add(job, outcome)
            on_done(summary)
            if outcome.rejected:
                refused.writerow([files.utf8(job.source), outcome.rejected])
        if not outcome.rejected:
            rows.writerow(_row(plan, index, columns, job, outcome))
    return summary


def _columns(table: Table) -> list[str]:
    there = {*table.columns, "path", "sha256", *_OWN}
    first = [name for name in (*_FIRST, *_OWN) if name in there]
    return [*first, *(name for name in table.columns if name not in first)]


def _row(plan: Plan, index: int, columns: Sequence[str], job: Job, outcome: Outcome) -> list[str]:
    own = {
        "path": job.target,
        "mask": job.mask_target,
        "sha256": outcome.sha256,
        "prep": outcome.prep,
        "prep_note": outcome.note,
        "original": (job.before and plan.cell(index, "original")) or files.utf8(job.source),
    }
    cells = dict(zip(plan.table.columns, plan.table.rows[index], strict=True)) | own
    return [cells[name] for name in columns]
