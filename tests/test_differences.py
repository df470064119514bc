"""``report diff``: two or more models on the same images."""

import csv
import io
import json
import re

import numpy as np
import pytest
from fakes import many, write_predictions, write_run
from scipy import stats
from sklearn.metrics import f1_score, roc_auc_score

from leukctl import metrics
from leukctl.cli import main
from leukctl.reporting import difference_tables


def _pair(n=200, **more):
    """Return a poor and a good model on the same images, the second in another order."""
    poor, good = many(n, seed=1, skill=0.3, **more), many(n, seed=1, skill=3, **more)
    return poor, good.select(np.random.default_rng(0).permutation(n))


def _diff(capsys, *arguments):
    assert main(["report", "diff", *map(str, arguments)]) == 0
    return capsys.readouterr().out


@pytest.fixture
def two(tmp_path):
    poor, good = _pair()
    return write_predictions(poor, tmp_path / "poor.csv"), write_predictions(
        good, tmp_path / "good.csv"
    )


def test_a_pair_has_the_values_of_scikit_learn_and_the_tests_of_scipy(two, capsys):
    found = json.loads(_diff(capsys, *two, "--json", "--resamples", "500"))
    (pair,) = found["pairs"]
    poor, good = _pair()
    place = {path: index for index, path in enumerate(good.identity["path"])}
    good = good.select([place[path] for path in poor.identity["path"]])
    entry = pair["metrics"]["f1_macro"]
    scores = [f1_score(rows.labels, rows.predicted, average="macro") for rows in (poor, good)]
    assert [entry["a"], entry["b"]] == pytest.approx(scores)
    assert entry["difference"] == pytest.approx(scores[1] - scores[0])
    assert entry["ci95"][0] < entry["difference"] < entry["ci95"][1]
    right = [rows.predicted == rows.labels for rows in (poor, good)]
    only = [int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())]
    test = pair["mcnemar"]
    assert [test["only_first"], test["only_second"]] == only
    assert test["p"] == test["p_holm"] == pytest.approx(stats.binomtest(only[0], sum(only)).pvalue)
    auroc = pair["delong"]["AML"]
    assert auroc["b"] == pytest.approx(roc_auc_score(good.labels == 1, good.probabilities[:, 1]))
    assert (found["n"], found["unit"], found["tested"]) == (200, "images", True)


def test_p_is_corrected_over_all_pairs_and_metrics(two, tmp_path, capsys):
    third = write_predictions(many(200, seed=1, skill=1), tmp_path / "third.csv")
    names = ["--metric", "mcc", "--metric", "accuracy", "--metric", "per_class.ALL.f1"]
    found = json.loads(_diff(capsys, *two, third, *names, "--json", "--resamples", "300"))
    assert [(pair["a"], pair["b"]) for pair in found["pairs"]] == [
        *(("poor", "good"), ("poor", "third"), ("good", "third"))
    ]
    entries = [entry for pair in found["pairs"] for entry in pair["metrics"].values()]
    assert len(entries) == 9
    smallest = min(entries, key=lambda entry: entry["p"])
    assert smallest["p_holm"] == pytest.approx(min(1, 9 * smallest["p"]))


def test_of_more_than_two_models_there_is_a_matrix_for_each_metric(two, tmp_path, capsys):
    third = write_predictions(many(200, seed=1, skill=1), tmp_path / "third.csv")
    out = _diff(capsys, *two, third, "--md", "--metric", "mcc", "--resamples", "200")
    assert "mcc on test: each column less each row" in out
    rows = [line for line in out.splitlines() if line.startswith("| poor | (0.")]
    assert len(rows) == 1
    assert rows[0].count(", p ") == 2


def test_subjects_are_resampled_where_they_are_known(tmp_path, capsys):
    poor, good = _pair(subjects=15)
    paths = [write_predictions(r, tmp_path / f"{n}.csv") for n, r in (("a", poor), ("b", good))]
    found = json.loads(_diff(capsys, *paths, "--json", "--resamples", "200"))
    assert (found["unit"], found["n_units"]) == ("subjects", 15)
    again = json.loads(_diff(capsys, *paths, "--json", "--resamples", "200"))
    assert again == found
    other = json.loads(_diff(capsys, *paths, "--json", "--resamples", "200", "--seed", "1"))
    assert other["pairs"] != found["pairs"]


def test_scores_alone_have_differences_and_no_test(tmp_path, capsys):
    runs = [write_run(many(skill=skill), tmp_path / name) for name, skill in (("a", 1), ("b", 2))]
    found = json.loads(_diff(capsys, runs[0] / "metrics.json", runs[1], "--json"))
    entry = found["pairs"][0]["metrics"]["accuracy"]
    scores = [metrics.score(many(skill=skill))["accuracy"] for skill in (1, 2)]
    assert entry["difference"] == pytest.approx(scores[1] - scores[0])
    assert (found["tested"], entry["p"], entry["ci95"]) == (False, None, None)
    assert "mcnemar" not in found["pairs"][0]
    assert "not tested" in _diff(capsys, runs[0] / "metrics.json", runs[1])


def test_csv_has_a_row_a_pair_and_metric(two, capsys):
    out = _diff(capsys, *two, "--format", "csv", "--resamples", "200", "--metric", "log_loss")
    (row,) = csv.DictReader(io.StringIO(out))
    assert (row["model_a"], row["model_b"], row["metric"]) == ("poor", "good", "log_loss")
    assert float(row["difference"]) == pytest.approx(float(row["b"]) - float(row["a"]))


@pytest.mark.parametrize(
    ("name", "difference", "p", "expected"),
    [
        ("accuracy", 0.1, 0.01, "better"),
        ("accuracy", -0.1, 0.01, "worse"),
        ("log_loss", -0.1, 0.01, "better"),
        ("per_class.a.f1", -0.1, 0.04, "worse"),
        ("accuracy", 0.1, 0.05, "no difference shown"),
        ("accuracy", 0.1, None, "not tested"),
    ],
)
def test_the_verdict_knows_which_way_is_better(name, difference, p, expected):
    entry = {"difference": difference, "p_holm": p}
    assert difference_tables.verdict(name, entry) == expected


def test_of_two_classes_delong_tests_one(tmp_path, capsys):
    paths = [
        write_predictions(many(90, ("ALL", "healthy"), skill=skill), tmp_path / f"{skill}.csv")
        for skill in (1, 2)
    ]
    found = json.loads(_diff(capsys, *paths, "--json", "--resamples", "100"))
    assert list(found["pairs"][0]["delong"]) == ["ALL"]


def test_what_cannot_be_compared_is_one_line(two, tmp_path, capsys):
    poor, good = map(str, two)
    fewer = str(write_predictions(many(150, seed=1), tmp_path / "fewer.csv"))
    (tmp_path / "m.csv").write_text("path,label\na.png,ALL\n")
    for arguments, words in (
        ([poor, fewer], "no row for"),
        ([poor], "two inputs or more"),
        ([poor, poor], "named twice"),
        ([poor, str(tmp_path / "m.csv")], "neither a run, nor predictions"),
        ([poor, str(tmp_path)], "neither a run"),
        ([poor, str(tmp_path / "none.csv")], "no such file"),
        ([poor, good, "--metric", "f1macro"], "the nearest: f1_macro"),
        ([poor, good, "--metric", "per_class.none.f1"], "no metric"),
        ([poor, good, "--split", "val"], "no split 'val'"),
        ([poor, good, "--md", "--json"], "--md goes with"),
        ([poor, "-"], "no standard input"),
    ):
        assert main(["report", "diff", *arguments]) == 2, arguments
        out, err = capsys.readouterr()
        assert out == ""
        assert words in err.splitlines()[-1]
        assert len([line for line in err.splitlines() if "error" in line]) == 1
        assert "unforeseen" not in err


def test_names_are_escaped_in_a_comment(tmp_path, capsys):
    poor, good = _pair(60)
    paths = [
        write_predictions(rows, tmp_path / f"{name}.csv")
        for name, rows in (("<img src=x>", poor), ("[a](b)|c", good))
    ]
    out = _diff(capsys, *paths, "--md", "--resamples", "100")
    assert not re.search(r"(?<!\\)<img", out)
    assert r"\[a\](b)\|c" in out


def test_help_of_the_command_below_report(capsys):
    assert main(["report", "diff", "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Usage: leukctl report diff")
    assert max(map(len, out.splitlines())) <= 80
    assert main(["report", "--help"]) == 0
    assert "leukctl report diff A B" in capsys.readouterr().out
    assert main(["--help"]) == 0
    assert "report diff" not in capsys.readouterr().out


def test_a_file_called_diff_can_still_be_reported(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_predictions(many(), tmp_path / "diff")
    assert main(["report", "./diff"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("diff ")
