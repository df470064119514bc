import numpy as np
import pytest
from fakes import few, many
from scipy import stats
from sklearn.metrics import average_precision_score, cohen_kappa_score, f1_score, roc_auc_score

from leukctl import catalog, metrics, statistics
from leukctl.statistics.units import leaving_out


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
        average = average_precision_score(
            rows.labels == 1, rows.probabilities[:, 1], sample_weight=weights
        )
        assert resampled.per_class["average_precision"][place, 1] == pytest.approx(average)
        kappa = cohen_kappa_score(rows.labels, rows.predicted, sample_weight=weights)
        assert resampled.overall["kappa"][place] == pytest.approx(kappa)


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


@pytest.mark.parametrize("subjects", [0, 20])
def test_the_jackknife_leaves_out_each_unit_in_turn(subjects):
    rows = many(60, subjects=subjects, threshold=0.4)
    units = statistics.units_of(rows)
    found = statistics.jackknife(rows)
    assert len(found.overall["mcc"]) == units.count
    for unit in range(units.count):
        rest = metrics.score(rows.select(np.flatnonzero(units.index != unit)))
        for name in catalog.METRICS:
            assert found.overall[name][unit] == pytest.approx(rest[name], abs=1e-12), name


def test_the_jackknife_of_many_units_leaves_out_blocks_that_are_all_of_them_together():
    weights = np.concatenate(list(leaving_out(5001, 5001)))
    assert weights.shape == (2000, 5001)
    np.testing.assert_array_equal((weights == 0).sum(axis=0), 1)


@pytest.mark.parametrize("decimals", [0, 9])
def test_bca_is_that_of_scipy_on_the_same_resamples(decimals):
    values = np.random.default_rng(0).exponential(size=25).round(decimals)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=2000, method="BCa", rng=np.random.default_rng(1)
    )
    left_out = np.array([np.delete(values, i).mean() for i in range(25)])
    found = statistics.bca(float(values.mean()), theirs.bootstrap_distribution, left_out)
    assert found == pytest.approx([*theirs.confidence_interval])
    assert found != statistics.interval(theirs.bootstrap_distribution)


def test_bca_of_metrics_is_of_their_resamples_and_their_jackknife():
    rows = many(70, seed=3)
    scores = metrics.document(rows, 0, 300, "bca")["splits"]["test"]
    drawn, left_out = statistics.bootstrap(rows, 0, 300), statistics.jackknife(rows)
    value = metrics.score(rows)["auroc_macro"]
    expected = statistics.bca(value, drawn.overall["auroc_macro"], left_out.overall["auroc_macro"])
    assert scores["auroc_macro"] == {"value": value, "ci95": expected}
    assert expected != statistics.interval(drawn.overall["auroc_macro"])


def test_bca_without_a_measure_of_bias_is_none_and_of_what_never_changes_a_point():
    assert statistics.bca(2.0, np.linspace(0, 1, 50), np.linspace(0, 1, 9)) is None
    assert statistics.bca(1.0, np.ones(50), np.ones(9)) == [1, 1]


@pytest.mark.parametrize(("right", "total"), [(0, 7), (7, 7), (81, 263), (1, 1)])
def test_wilson_is_that_of_scipy(right, total):
    expected = stats.binomtest(right, total).proportion_ci(method="wilson")
    found = statistics.wilson(right, total)
    assert found == pytest.approx([expected.low, expected.high], abs=1e-12)
    assert statistics.wilson(0, 0) is None


def test_wilson_is_of_every_metric_that_is_a_proportion():
    rows = many(200, threshold=0.5)
    scores = metrics.document(rows, 0, 50, "wilson")["splits"]["test"]
    right = int((rows.labels == rows.predicted).sum())
    answered = int((rows.predicted >= 0).sum())
    mine, taken = rows.labels == 0, rows.predicted == 0
    entries = scores["per_class"]["ALL"]
    for entry, successes, total in (
        (scores["accuracy"], right, 200),
        (scores["coverage"], answered, 200),
        (scores["selective_accuracy"], right, answered),
        (entries["precision"], (mine & taken).sum(), taken.sum()),
        (entries["sensitivity"], (mine & taken).sum(), mine.sum()),
        (entries["specificity"], (~mine & ~taken).sum(), (~mine).sum()),
        (entries["ovr_accuracy"], (mine == taken).sum(), 200),
    ):
        ends = stats.binomtest(int(successes), int(total)).proportion_ci(method="wilson")
        assert entry["value"] == pytest.approx(successes / total)
        assert entry["ci95"] == pytest.approx([ends.low, ends.high])
    drawn = metrics.document(rows, 0, 50)["splits"]["test"]
    assert scores["f1_macro"] == drawn["f1_macro"]
    assert drawn["accuracy"] != scores["accuracy"]


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
