"""What a finished run says about itself: predictions, metrics and figures in its folder."""

from pathlib import Path
from typing import Any

from leukctl import files, metrics, predictions, runs, tables
from leukctl.predictions import Predictions
from leukctl.reporting import figures
from leukctl.tables import Table


def write(answers: Predictions, folder: Path, history: Table | None, seed: int) -> dict[str, Any]:
    """Write predictions.csv, metrics.json and the figures; return the metrics.

    Args:
        answers: for every image that has a split.
        history: of the epochs, None where there were none.
        seed: of the intervals' bootstrap.
    """
    document = metrics.document(answers, seed)
    tables.write_path(predictions.to_table(answers), folder / runs.PREDICTIONS)
    files.write_json(folder / runs.METRICS, document)
    # The last word is test's, or of what there is of it.
    shown = next(split for split in ("test", "val", "train") if split in document["splits"])
    title = f"{answers.name}, {shown}"
    matrix = document["splits"][shown]["confusion"]
    figures.confusion(matrix, answers.classes, folder / "confusion.png", title)
    figures.roc(answers.of_split(shown), folder / "roc.png", title)
    if history is not None:
        tables.write_path(history, folder / runs.HISTORY)
        figures.curves(history, folder / "curves.png")
    return document


def collapsed(answers: Predictions) -> str | None:
    """Return the class that is the answer to every val image of several classes, or None."""
    val = answers.of_split("val")
    given, true = set(val.predicted.tolist()), set(val.labels.tolist())
    return answers.classes[given.pop()] if len(given) == 1 and len(true) > 1 else None


def gap(document: dict[str, Any]) -> float | None:
    """Return by how much macro F1 is higher on train than on val, None where one is missing.

    Args:
        document: of metrics.json, where every image counts once and as it is.
    """
    splits = document["splits"]
    if not {"train", "val"} <= splits.keys():
        return None
    train, val = (splits[name]["f1_macro"]["value"] for name in ("train", "val"))
    return None if train is None or val is None else train - val
