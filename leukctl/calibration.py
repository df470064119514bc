"""One temperature for the probabilities of a run, fitted on its val rows.

A calibrated answer is softmax(log p / T). The likeliest class stays the likeliest at every T, so
accuracy and F1 do not change; confidence does. Source: Guo et al., ICML 2017.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leukctl import files, runs, statistics
from leukctl.errors import InputError, LeukctlError
from leukctl.predictions import Predictions
from leukctl.runs import Run

SCHEMA = 1
KIND = "calibration"
LEAST, MOST = 0.05, 20.0  # what lies outside is no calibration but a model that went wrong
FEWEST = 10  # labeled val images that a temperature can be fitted on
FEW = 100  # below, it is uncertain, and said to be

Floats = NDArray[np.float64]


class CalibrationError(LeukctlError):
    """Predictions that no temperature can be fitted on; the run itself is as good as before."""


@dataclass(frozen=True, slots=True)
class Quality:
    """What can be said of the probabilities of one split.

    Attributes:
        n: labeled images.
        ece_before, ece_after: expected calibration error over 15 equal bins.
        log_loss_before, log_loss_after: in nats.
    """

    n: int
    ece_before: float
    ece_after: float
    log_loss_before: float
    log_loss_after: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """The content of ``calibration.json``.

    Attributes:
        temperature: that probabilities are scaled with, in [0.05, 20].
        fitted_on: val images that it was fitted on.
        left_out: labeled val images whose class had a probability of 0.
        splits: val, and test where the run has one, which the fit never looks at.
        files: the SHA-256 of each file of weights, as in ``run.json``.
    """

    temperature: float
    fitted_on: int
    left_out: int
    splits: dict[str, Quality]
    files: dict[str, str]


def scaled(probabilities: Floats, temperature: float) -> Floats:
    """Return softmax(log p / T), float64 (N, K), each row summing to 1; 0 stays 0.

    The likeliest class of each row is the same as before, the first of several equals too.
    """
    with np.errstate(divide="ignore"):
        logs = np.log(np.asarray(probabilities, np.float64)) / temperature
    powers = np.exp(logs - logs.max(axis=1, keepdims=True))
    result = powers / powers.sum(axis=1, keepdims=True)
    rows, likeliest = np.arange(len(result)), np.argmax(probabilities, axis=1)
    # Two that differed in their last bit can come out equal, and the first would be the answer.
    tied = result.argmax(axis=1) != likeliest
    result[rows[tied], likeliest[tied]] = np.nextafter(result[rows[tied], likeliest[tied]], 2.0)
    return np.asarray(result)


def temperature(probabilities: Floats, labels: NDArray[np.int64]) -> float:
    """Return the T in [0.05, 20] at which the mean log loss of softmax(log p / T) is least.

    The loss is convex in 1/T, so its slope has one root, which is searched for between the bounds.

    Args:
        probabilities: (N, K), rows summing to 1; none is 0 at its label.
        labels: (N,), the index of each true class.

    Raises :class:`CalibrationError` where the root is not within the bounds: where every answer
    is right, say, a smaller T is always better, and where answers tell nothing of the truth a
    larger one is.
    """
    from scipy.optimize import brentq  # late: a report without a fit need not wait for it

    with np.errstate(divide="ignore"):
        logs = np.log(np.asarray(probabilities, np.float64))
    own = logs[np.arange(len(labels)), labels]
    finite = np.where(np.isfinite(logs), logs, 0.0)  # where the weight below is 0

    def slope(inverse: float) -> float:
        """Return the derivative of the mean loss by 1/T: the expected log p less that of truth."""
        return float(((scaled(probabilities, 1 / inverse) * finite).sum(axis=1) - own).mean())

    if slope(1 / LEAST) <= 0:
        raise CalibrationError(
            f"no temperature from {LEAST:g} up fits: the answers for val are right and would only "
            "have to be surer; more val images, or harder ones, may bound it"
        )
    if slope(1 / MOST) >= 0:
        raise CalibrationError(
            f"no temperature up to {MOST:g} fits: the answers for val tell nothing of the truth"
        )
    return 1 / float(brentq(slope, 1 / MOST, 1 / LEAST, xtol=1e-14, rtol=1e-14))


def fit(answers: Predictions, weights: Mapping[str, str]) -> Calibration:
    """Return the temperature that the labeled val rows of ``answers`` ask for.

    Args:
        answers: of a run, for val and for what else there is.
        weights: the SHA-256 of each file that the model is in.

    Raises :class:`CalibrationError` where there are fewer than 10 labeled val images or these are
    of one class, where every answer is certain (a probability of 1 is one at every temperature),
    and for what :func:`temperature` refuses.
    """
    val = _labeled(answers, "val")
    if len(val) < FEWEST:
        raise CalibrationError(
            f"{len(val)} labeled val images, and a temperature needs {FEWEST} at least"
        )
    if len(set(val.labels.tolist())) < 2:
        raise CalibrationError("the val images are of one class, which tells of no other")
    # At a true class of probability 0 the loss is infinite whatever the temperature.
    possible = val.probabilities[np.arange(len(val)), val.labels] > 0
    used = val.select(np.flatnonzero(possible))
    if not ((used.probabilities > 0).sum(axis=1) > 1).any():
        raise CalibrationError(
            "every answer for val is certain, and no temperature changes a probability of 1"
        )
    found = temperature(used.probabilities, used.labels)
    splits = {
        split: _quality(known, found)
        for split in ("val", "test")
        if len(known := _labeled(answers, split))
    }
    return Calibration(found, len(used), len(val) - len(used), splits, dict(weights))


def _labeled(answers: Predictions, split: str) -> Predictions:
    chosen = answers.of_split(split)
    return chosen.select(np.flatnonzero(chosen.labels >= 0))


def _quality(known: Predictions, found: float) -> Quality:
    after = replace(known, probabilities=scaled(known.probabilities, found))
    return Quality(
        len(known),
        statistics.calibration_error(known),
        statistics.calibration_error(after),
        float(statistics.losses(known)[0].mean()),
        float(statistics.losses(after)[0].mean()),
    )


def fit_run(folder: Path) -> Calibration:
    """Fit a temperature on the predictions that the run in ``folder`` left; write nothing.

    Raises :class:`CalibrationError`, naming the folder, where none can be fitted, and
    :class:`InputError` for what is no run of one model.
    """
    if runs.is_folds(folder) and not runs.is_run(folder):
        raise InputError(
            "a cross-validation has no model of its own to calibrate; name its folds "
            f"({folder / 'fold-0'} …)",
            file=folder,
        )
    run = runs.read(folder)
    answers = runs.read_predictions(folder)
    if answers.classes != run.classes:
        raise InputError(f"its classes are not those of {runs.RUN}", file=folder / runs.PREDICTIONS)
    try:
        return fit(answers, run.files)
    except CalibrationError as error:
        raise CalibrationError(f"{folder}: {error}") from None


def write(calibration: Calibration, folder: Path) -> None:
    """Write ``calibration.json`` into a run folder."""
    content = {"schema": SCHEMA, "kind": KIND, **asdict(calibration)}
    files.write_json(folder / runs.CALIBRATION, content)


def read(run: Run) -> Calibration:
    """Return the calibration of a run.

    Raises :class:`InputError`, naming what fits one, where there is none, where it is damaged, of
    another schema, or fitted for other weights than the run has.
    """
    path = run.folder / runs.CALIBRATION
    anew = f"leukctl report {run.folder} --calibrate fits one"
    if not path.exists():
        raise InputError(f"no {runs.CALIBRATION} in it; {anew}", file=run.folder)
    content = files.read_json(path)
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise InputError(f"no calibration; {anew}", file=path)
    if content.get("schema") != SCHEMA:
        raise InputError(
            f"schema {content.get('schema')!r}, where this leukctl reads {SCHEMA}; {anew}",
            file=path,
        )
    try:
        found = _checked(content)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise InputError(f"damaged ({error}); {anew}", file=path) from None
    if found.files != run.files:
        raise InputError(f"fitted for other weights than the run has; {anew}", file=path)
    return found


def holds(run: Run) -> bool:
    """Tell whether a run has a calibration that fits its weights."""
    try:
        read(run)
    except InputError:
        return False
    return True


def _checked(content: Mapping[str, Any]) -> Calibration:
    found = Calibration(
        content["temperature"],
        content["fitted_on"],
        content["left_out"],
        {str(split): Quality(**quality) for split, quality in content["splits"].items()},
        dict(content["files"]),
    )
    figures: Sequence[Any] = [
        figure for quality in found.splits.values() for figure in asdict(quality).values()
    ]
    for value in (found.temperature, found.fitted_on, found.left_out, *figures):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(f"{value!r} is no number")
        if not math.isfinite(value):
            raise ValueError(f"{value!r} is not finite")
    if not LEAST <= found.temperature <= MOST:
        raise ValueError(f"a temperature of {found.temperature}")
    return found
