"""What a training leaves behind beside its weights: answers for every split, and its history."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from leukctl import inference, manifest, predictions, runs
from leukctl.errors import InputError
from leukctl.inference import NetworkPredictor
from leukctl.predictions import Predictions
from leukctl.tables import Table
from leukctl.tensors import Reader
from leukctl.training.state import Epoch

HISTORY = (
    *("epoch", "stage", "learning_rate"),
    *("train_loss", "train_accuracy", "train_f1_macro"),
    *("val_loss", "val_accuracy", "val_f1_macro"),
)


def evaluate(
    model: NetworkPredictor,
    table: Table,
    read: Reader,
    root: Path | None,
    batch_size: int,
    on_progress: Callable[[int], None],
) -> Predictions:
    """Return the predictions for every image of the manifest that has a split, each once.

    Raises :class:`InputError` for an image that cannot be read.
    """
    chosen = manifest.with_split(table)
    paths = manifest.image_paths(chosen, root)
    rows = []
    for path, answer in inference.predict(model, paths, read, batch_size, on_progress):
        if not isinstance(answer, np.ndarray):
            raise InputError(str(answer), file=path)
        rows.append(answer)
    return predictions.make(model.run.name, model.run.classes, chosen, np.stack(rows))


def history(epochs: list[Epoch]) -> Table:
    """Return the epochs as the table of history.csv."""
    rows = []
    for epoch in epochs:
        scores = [
            repr(split[name])
            for split in (epoch.train, epoch.val)
            for name in ("loss", "accuracy", "f1_macro")
        ]
        rows.append([str(epoch.epoch), epoch.stage, repr(epoch.learning_rate), *scores])
    return Table(runs.HISTORY, list(HISTORY), rows)
