"""Areas under curves for many weightings of the images at once, from weighted ranks."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leukctl.predictions import Predictions
from leukctl.statistics.units import Units

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(slots=True)
class Ranks:
    """Where the scores of one class's images stand among those of the others.

    Attributes:
        units: of the class's images in the order of their scores, int64 (P,).
        first: the place of the first image of the class with an equal score, int64 (P,).
        between: the units of the other images by the steps of their scores that the class's images
            tell apart, scipy's sparse counts (steps, units).
        below, upto: how many steps are of smaller, or no larger, scores than each of P.
    """

    units: Places
    first: Places
    between: Any
    below: Places
    upto: Places

    @classmethod
    def of(cls, predictions: Predictions, place: int, units: Units) -> "Ranks":
        """Return the ranks of the class at ``place`` among labelled rows."""
        from scipy import sparse  # late: who only draws or bins needs no scipy

        scores, mine = predictions.probabilities[:, place], predictions.labels == place
        positives = np.flatnonzero(mine)
        positives = positives[np.argsort(scores[positives], kind="stable")]
        negatives = np.flatnonzero(~mine)
        own, others = scores[positives], np.sort(scores[negatives])
        below = np.searchsorted(others, own, "left")
        upto = np.searchsorted(others, own, "right")
        cuts = np.unique(np.concatenate([below, upto, [0, len(others)]]))
        rank = np.argsort(np.argsort(scores[negatives], kind="stable"), kind="stable")
        step = np.searchsorted(cuts, rank, "right") - 1
        counts = sparse.coo_array(
            (np.ones(len(negatives)), (step, units.index[negatives])),
            shape=(max(len(cuts) - 1, 0), units.count),
        )
        return cls(
            units.index[positives],
            np.searchsorted(own, own, "left"),
            counts.tocsr(),
            np.searchsorted(cuts, below),
            np.searchsorted(cuts, upto),
        )

    def areas(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return the area under the ROC curve and the average precision, (R,) each.

        Both are those of scikit-learn with the weights as ``sample_weight``; NaN without images of
        the class or of another.

        Args:
            weights: of the units, (units, R), each row's numbers beside each other in memory.
        """
        lost = _cumulated(self.between @ weights)
        mine = weights[self.units]
        won = _cumulated(mine)
        positive, negative = won[-1], lost[-1]
        below = lost[self.below]
        ranked = np.einsum("pr,pr->r", mine, below + lost[self.upto]) / 2
        true = positive - won[self.first]
        answered = true + (negative - below)
        precision = np.divide(true, answered, out=true, where=answered > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            auroc = ranked / (positive * negative)
            average = np.einsum("pr,pr->r", mine, precision) / positive
        return auroc, np.where(negative > 0, average, np.nan)


def _cumulated(values: Floats) -> Floats:
    """Return the running sums down the rows, with a row of zeros before them."""
    sums = np.zeros((len(values) + 1, values.shape[1]))
    np.cumsum(values, axis=0, out=sums[1:])
    return sums
