"""A split and its balance, one after the other, as users call them."""

import csv
import io
from collections import Counter
from pathlib import Path

import pytest

from leukctl.cli import main


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Forty rows, twenty subjects, two classes, one foreign column, one row without label."""
    lines = ["age,path,label,subject"]
    lines += [f"{i},{i}.png,{'ALL' if i % 4 < 2 else 'healthy'},S{i // 2}" for i in range(40)]
    path = tmp_path / "all.csv"
    path.write_text("\n".join([*lines, "99,none.png,,"]) + "\n")
    return path


def run(
    capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, list[dict[str, str]], str]:
    status = main(list(arguments))
    out, err = capsys.readouterr()
    return status, list(csv.DictReader(io.StringIO(out))), err


def test_balance_touches_train_rows_alone(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / "split.csv"
    assert run(capsys, "split", str(manifest), "-o", str(made))[0] == 0
    lines = made.read_text().splitlines()
    # Half of the healthy train rows go, so that there is something to balance.
    healthy = [line for line in lines if "healthy" in line and line.endswith("train")]
    made.write_text("\n".join(line for line in lines if line not in healthy[::2]) + "\n")
    status, rows, err = run(capsys, "balance", str(made), "--method", "oversample")
    assert status == 0
    assert Counter((row["label"], row["copy"]) for row in rows if row["split"] == "train") == {
        ("ALL", "0"): 16,
        ("healthy", "0"): 8,
        ("healthy", "1"): 8,
    }
    assert ["healthy", "8", "16"] in [line.split() for line in err.splitlines()]
    kept = [line for line in made.read_text().splitlines() if not line.endswith("train")]
    assert [",".join([*row.values()][:-1]) for row in rows if row["split"] != "train"] == kept[1:]
    status, rows, _ = run(capsys, "balance", str(made))
    assert Counter(row["label"] for row in rows if row["split"] == "train") == {
        "ALL": 8,
        "healthy": 8,
    }
    assert "copy" not in rows[0]


def test_balance_without_splits_names_the_column(
    manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, err = run(capsys, "balance", str(manifest))
    assert status == 2
    assert "all.csv, line 1, column split: the column is missing" in err


def test_choices_are_those_of_the_catalog() -> None:
    from typing import get_args

    from leukctl import catalog
    from leukctl.cli import balance, prep

    choices = [(prep.prep, "layout", catalog.LAYOUTS)]
    choices.append((balance.balance, "method", catalog.BALANCING))
    for command, option, names in choices:
        assert get_args(get_args(command.__annotations__[option])[0]) == tuple(names)
