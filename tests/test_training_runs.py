"""What is said around a training: before it, when it ends badly, and when it is asked for again."""

from pathlib import Path

import pytest
from fakes import draw_squares

from leukctl import manifest
from leukctl.cli import training_runs


def test_classes_that_val_lacks_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = manifest.read_path(
        draw_squares(tmp_path, {"train": 2, "val": 1}, ("blue", "green", "red"))
    )
    training_runs.prepared(table, None, None, 0, None)
    assert capsys.readouterr().err == ""
    pairs = zip(table.column("split"), table.column("label"), strict=True)
    cells = ["" if split == "val" and label != "red" else split for split, label in pairs]
    training_runs.prepared(table.with_columns(split=cells), None, None, 0, None)
    assert "split val has no image of 'blue', 'green': " in capsys.readouterr().err
