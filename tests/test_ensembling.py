"""The ensemble of patel2025, checked by hand, and the command that makes it a file operation."""

from pathlib import Path

import numpy as np
import pytest

from leukctl import cli, ensembling, predictions
from leukctl.errors import UsageError
from leukctl.predictions import IDENTITY, Predictions


def model(name: str, rows: list[list[float]]) -> Predictions:
    """Return predictions over classes a and b for images 0, 1, …"""
    count = len(rows)
    identity = {column: [""] * count for column in IDENTITY}
    identity["path"] = [f"{index}.png" for index in range(count)]
    values = np.array(rows)
    return Predictions(name, ["a", "b"], identity, values, values.argmax(1))


ONE = [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]
TWO = [[0.3, 0.7], [0.1, 0.9], [0.4, 0.6]]


def test_the_answer_is_the_largest_weighted_mean() -> None:
    mixed = ensembling.ensemble([model("one", ONE), model("two", TWO)], [0.7, 0.3])
    by_hand = [[0.72, 0.28], [0.45, 0.55], [0.26, 0.74]]
    assert np.allclose(mixed.probabilities, by_hand)
    assert mixed.predicted.tolist() == [0, 1, 1]


def test_weights_count_by_their_shares() -> None:
    pair = [model("one", ONE), model("two", TWO)]
    a = ensembling.ensemble(pair, [0.7, 0.3]).probabilities
    b = ensembling.ensemble(pair, [7, 3]).probabilities
    assert np.allclose(a, b)
    assert np.allclose(ensembling.ensemble(pair).probabilities, (np.array(ONE) + TWO) / 2)


def test_below_the_threshold_there_is_no_answer_and_at_it_there_is() -> None:
    pair = [model("one", [[0.75, 0.25], [0.5, 0.5]]), model("two", [[0.75, 0.25], [1.0, 0.0]])]
    assert ensembling.ensemble(pair, None, 0.75).predicted.tolist() == [0, 0]
    assert ensembling.ensemble(pair, None, 0.76).predicted.tolist() == [-1, -1]


@pytest.mark.parametrize(
    ("weights", "threshold", "said"),
    [
        ([1.0], None, "1 weights for 2 models"),
        ([1.0, -1.0], None, "not negative"),
        ([0.0, 0.0], None, "not all zero"),
        ([1.0, float("nan")], None, "finite"),
        (None, 0.0, r"outside \(0, 1\]"),
        (None, 1.5, r"outside \(0, 1\]"),
    ],
)
def test_weights_and_thresholds_that_are_none_are_refused(weights, threshold, said) -> None:
    with pytest.raises(UsageError, match=said):
        ensembling.ensemble([model("one", ONE), model("two", TWO)], weights, threshold)


def test_the_command_matches_rows_by_path_and_classes_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one.csv").write_text("path,p:a,p:b\nx.png,0.9,0.1\ny.png,0.4,0.6\n")
    (tmp_path / "two.csv").write_text("p:b,p:a,path\n0.8,0.2,y.png\n0.5,0.5,x.png\n")
    status = cli.main(
        [
            "ensemble",
            str(tmp_path / "one.csv"),
            str(tmp_path / "two.csv"),
            "--threshold",
            "0.7",
            "-o",
            str(tmp_path / "out.csv"),
        ]
    )
    mixed = predictions.read_path(tmp_path / "out.csv")
    assert status == 0
    assert mixed.identity["path"] == ["x.png", "y.png"]
    assert np.allclose(mixed.probabilities, [[0.7, 0.3], [0.3, 0.7]])
    assert mixed.predicted.tolist() == [0, 1]
    assert capsys.readouterr().out == ""


def test_one_model_is_no_ensemble(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "one.csv").write_text("path,p:a,p:b\nx.png,0.9,0.1\n")
    assert cli.main(["ensemble", str(tmp_path / "one.csv")]) == 2
    assert "at least two" in capsys.readouterr().err
