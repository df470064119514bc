"""``--tensorboard``: what TensorBoard reads is the history, each epoch once, whatever happened."""

import sys
from pathlib import Path

import pytest

from leukctl import cli, runs, tables
from leukctl.training.checkpoints import Checkpoint
from leukctl.training.curves import Curves

pytest.importorskip("tensorboard", reason="leukctl[tensorboard] is not installed")

TAGS = {"loss": "loss", "accuracy": "accuracy", "f1_macro": "f1_macro"}


def arguments(manifest: Path, run: Path, *more: str) -> list[str]:
    given = ["train", str(manifest), "--backbone", "standard_cnn", "--input-size", "32", "-q"]
    given += ["--frozen-epochs", "1", "--epochs", "2", "--batch-size", "8", "--device", "cpu"]
    return [*given, "--tensorboard", "-o", str(run), *more]


def read(run: Path, split: str) -> dict[str, list[tuple[int, float]]]:
    """Return (step, value) by tag, as TensorBoard itself reads them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard" / split))
    events.Reload()
    tags = events.Tags()["scalars"]
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags}


def check(run: Path) -> None:
    """Hold the event files of a run to its history."""
    history = tables.read_path(run / runs.HISTORY)
    steps = [int(cell) for cell in history.column("epoch")]
    for split in ("train", "val"):
        found = read(run, split)
        wanted = {tag: f"{split}_{tag}" for tag in TAGS}
        if split == "train":
            wanted["learning_rate"] = "learning_rate"
        assert found.keys() == wanted.keys()
        for tag, column in wanted.items():
            values = [float(cell) for cell in history.column(column)]
            assert [step for step, _ in found[tag]] == steps
            assert [value for _, value in found[tag]] == pytest.approx(values, rel=1e-6)


def test_the_curves_are_those_of_the_history(squares: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert cli.main(arguments(squares, run)) in (0, 1)
    check(run)


def test_an_epoch_can_be_seen_as_soon_as_it_has_ended(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    add = Curves.add

    def adds(self: Curves, *given: object) -> None:
        add(self, *given)  # type: ignore[arg-type]
        seen.append([step for step, _ in read(tmp_path / "run", "val")["loss"]])

    monkeypatch.setattr(Curves, "add", adds)
    assert cli.main(arguments(squares, tmp_path / "run")) in (0, 1)
    assert seen == [[1], [1, 2], [1, 2, 3]]


@pytest.mark.parametrize("written", [False, True])
def test_a_resumed_run_has_every_epoch_once(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: bool
) -> None:
    """Cut off after the checkpoint of epoch 2, before or after its curves."""
    run = tmp_path / "run"
    owner, name = (Curves, "add") if written else (Checkpoint, "save")
    done = getattr(owner, name)
    count = [0]

    def interrupt(*given: object) -> None:
        done(*given)
        count[0] += 1
        if count[0] == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(owner, name, interrupt)
        assert cli.main(arguments(squares, run)) == 130
    assert len(read(run, "val")["loss"]) == (2 if written else 1)
    assert cli.main(["train", "--resume", str(run), "-q"]) in (0, 1)
    check(run)
    assert cli.main(["train", "--resume", str(run), "--epochs", "3", "-q"]) in (0, 1)
    check(run)


@pytest.mark.slow
def test_each_run_of_several_has_its_own(squares: Path, tmp_path: Path) -> None:
    assert cli.main(arguments(squares, tmp_path / "runs", "--optimizer", "adam,sgd")) in (0, 1)
    found = sorted(path.parent for path in (tmp_path / "runs").glob("*/run.json"))
    assert len(found) == 2
    for run in found:
        check(run)
    table = tables.read_path(squares)
    folds = [str(place % 2) for place in range(len(table))]
    tables.write_path(table.with_columns(fold=folds), tmp_path / "folds.csv")
    cross = arguments(tmp_path / "folds.csv", tmp_path / "cv", "--cross-validate")
    assert cli.main([*cross, "--val-from-train", "20"]) in (0, 1)
    for fold in range(2):
        check(tmp_path / "cv" / f"fold-{fold}")


def test_a_new_run_in_the_folder_takes_the_old_curves_away(squares: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert cli.main(arguments(squares, run)) in (0, 1)
    again = [word for word in arguments(squares, run, "--force") if word != "--tensorboard"]
    assert cli.main(again) in (0, 1)
    assert not (run / "tensorboard").exists()


def test_a_training_that_could_not_begin_leaves_nothing(
    squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments(squares, tmp_path / "run", "--unfreeze", "99")) == 2
    assert not (tmp_path / "run").exists()


def test_without_the_package_nothing_is_trained(
    squares: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in [name for name in sys.modules if name.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    assert cli.main(arguments(squares, tmp_path / "run")) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert "pip install 'leukctl[tensorboard]'" in said[0]
    assert not (tmp_path / "run").exists()
