"""The audit of patel2025: which images single models got wrong and the ensemble right, and back.

For one class against the rest, an image is positive by its label and by an answer. A model and the
ensemble may differ in four ways, the model's side first: ``fp→tn`` and ``fn→tp`` are corrections,
``tn→fp`` and ``tp→fn`` the opposite. An abstention is no positive answer, as in
:mod:`leukctl.metrics`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leukctl.predictions import Predictions
from leukctl.tables import Table

KINDS = ("fp→tn", "fn→tp", "tn→fp", "tp→fn")
IDENTITY = ("path", "label", "subject", "source", "split")


@dataclass(slots=True)
class Changes:
    """Where the ensemble answers otherwise than a model, for one class against the rest.

    Attributes:
        positive: the class.
        kinds: what a difference is for each image, an index of :data:`KINDS`, int64 (N,): truth
            and the ensemble's answer leave only one kind.
        differs: bool (models, N).
    """

    positive: str
    kinds: NDArray[np.int64]
    differs: NDArray[np.bool_]

    @property
    def rows(self) -> NDArray[np.int64]:
        """The images where any model differs."""
        return np.flatnonzero(self.differs.any(axis=0))

    def counts(self) -> NDArray[np.int64]:
        """Return how many images of each kind each model has, int64 (models, 4)."""
        return np.stack(
            [np.bincount(self.kinds[own], minlength=len(KINDS)) for own in self.differs]
        )


def find(
    models: Sequence[Predictions], mixed: Predictions, positives: Sequence[str]
) -> list[Changes]:
    """Return the changes of each of ``positives`` against the rest, on labeled images.

    Args:
        models, mixed: on the same images.
    """
    labels = mixed.labels
    found = []
    for name in positives:
        place = mixed.classes.index(name)
        true, said = labels == place, mixed.predicted == place
        kinds = np.select([~true & ~said, true & said, ~true & said], [0, 1, 2], 3)
        differs = np.stack([(model.predicted == place) != said for model in models])
        found.append(Changes(name, kinds, differs))
    return found


def to_table(
    changes: Sequence[Changes], models: Sequence[Predictions], mixed: Predictions
) -> Table:
    """Return a row an image and class: identity, ``positive``, ``kind``, ``models``, the answers.

    ``models`` is how many models were corrected, or are right where the ensemble is not; the answer
    of each stands in ``answer:<model>``, the ensemble's in ``ensemble``, empty where there is none.
    """
    given = [f"answer:{model.name}" for model in models]
    header = [*IDENTITY, "positive", "kind", "models", *given, "ensemble"]
    told = [_answers(one) for one in (*models, mixed)]
    rows = [
        [
            *(mixed.identity[column][row] for column in IDENTITY),
            change.positive,
            KINDS[change.kinds[row]],
            str(change.differs[:, row].sum()),
            *(answers[row] for answers in told),
        ]
        for change in changes
        for row in change.rows.tolist()
    ]
    return Table("corrections", header, rows)


def _answers(predictions: Predictions) -> list[str]:
    names = [*predictions.classes, ""]
    return [names[place] for place in predictions.predicted.tolist()]
