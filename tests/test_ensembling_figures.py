"""Diversity, coverage and risk, corrections: by hand and against scikit-learn."""

import numpy as np
import pytest
from ensembles import made, model, three
from sklearn import metrics as sklearn_metrics

from leukctl import metrics
from leukctl.ensembling import (
    corrections,
    diversity,
    mixing,
    scoring,
)


def test_diversity_by_hand() -> None:
    # Of ten images both are right on 5, both wrong on 1, one alone on 3, two alone on 1.
    truth = [0] * 10
    one = [0] * 5 + [1] + [0] * 3 + [1]
    two = [0] * 5 + [1] + [1] * 3 + [0]
    rows = [[0.5, 0.5]] * 10
    models = [model("one", rows, one), model("two", rows, two)]
    models[0].identity["label"] = ["a"] * 10
    models[1].identity["label"] = ["a"] * 10
    (pair,) = diversity.pairs(models)
    assert pair["models"] == ["one", "two"]
    assert pair["disagreement"] == pytest.approx(0.4)
    assert pair["q"] == pytest.approx((5 * 1 - 3 * 1) / (5 * 1 + 3 * 1))
    assert pair["both_wrong"] == pytest.approx(0.1)
    right = (np.array(one) == truth, np.array(two) == truth)
    assert pair["kappa"] == pytest.approx(sklearn_metrics.cohen_kappa_score(*right))


def test_kappa_is_scikit_learns() -> None:
    models = three()
    right = [one.predicted == one.labels for one in models]
    for pair, (a, b) in zip(diversity.pairs(models), [(0, 1), (0, 2), (1, 2)], strict=True):
        expected = sklearn_metrics.cohen_kappa_score(right[a], right[b])
        assert pair["kappa"] == pytest.approx(expected)
        assert pair["disagreement"] == pytest.approx(np.mean(right[a] != right[b]))


def test_diversity_of_models_that_never_err_is_undefined() -> None:
    rows = [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]
    models = [model("one", rows), model("two", rows)]
    models[0].identity["label"] = ["a", "a", "b"]
    (pair,) = diversity.pairs(models)
    assert (pair["disagreement"], pair["q"], pair["kappa"]) == (0, None, None)


def test_coverage_and_risk_by_hand() -> None:
    mixture = mixing.Mixture.of(np.array([[0.95, 0.05], [0.2, 0.8], [0.6, 0.4], [0.5, 0.5]]))
    points = diversity.coverage_risk(mixture, np.array([0, 0, 0, 1]), [0.8, 0.5, 1.0])
    assert [(p["threshold"], p["answered"], p["coverage"], p["risk"]) for p in points] == [
        (0.5, 4, 1.0, 0.5),
        (0.8, 2, 0.5, 0.5),
        (1.0, 0, 0.0, None),
    ]


def test_corrections_by_hand() -> None:
    rows = [[0.4, 0.3, 0.3]] * 5
    one = model("one", rows, [0, 1, 1, -1, 2])
    two = model("two", rows, [0, 0, 2, 0, 1])
    mixed = model("ensemble", rows, [0, 0, 1, 0, -1])
    labels = ["a", "a", "c", "a", "c"]
    mixed.identity["label"] = labels
    a, c = corrections.find([one, two], mixed, ["a", "c"])
    kinds = corrections.KINDS
    assert kinds == ("fp→tn", "fn→tp", "tn→fp", "tp→fn")
    # one: images 1 and 3 of class a are found by the ensemble alone; two: nothing changes.
    assert a.counts().tolist() == [[0, 2, 0, 0], [0, 0, 0, 0]]
    # one called image 4 c, rightly; two called image 2 c, rightly; the ensemble neither.
    assert c.counts().tolist() == [[0, 0, 0, 1], [0, 0, 0, 1]]
    table = corrections.to_table([a, c], [one, two], mixed)
    assert table.columns == [
        *("path", "label", "subject", "source", "split", "positive", "kind", "models"),
        *("answer:one", "answer:two", "ensemble"),
    ]
    assert [[*row[:2], *row[5:]] for row in table.rows] == [
        ["1.png", "a", "a", "fn→tp", "1", "b", "a", "a"],
        ["3.png", "a", "a", "fn→tp", "1", "", "a", "a"],
        ["2.png", "c", "c", "tp→fn", "1", "b", "c", "b"],
        ["4.png", "c", "c", "tp→fn", "1", "c", "b", ""],
    ]


def test_corrections_are_differences_of_confusion_matrices() -> None:
    models = three()
    mixed = made(models, "mean", None, (0.5,))
    for place, change in enumerate(corrections.find(models, mixed, mixed.classes)):
        for one, (fp_tn, fn_tp, tn_fp, tp_fn) in zip(models, change.counts(), strict=True):
            truth = one.labels == place
            before = sklearn_metrics.confusion_matrix(truth, one.predicted == place)
            after = sklearn_metrics.confusion_matrix(truth, mixed.predicted == place)
            assert before[0, 1] - after[0, 1] == fp_tn - tn_fp
            assert after[1, 1] - before[1, 1] == fn_tp - tp_fn


def test_each_model_is_scored_beside_the_ensemble() -> None:
    models = three()
    mixed = made(models, "mean", None, (0.5,))
    rows = scoring.compare(models, mixed)
    assert [row["name"] for row in rows] == ["m0", "m1", "m2", "ensemble"]
    for row, one in zip(rows, [*models, mixed], strict=True):
        expected = metrics.score(one)
        for name in scoring.SHOWN:
            assert row[name] == pytest.approx(expected[name])
        gained = np.sum(mixed.predicted == one.labels) - np.sum(one.predicted == one.labels)
        assert row["mended"] - row["spoiled"] == gained
    assert (rows[-1]["mended"], rows[-1]["spoiled"]) == (0, 0)
