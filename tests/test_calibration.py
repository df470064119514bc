"""One temperature for a run's probabilities: what is fitted, where none can be, what is kept."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from fakes import few, many, write_run

from leukctl import calibration, files, predictions, runs, statistics
from leukctl.calibration import CalibrationError
from leukctl.errors import InputError
from leukctl.predictions import Predictions
from leukctl.runtime import torch


def overconfident(n: int = 300, splits: tuple[str, ...] = ("train", "val", "test")) -> Predictions:
    """Return predictions that are surer than they should be."""
    rows = many(n, splits=splits, skill=1.0)
    rows.probabilities = calibration.scaled(rows.probabilities + 1e-4, 0.4)
    return rows


def test_a_case_worked_by_hand() -> None:
    # Nine of twelve answers are right at 0.9: the loss is least where they say 0.75, and
    # 0.9^(1/T) / (0.9^(1/T) + 0.1^(1/T)) = 3/4 says 9^(1/T) = 3, so T = 2.
    rows = np.array([[0.9, 0.1]] * 12)
    found = calibration.temperature(rows, np.array([0] * 9 + [1] * 3))
    assert found == pytest.approx(2, rel=1e-9)
    assert calibration.scaled(rows[:1], found) == pytest.approx(np.array([[0.75, 0.25]]))


def test_the_split_is_perfectly_calibrated_after_the_case_worked_by_hand() -> None:
    rows = few("a" * 9 + "b" * 3, "a" * 12, [[0.9, 0.1]] * 12, classes="ab")
    rows.identity["split"] = ["val"] * 12
    val = calibration.fit(rows, {}).splits["val"]
    assert (val.n, val.ece_before) == (12, pytest.approx(0.15))
    assert val.ece_after == pytest.approx(0, abs=1e-9)
    assert val.log_loss_before == pytest.approx(-(9 * math.log(0.9) + 3 * math.log(0.1)) / 12)
    assert val.log_loss_after == pytest.approx(-(9 * math.log(0.75) + 3 * math.log(0.25)) / 12)


@pytest.mark.parametrize("sharpness", [0.3, 1.0, 4.0])
def test_the_temperature_is_that_of_a_plain_fit_on_logits(sharpness: float) -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 400)
    logits = random.normal(size=(400, 4)) + 1.5 * np.eye(4)[labels]
    logits *= sharpness
    inverse = torch.ones(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [inverse],
        max_iter=200,
        tolerance_grad=1e-12,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )
    given, truth = torch.tensor(logits), torch.tensor(labels)

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = torch.nn.functional.cross_entropy(given * inverse, truth)
        value.backward()
        return value

    optimizer.step(loss)
    rows = torch.softmax(given, 1).numpy()
    assert calibration.temperature(rows, labels) == pytest.approx(1 / inverse.item(), rel=1e-5)


def test_scaling_never_changes_the_answer() -> None:
    random = np.random.default_rng(0)
    rows = random.dirichlet([0.3] * 5, 2000)
    below = np.nextafter(0.5, 0)
    rows[0] = [below, 0.5, 0, 0, 0]  # alike after any scaling, but for the last bit
    rows[1] = [0.5, 0.5, 0, 0, 0]
    rows[2] = [0, 0, 1, 0, 0]
    for found in (calibration.LEAST, 0.7, 1.0, 3.3, calibration.MOST):
        after = calibration.scaled(rows, found)
        assert (after.argmax(axis=1) == rows.argmax(axis=1)).all()
        assert after.sum(axis=1) == pytest.approx(1)
        assert (after[rows == 0] == 0).all()
    assert calibration.scaled(rows, 1.0) == pytest.approx(rows)


def test_the_test_split_is_told_of_and_not_looked_at() -> None:
    rows = overconfident()
    found = calibration.fit(rows, {})
    assert found.temperature > 1.5
    assert found.splits["val"].log_loss_after < found.splits["val"].log_loss_before
    assert found.splits["test"].ece_after < found.splits["test"].ece_before
    moved = overconfident()
    kept = np.array([split != "test" for split in moved.identity["split"]])
    moved.probabilities[~kept] = moved.probabilities[~kept][:, ::-1]
    other = calibration.fit(moved, {})
    assert other.temperature == found.temperature
    assert other.splits["val"] == found.splits["val"]
    assert other.splits["test"] != found.splits["test"]


def test_the_figures_before_are_those_of_the_metrics(tmp_path: Path) -> None:
    run = write_run(overconfident(), tmp_path / "run")
    found = calibration.fit_run(run)
    scores = json.loads((run / runs.METRICS).read_text())["splits"]["val"]
    assert found.splits["val"].ece_before == scores["ece"]["value"]
    assert found.splits["val"].log_loss_before == scores["log_loss"]["value"]
    assert found.splits["val"].n == scores["n"]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (many(9, splits=("val",)), "9 labeled val images, and a temperature needs 10"),
        (many(40), "0 labeled val images"),
        (few("a" * 12, "a" * 12), "of one class"),
        (few("ab" * 6, "ab" * 6, [[1, 0], [0, 1]] * 6, classes="ab"), "is certain"),
        (few("ab" * 6, "ab" * 6), "would only have to be surer"),
        (few("ab" * 6, "ba" * 6), "tell nothing of the truth"),
    ],
)
def test_what_no_temperature_fits_is_refused_with_the_reason(
    rows: Predictions, reason: str
) -> None:
    if rows.name == "few":
        rows.identity["split"] = ["val"] * len(rows)
    with pytest.raises(CalibrationError, match=reason):
        calibration.fit(rows, {})


def test_unlabeled_images_and_impossible_ones_take_no_part() -> None:
    rows = overconfident(splits=("val",))
    found = calibration.fit(rows, {})
    more = few("a-", "ba", [[0.0, 1.0, 0.0], [0.9, 0.05, 0.05]], classes="abc")
    joined = Predictions(
        "joined",
        rows.classes,
        {name: [*cells, *more.identity[name]] for name, cells in rows.identity.items()},
        np.concatenate([rows.probabilities, more.probabilities]),
        np.concatenate([rows.predicted, more.predicted]),
    )
    joined.identity["split"] = ["val"] * len(joined)
    joined.identity["label"][-2] = rows.classes[0]
    other = calibration.fit(joined, {})
    assert other.temperature == found.temperature
    assert (other.fitted_on, other.left_out, other.splits["val"].n) == (300, 1, 301)


def test_what_is_written_reads_back_and_is_the_same_each_time(tmp_path: Path) -> None:
    run = write_run(overconfident(), tmp_path / "run")
    texts = []
    for _ in range(2):
        calibration.write(calibration.fit_run(run), run)
        texts.append((run / runs.CALIBRATION).read_bytes())
    assert texts[0] == texts[1]
    content = json.loads(texts[0])
    assert (content["schema"], content["kind"]) == (1, "calibration")
    assert content["files"] == {"model.safetensors": files.sha256(run / runs.WEIGHTS)}
    assert calibration.read(runs.read(run)) == calibration.fit_run(run)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"files": {"model.safetensors": "0" * 64}}, "fitted for other weights"),
        ({"schema": 2}, "schema 2, where this leukctl reads 1"),
        ({"kind": "audit"}, "no calibration"),
        ({"temperature": 0.0}, "damaged"),
        ({"temperature": "2"}, "damaged"),
        ({"temperature": True}, "damaged"),
        ({"splits": {"val": {"n": 3}}}, "damaged"),
        ({"splits": []}, "damaged"),
        ({"files": 3}, "damaged"),
    ],
)
def test_a_calibration_that_does_not_hold_is_refused_naming_what_fits_one(
    change: dict[str, object], reason: str, tmp_path: Path
) -> None:
    run = write_run(overconfident(), tmp_path / "run")
    calibration.write(calibration.fit_run(run), run)
    path = run / runs.CALIBRATION
    files.write_json(path, json.loads(path.read_text()) | change)
    with pytest.raises(InputError, match=reason) as caught:
        calibration.read(runs.read(run))
    assert f"leukctl report {run} --calibrate fits one" in str(caught.value)


def test_a_run_without_one_is_told_how_to_get_one(tmp_path: Path) -> None:
    run = write_run(overconfident(), tmp_path / "run")
    with pytest.raises(InputError, match=f"leukctl report {run} --calibrate fits one"):
        calibration.read(runs.read(run))


def test_a_new_run_in_its_place_takes_the_calibration_away(tmp_path: Path) -> None:
    run = write_run(overconfident(), tmp_path / "run")
    calibration.write(calibration.fit_run(run), run)
    with runs.fresh(run) as new:
        write_run(many(20), new)
    assert not (run / runs.CALIBRATION).exists()


def test_the_error_is_scored_as_the_metrics_do() -> None:
    rows = few("ab", "aa", [[0.9, 0.1], [0.7, 0.3]], classes="ab")
    assert statistics.calibration_error(rows) == pytest.approx((0.1 + 0.7) / 2)
    assert predictions.from_table(predictions.to_table(rows)).probabilities.tolist() == [
        [0.9, 0.1],
        [0.7, 0.3],
    ]
