"""A val split cut from train: it keeps subjects together and leaves test alone."""

import collections
import random
from pathlib import Path

import pytest
from fakes import draw_squares

from leukctl import cli, manifest, runs, splits, tables
from leukctl.errors import UsageError
from leukctl.tables import Table


def rows(count: int = 240, **more: list[str]) -> Table:
    """Return rows of 40 subjects in train and 8 in test, three classes."""
    cells = [
        [f"{i}.png", "abc"[i % 3], f"s{i % 48}", "test" if i % 48 >= 40 else "train"]
        for i in range(count)
    ]
    table = Table("m", ["path", "label", "subject", "split"], cells, list(range(2, count + 2)))
    return table.with_columns(**more)


def test_val_is_cut_from_train_by_subject_evenly_over_the_classes() -> None:
    table = rows()
    cut, made, lost = splits.cut_val(table, 20, seed=1)
    assert (made.unit.name, lost) == ("subject", 0)
    before, after = table.column("split"), cut.column("split")
    assert [a for a, b in zip(after, before, strict=True) if b == "test"] == ["test"] * 40
    homes = collections.defaultdict(set)
    for subject, split in zip(cut.column("subject"), after, strict=True):
        homes[subject].add(split)
    assert all(len(there) == 1 for there in homes.values())
    counts = collections.Counter(zip(cut.column("label"), after, strict=True))
    for label in "abc":
        val, train = counts[label, "val"], counts[label, "train"]
        assert val / (val + train) == pytest.approx(0.2, abs=0.04)


def test_the_cut_depends_on_the_seed_and_not_on_the_order_of_rows() -> None:
    def val(table: Table, seed: int) -> set[str]:
        cut = splits.cut_val(table, 10, seed)[0]
        return {cut.column("path")[i] for i in manifest.rows_of_split(cut, "val")}

    table = rows()
    shuffled = table.select(random.Random(0).sample(range(len(table)), len(table)))
    assert val(table, 1) == val(shuffled, 1)
    assert val(table, 1) != val(table, 2)


def test_where_subjects_are_not_known_groups_stay_together_or_else_images() -> None:
    table = rows(subject=[""] * 240)
    made = splits.cut_val(table, 10, 0)[1]
    assert made.unit.name == "image"
    assert "flatters val" in made.warnings[-1]
    assert splits.cut_val(rows(), 10, 0)[1].warnings == []
    grouped = table.with_columns(group=[f"g{i // 6}" for i in range(240)])
    cut, made, _ = splits.cut_val(grouped, 10, 0)
    assert made.unit.name == "group:group"
    homes = collections.defaultdict(set)
    for group, split in zip(cut.column("group"), cut.column("split"), strict=True):
        homes[group].add(split)
    assert max(len(there - {"test"}) for there in homes.values()) == 1


def test_val_has_images_as_they_are() -> None:
    """Repetitions and augmented images of what came into val are in no split."""
    table = rows(60, copy=["0"] * 60, parent=[""] * 60)
    extra = []
    for path, label, subject, split, *_ in table.rows:
        if split == "train":
            extra.append([path, label, subject, split, "1", ""])
            extra.append([f"new-{path}", label, subject, split, "0", path])
    table = Table("m", table.columns, [*table.rows, *extra], list(range(2, 62 + len(extra))))
    cut, _, lost = splits.cut_val(table, 20, seed=0)
    val = {row[0] for row in cut.rows if row[3] == "val"}
    train = {row[0] for row in cut.rows if row[3] == "train"}
    assert val
    assert lost == 2 * len(val)
    assert not any(path.startswith("new-") for path in val)
    assert not val & {path.removeprefix("new-") for path in train}


def test_a_val_that_is_there_is_not_cut_again() -> None:
    table = rows()
    with pytest.raises(UsageError, match="has rows of split val already"):
        splits.cut_val(splits.cut_val(table, 10, 0)[0], 10, 0)


@pytest.fixture
def without_val(tmp_path: Path) -> Path:
    return draw_squares(tmp_path, {"train": 12, "test": 4}, ("blue", "red"))


def test_train_without_val_is_refused_with_a_hint(
    without_val: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["train", str(without_val), "-o", str(tmp_path / "run")]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "no row of split val" in told
    assert "--val-from-train 10" in told


def test_the_val_rows_stand_in_the_predictions(without_val: Path, tmp_path: Path) -> None:
    arguments = ["train", str(without_val), "--backbone", "standard_cnn", "--input-size", "32"]
    arguments += ["--epochs", "1", "--val-from-train", "25", "--seed", "4", "-q"]
    assert cli.main([*arguments, "-o", str(tmp_path / "run")]) in (0, 1)
    answers = runs.read_predictions(tmp_path / "run")
    count = collections.Counter(answers.identity["split"])
    assert count == {"train": 18, "val": 6, "test": 8}
    cut = splits.cut_val(manifest.read_path(without_val), 25, 4)[0]
    expected = dict(zip(cut.column("path"), cut.column("split"), strict=True))
    found = dict(zip(answers.identity["path"], answers.identity["split"], strict=True))
    assert found == expected
    assert runs.read(tmp_path / "run").options["val_from_train"] == 25
    assert tables.read_path(without_val).column("split").count("train") == 24


def test_a_column_weight_and_class_weights_do_not_go_together(
    squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = manifest.read_path(squares)
    weighted = table.with_columns(weight=["1"] * len(table))
    tables.write_path(weighted, tmp_path / "w.csv")
    arguments = ["train", str(tmp_path / "w.csv"), "--class-weights", "balanced"]
    assert cli.main([*arguments, "-o", str(tmp_path / "run")]) == 2
    assert "has a column weight already" in capsys.readouterr().err
