"""What training counts on the way: the scores that the finished run is told to have."""

import pytest
from fakes import few

from leukctl import metrics
from leukctl.training.loss import Tally


@pytest.mark.parametrize(
    ("labels", "answers"),
    [("aabb", "abcb"), ("aaaa", "abca"), ("abca", "aaaa"), ("abcc", "abca")],
)
def test_a_state_is_chosen_by_the_scores_that_are_reported(labels: str, answers: str) -> None:
    """A class without an image counts in neither mean, though it be an answer."""
    told = few(labels, answers)
    tally = Tally()
    for half in (slice(0, 2), slice(2, 4)):
        tally.add(0.5, told.predicted[half], told.labels[half])
    reported = metrics.score(told)
    figures = tally.figures()
    assert figures["f1_macro"] == pytest.approx(reported["f1_macro"])
    assert figures["accuracy"] == pytest.approx(reported["accuracy"])
