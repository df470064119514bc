"""Splits and folds that keep what belongs together in one part, with even class proportions.

Rows become groups (a subject, or the copies of one image), groups become integer class counts, and
greedy passes give each group, the larger first, to the part that it brings nearest to its share of
every class. Of a small set's passes the best is taken.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from leukctl import catalog
from leukctl.errors import InputError, UsageError
from leukctl.tables import Table

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_MOST_TRIES = 32
_EFFORT = 20_000  # groups given out in all tries together; large sets need one
_DISORDER = 0.3


@dataclass(slots=True)
class Assignment:
    """Where every row of a table goes.

    Attributes:
        parts: the names of the splits or folds.
        classes: the labels, sorted.
        unit: what was kept together, ``subject`` or ``image``.
        cells: the part of each row, "" for rows that take no part.
        counts: int64 (classes, parts), rows.
        groups: int64 (parts,), subjects or distinct images.
        warnings: what is not as one would wish, a sentence each.
    """

    parts: list[str]
    classes: list[str]
    unit: str
    cells: list[str]
    counts: Ints
    groups: Ints
    warnings: list[str] = field(default_factory=list)


def parse_ratios(text: str) -> list[float]:
    """Return the shares of train, val and test; of two numbers, of train and test.

    Raises :class:`UsageError` unless they are numbers of zero or more that sum to 100, train's
    and at least one other above zero.
    """
    try:
        ratios = [float(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--ratios {text!r}: not numbers such as 80,10,10") from None
    if len(ratios) not in (2, 3):
        raise UsageError(f"--ratios {text!r}: give train,val,test or train,test")
    if not all(0 <= ratio <= 100 for ratio in ratios):
        raise UsageError(f"--ratios {text!r}: each is a share from 0 to 100")
    if abs(sum(ratios) - 100) > 1e-6:
        raise UsageError(f"--ratios {text!r}: they sum to {sum(ratios):g}, not to 100")
    if ratios[0] == 0 or max(ratios) == 100:
        raise UsageError(f"--ratios {text!r}: train and one other need a share")
    return [ratios[0], 0.0, ratios[1]] if len(ratios) == 2 else ratios


def by_ratios(table: Table, ratios: Sequence[float], unit: str, seed: int) -> Assignment:
    """Assign the labelled rows to train, val and test, ``ratios`` in percent.

    Raises :class:`InputError` where there are no labels, or too few groups for the splits.
    """
    used = [index for index, label in enumerate(table.column("label")) if label]
    parts = [name for name, ratio in zip(catalog.SPLITS, ratios, strict=True) if ratio > 0]
    shares = np.array([ratio for ratio in ratios if ratio > 0]) / 100
    return _assign(table, used, parts, shares, unit, seed)


def by_folds(table: Table, folds: int, unit: str, seed: int) -> Assignment:
    """Assign the labelled rows to ``folds`` folds; rows of the split test stay outside.

    Raises :class:`InputError` where there are no labels, or fewer groups than folds.
    """
    rows = zip(table.column("label"), table.column("split", ""), strict=True)
    used = [index for index, (label, split) in enumerate(rows) if label and split != "test"]
    shares = np.full(folds, 1 / folds)
    return _assign(table, used, [str(fold) for fold in range(folds)], shares, unit, seed)


def _assign(
    table: Table, used: list[int], parts: list[str], shares: Floats, unit: str, seed: int
) -> Assignment:
    if not used:
        raise InputError(
            "no row has a label, and without labels there is nothing to split",
            file=table.name,
            column="label",
        )
    unit = choose_unit(table, used) if unit == "auto" else unit
    names, row_group = _codes(UNITS[unit](table, used))
    labels = table.column("label")
    classes, row_class = _codes([labels[index] for index in used])
    if len(names) < len(parts):
        raise InputError(
            f"{len(names)} {_PLURALS[unit]} for {len(parts)} parts: too few", file=table.name
        )
    counts = np.zeros((len(names), len(classes)), np.int64)
    np.add.at(counts, (row_group, row_class), 1)
    place = assign_groups(counts, shares, seed)
    cells = [""] * len(table)
    for index, part in zip(used, place[row_group].tolist(), strict=True):
        cells[index] = parts[part]
    totals = np.zeros((len(parts), len(classes)), np.int64)
    np.add.at(totals, place, counts)
    return Assignment(
        parts,
        classes,
        unit,
        cells,
        totals.T,
        np.bincount(place, minlength=len(parts)),
        _warnings(counts, totals, classes, parts, unit),
    )


def _codes(values: list[str]) -> tuple[list[str], Ints]:
    """Return the sorted distinct values and the place of each value among them."""
    names = sorted(set(values))
    place = {name: code for code, name in enumerate(names)}
    return names, np.fromiter((place[value] for value in values), np.int64, len(values))


def choose_unit(table: Table, used: Sequence[int]) -> str:
    """Return ``subject`` when every row of ``used`` has one, else ``image``."""
    subjects = table.column("subject", "")
    return "subject" if all(subjects[index] for index in used) else "image"


def _subjects(table: Table, used: Sequence[int]) -> list[str]:
    subjects = table.column("subject")
    for index in used:
        if not subjects[index]:
            raise table.error(
                index, "subject", "empty, and --by subject needs it on every row that has a label"
            )
    return [subjects[index] for index in used]


def _images(table: Table, used: Sequence[int]) -> list[str]:
    """Return the SHA-256 of each row, its path where there is none."""
    paths = table.column("path")
    digests = table.column("sha256", "")
    return [digests[index].lower() or paths[index] for index in used]


UNITS: dict[str, Callable[[Table, Sequence[int]], list[str]]] = {
    "subject": _subjects,
    "image": _images,
}
_PLURALS = {"subject": "subjects", "image": "distinct images"}


def assign_groups(counts: Ints, shares: Floats, seed: int) -> Ints:
    """Return the part of each group, int64 (groups,).

    Args:
        counts: int64 (groups, classes), rows of each class.
        shares: float64 (parts,), summing to 1.
        seed: of the orders in which the groups are given out.

    What is kept small is Pearson's chi-squared distance from the wished counts, so that a rare
    class counts as much as a common one, and large and small groups go to every part alike.
    """
    rng = np.random.default_rng(seed)
    tries = min(_MOST_TRIES, 1 + _EFFORT // len(counts))
    drawn = [_place(counts, shares, rng) for _ in range(tries)]
    _, place = min(drawn, key=lambda item: item[0])
    _fill_gaps(counts, shares, place)
    return place


def _place(counts: Ints, shares: Floats, rng: np.random.Generator) -> tuple[float, Ints]:
    """Return one assignment, and its chi-squared distance from the wished counts."""
    sizes = counts.sum(axis=1)
    # The largest first, about: strictly so, every seed would give the same.
    order = np.argsort(-sizes * np.exp(_DISORDER * rng.standard_normal(len(sizes))), kind="stable")
    single = sizes[order] == 1
    wished = shares[:, None] * counts.sum(axis=0)
    lacking = wished.copy()
    place = np.full(len(counts), -1, np.int64)
    _place_large(order[~single], counts, lacking, place)
    _place_single(order[single], counts, lacking, place)
    return float((lacking**2 / wished).sum()), place


def _place_large(order: Ints, counts: Ints, lacking: Floats, place: Ints) -> None:
    """Give each group to the part that it brings nearest to its wish; updates the last two."""
    missing = lacking.tolist()
    weights = (1 / lacking).tolist()
    for group, row in zip(order.tolist(), counts[order].tolist(), strict=True):
        entries = [(c, n) for c, n in enumerate(row) if n]
        costs = [
            sum(n * (n - 2 * lack[c]) * weight[c] for c, n in entries)
            for lack, weight in zip(missing, weights, strict=True)
        ]
        best = costs.index(min(costs))
        place[group] = best
        for c, n in entries:
            missing[best][c] -= n
    lacking[:] = missing


def _place_single(order: Ints, counts: Ints, lacking: Floats, place: Ints) -> None:
    """Fill up every class with the groups of one row, as many as each part lacks."""
    klass = counts[order].argmax(axis=1)
    for c in range(counts.shape[1]):
        chosen = order[klass == c]
        take = _fill_up(len(chosen), lacking[:, c], lacking.sum(axis=1))
        place[chosen] = np.repeat(np.arange(len(lacking)), take)
        lacking[:, c] -= take


def _fill_up(number: int, lacking: Floats, overall: Floats) -> Ints:
    """Share ``number`` out so that what is still lacking is as even as can be, in whole numbers."""
    level = 0.0
    ordered = np.sort(lacking)[::-1]
    for filled in range(1, len(ordered) + 1):
        level = (ordered[:filled].sum() - number) / filled
        if filled == len(ordered) or level >= ordered[filled]:
            break
    wish = np.clip(lacking - level, 0, None)
    take = np.floor(wish + 1e-9).astype(np.int64)
    # Between equal remainders the part wins that lacks more of all classes together.
    remainders = zip(np.round(take - wish, 9).tolist(), (-overall).tolist(), strict=True)
    ranking = sorted(enumerate(remainders), key=lambda item: item[1])
    for part, _ in ranking[: number - int(take.sum())]:
        take[part] += 1
    return take


def _fill_gaps(counts: Ints, shares: Floats, place: Ints) -> None:
    """Move a group into each part that lacks a class, where the class has groups enough.

    A class of fewer groups than parts goes into the first, then the last: train, then test.
    """
    present = counts > 0
    have = np.zeros((len(shares), counts.shape[1]), np.int64)
    np.add.at(have, place, present)
    totals = np.zeros_like(have)
    np.add.at(totals, place, counts)
    wished = shares[:, None] * counts.sum(axis=0)
    for c in np.argsort(present.sum(axis=0), kind="stable").tolist():
        urgent = [0, *range(len(shares) - 1, 0, -1)][: int(present[:, c].sum())]
        for part in (part for part in urgent if not have[part, c]):
            # A part gives only what it has twice, so that no new gap opens.
            spare = (have[place] >= 2) | ~present
            candidates = np.flatnonzero(present[:, c] & spare.all(axis=1))
            if not len(candidates):
                continue
            moved, giver = counts[candidates], place[candidates]
            excess = totals - wished
            change = moved * (2 * excess[part] + moved) / wished[part]
            change -= moved * (2 * excess[giver] - moved) / wished[giver]
            best = candidates[change.sum(axis=1).argmin()]
            have[place[best]] -= present[best]
            totals[place[best]] -= counts[best]
            have[part] += present[best]
            totals[part] += counts[best]
            place[best] = part


def _warnings(
    counts: Ints, totals: Ints, classes: list[str], parts: list[str], unit: str
) -> list[str]:
    groups = (counts > 0).sum(axis=0)
    found = []
    for c, name in enumerate(classes):
        empty = [
            part for part, total in zip(parts, totals[:, c].tolist(), strict=True) if not total
        ]
        if empty:
            found.append(
                f"class {name!r} has {groups[c]} {_PLURALS[unit]} for {len(parts)} parts: none in "
                + ", ".join(empty)
            )
    return found


def crossing_files(table: Table, cells: Sequence[str]) -> int:
    """Return how many files (by SHA-256) stand in more than one part."""
    first: dict[str, str] = {}
    crossing = set()
    for digest, part in zip(table.column("sha256", ""), cells, strict=True):
        if digest and part and first.setdefault(digest, part) != part:
            crossing.add(digest)
    return len(crossing)
