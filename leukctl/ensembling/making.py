"""A plan of an ensemble, and the ensemble that it comes to."""

from collections.abc import Sequence
from dataclasses import dataclass

from leukctl.ensembling import mixing, searching, stacking
from leukctl.ensembling.mixing import Mix, Mixture
from leukctl.ensembling.searching import Progress, Search
from leukctl.ensembling.stacking import Stack
from leukctl.ensembling.weight_sets import PATEL2025_THRESHOLDS, Weights
from leukctl.errors import UsageError
from leukctl.predictions import Predictions

NAME = "ensemble"

# The methods that weights tell all of; stack is the other one.
MIXES: dict[str, Mix] = {
    "mean": mixing.weighted,
    "weighted": mixing.weighted,
    "vote": mixing.votes,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for.

    Attributes:
        method: of :data:`leukctl.catalog.ENSEMBLES`.
        weights: one a model, None for equal or for a search.
        thresholds: one without a search; None is none.
        below: of :func:`leukctl.ensembling.mixing.below_of`.
        sets: the weight sets of a search, None for no search.
        metric, min_coverage: of the search.
        fit_on: of :data:`leukctl.ensembling.stacking.FIT_ON`.
    """

    method: str
    weights: Sequence[float] | None = None
    thresholds: Sequence[float | None] = (None,)
    below: str = "abstain"
    sets: Sequence[Weights] | None = None
    metric: str = "f1_macro"
    min_coverage: float = 0.0
    fit_on: str = "val"


@dataclass(slots=True)
class Made:
    """An ensemble and how it came about.

    Attributes:
        predictions: of every image.
        mixture: what they are made of, before the threshold.
        weights: None for a stack.
        search, stack: where there was one.
    """

    predictions: Predictions
    mixture: Mixture
    weights: Sequence[float] | None
    threshold: float | None
    search: Search | None = None
    stack: Stack | None = None


def make(
    models: Sequence[Predictions], plan: Plan, on_progress: Progress = lambda done: None
) -> Made:
    """Return the ensemble of ``models``, which stand on the same images.

    A search or a fit reads the rows it may read and no others; what it chose is then applied to
    all rows, once.

    Raises :class:`UsageError` for weights, thresholds or metrics that are none, and
    :class:`leukctl.errors.InputError` where there are no rows to choose or fit on.
    """
    below = mixing.below_of(plan.below, models[0].classes)
    for threshold in plan.thresholds:
        mixing.check_threshold(threshold)
    weights = mixing.shares(plan.weights, len(models))
    threshold = plan.thresholds[0]
    if plan.method == "stack":
        stack = stacking.FIT_ON[plan.fit_on](models)
        answers = _answers(models[0], stack.mixture, threshold, below)
        return Made(answers, stack.mixture, None, threshold, stack=stack)
    mix, search = MIXES[plan.method], None
    if plan.sets is not None:
        if plan.metric not in searching.METRICS:
            raise UsageError(f"--metric {plan.metric!r}: one of {', '.join(searching.METRICS)}")
        search = searching.search(
            models,
            plan.sets,
            plan.thresholds,
            plan.metric,
            mix=mix,
            below=below,
            min_coverage=plan.min_coverage,
            on_progress=on_progress,
        )
        weights, threshold = list(search.chosen.weights), search.chosen.threshold
    mixture = mix(weights, models)
    answers = _answers(models[0], mixture, threshold, below)
    return Made(answers, mixture, weights, threshold, search)


def _answers(
    first: Predictions, mixture: Mixture, threshold: float | None, below: int
) -> Predictions:
    answers = mixture.answers(threshold, below)
    return Predictions(NAME, first.classes, first.identity, mixture.probabilities, answers)


def default_thresholds(search: str | None) -> tuple[float | None, ...]:
    """Return the thresholds that go without saying."""
    return PATEL2025_THRESHOLDS if search == "patel2025" else (None,)
