"""Predictions → scores, with scikit-learn.

What holds for every score:

- Images without a label are left out and counted.
- An abstention (no confident prediction) is a wrong answer for accuracy and sensitivity and a
  prediction of no class: it is no false positive of any, and an answer of its own for the Matthews
  correlation. AUROC, log loss, Brier score and calibration error are of the probabilities, which
  an abstained image has too.
- What is not defined is None: sensitivity, F1 and AUROC of a class without an image, specificity
  and AUROC where there is no other class, precision of a class that is never predicted, the
  Matthews correlation where truth or answers are of one class only.
- Macro means are over the classes that occur in the truth. A class that occurs and is never
  predicted counts there with precision 0, so that nothing is gained by never predicting it.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics as sklearn_metrics

from leukctl import catalog, statistics
from leukctl.predictions import Predictions

Value = float | None


def document(
    predictions: Predictions, seed: int = 0, resamples: int = statistics.RESAMPLES
) -> dict[str, Any]:
    """Return the content of ``metrics.json``: the scores of every split with 95 % intervals.

    ``splits`` is empty when no image has a label. Subjects are resampled for the intervals, images
    where there are no subjects; each split says which in ``unit``.
    """
    return {
        "schema": catalog.METRICS_SCHEMA,
        "bootstrap": {
            "level": statistics.LEVEL,
            "method": "percentile",
            "resamples": resamples,
            "seed": seed,
        },
        "subjects_in_several_splits": subjects_in_several_splits(predictions),
        "splits": {
            split or catalog.UNSPLIT: _with_intervals(predictions.of_split(split), seed, resamples)
            for split in predictions.splits()
        },
    }


def score(predictions: Predictions) -> dict[str, Any]:
    """Return the scores of all labelled rows, None where undefined.

    The keys are those of :data:`leukctl.catalog.METRICS`, and ``selective_accuracy`` (of the
    answered images), ``n``, ``n_unlabelled``, ``n_subjects``, ``classes``, ``confusion`` (K lists
    of K counts: rows are the truth, columns the answers, abstentions in neither) and ``per_class``
    (class → precision, sensitivity, specificity, f1, auroc, n).
    """
    known = labelled(predictions)
    per_class = _per_class(known)
    counts = confusion(known)
    return {
        **_overall(known, per_class, counts),
        "per_class": {
            name: {key: values[place] for key, values in per_class.items()}
            for place, name in enumerate(known.classes)
        },
        "classes": list(known.classes),
        "confusion": counts.tolist(),
        "n": len(known),
        "n_unlabelled": len(predictions) - len(known),
        "n_subjects": statistics.units_of(known).subjects,
    }


def labelled(predictions: Predictions) -> Predictions:
    """Return the rows that have a label."""
    return predictions.select(np.flatnonzero(predictions.labels >= 0))


def confusion(predictions: Predictions) -> NDArray[np.int64]:
    """Return the counts of truth by answer of labelled rows, int64 (K, K), without abstentions."""
    counts = np.zeros((len(predictions.classes),) * 2, np.int64)
    answered = predictions.predicted >= 0
    np.add.at(counts, (predictions.labels[answered], predictions.predicted[answered]), 1)
    return counts


def roc(predictions: Predictions) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return the one-vs-rest ROC curve of each class that has one: false, true positive rates."""
    known = labelled(predictions)
    curves = {}
    for place, name in enumerate(known.classes):
        mine = known.labels == place
        if 0 < mine.sum() < len(known):
            false, true, _ = sklearn_metrics.roc_curve(mine, known.probabilities[:, place])
            curves[name] = (false, true)
    return curves


def subjects_in_several_splits(predictions: Predictions) -> int:
    """Return how many subjects have images in more than one split."""
    splits: dict[tuple[str, str], set[str]] = {}
    columns = (predictions.identity[name] for name in ("source", "subject", "split"))
    for source, subject, split in zip(*columns, strict=True):
        if subject and split:
            splits.setdefault((source, subject), set()).add(split)
    return sum(len(found) > 1 for found in splits.values())


def _overall(
    known: Predictions, per_class: dict[str, list[Any]], counts: NDArray[np.int64]
) -> dict[str, Value]:
    if not len(known):
        return dict.fromkeys([*catalog.METRICS, "selective_accuracy"])
    present = [place for place, n in enumerate(per_class["n"]) if n]
    sizes = np.array([per_class["n"][place] for place in present])
    f1 = [per_class["f1"][place] for place in present]
    log_loss, brier = statistics.losses(known)
    answered = known.predicted >= 0
    sensitivity = _mean(per_class["sensitivity"], present)
    return {
        "accuracy": float(sklearn_metrics.accuracy_score(known.labels, known.predicted)),
        "balanced_accuracy": sensitivity,
        "precision_macro": _mean([p or 0.0 for p in per_class["precision"]], present),
        "sensitivity_macro": sensitivity,
        "specificity_macro": _mean(per_class["specificity"], present),
        "f1_macro": _mean(per_class["f1"], present),
        "f1_weighted": float(np.average(f1, weights=sizes)),
        "mcc": _mcc(known),
        "auroc_macro": _mean(per_class["auroc"], present),
        "log_loss": float(log_loss.mean()),
        "brier": float(brier.mean()),
        "ece": statistics.calibration_error(known),
        "coverage": float(answered.mean()),
        "selective_accuracy": float(counts.trace() / counts.sum()) if answered.any() else None,
    }


def _per_class(known: Predictions) -> dict[str, list[Any]]:
    places = list(range(len(known.classes)))
    if not len(known):
        undefined = {name: [None] * len(places) for name in catalog.PER_CLASS_METRICS}
        return {**undefined, "n": [0] * len(places)}
    precision, sensitivity, f1, sizes = sklearn_metrics.precision_recall_fscore_support(
        known.labels, known.predicted, labels=places, average=None, zero_division=np.nan
    )
    f1[sizes == 0] = np.nan
    return {
        "precision": _defined(precision),
        "sensitivity": _defined(sensitivity),
        "specificity": _defined([_specificity(known, place) for place in places]),
        "f1": _defined(f1),
        "auroc": _defined([_auroc(known, place) for place in places]),
        "n": [int(size) for size in sizes],
    }


def _specificity(known: Predictions, place: int) -> float:
    others = known.labels != place
    return float((known.predicted[others] != place).mean()) if others.any() else np.nan


def _auroc(known: Predictions, place: int) -> float:
    mine = known.labels == place
    if not 0 < mine.sum() < len(known):
        return float("nan")
    return float(sklearn_metrics.roc_auc_score(mine, known.probabilities[:, place]))


def _mcc(known: Predictions) -> Value:
    if len(set(known.labels.tolist())) < 2 or len(set(known.predicted.tolist())) < 2:
        return None
    return float(sklearn_metrics.matthews_corrcoef(known.labels, known.predicted))


def _mean(values: list[Value], present: list[int]) -> Value:
    defined = [value for place in present if (value := values[place]) is not None]
    return float(np.mean(defined)) if defined else None


def _defined(values: Any) -> list[Value]:
    return [None if np.isnan(value) else float(value) for value in values]


def _with_intervals(predictions: Predictions, seed: int, resamples: int) -> dict[str, Any]:
    known = labelled(predictions)
    units = statistics.units_of(known)
    scores = score(predictions)
    # One unit says nothing of how units differ.
    resampled = statistics.bootstrap(known, seed, resamples) if units.count > 1 else None
    for name in (*catalog.METRICS, "selective_accuracy"):
        draws = resampled.overall[name] if resampled else None
        scores[name] = _with_interval(scores[name], draws)
    for place, name in enumerate(known.classes):
        for metric in catalog.PER_CLASS_METRICS:
            draws = resampled.per_class[metric][:, place] if resampled else None
            scores["per_class"][name][metric] = _with_interval(
                scores["per_class"][name][metric], draws
            )
    return {**scores, "unit": units.kind, "n_units": units.count}


def _with_interval(value: Value, draws: NDArray[np.float64] | None) -> dict[str, Any]:
    known = statistics.interval(draws) if value is not None and draws is not None else None
    return {"value": value, "ci95": known}
