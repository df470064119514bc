"""Groups given out to parts so that every part gets its share of every class.

Greedy passes give each group, the larger first, to the part that it brings nearest to its share of
every class. Of a small set's passes the best is taken.
"""

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_MOST_TRIES = 32
_EFFORT = 20_000  # groups given out in all tries together; large sets need one
_DISORDER = 0.3
_WEIGHT_OF_SIZE = 0.1


def assign_groups(counts: Ints, shares: Floats, seed: int) -> Ints:
    """Return the part of each group, int64 (groups,).

    Args:
        counts: int64 (groups, classes), rows of each class; at least one in each group.
        shares: float64 (parts,), above zero and summing to 1.
        seed: of the orders in which the groups are given out.

    What is kept small is Pearson's chi-squared distance from the wished counts, so that a rare
    class counts as much as a common one, and large and small groups go to every part alike.
    """
    rng = np.random.default_rng(seed)
    # All rows count as one more class, a light one: it decides where the classes leave a choice.
    present = counts.any(axis=0)
    counts = np.hstack([counts[:, present], counts.sum(axis=1, keepdims=True)])
    tries = min(_MOST_TRIES, 1 + _EFFORT // len(counts))
    drawn = [_place(counts, shares, rng) for _ in range(tries)]
    _, place = min(drawn, key=lambda item: item[0])
    _fill_gaps(counts, shares, place)
    return place


def _weights(wished: Floats) -> Floats:
    """Return what a squared distance from ``wished`` costs."""
    weights = 1 / wished
    weights[:, -1] *= _WEIGHT_OF_SIZE
    return weights


def _place(counts: Ints, shares: Floats, rng: np.random.Generator) -> tuple[float, Ints]:
    """Return one assignment, and what it costs."""
    sizes = counts[:, -1]
    # The largest first, about: strictly so, every seed would give the same.
    order = np.argsort(-sizes * np.exp(_DISORDER * rng.standard_normal(len(sizes))), kind="stable")
    single = sizes[order] == 1
    wished = shares[:, None] * counts.sum(axis=0)
    lacking = wished.copy()
    place = np.full(len(counts), -1, np.int64)
    _place_large(order[~single], counts, lacking, place)
    _place_single(order[single], counts, lacking, place)
    return float((lacking**2 * _weights(wished)).sum()), place


def _place_large(order: Ints, counts: Ints, lacking: Floats, place: Ints) -> None:
    """Give each group to the part that it brings nearest to its wish; updates the last two."""
    missing = lacking.tolist()
    weights = _weights(lacking).tolist()
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
    for c in range(counts.shape[1] - 1):
        chosen = order[klass == c]
        take = _fill_up(len(chosen), lacking[:, c], lacking[:, -1])
        place[chosen] = np.repeat(np.arange(len(lacking)), take)
        lacking[:, [c, -1]] -= take[:, None]


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
    weights = _weights(wished)
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
            change = moved * (2 * excess[part] + moved) * weights[part]
            change -= moved * (2 * excess[giver] - moved) * weights[giver]
            best = candidates[change.sum(axis=1).argmin()]
            have[place[best]] -= present[best]
            totals[place[best]] -= counts[best]
            have[part] += present[best]
            totals[part] += counts[best]
            place[best] = part
