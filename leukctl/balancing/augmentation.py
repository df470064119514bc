"""Offline augmentation: new train images made of those that are there (Muduli et al. 2025)."""

import hashlib
import itertools
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from leukctl.balancing import targets, work
from leukctl.balancing.requests import Augmentation, Made, Request
from leukctl.balancing.rows import Members, drawn, groups, latest_copies
from leukctl.balancing.work import Copy, Family, Outcome, Recipe
from leukctl.errors import InputError, UsageError
from leukctl.preparing import naming
from leukctl.tables import Table


@dataclass(frozen=True, slots=True)
class _Task:
    """The images to make of the one in a row."""

    row: int
    family: Family


def augment(table: Table, members: Members, request: Request) -> Made:
    """Make new images for each class that has fewer train rows than asked for.

    The images of a class serve in turn, each as often as any other. A new row follows after all
    others and is its parent's but for ``path``, ``mask``, ``sha256``, ``copy`` (its number among
    those of its parent) and ``parent`` (the parent's path), so that it belongs to the parent's
    subject, group and split. An image that cannot be read is left out of the manifest, and
    others of its class serve in its place.

    Raises :class:`UsageError` where there is no folder to write to, or images of the manifest lie
    in it; :class:`InputError` for a class without an image to start from, and as
    :func:`leukctl.balancing.work.make_all` does.
    """
    if request.augmentation is None:
        raise UsageError("--method augment needs --images DIR, where the new images go")
    wish = request.augmentation
    _check_folder(table, wish)
    planner = _Planner(table, members, request, wish)
    recipe = Recipe(wish.ranges, request.seed, wish.force)
    done: list[tuple[_Task, Outcome]] = []
    rejected: dict[str, str] = {}
    # A second round is needed only where images of the first could not be read.
    while tasks := planner.next_round(rejected):
        outcomes = work.make_all([task.family for task in tasks], recipe, wish.workers)
        for task, outcome in zip(tasks, outcomes, strict=True):
            if outcome.rejected:
                rejected[planner.paths[task.row]] = outcome.rejected
            else:
                done.append((task, outcome))
                planner.count(task)
            wish.on_progress(len(outcome.sha256))
    written = sum(len(outcome.sha256) for _, outcome in done)
    skipped = sum(outcome.skipped for _, outcome in done)
    return Made(_with_new_rows(table, done, rejected, wish), written, skipped, rejected)


def _check_folder(table: Table, wish: Augmentation) -> None:
    """Raise :class:`UsageError` where images that are not augmented lie in the folder."""
    folder = os.path.join(os.path.abspath(wish.images), "")
    root = os.path.abspath(wish.root or Path())
    for path, parent in zip(table.column("path"), table.column("parent", ""), strict=True):
        if not parent and os.path.normpath(os.path.join(root, path)).startswith(folder):
            raise UsageError(
                f"--images {wish.images} holds images of the manifest ({path}); the new ones need "
                "a folder of their own"
            )


class _Planner:
    """Says which images are to be made next."""

    def __init__(
        self, table: Table, members: Members, request: Request, wish: Augmentation
    ) -> None:
        self.table = table
        self.members = members
        self.wish = wish
        self.paths = table.column("path")
        self.masks = table.column("mask", "")
        self.digests = table.column("sha256", "")
        self.labels = table.column("label")
        self.latest = latest_copies(table)
        self.made: Counter[str] = Counter()
        self.size = targets.size(request.to, {name: len(rows) for name, rows in members.items()})
        self.parents = _parents(table, members)
        self.draws = {
            label: self._draws(label, request, np.random.default_rng([request.seed, place]))
            for place, label in enumerate(members)
        }

    def _draws(self, label: str, request: Request, random: np.random.Generator) -> Iterator[int]:
        serving = groups(self.table, self.parents[label], request.even)
        whole = groups(self.table, self.members[label], request.even)
        return drawn(serving, {name: len(whole[name]) for name in serving}, random)

    def count(self, task: _Task) -> None:
        """Take note that the images of ``task`` are there."""
        self.made[self.labels[task.row]] += len(task.family.copies)

    def next_round(self, rejected: dict[str, str]) -> list[_Task]:
        """Return the tasks that would fill every class, were all images whole."""
        tasks = []
        for label, rows in self.members.items():
            there = sum(self.paths[row] not in rejected for row in rows) + self.made[label]
            if there >= self.size:
                continue
            self._check_usable(label, rejected)
            usable = (row for row in self.draws[label] if self.paths[row] not in rejected)
            times = Counter(itertools.islice(usable, self.size - there))
            tasks += [
                self._task(row, times[row]) for row in sorted(times, key=self.paths.__getitem__)
            ]
        return tasks

    def _check_usable(self, label: str, rejected: dict[str, str]) -> None:
        parents = [self.paths[row] for row in self.parents[label]]
        if not parents:
            raise InputError(
                f"class {label!r} has augmented images alone in train, and augment starts from "
                "others",
                file=self.table.name,
            )
        if all(path in rejected for path in parents):
            raise InputError(
                f"no train image of class {label!r} can be used "
                f"({parents[0]}: {rejected[parents[0]]})",
                file=self.table.name,
            )

    def _task(self, row: int, count: int) -> _Task:
        path, mask = self.paths[row], self.masks[row]
        first = self.latest[path] + 1
        self.latest[path] += count
        numbers = range(first, first + count)
        names = naming.targets([_name(path, n) for n in numbers], [self.labels[row]] * count)
        copies = tuple(
            Copy(
                number,
                naming.image_path(self.wish.images, name),
                naming.mask_path(self.wish.images, name) if mask else "",
            )
            for number, name in zip(numbers, names, strict=True)
        )
        root = self.wish.root or ""
        source, own_mask = os.path.join(root, path), os.path.join(root, mask) if mask else ""
        return _Task(row, Family(source, own_mask, self.digests[row], copies))


def _parents(table: Table, members: Members) -> Members:
    """Return the rows of each class that new images may be made of: no copies, none augmented."""
    paths, parents = table.column("path"), table.column("parent", "")
    found = {}
    for label, rows in members.items():
        first: dict[str, int] = {}
        for row in rows:
            if not parents[row]:
                first.setdefault(paths[row], row)
        found[label] = list(first.values())
    return found


def _name(path: str, number: int) -> str:
    # Part of a digest, since images of many folders may have one name.
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    return f"{PurePosixPath(path).stem}-{digest}-{number}.png"


def _with_new_rows(
    table: Table,
    done: list[tuple[_Task, Outcome]],
    rejected: dict[str, str],
    wish: Augmentation,
) -> Table:
    """Return the table without the rejected images' train rows, and with the new images' rows."""
    facts = zip(table.column("path"), table.column("split"), strict=True)
    kept = [i for i, (path, split) in enumerate(facts) if split != "train" or path not in rejected]
    made = [
        (task.row, copy, digest)
        for task, outcome in done
        for copy, digest in zip(task.family.copies, outcome.sha256, strict=True)
    ]
    old, new = table.select(kept), table.select(row for row, _, _ in made)
    images = [_as_named(copy.target, wish.root) for _, copy, _ in made]
    changed = {
        "path": old.column("path") + images,
        "sha256": old.column("sha256", "") + [digest for _, _, digest in made],
        "copy": old.column("copy", "0") + [str(copy.number) for _, copy, _ in made],
        "parent": old.column("parent", "") + new.column("path"),
    }
    if "mask" in table:
        masks = (copy.mask_target and _as_named(copy.mask_target, wish.root) for _, copy, _ in made)
        changed["mask"] = [*old.column("mask"), *masks]
    return table.select([*kept, *(row for row, _, _ in made)]).with_columns(**changed)


def _as_named(path: str, root: Path | None) -> str:
    """Return ``path`` as seen from ``root``, if it lies below it; else so that it is found."""
    if root is None:
        return path
    whole, start = os.path.abspath(path), os.path.join(os.path.abspath(root), "")
    return whole.removeprefix(start)
