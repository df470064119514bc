"""Tests of two models on the same images, against scipy and cases worked by hand."""

import numpy as np
import pytest
from fakes import many
from scipy import stats
from sklearn.metrics import roc_auc_score

from leukctl import metrics, statistics
from leukctl.statistics import Difference


def _right(both, one, other, neither):
    first = [True] * both + [True] * one + [False] * other + [False] * neither
    second = [True] * both + [False] * one + [True] * other + [False] * neither
    return np.array(first), np.array(second)


@pytest.mark.parametrize(("one", "other"), [(0, 5), (3, 9), (7, 7), (25, 47), (400, 450)])
def test_mcnemar_of_few_images_is_the_binomial_test(one, other):
    found = statistics.mcnemar(*_right(100, one, other, 30))
    assert (found.only_first, found.only_second, found.method) == (one, other, "exact")
    assert found.p == pytest.approx(stats.binomtest(one, one + other).pvalue)


def test_mcnemar_of_many_images_is_chi_squared_and_near_the_exact_one():
    found = statistics.mcnemar(*_right(10, 600, 690, 10))
    assert found.method == "chi-squared"
    assert found.p == pytest.approx(stats.chi2.sf((90 - 1) ** 2 / 1290, 1))
    assert found.p == pytest.approx(stats.binomtest(600, 1290).pvalue, rel=0.01)


def test_mcnemar_of_models_that_are_right_alike_tells_nothing():
    assert statistics.mcnemar(*_right(5, 0, 0, 5)).p == 1


def test_delong_of_a_case_worked_by_hand():
    # AUROC 3/4: the positives stand above 2 and 1 of two negatives, the negatives below 1 and 2 of
    # two positives, so that both variances are 1/8; of the second model, AUROC 1, they are 0.
    positive = np.array([True, True, False, False])
    first, second = np.array([0.9, 0.4, 0.5, 0.1]), np.array([0.9, 0.8, 0.5, 0.1])
    found = statistics.delong(positive, first, second)
    assert (found.first, found.second, found.value) == (0.75, 1, 0.25)
    error = np.sqrt(1 / 8 / 2 + 1 / 8 / 2)
    assert found.p == pytest.approx(2 * stats.norm.sf(0.25 / error))
    assert found.ci95 == pytest.approx([0.25 - 1.959964 * error, 0.25 + 1.959964 * error])


def test_delong_is_that_of_its_definition_with_ties():
    random = np.random.default_rng(3)
    positive = random.random(60) < 0.4
    scores = [np.round(random.normal(size=60) + positive * skill, 1) for skill in (0.5, 1.5)]
    kernels = [
        (s[positive][:, None] > s[~positive]) + 0.5 * (s[positive][:, None] == s[~positive])
        for s in scores
    ]
    m, n = kernels[0].shape
    of_positives = np.cov([k.mean(axis=1) for k in kernels])
    of_negatives = np.cov([k.mean(axis=0) for k in kernels])
    covariance = of_positives / m + of_negatives / n
    error = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    found = statistics.delong(positive, *scores)
    assert found.first == pytest.approx(roc_auc_score(positive, scores[0]))
    assert found.second == pytest.approx(roc_auc_score(positive, scores[1]))
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(found.value) / error))


def test_delong_tells_where_it_has_no_test():
    one, scores = np.array([True, False, False]), np.array([0.9, 0.1, 0.2])
    assert statistics.delong(one, scores, scores) == Difference(1, 1, None, None)
    assert statistics.delong(one | True, scores, scores) == Difference(None, None, None, None)
    two = np.array([True, True, False, False])
    perfect = np.array([0.9, 0.8, 0.2, 0.1])
    assert statistics.delong(two, perfect, perfect).p == 1
    assert statistics.delong(two, perfect, 1 - perfect) == Difference(1, 0, None, None)


def test_holm_of_a_case_worked_by_hand():
    # sorted 0.01, 0.02, 0.03, 0.04: times 4, 3, 2, 1 is 0.04, 0.06, 0.06, 0.04, never falling
    found = statistics.holm([0.04, 0.01, None, 0.03, 0.02])
    assert [found[1], found[4], found[3], found[0]] == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert found[2] is None
    assert statistics.holm([0.7, 0.6]) == [1, 1]
    assert statistics.holm([]) == []


def test_the_paired_bootstrap_of_an_accuracy_agrees_with_the_paired_test_of_means():
    first, second = many(400, seed=1), many(400, seed=2, skill=1.9)
    second.identity["label"] = first.identity["label"]
    shift = second.labels[:, None] == np.arange(3)
    second.probabilities = np.where(shift, 0.5, 0.25)
    second.predicted = np.where(np.arange(400) % 4, second.labels, (second.labels + 1) % 3)
    drawn = [statistics.bootstrap(rows, 0, 4000).overall["accuracy"] for rows in (first, second)]
    values = [metrics.score(rows)["accuracy"] for rows in (first, second)]
    found = statistics.bootstrapped(*values, (drawn[0], drawn[1]))
    away = (second.predicted == second.labels) * 1.0 - (first.predicted == first.labels)
    half = 1.96 * away.std() / 20
    assert found.value == pytest.approx(away.mean())
    assert found.ci95 == pytest.approx([away.mean() - half, away.mean() + half], abs=0.15 * half)
    assert found.p == pytest.approx(stats.ttest_1samp(away, 0).pvalue, abs=0.04)


def test_a_model_against_itself_differs_in_nothing():
    drawn = statistics.bootstrap(many(), 0, 200).overall["mcc"]
    assert statistics.bootstrapped(0.5, 0.5, (drawn, drawn)) == Difference(0.5, 0.5, [0, 0], 1)


def test_where_a_metric_is_undefined_there_is_no_test():
    drawn = np.full(100, np.nan)
    assert statistics.bootstrapped(None, 0.5, (drawn, drawn)).p is None
    assert statistics.bootstrapped(0.4, 0.5, (drawn, drawn)) == Difference(0.4, 0.5, None, None)
    p = statistics.bootstrapped(0.0, 0.5, (np.zeros(99), np.full(99, 0.5))).p
    assert p == pytest.approx(2 / 100)
