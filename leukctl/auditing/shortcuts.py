"""How well the label can be told without the cells.

A classifier learns the label from features that no cell has a part in (the background's colors,
facts of the file, the source), and from the whole image's colors without any shape. What it reaches
on groups that it has not seen, a model may reach too without having learned anything of cells.

Measured on the 1,200 public images of the PBC set (eight classes, chance 0.125, no subjects known):
the colors of the background reach 0.31 [0.29, 0.34] (0.35 if all that is no cell were taken, which
tells the cell's size), those of the whole image, cells included, 0.79 [0.77, 0.81], facts of the
file 0.13. On 800 drawn images of four classes and 80 subjects, where light and stain tell nothing
of the class, background and file reach 0.22 and 0.25 (chance 0.25).
"""

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leukctl import catalog, statistics
from leukctl.auditing.shortcut_words import By, Verdict, Words
from leukctl.splits.greedy import assign_groups

FOLDS = 5
TREES = 50

_ABOVE, _FAR = 0.1, 0.5  # of the way from chance to 1
_MOST_SOURCES = 100  # told apart; rarer ones are taken together

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bits = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Shortcut:
    """How well one kind of features tells the class.

    Attributes:
        name: of :data:`leukctl.catalog.SHORTCUTS`.
        value: balanced accuracy in [0, 1] on unseen groups; None where not assessed.
        ci95: its 95 % interval, by a bootstrap over groups of the answers given.
        chance: 1 / classes; None where there are none.
        n, n_groups: images and groups that it was measured on.
        by: what a group is.
        verdict: see :func:`verdict`, and "not assessed".
        sentence: all of it in plain words.
    """

    name: str
    value: float | None
    ci95: list[float] | None
    chance: float | None
    n: int
    n_groups: int
    by: By
    verdict: Verdict
    sentence: str


def assess(
    features: Mapping[str, NDArray[np.floating[Any]]],
    labels: Sequence[str],
    groups: Sequence[str],
    sources: Sequence[str],
    seed: int,
    by: By = "group",
) -> list[Shortcut]:
    """Return how well each kind of features, and the source, tells the class.

    The classifier averages the probabilities of a logistic regression on standardized features and
    of extremely randomized trees, every class weighing the same. It answers for each of five folds
    having learned from the others; a group is in one fold.

    Left out, and named in the sentence, are images with a feature that is not finite, and classes
    of one group alone, which cannot be both learned and tested. A class of fewer groups than folds
    is tested in as many folds as it has groups. Where nothing differs between the images the value
    is chance; where there are not two classes to tell apart there is none. Images without a label
    are not looked at. The source is not assessed where none is named; otherwise an image without
    one is of a source of its own kind.

    Args:
        features: kind → float (N, D).
        labels, groups, sources: of the N images; an image of an empty group is a group of its own.
        seed: of folds, trees and intervals.
        by: what the groups are, for the sentences.
    """
    rows = [row for row, label in enumerate(labels) if label]
    label = [labels[row] for row in rows]
    group = _codes([(1, groups[row]) if groups[row] else (0, str(row)) for row in rows])
    kinds = {name: np.asarray(values, np.float64)[rows] for name, values in features.items()}
    kinds["source"] = _of_sources([sources[row] for row in rows])
    return [
        _shortcut(name, _Task.of(kinds[name], label, group), seed, by)
        for name in catalog.SHORTCUTS
        if name in kinds
    ]


def verdict(low: float, chance: float) -> Verdict:
    """Return the verdict on an interval that begins at ``low``.

    What counts is how much of the way from chance to 1 it has gone: far above chance is a half or
    more, above chance a tenth or more. Of 450 drawn sets without any shortcut (60 or 200 images, or
    12 subjects of 20 images) 2 % were judged above chance, one of them far above.
    """
    gone = (low - chance) / (1 - chance)
    return "far above chance" if gone >= _FAR else "above chance" if gone >= _ABOVE else "at chance"


def to_document(shortcuts: Sequence[Shortcut]) -> list[dict[str, Any]]:
    """Return the shortcuts as the audit's JSON holds them."""
    return [
        {
            "name": found.name,
            "balanced_accuracy": {"value": found.value, "ci95": found.ci95},
            "chance": found.chance,
            "n": found.n,
            "n_groups": found.n_groups,
            "by": found.by,
            "verdict": found.verdict,
            "sentence": found.sentence,
        }
        for found in shortcuts
    ]


@dataclass(slots=True)
class _Task:
    """What is learned.

    Attributes:
        values: float64 (N, D).
        label, group: of every image, int64 (N,).
        classes: at least two groups each.
        groups: how many.
        missing: images left out, for want of features.
        lonely: classes left out, of one group alone.
    """

    values: Floats
    label: Ints
    group: Ints
    classes: list[str]
    groups: int
    missing: int
    lonely: list[str]

    @classmethod
    def of(cls, values: Floats, labels: Sequence[str], group: Ints) -> "_Task":
        usable = np.isfinite(values).all(axis=1)
        met = {(labels[row], int(group[row])) for row in np.flatnonzero(usable).tolist()}
        groups_of = Counter(name for name, _ in met)
        classes = sorted(name for name, count in groups_of.items() if count > 1)
        place = {name: index for index, name in enumerate(classes)}
        label = np.array([place.get(name, -1) for name in labels], np.int64)
        kept = usable & (label >= 0)
        names, renumbered = np.unique(group[kept], return_inverse=True)
        lonely = sorted(name for name, count in groups_of.items() if count == 1)
        missing = int((~usable).sum())
        return cls(values[kept], label[kept], renumbered, classes, len(names), missing, lonely)

    def counts(self, chosen: Bits | slice = slice(None)) -> Ints:
        """Return how many of the chosen images each group has of each class, (groups, classes)."""
        table = np.zeros((self.groups, len(self.classes)), np.int64)
        np.add.at(table, (self.group[chosen], self.label[chosen]), 1)
        return table


def _shortcut(name: str, task: _Task, seed: int, by: By) -> Shortcut:
    words = Words(name, by, task.missing, task.lonely)
    size = (len(task.label), task.groups, by)
    chance = 1 / len(task.classes) if task.classes else None
    if chance is None or len(task.classes) < 2:
        said = words.unable(len(task.classes))
        return Shortcut(name, None, None, chance, *size, "not assessed", said)
    if not np.ptp(task.values, axis=0).any():
        return Shortcut(
            name, chance, [chance, chance], chance, *size, "at chance", words.constant()
        )
    value, ci95 = _balanced_accuracy(task, _answers(task, seed) == task.label, seed)
    judged = verdict(ci95[0], chance)
    said = words.told(judged, value, ci95, chance)
    return Shortcut(name, value, ci95, chance, *size, judged, said)


def _answers(task: _Task, seed: int) -> Ints:
    """Return the class that each image is taken for by a classifier that has not seen its group."""
    folds = min(FOLDS, task.groups)
    fold = assign_groups(task.counts(), np.full(folds, 1 / folds), seed)[task.group]
    answers = np.empty(len(task.label), np.int64)
    for part in np.unique(fold):
        train, test = fold != part, fold == part
        learned = _fit(task.values[train], task.label[train], seed)
        answers[test] = learned.predict(task.values[test])
    return answers


def _fit(values: Floats, label: Ints, seed: int) -> Any:
    # Late: there may be nothing to fit.
    from sklearn.dummy import DummyClassifier
    from sklearn.ensemble import ExtraTreesClassifier, VotingClassifier
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if (label == label[0]).all():
        return DummyClassifier().fit(values, label)
    line = LogisticRegression(max_iter=300, class_weight="balanced")
    # In one thread: sums of votes that come in any order may differ in their last bit.
    trees = ExtraTreesClassifier(
        TREES, min_samples_leaf=5, class_weight="balanced", random_state=seed
    )
    both = VotingClassifier(
        [("line", make_pipeline(StandardScaler(), line)), ("trees", trees)], voting="soft"
    )
    with warnings.catch_warnings():
        # What a fit reaches that could go further can be reached all the same.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return both.fit(values, label)


def _balanced_accuracy(task: _Task, right: Bits, seed: int) -> tuple[float, list[float]]:
    """Return the mean recall of the classes, and its interval."""
    truth, hits = task.counts(), task.counts(right)
    value = float((hits.sum(axis=0) / truth.sum(axis=0)).mean())
    drawn = [
        _mean_recall(weights @ truth, weights @ hits)
        for weights in statistics.draws(task.groups, statistics.RESAMPLES, seed, 0)
    ]
    return value, statistics.interval(np.concatenate(drawn)) or [value, value]


def _mean_recall(truth: Floats, hits: Floats) -> Floats:
    """Return the mean over the classes that a resample has, (R,)."""
    present = truth > 0
    recall = np.divide(hits, truth, out=np.zeros_like(hits), where=present)
    return recall.sum(axis=1) / present.sum(axis=1)


def _of_sources(sources: Sequence[str]) -> Floats:
    """Return 0 and 1 for every source, (N, D); NaN where none is named."""
    if not any(sources):
        return np.full((len(sources), 1), np.nan)
    told_apart = sorted(name for name, _ in Counter(sources).most_common(_MOST_SOURCES))
    codes = np.array([told_apart.index(name) if name in told_apart else -1 for name in sources])
    return (codes[:, None] == np.arange(-1, len(told_apart))).astype(np.float64)


def _codes(names: Sequence[Any]) -> Ints:
    """Return the place of each name among the sorted names, int64 (N,)."""
    place = {name: index for index, name in enumerate(sorted(set(names)))}
    return np.array([place[name] for name in names], np.int64)
