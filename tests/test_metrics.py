import math

import numpy as np
import pytest
from fakes import few, many
from sklearn import metrics as oracle

from leukctl import catalog, files, metrics


def _truth_and_answers(rows):
    return rows.labels, rows.predicted


@pytest.mark.parametrize("classes", [("ALL", "healthy"), ("a", "b", "c", "d", "e")])
def test_scores_without_abstention_are_those_of_scikit_learn(classes):
    rows = many(400, classes, seed=1)
    truth, answers = _truth_and_answers(rows)
    scores = metrics.score(rows)
    macro = {"average": "macro", "zero_division": 0}
    expected = {
        "accuracy": oracle.accuracy_score(truth, answers),
        "balanced_accuracy": oracle.balanced_accuracy_score(truth, answers),
        "precision_macro": oracle.precision_score(truth, answers, **macro),
        "sensitivity_macro": oracle.recall_score(truth, answers, **macro),
        "specificity_macro": np.mean(
            [
                oracle.recall_score(truth == c, answers == c, pos_label=0)
                for c in range(len(classes))
            ]
        ),
        "f1_macro": oracle.f1_score(truth, answers, **macro),
        "f1_weighted": oracle.f1_score(truth, answers, average="weighted"),
        "mcc": oracle.matthews_corrcoef(truth, answers),
        "auroc_macro": np.mean(
            [
                oracle.roc_auc_score(truth == c, rows.probabilities[:, c])
                for c in range(len(classes))
            ]
        ),
        "log_loss": oracle.log_loss(truth, rows.probabilities),
        "coverage": 1,
        "precision_weighted": oracle.precision_score(truth, answers, average="weighted"),
        "sensitivity_weighted": oracle.recall_score(truth, answers, average="weighted"),
        "kappa": oracle.cohen_kappa_score(truth, answers),
        "average_precision_macro": oracle.average_precision_score(
            np.eye(len(classes))[truth], rows.probabilities, average="macro"
        ),
        "average_precision_weighted": oracle.average_precision_score(
            np.eye(len(classes))[truth], rows.probabilities, average="weighted"
        ),
        "auroc_weighted": oracle.roc_auc_score(
            np.eye(len(classes))[truth], rows.probabilities, average="weighted"
        ),
        "ovr_accuracy_macro": np.mean(
            [oracle.accuracy_score(truth == c, answers == c) for c in range(len(classes))]
        ),
    }
    assert {name: scores[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    assert scores["confusion"] == oracle.confusion_matrix(truth, answers).tolist()


def test_every_metric_of_the_catalog_is_scored():
    scores = metrics.score(many(50))
    assert set(catalog.METRICS) <= set(scores)
    for per_class in scores["per_class"].values():
        assert set(per_class) == {*catalog.PER_CLASS_METRICS, "n"}


def test_an_abstention_is_a_wrong_answer_and_no_prediction_of_any_class():
    # a: 2 right, 1 abstained; b: 1 right, 1 taken for a; c: 1 right
    scores = metrics.score(few("aaabbc", "aa-bac"))
    assert scores["confusion"] == [[2, 0, 0], [1, 1, 0], [0, 0, 1]]
    assert scores["accuracy"] == pytest.approx(4 / 6)
    assert scores["selective_accuracy"] == pytest.approx(4 / 5)
    assert scores["coverage"] == pytest.approx(5 / 6)
    a = scores["per_class"]["a"]
    assert a["sensitivity"] == pytest.approx(2 / 3)
    assert a["precision"] == pytest.approx(2 / 3)
    assert a["specificity"] == pytest.approx(2 / 3)  # one of three others is taken for a
    assert a["f1"] == pytest.approx(4 / 6)
    assert scores["per_class"]["c"]["precision"] == 1


def test_one_class_against_the_rest_counts_no_answer_as_right_for_the_others():
    # b's image without an answer: wrong for b, and rightly not taken for a or c
    scores = metrics.score(few("aabbcc", "aab-cb"))
    assert [scores["per_class"][name]["ovr_accuracy"] for name in "abc"] == pytest.approx(
        [1, 4 / 6, 5 / 6]
    )
    assert scores["abstained"] == [0, 1, 0]


def test_kappa_of_a_hand_worked_case_with_an_abstention():
    # right 4 of 6; by chance 2/6*2/6 + 2/6*2/6 + 2/6*1/6 = 10/36
    scores = metrics.score(few("aabbcc", "aab-cb"))
    assert scores["kappa"] == pytest.approx((24 / 36 - 10 / 36) / (1 - 10 / 36))
    assert metrics.score(few("aaa", "aaa"))["kappa"] is None


def test_weighted_means_are_over_the_classes_that_occur_by_their_sizes():
    scores = metrics.score(few("aaab", "aabc"))
    assert scores["sensitivity_weighted"] == pytest.approx(scores["accuracy"])
    # precision: a 1, b 0; the class c that does not occur is left out
    assert scores["precision_weighted"] == pytest.approx(3 / 4)
    # specificity: a 1 of 1, b 2 of 3
    assert scores["specificity_weighted"] == pytest.approx((3 * 1 + 2 / 3) / 4)


def test_reliability_has_the_confidence_and_the_share_of_right_of_every_bin():
    rows = few("abab", "aaab", [[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]], "ab")
    bins = dict(enumerate(metrics.score(rows)["reliability"]))
    assert len(bins) == 15
    filled = {place: entry for place, entry in bins.items() if entry["n"]}
    assert {place: entry["n"] for place, entry in filled.items()} == {8: 2, 13: 2}
    assert (filled[8]["confidence"], filled[8]["accuracy"]) == pytest.approx((0.6, 1))
    assert (filled[13]["confidence"], filled[13]["accuracy"]) == pytest.approx((0.9, 0.5))
    assert bins[0] == {"lo": 0, "hi": 1 / 15, "n": 0, "confidence": None, "accuracy": None}
    gaps = sum(e["n"] * abs(e["accuracy"] - e["confidence"]) for e in filled.values())
    assert metrics.score(rows)["ece"] == pytest.approx(gaps / 4)


def test_sources_and_folds_are_scored_as_if_they_stood_alone():
    rows = many(120, subjects=20)
    rows.identity["source"] = ["x" if s < "S0010" else "y" for s in rows.identity["subject"]]
    rows.identity["fold"] = [str(i % 11) for i in range(120)]
    groups = metrics.document(rows, 2, 50)["splits"]["test"]["groups"]
    assert list(groups["fold"]) == [str(fold) for fold in range(11)]
    for column in ("source", "fold"):
        for name, scores in groups[column].items():
            own = rows.select([i for i, c in enumerate(rows.identity[column]) if c == name])
            alone = metrics.document(own, 2, 50)["splits"]["test"]
            assert scores == {key: alone[key] for key in scores}


def test_one_source_or_fold_alone_is_no_group():
    rows = many(60)
    rows.identity["source"] = ["x"] * 60
    assert metrics.document(rows, 0, 20)["splits"]["test"]["groups"] == {}


def test_a_source_an_image_is_no_group():
    rows = many(202)
    rows.identity["source"] = [str(i // 2) for i in range(202)]
    assert metrics.document(rows, 0, 0)["splits"]["test"]["groups"] == {}
    rows = rows.select(range(200))
    assert len(metrics.document(rows, 0, 0)["splits"]["test"]["groups"]["source"]) == 100


def test_a_subject_is_judged_by_vote_and_by_mean_probability():
    # 1: two votes for a, but b by the mean; 2: nobody answers; 3: one vote each, c by the mean
    labels, answers = "aaabbcc", "aab--bc"
    p = [[0.5, 0.4, 0.1], [0.5, 0.4, 0.1], [0.0, 1.0, 0.0], [0.3, 0.4, 0.3], [0.3, 0.4, 0.3]]
    rows = few(labels, answers, [*p, [0.2, 0.5, 0.3], [0.0, 0.2, 0.8]])
    rows.identity["subject"] = list("1112233")
    level = metrics.subject_level(rows)
    assert level.vote.predicted.tolist() == [0, -1, 2]
    assert level.mean.predicted.tolist() == [1, 1, 2]
    np.testing.assert_allclose(level.mean.probabilities[0], [1 / 3, 0.6, 0.2 / 3])
    groups = metrics.document(rows, 0, 20)["splits"]["test"]["groups"]["subject"]
    assert groups["vote"]["accuracy"]["value"] == pytest.approx(2 / 3)
    assert groups["vote"]["coverage"]["value"] == pytest.approx(2 / 3)
    assert groups["mean"]["accuracy"]["value"] == pytest.approx(2 / 3)
    assert (groups["mean"]["n"], groups["mean"]["unit"]) == (3, "subjects")


def test_a_subject_of_several_classes_has_none_and_is_counted():
    rows = few("abcc", "abcc")
    rows.identity["subject"] = list("1123")
    level = metrics.subject_level(rows)
    assert (level.mixed, level.mean.identity["subject"]) == (1, ["2", "3"])
    assert metrics.document(rows, 0, 20)["splits"]["test"]["n_mixed_subjects"] == 1
    rows.identity["subject"] = list("1112")
    rows = rows.select([0, 1, 2])
    split = metrics.document(rows, 0, 20)["splits"]["test"]
    assert (split["groups"], split["n_mixed_subjects"]) == ({}, 1)


def test_equal_names_of_two_sources_are_two_subjects():
    rows = few("ab", "ab")
    rows.identity["subject"], rows.identity["source"] = ["1", "1"], ["x", "y"]
    assert metrics.subject_level(rows).mixed == 0


def test_what_a_class_without_images_leaves_undefined_is_none_and_not_in_the_means():
    scores = metrics.score(few("aabb", "aabc"))
    c = scores["per_class"]["c"]
    assert (c["sensitivity"], c["f1"], c["auroc"], c["n"]) == (None, None, None, 0)
    assert c["precision"] == 0
    assert scores["sensitivity_macro"] == pytest.approx((1 + 0.5) / 2)
    assert scores["f1_macro"] == pytest.approx((1 + 2 / 3) / 2)


def test_one_class_alone_leaves_auroc_specificity_and_mcc_undefined():
    scores = metrics.score(few("aaa", "aab"))
    assert scores["auroc_macro"] is None
    assert scores["specificity_macro"] is None
    assert scores["mcc"] is None
    assert scores["accuracy"] == pytest.approx(2 / 3)


def test_a_class_never_predicted_has_no_precision_and_counts_as_zero_in_the_mean():
    scores = metrics.score(few("ab", "aa", classes="ab"))
    assert scores["per_class"]["b"]["precision"] is None
    assert scores["precision_macro"] == pytest.approx(0.25)
    assert scores["mcc"] is None


def test_a_single_known_class_is_scored():
    scores = metrics.score(few("aa", "aa", classes="a"))
    assert (scores["accuracy"], scores["log_loss"], scores["auroc_macro"]) == (1, 0, None)


def test_images_without_a_label_are_left_out_and_counted():
    scores = metrics.score(few("aab-", "aabc"))
    assert (scores["n"], scores["n_unlabelled"], scores["accuracy"]) == (3, 1, 1)


def test_nothing_labelled_leaves_every_score_undefined():
    scores = metrics.score(few("--", "ab"))
    assert {scores[name] for name in catalog.METRICS} == {None}
    assert metrics.document(few("--", "ab"))["splits"] == {}


def test_brier_is_the_squared_distance_to_the_truth():
    scores = metrics.score(few("ab", "ab", [[0.7, 0.3], [1, 0]], "ab"))
    assert scores["brier"] == pytest.approx((2 * 0.3**2 + 2) / 2)


def test_log_loss_of_an_impossible_truth_is_large_and_finite():
    scores = metrics.score(few("ab", "aa", [[1, 0], [1, 0]], "ab"))
    assert scores["log_loss"] == pytest.approx(-math.log(np.finfo(float).eps) / 2)


def test_calibration_error_of_a_hand_worked_case():
    # two images at 0.9, one right: gap 0.4; two at 0.6, both right: gap 0.4
    rows = few("abab", "aaab", [[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]], "ab")
    assert metrics.score(rows)["ece"] == pytest.approx(0.4)


def test_document_gives_every_split_with_intervals_around_the_values():
    rows = many(600, subjects=60, splits=("train", "val", "test"))
    document = metrics.document(rows, seed=3, resamples=200)
    assert list(document["splits"]) == ["train", "val", "test"]
    for split, scores in document["splits"].items():
        plain = metrics.score(rows.of_split(split))
        assert (scores["unit"], scores["n_units"], scores["n_subjects"]) == ("subjects", 20, 20)
        for name in catalog.METRICS:
            assert scores[name]["value"] == plain[name]
        low, high = scores["f1_macro"]["ci95"]
        assert low < plain["f1_macro"] < high
    assert document["bootstrap"]["seed"] == 3
    files.to_json(document)


def test_document_depends_on_the_seed_alone_and_not_on_the_order_of_rows():
    rows = many(120, subjects=30)
    shuffled = rows.select(np.random.default_rng(5).permutation(len(rows)))
    first = metrics.document(rows, 1, 100)["splits"]["test"]["accuracy"]
    assert metrics.document(shuffled, 1, 100)["splits"]["test"]["accuracy"] == first
    assert metrics.document(rows, 2, 100)["splits"]["test"]["accuracy"] != first


def test_rows_without_a_split_have_a_name_of_their_own():
    assert list(metrics.document(many(30, splits=("",)), 0, 20)["splits"]) == [catalog.UNSPLIT]


def test_one_image_has_scores_and_no_intervals():
    scores = metrics.document(few("a", "a"))["splits"]["test"]
    assert scores["accuracy"] == {"value": 1.0, "ci95": None}


def test_subjects_in_two_splits_are_counted_by_source_and_name():
    rows = few("aaaa", "aaaa")
    rows.identity["subject"] = ["1", "1", "2", "2"]
    rows.identity["source"] = ["x", "x", "x", "y"]
    rows.identity["split"] = ["train", "test", "train", "test"]
    assert metrics.subjects_in_several_splits(rows) == 1


def test_roc_curves_are_those_of_scikit_learn_for_classes_that_have_one():
    rows = few("aab", "aab", [[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.3, 0.5, 0.2]])
    curves = metrics.roc(rows)
    assert list(curves) == ["a", "b"]
    false, true, _ = oracle.roc_curve([1, 1, 0], [0.6, 0.2, 0.3])
    np.testing.assert_array_equal(curves["a"], (false, true))
