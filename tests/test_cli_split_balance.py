"""``leukctl split`` and ``leukctl balance`` as users call them."""

import csv
import io
import shlex
import subprocess
import sys
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


def test_split_keeps_subjects_and_columns(
    manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, rows, err = run(capsys, "split", str(manifest), "--seed", "3")
    assert status == 0
    assert list(rows[0]) == ["age", "path", "label", "subject", "split"]
    assert [row["age"] for row in rows] == [*map(str, range(40)), "99"]
    assert Counter((row["label"], row["split"]) for row in rows) == {
        ("ALL", "train"): 16,
        ("ALL", "val"): 2,
        ("ALL", "test"): 2,
        ("healthy", "train"): 16,
        ("healthy", "val"): 2,
        ("healthy", "test"): 2,
        ("", ""): 1,
    }
    for row, other in zip(rows[:40:2], rows[1:40:2], strict=True):
        assert row["split"] == other["split"]
    assert "split by subject" in err
    assert "1 rows stay outside" in err
    table = [line.split() for line in err.splitlines()]
    assert ["ALL", "16", "2", "2", "20"] in table
    assert ["subjects", "16", "2", "2", "20"] in table


def test_split_by_image_says_what_stays_unknown(
    manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, _, err = run(capsys, "split", str(manifest), "--by", "image")
    assert "split by image" in err
    assert "performance on unseen patients stays unknown" in err
    assert "subjects are not looked at" in err
    assert "no column sha256" in err


def test_split_by_subject_does_not_say_so(
    manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, _, err = run(capsys, "split", str(manifest))
    assert "unknown" not in err


def test_a_filled_split_is_kept_unless_forced(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / "split.csv"
    assert run(capsys, "split", str(manifest), "-o", str(made))[0] == 0
    status, rows, err = run(capsys, "split", str(made))
    assert (status, rows) == (2, [])
    assert "column split is filled already; --force replaces it" in err
    status, rows, _ = run(capsys, "split", str(made), "--force", "--ratios", "50,50")
    assert status == 0
    assert Counter(row["split"] for row in rows) == {"train": 20, "test": 20, "": 1}


def test_folds_go_beside_a_held_out_test(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / "split.csv"
    assert run(capsys, "split", str(manifest), "--ratios", "80,20", "-o", str(made))[0] == 0
    status, rows, err = run(capsys, "split", str(made), "--folds", "4")
    assert status == 0
    assert {row["fold"] for row in rows if row["split"] == "test"} == {""}
    assert Counter(row["fold"] for row in rows if row["split"] == "train") == dict.fromkeys(
        "0123", 8
    )
    assert "fold 3" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ratios", "80,10"], "they sum to 90, not to 100"),
        (["--ratios", "80,20", "--folds", "3"], "not both"),
        (["--folds", "21"], "20 subjects for 21 parts"),
        (["--folds", "1"], "--folds"),
        (["--by", "slide"], "--by"),
    ],
)
def test_a_split_that_cannot_be_is_one_line(
    manifest: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    status, rows, err = run(capsys, "split", str(manifest), *arguments)
    assert (status, rows) == (2, [])
    assert message in err
    assert err.count("\n") == 1


def test_same_seed_same_bytes(manifest: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert main(["split", str(manifest), "-o", str(tmp_path / name), "-q"]) == 0
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


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
    from leukctl.cli import balance, prep, split

    choices = [(prep.prep, "layout", catalog.LAYOUTS), (split.split, "by", catalog.SPLIT_UNITS)]
    choices.append((balance.balance, "method", catalog.BALANCING))
    for command, option, names in choices:
        assert get_args(get_args(command.__annotations__[option])[0]) == tuple(names)


def test_a_reader_that_leaves_ends_the_command_quietly(tmp_path: Path) -> None:
    lines = [f"{'x' * 200}{i}.png,a,S{i % 50}" for i in range(5000)]  # more than a pipe holds
    (tmp_path / "all.csv").write_text("\n".join(["path,label,subject", *lines]) + "\n")
    leukctl = f"{shlex.quote(sys.executable)} -m leukctl"
    line = f"{leukctl} split all.csv -q | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("path,label,subject,split\n0\n", "")
