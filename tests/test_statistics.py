import numpy as np
import pytest
from fakes import few, many
from sklearn.metrics import f1_score, roc_auc_score

from leukctl import catalog, metrics, statistics


def _first_draws(rows, seed, count):
    units = statistics.units_of(rows)
    weights = next(statistics.draws(units.count, count, seed, len(rows)))
    return weights[:, units.index].astype(int)


@pytest.mark.parametrize("subjects", [0, 25])
def test_a_resample_scores_what_its_repeated_images_score(subjects):
    rows = many(150, ("a", "b", "c", "d"), subjects=subjects, threshold=0.4)
    resampled = statistics.bootstrap(rows, seed=4, resamples=8)
    for place, repeats in enumerate(_first_draws(rows, 4, 8)):
        expected = metrics.score(rows.select(np.repeat(np.arange(len(rows)), repeats)))
        for name in (*catalog.METRICS, "selective_accuracy"):
            assert resampled.overall[name][place] == pytest.approx(expected[name], abs=1e-12), name
        for name in catalog.PER_CLASS_METRICS:
            for column, label in enumerate(rows.classes):
                value = resampled.per_class[name][place, column]
                assert value == pytest.approx(expected["per_class"][label][name], abs=1e-12), name


def test_a_resample_scores_what_scikit_learn_scores_with_its_weights():
    rows = many(200, ("a", "b", "c"), subjects=30)
    resampled = statistics.bootstrap(rows, seed=9, resamples=5)
    for place, weights in enumerate(_first_draws(rows, 9, 5)):
        auroc = roc_auc_score(rows.labels == 1, rows.probabilities[:, 1], sample_weight=weights)
        f1 = f1_score(rows.labels, rows.predicted, average="macro", sample_weight=weights)
        assert resampled.per_class["auroc"][place, 1] == pytest.approx(auroc)
        assert resampled.overall["f1_macro"][place] == pytest.approx(f1)


def test_resamples_that_lose_a_class_leave_its_scores_undefined():
    rows = few("abbbbbbb", "abbbbbbb", classes="ab")
    resampled = statistics.bootstrap(rows, seed=0, resamples=50)
    lost = np.array([weights[0] == 0 for weights in _first_draws(rows, 0, 50)])
    assert 0 < lost.sum() < 50
    np.testing.assert_array_equal(np.isnan(resampled.per_class["sensitivity"][:, 0]), lost)
    np.testing.assert_array_equal(resampled.overall["balanced_accuracy"], 1)


def test_repeated_images_of_a_subject_add_no_certainty():
    once = many(80)
    tenfold = once.select(np.repeat(np.arange(80), 10))
    tenfold.identity["subject"] = list(tenfold.identity["path"])
    assert statistics.units_of(tenfold).count == 80
    np.testing.assert_allclose(
        statistics.bootstrap(tenfold, 1, 100).overall["f1_macro"],
        statistics.bootstrap(once, 1, 100).overall["f1_macro"],
    )


def test_the_interval_of_an_accuracy_is_close_to_the_binomial_one():
    rows = many(1000, seed=2)
    value = metrics.score(rows)["accuracy"]
    low, high = statistics.interval(statistics.bootstrap(rows, 0, 2000).overall["accuracy"])
    half = 1.96 * np.sqrt(value * (1 - value) / 1000)
    assert (low, high) == pytest.approx((value - half, value + half), abs=0.1 * half)


def test_interval_leaves_out_undefined_resamples_and_gives_up_below_half():
    values = np.array([1.0, 2.0, 3.0, np.nan])
    assert statistics.interval(values, 0.5) == [1.5, 2.5]
    assert statistics.interval(np.array([1.0, np.nan, np.nan])) is None


def test_units_tell_equal_names_of_two_sources_apart_and_images_without_a_subject():
    rows = few("aaaa", "aaaa")
    rows.identity["subject"] = ["1", "1", "1", ""]
    rows.identity["source"] = ["x", "x", "y", ""]
    units = statistics.units_of(rows)
    assert (units.kind, units.count, units.subjects) == ("subjects", 3, 2)
    assert units.index[0] == units.index[1] != units.index[2]


def test_draws_do_not_depend_on_how_many_come_at_once():
    whole = np.concatenate(list(statistics.draws(40, 30, 7, 40)))
    parts = list(statistics.draws(40, 30, 7, 200_000))
    assert len(parts) > 1
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    np.testing.assert_array_equal(whole.sum(axis=1), 40)
