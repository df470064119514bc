"""Weights of rows: what balance writes, and what train and fuse make of it."""

import math
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import log_loss
from sklearn.utils.class_weight import compute_sample_weight
from trainings import train

from leukctl import balancing, cli, files, manifest, runs, runtime, tables
from leukctl.balancing import Request, weights
from leukctl.errors import InputError, UsageError
from leukctl.runtime import torch
from leukctl.tables import Table
from leukctl.training.data import ImageStore
from leukctl.training.loss import Split, soft_targets


def table(**sizes: int) -> Table:
    rows = [[f"{label}{i}", label, "train"] for label, n in sizes.items() for i in range(n)]
    rows += [["v", "a", "val"], ["t", "b", "test"], ["u", "", ""]]
    return Table("m", ["path", "label", "split"], rows, list(range(2, len(rows) + 2)))


def weigh(before: Table, replace: bool = False) -> Table:
    return balancing.balance(before, "weights", Request("max", replace=replace)).made.table


def weighted(squares: Path, weight: dict[str, str], every: int = 1) -> Table:
    """Return the squares' manifest with weights by label, on every n-th train row; else 1."""
    whole = manifest.read_path(squares)
    facts = zip(whole.column("label"), whole.column("split"), strict=True)
    cells = [
        weight.get(label, "1") if split == "train" and i % every == 0 else "1"
        for i, (label, split) in enumerate(facts)
    ]
    return whole.with_columns(weight=cells)


def digest(folder: Path) -> str:
    return files.sha256(folder / "model.safetensors")


def test_weights_are_the_balanced_ones_of_scikit_learn() -> None:
    before = table(a=7, b=3, c=2)
    made = weigh(before)
    cells = made.column("weight")
    train_rows = manifest.rows_of_split(before, "train")
    labels = [before.column("label")[index] for index in train_rows]
    own = np.array([float(cells[index]) for index in train_rows])
    assert np.allclose(own, compute_sample_weight("balanced", labels))
    assert own.mean() == pytest.approx(1)
    assert cells[-3:] == ["", "", ""]
    assert [row[:3] for row in made.rows] == list(before.rows)
    sums = {label: own[np.array(labels) == label].sum() for label in "abc"}
    assert max(sums.values()) == pytest.approx(min(sums.values()))


def test_weights_of_other_rows_stay_and_filled_ones_are_replaced_only_by_force() -> None:
    before = table(a=2, b=1)
    cells = ["", "", "", "7", "x", ""]
    assert weigh(before.with_columns(weight=cells)).column("weight") == [
        *("0.75", "0.75", "1.5"),
        *("7", "x", ""),
    ]
    filled = before.with_columns(weight=["", "3", *cells[2:]])
    with pytest.raises(UsageError, match="column weight is filled already; --force replaces it"):
        weigh(filled)
    assert weigh(filled, replace=True).column("weight")[:4] == ["0.75", "0.75", "1.5", "7"]


def test_learned_weights_have_a_mean_of_one_and_leave_zeros_out() -> None:
    before = table(a=3, b=2)
    rows, values = weights.learned(before)
    assert (rows, values) == ([0, 1, 2, 3, 4], None)
    cells = ["2", "0", "6", "0.0", "1", "", "nonsense", "-1"]  # val and test are not looked at
    rows, values = weights.learned(before.with_columns(weight=cells))
    assert rows == [0, 2, 4]
    assert values is not None
    assert values.tolist() == pytest.approx([2 / 3, 2, 1 / 3])
    for cell in ("0.1", "1e308", "1e-320"):  # no sum overflows, nothing is lost
        _, values = weights.learned(before.with_columns(weight=[cell] * 8))
        assert values is not None
        assert values.tolist() == [1.0] * 5


@pytest.mark.parametrize("cell", ["", "-0.5", "nan", "inf", "1e400", "heavy", "1,5"])
def test_a_weight_that_is_none_names_file_line_and_column(cell: str) -> None:
    cells = ["1", "1", cell, "1", "1", "1", "1", "1"]
    with pytest.raises(InputError, match=r"m, line 4, column weight: .* is no number of 0 or more"):
        weights.learned(table(a=3, b=2).with_columns(weight=cells))


def test_weights_that_are_all_zero_are_refused() -> None:
    with pytest.raises(InputError, match="m, column weight: 0 on every train row"):
        weights.learned(table(a=3, b=2).with_columns(weight=["0"] * 5 + ["1"] * 3))


def test_rows_of_weight_zero_are_as_if_they_were_not_there(squares: Path, tmp_path: Path) -> None:
    zeros = weighted(squares, {"red": "0", "blue": "0"}, every=3)
    kept = [i for i, weight in enumerate(zeros.column("weight")) if weight != "0"]
    assert len(kept) < len(zeros)
    for regime in ("none", "mixup"):
        given = {"augment": regime, "label_smoothing": 0.1, "frozen_epochs": 1, "epochs": 1}
        train(zeros, tmp_path / f"zero-{regime}", **given)
        train(zeros.select(kept), tmp_path / f"absent-{regime}", **given)
        assert digest(tmp_path / f"zero-{regime}") == digest(tmp_path / f"absent-{regime}")


def test_a_class_of_weight_zero_has_no_influence(squares: Path, tmp_path: Path) -> None:
    silent = weighted(squares, {"red": "0"})
    others = silent.column("path")
    reds = [
        i for i in manifest.rows_of_split(silent, "train") if silent.column("label")[i] == "red"
    ]
    for i in reds:  # other pictures in their place
        others[i] = silent.column("path")[manifest.rows_of_split(silent, "test")[i % 4]]
    changed = silent.with_columns(path=others, copy=[str(i) for i in range(len(others))])
    train(silent, tmp_path / "a")
    train(changed, tmp_path / "b")
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    loud = [weighted(squares, {"red": "1"}), changed.with_columns(weight=["1"] * len(changed))]
    for name, given in zip("cd", loud, strict=True):
        train(given, tmp_path / name)
    assert digest(tmp_path / "c") != digest(tmp_path / "d")


def test_equal_weights_change_no_byte(squares: Path, tmp_path: Path) -> None:
    train(manifest.read_path(squares), tmp_path / "none", augment="mixup")
    train(weighted(squares, {"red": "0.3", "blue": "0.3"}), tmp_path / "equal", augment="mixup")
    assert digest(tmp_path / "none") == digest(tmp_path / "equal")
    for name in ("history.csv", "predictions.csv"):
        assert (tmp_path / "none" / name).read_bytes() == (tmp_path / "equal" / name).read_bytes()
    told = [runs.read(tmp_path / name).options["weighted"] for name in ("none", "equal")]
    assert told == [False, True]


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("stages", [(1, 0), (0, 1)])
def test_the_loss_is_the_weighted_mean_computed_by_hand(
    squares: Path, tmp_path: Path, smoothing: float, stages: tuple[int, int]
) -> None:
    given = weighted(squares, {"red": "3", "blue": "0.5"}, every=2)
    # Steps too small to change the network: its answers afterwards are those that it began with.
    train(
        given,
        tmp_path / "run",
        frozen_epochs=stages[0],
        epochs=stages[1],
        lr=1e-12,
        frozen_lr=1e-12,
        augment="none",
        dropout=0.0,
        label_smoothing=smoothing,
        batch_size=24,  # one batch, so that BatchNorm sees what it sees below
    )
    run = runs.read(tmp_path / "run")
    loss = float(tables.read_path(tmp_path / "run" / "history.csv").column("train_loss")[0])
    rows = manifest.rows_of_split(given, "train")
    if stages[0]:
        answers = runs.read_predictions(tmp_path / "run")
        p = answers.probabilities[
            [answers.identity["path"].index(given.column("path")[i]) for i in rows]
        ]
    else:
        p = batch_probabilities(run, given, rows)
    y = np.array([run.classes.index(given.column("label")[i]) for i in rows])
    w = np.array([float(given.column("weight")[i]) for i in rows])
    smooth = np.eye(2)[y] * (1 - smoothing) + smoothing / 2
    by_hand = -(smooth * np.log(p)).sum(axis=1)
    assert loss == pytest.approx((w * by_hand).sum() / w.sum(), rel=1e-4)
    assert loss != pytest.approx(by_hand.mean(), rel=1e-3)
    if not smoothing:
        assert loss == pytest.approx(log_loss(y, p, sample_weight=w), rel=1e-4)


def batch_probabilities(run: runs.Run, given: Table, rows: list[int]) -> np.ndarray:
    """Return what the network of ``run`` says in training mode of all rows in one batch."""
    from leukctl import inference, tensors

    compute = runtime.compute("cpu", "fp32", 2)
    network = inference.load(run, compute).network  # type: ignore[attr-defined]
    paths = manifest.image_paths(given.select(rows))
    store = ImageStore(paths, inference.reader(run), (32, 32), 1)
    inputs = tensors.normalize(store.get(np.arange(len(rows))), run.backbones[0], compute.device)
    with torch.no_grad():
        return torch.softmax(network.train()(inputs), 1).double().numpy()


def test_weighted_targets_give_pytorch_s_loss_times_the_weight() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 8)
    values = random.uniform(0, 2, 8)
    logits = torch.from_numpy(random.normal(size=(8, 3))).float()
    split = Split(None, labels, values)  # type: ignore[arg-type]
    loss = torch.nn.functional.cross_entropy(logits, soft_targets(split, 3, 0.1))
    each = torch.nn.functional.cross_entropy(
        logits, torch.from_numpy(labels), label_smoothing=0.1, reduction="none"
    )
    assert loss.item() == pytest.approx(float((each.numpy() * values).mean()), rel=1e-6)
    # Mixed as MixUp mixes them: each of a pair by its share and its weight.
    order = torch.from_numpy(random.permutation(8))
    targets = soft_targets(split, 3, 0.0)
    mixed = torch.nn.functional.cross_entropy(logits, 0.7 * targets + 0.3 * targets[order])
    y = torch.from_numpy(labels)
    losses = [
        torch.nn.functional.cross_entropy(logits, y[places], reduction="none").numpy()
        * values[places.numpy()]
        for places in (torch.arange(8), order)
    ]
    assert mixed.item() == pytest.approx((0.7 * losses[0] + 0.3 * losses[1]).mean(), rel=1e-6)


@pytest.mark.parametrize("command", ["train", "fuse"])
def test_commands_check_weights_before_anything_else_and_say_that_they_count(
    squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    bad = weighted(squares, {"red": "heavy"}, every=7)
    tables.write_path(bad, tmp_path / "bad.csv")
    more = ["--backbones", "standard_cnn", "--set", "n_estimators=1"] if command == "fuse" else []
    more = more or ["--backbone", "standard_cnn", "--input-size", "32", "--epochs", "1"]
    arguments = [command, str(tmp_path / "bad.csv"), *more, "-o", str(tmp_path / "run")]
    assert cli.main(arguments) == 2
    err = capsys.readouterr().err
    assert "bad.csv, line " in err
    assert "column weight: 'heavy' is no number of 0 or more" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()
    tables.write_path(weighted(squares, {"red": "0", "blue": "2"}), tmp_path / "good.csv")
    arguments[1] = str(tmp_path / "good.csv")
    assert cli.main(arguments) in (0, 1)
    err = capsys.readouterr().err
    assert "weighted by the column weight, 1 to 1 times the mean; 12 rows of weight 0 are" in err
    assert "class 'red': all its train rows have weight 0" in err
    assert runs.read(tmp_path / "run").options["weighted"] is True
    assert math.isfinite(runs.read_predictions(tmp_path / "run").probabilities.sum())
