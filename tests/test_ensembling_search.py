"""What a search chooses, and that it chooses on val alone."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from ensembles import made, model, relabelled, three

from leukctl import ensembling, metrics
from leukctl.ensembling import (
    Plan,
    searching,
    weight_sets,
)
from leukctl.errors import InputError, UsageError

SEARCH = {
    "sets": weight_sets.grid(3, 0.25),
    "thresholds": (None, 0.5, 0.7),
}


@pytest.mark.parametrize("metric", ["f1_macro", "accuracy", "selective_accuracy", "log_loss"])
@pytest.mark.parametrize("method", ["weighted", "vote"])
@pytest.mark.parametrize("split", ["test", "train"])
def test_labels_beside_val_change_no_choice(metric: str, method: str, split: str) -> None:
    plan = Plan(method, metric=metric, **SEARCH)  # type: ignore[arg-type]
    before = ensembling.make(three(), plan)
    after = ensembling.make(relabelled(three(), split), plan)
    assert before.search is not None
    assert after.search is not None
    assert before.search.chosen == after.search.chosen
    table = searching.to_table(before.search)
    assert table.rows == searching.to_table(after.search).rows
    np.testing.assert_array_equal(before.predictions.probabilities, after.predictions.probabilities)
    np.testing.assert_array_equal(before.predictions.predicted, after.predictions.predicted)


def test_labels_of_test_change_nothing_that_is_fitted_and_those_of_val_do() -> None:
    before = made(three(), "stack").probabilities
    np.testing.assert_array_equal(before, made(relabelled(three(), "test"), "stack").probabilities)
    assert not np.array_equal(before, made(relabelled(three(), "val"), "stack").probabilities)


def test_the_probabilities_of_test_change_no_choice() -> None:
    plan = Plan("weighted", **SEARCH)  # type: ignore[arg-type]
    before = ensembling.make(three(), plan).search
    models = three()
    rows = np.array(models[0].identity["split"]) != "val"
    for one in models:
        one.probabilities[rows] = np.roll(one.probabilities[rows], 1, axis=1)
        one.predicted[rows] = one.probabilities[rows].argmax(axis=1)
    after = ensembling.make(models, plan).search
    assert before is not None
    assert after is not None
    assert searching.to_table(before).rows == searching.to_table(after).rows


@pytest.mark.parametrize("metric", searching.METRICS)
@pytest.mark.parametrize("below", ["abstain", "next", "class:AML"])
def test_a_setting_is_scored_as_the_project_scores_it(metric: str, below: str) -> None:
    models = three()
    found = ensembling.make(models, Plan("weighted", below=below, metric=metric, **SEARCH)).search  # type: ignore[arg-type]
    assert found is not None
    for place in (0, 4, 11, 44):
        setting = found.settings[place]
        mixed = made(models, "weighted", setting.weights, (setting.threshold,), below)
        expected = metrics.score(mixed.of_split("val"))[metric]
        assert found.scores[metric][place] == pytest.approx(
            np.nan if expected is None else expected, nan_ok=True
        )


def test_a_search_finds_the_model_that_is_right() -> None:
    models = three()
    labels = models[0].labels
    sure = np.full((300, 3), 0.05)
    sure[np.arange(300), labels] = 0.9
    models[1] = replace(models[1], probabilities=sure, predicted=labels)
    plan = Plan("weighted", sets=weight_sets.grid(3, 0.5), metric="log_loss")
    assert ensembling.make(models, plan).weights == [0.0, 1.0, 0.0]


def test_ties_go_to_coverage_then_to_equal_weights_then_to_the_lower_threshold() -> None:
    rows = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]
    models = [model("one", rows), model("two", rows)]
    cells = models[0].identity | {"label": ["a", "b", "a"], "split": ["val"] * 3}
    models = [replace(one, identity=cells) for one in models]
    plan = Plan(
        "weighted",
        sets=[(1.0, 0.0), (0.3, 0.7), (0.5, 0.5), (2.0, 2.0)],
        thresholds=(0.7, 0.55, 0.5),
        metric="selective_accuracy",
    )
    found = ensembling.make(models, plan).search
    assert found is not None
    order = [(found.settings[i].weights, found.settings[i].threshold) for i in found.order]
    even, odd, one, double = (0.5, 0.5), (0.3, 0.7), (1.0, 0.0), (2.0, 2.0)
    assert order == [
        *[(even, 0.5), (double, 0.5), (even, 0.55), (double, 0.55)],
        *[(odd, 0.5), (odd, 0.55), (one, 0.5), (one, 0.55)],
        *[(even, 0.7), (double, 0.7), (odd, 0.7), (one, 0.7)],
    ]


def test_a_setting_that_covers_too_little_is_not_chosen() -> None:
    plan = Plan("weighted", metric="selective_accuracy", min_coverage=0.9, **SEARCH)  # type: ignore[arg-type]
    found = ensembling.make(three(), plan).search
    assert found is not None
    best = found.order[0]
    assert found.scores["coverage"][best] >= 0.9
    covering = found.scores["coverage"] >= 0.9
    assert (
        found.scores["selective_accuracy"][best]
        == found.scores["selective_accuracy"][covering].max()
    )
    assert (
        found.scores["selective_accuracy"][~covering].max()
        > found.scores["selective_accuracy"][best]
    )


def test_a_search_that_can_choose_nothing_says_why() -> None:
    sets = weight_sets.grid(3, 0.5)
    with pytest.raises(UsageError, match=r"no setting covers more than 0\.\d{4} of val"):
        made(three(), "weighted", sets=sets, thresholds=(0.95,), min_coverage=0.9)
    with pytest.raises(UsageError, match="selective_accuracy is not defined on val"):
        made(three(), "weighted", sets=sets, thresholds=(1.0,), metric="selective_accuracy")
    with pytest.raises(UsageError, match="one of accuracy, balanced_accuracy"):
        made(three(), "weighted", sets=sets, metric="acc")
    for plan in (Plan("weighted", sets=sets), Plan("stack")):
        with pytest.raises(InputError, match="no labeled row of split val"):
            ensembling.make(three(splits=("train", "test")), plan)


def test_a_grid_is_every_way_to_cut_one_into_steps() -> None:
    assert weight_sets.grid(2, 0.25) == [(0, 1), (0.25, 0.75), (0.5, 0.5), (0.75, 0.25), (1, 0)]
    sets = weight_sets.grid(3, 0.1)
    assert len(sets) == len(set(sets)) == 66
    assert all(abs(sum(weights) - 1) < 1e-12 and min(weights) >= 0 for weights in sets)
    assert {weight for weights in sets for weight in weights} == {i / 10 for i in range(11)}
    assert all(a < b for a, b in pairwise(sets))


@pytest.mark.parametrize(
    ("text", "count", "said"),
    [
        ("patel2025", 3, "are of 2 models, here are 3"),
        ("grid:0.3", 2, "a step that divides 1"),
        ("grid:0", 2, "a step that divides 1"),
        ("grid:nan", 2, "a step that divides 1"),
        ("grid:-0.1", 2, "a step that divides 1"),
        ("grid:x", 2, "grid:STEP, patel2025"),
        ("grid:0.01", 5, "weight sets of 5 models, more than 100000"),
        ("0.5,0.5 0.7", 2, "--search: 0.7: 1 weights for 2 models"),
        ("0.5,0.5 0,0", 2, "--search: 0,0: weights must be"),
        ("half", 2, "grid:STEP, patel2025"),
        (" ", 2, "no weight sets"),
    ],
)
def test_weight_sets_that_are_none_are_refused(text: str, count: int, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        weight_sets.named(text, count)
    assert said in str(caught.value)


def test_the_sets_of_the_paper_are_those_it_names() -> None:
    assert weight_sets.named("patel2025", 2) == [
        *[(0.5, 0.5), (0.6, 0.4), (0.4, 0.6), (0.3, 0.7), (0.7, 0.3)]
    ]
    assert weight_sets.named("0.5,0.5  7,3 0.5,0.5", 2) == [(0.5, 0.5), (7, 3)]
