"""Scores of many sets of answers to the same images, from counts."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leukctl import statistics
from leukctl.predictions import Predictions

# Told of every model and of every setting.
SHOWN = ("coverage", "selective_accuracy", "accuracy", "balanced_accuracy", "f1_macro")


class Tally:
    """Counts of answers against the labels of N images, of which nothing else is kept."""

    def __init__(self, labels: NDArray[np.int64], classes: int) -> None:
        self._cells = labels * (classes + 1) + 1
        self._classes = classes
        self._counts: list[NDArray[np.int64]] = []

    def add(self, answers: NDArray[np.int64]) -> None:
        """Count one set of answers, int64 (N,), -1 where there is none."""
        size = (self._classes, self._classes + 1)
        counts = np.bincount(self._cells + answers, minlength=size[0] * size[1])
        self._counts.append(counts.reshape(size))

    def scores(self) -> dict[str, NDArray[np.float64]]:
        """Return metric → float64 (sets,), NaN where undefined; see :mod:`leukctl.metrics`."""
        counts = np.array(self._counts, float)
        said = counts[:, :, 1:]
        right = np.diagonal(said, axis1=1, axis2=2)
        return statistics.of_counts(counts.sum(axis=2), said.sum(axis=1), right)[0]


def compare(models: Sequence[Predictions], mixed: Predictions) -> list[dict[str, Any]]:
    """Return the scores of each model and of the ensemble, on labeled images (N >= 1).

    ``mended`` is how many images the model does not get right and the ensemble does, ``spoiled``
    how many the model alone gets right.
    """
    labels = mixed.labels
    tally = Tally(labels, len(mixed.classes))
    for one in (*models, mixed):
        tally.add(one.predicted)
    scores = tally.scores()
    right = mixed.predicted == labels
    rows = []
    for place, one in enumerate((*models, mixed)):
        own = one.predicted == labels
        values = {name: float(scores[name][place]) for name in SHOWN}
        rows.append(
            {
                "name": one.name,
                "n": len(labels),
                **{name: None if np.isnan(value) else value for name, value in values.items()},
                "mended": int((right & ~own).sum()),
                "spoiled": int((own & ~right).sum()),
            }
        )
    return rows
