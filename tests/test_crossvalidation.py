"""Cross-validation: each fold once the test, nothing of it in train, and the sum of them all."""

import statistics
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from leukctl import cli, crossvalidation, files, manifest, runs, tables
from leukctl.errors import InputError, UsageError
from leukctl.tables import Table


@pytest.fixture(scope="module")
def folded(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The squares in three folds, those of split test held out; two images a subject."""
    table = tables.read_path(squares)
    subjects = [f"S{index // 2}" for index in range(len(table))]
    folds = [
        "" if split == "test" else str(index // 2 % 3)
        for index, split in enumerate(table.column("split"))
    ]
    path = tmp_path_factory.mktemp("folded") / "folds.csv"
    tables.write_path(table.with_columns(subject=subjects, fold=folds), path)
    return path


def arguments(manifest: Path, run: Path, *more: str) -> list[str]:
    given = ["train", str(manifest), "--cross-validate", "--backbone", "standard_cnn"]
    given += ["--input-size", "32", "--epochs", "3", "--batch-size", "8", "--val-from-train", "25"]
    return [*given, "-o", str(run), "-q", *more]


@pytest.fixture(scope="module")
def validated(folded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("validated") / "run"
    assert cli.main(arguments(folded, run)) in (0, 1)
    return run


def test_every_image_of_a_fold_is_predicted_once_by_the_run_that_did_not_see_it(
    folded: Path, validated: Path
) -> None:
    table = manifest.read_path(folded)
    fold_of = dict(zip(table.column("path"), table.column("fold"), strict=True))
    answers = runs.read_predictions(validated)
    assert sorted(answers.identity["path"]) == sorted(
        path for path, fold in fold_of.items() if fold
    )
    assert set(answers.identity["split"]) == {"test"}
    for fold in range(3):
        own = runs.read_predictions(validated / f"fold-{fold}")
        assert set(own.of_split("test").identity["fold"]) == {str(fold)}
        assert str(fold) not in {
            *own.of_split("train").identity["fold"],
            *own.of_split("val").identity["fold"],
        }
        sides = [set(own.of_split(split).identity["subject"]) for split in ("train", "val", "test")]
        assert len(set.union(*sides)) == sum(map(len, sides))
        mine = [i for i, f in enumerate(answers.identity["fold"]) if f == str(fold)]
        assert np.array_equal(
            answers.select(mine).probabilities, own.of_split("test").probabilities
        )


def test_the_summary_has_the_scores_of_scikit_learn(validated: Path) -> None:
    answers = runs.read_predictions(validated)
    document = files.read_json(validated / "metrics.json")
    accuracy = accuracy_score(answers.labels, answers.predicted)
    assert document["splits"]["test"]["accuracy"]["value"] == pytest.approx(accuracy)
    each = []
    for fold in range(3):
        own = runs.read_predictions(validated / f"fold-{fold}").of_split("test")
        each.append(f1_score(own.labels, own.predicted, average="macro"))
    assert document["folds"]["count"] == 3
    assert document["folds"]["mean"]["f1_macro"] == pytest.approx(statistics.mean(each))
    assert document["folds"]["sd"]["f1_macro"] == pytest.approx(statistics.stdev(each))
    rows = tables.read_path(validated / "folds.csv")
    assert rows.column("fold") == ["0", "1", "2"]
    assert [float(cell) for cell in rows.column("f1_macro")] == pytest.approx(each)


def test_report_reads_it(validated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report", str(validated)]) == 0
    said = capsys.readouterr()
    assert "run" in said.out
    # What it is, and nothing to be warned of.
    assert "\nCross-validated over 3 folds" in said.err
    assert cli.main(["report", str(validated), "-o", str(validated / "page.html")]) == 0
    assert "Cross-validated over 3 folds" in (validated / "page.html").read_text()
    (validated / "page.html").unlink()


def test_the_same_line_again_trains_only_what_is_missing(
    folded: Path, validated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert cli.main(arguments(folded, run)) in (0, 1)
    for name in ("model.safetensors", "history.csv"):
        for fold in range(3):
            place = Path(f"fold-{fold}") / name
            assert files.sha256(run / place) == files.sha256(validated / place)
    kept = (run / "fold-0" / "run.json").stat().st_mtime_ns
    for path in (run / "fold-1" / "checkpoint", run / "fold-1"):
        for item in path.iterdir():
            item.unlink()
        path.rmdir()
    assert cli.main(arguments(folded, run)) in (0, 1)
    assert (run / "fold-0" / "run.json").stat().st_mtime_ns == kept
    assert files.sha256(run / "metrics.json") == files.sha256(validated / "metrics.json")
    capsys.readouterr()
    assert cli.main(arguments(folded, run, "--lr", "0.5")) == 2
    assert "fold-0 was trained with lr 0.001, not 0.5; --force" in capsys.readouterr().err
    assert cli.main(["train", "--resume", str(run)]) == 2
    assert "holds folds; the line that began them" in capsys.readouterr().err


def test_a_fold_that_was_cut_off_goes_on_alone(
    folded: Path, validated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from leukctl.training.checkpoints import Checkpoint

    run = tmp_path / "run"
    save = Checkpoint.save

    def saves(self: Checkpoint, state: object) -> None:
        save(self, state)  # type: ignore[arg-type]
        if self.run.name == "fold-1" and len(self.record.epochs) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Checkpoint, "save", saves)
        assert cli.main(arguments(folded, run)) == 130
    assert cli.main(["train", "--resume", str(run / "fold-1"), "-q"]) in (0, 1)
    model = Path("fold-1") / "model.safetensors"
    assert files.sha256(run / model) == files.sha256(validated / model)
    assert cli.main(arguments(folded, run)) in (0, 1)
    assert files.sha256(run / "metrics.json") == files.sha256(validated / "metrics.json")


def test_what_balance_added_is_never_tested() -> None:
    columns = ["path", "label", "fold", "parent", "copy"]
    rows = [
        ["a", "x", "0", "", "0"],
        ["b", "x", "0", "a", ""],
        ["a", "x", "0", "", "1"],
        ["c", "y", "1", "", "0"],
        ["d", "y", "1", "c", ""],
        ["e", "", "1", "", ""],
        ["f", "y", "", "", ""],
    ]
    table = crossvalidation.of_fold(Table("t", columns, rows), 0)
    assert table.column("split") == ["test", "", "", "train", "train", "", ""]


def test_a_class_of_one_fold_is_refused_before_anything_is_trained(
    folded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tables.read_path(folded)
    pairs = zip(table.column("fold"), table.column("label"), strict=True)
    cells = ["2" if fold and label == "red" else fold for fold, label in pairs]
    tables.write_path(table.with_columns(fold=cells), tmp_path / "folds.csv")
    for more in ([], ["--optimizer", "adam,sgd"]):
        assert cli.main([*arguments(tmp_path / "folds.csv", tmp_path / "run"), *more]) == 2
        assert "class 'red' is only in fold 2" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_cross_validated_is_refused(
    squares: Path, folded: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments(squares, tmp_path / "run")) == 2
    assert "column fold: the column is missing" in capsys.readouterr().err
    with pytest.raises(InputError, match="1 folds; leukctl split --folds 5 makes them"):
        crossvalidation.folds(Table("t", ["path", "label", "fold"], [["a", "x", "0"]]))
    with pytest.raises(UsageError, match="holds a run; folds need a folder of their own"):
        crossvalidation.check_free(trained, [0, 1])
    (tmp_path / "other" / "fold-7").mkdir(parents=True)
    with pytest.raises(UsageError, match="holds 'fold-7', which is no fold of this manifest"):
        crossvalidation.check_free(tmp_path / "other", [0, 1])
    assert cli.main(["train", "--resume", str(trained), "--cross-validate"]) == 2
    assert "--cross-validate does not go with --resume" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
