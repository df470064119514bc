"""``leukctl balance`` as users call it: its options, its errors, its exit status."""

import csv
import io
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from leukctl import catalog, files
from leukctl.cli import balance, main

SIZES = {"ALL": 9, "AML": 5, "healthy": 2}


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A manifest ``split.csv`` of 16 train images, and two more of each class, in the folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("ROOT", "WORKERS", "SEED"):
        monkeypatch.delenv(f"LEUKCTL_{name}", raising=False)
    lines = ["age,path,label,subject,split"]
    random = np.random.default_rng(0)
    for label, count in SIZES.items():
        for i in range(count + 2):
            path = Path("cells") / label / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 256, (12, 12, 3), np.uint8)).save(path)
            split = "train" if i < count else ("val", "test")[i - count]
            lines.append(f"{i},{path},{label},{label}{i // 2},{split}")
    Path("split.csv").write_text("\n".join(lines) + "\n")
    return Path("split.csv")


def run(
    capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, list[dict[str, str]], str]:
    status = main(["balance", *arguments])
    out, err = capsys.readouterr()
    return status, list(csv.DictReader(io.StringIO(out))), err


def train_counts(rows: list[dict[str, str]]) -> dict[str, int]:
    return dict(Counter(row["label"] for row in rows if row["split"] == "train"))


def test_choices_are_those_of_the_catalog() -> None:
    for option, names in (
        ("method", catalog.BALANCING),
        ("flip", catalog.FLIPS),
        ("fill", catalog.FILLS),
    ):
        choice = get_args(balance.balance.__annotations__[option])[0]
        inner = get_args(choice)
        literal = inner if isinstance(inner[0], str) else get_args(inner[0])
        assert literal == tuple(names)
    for name in catalog.BALANCING:
        assert f"\n      {name} " in str(balance.balance.__doc__)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {"ALL": 2, "AML": 2, "healthy": 2}),
        (["--to", "mean"], {"ALL": 5, "AML": 5, "healthy": 2}),
        (["--to", "4"], {"ALL": 4, "AML": 4, "healthy": 2}),
        (["--to", "max"], SIZES),
        (["--method", "oversample"], {"ALL": 9, "AML": 9, "healthy": 9}),
        (["--method", "oversample", "--to", "mean"], {"ALL": 9, "AML": 5, "healthy": 5}),
        (["--method", "oversample", "--to", "20"], {"ALL": 20, "AML": 20, "healthy": 20}),
    ],
)
def test_to_sets_the_train_rows_of_each_class(
    manifest: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    expected: dict[str, int],
) -> None:
    status, rows, err = run(capsys, str(manifest), *arguments)
    assert status == 0
    assert train_counts(rows) == expected
    before = list(csv.DictReader(manifest.open()))
    rest = [{name: row[name] for name in before[0]} for row in rows if row["split"] != "train"]
    assert rest == [row for row in before if row["split"] != "train"]
    table = [line.split() for line in err.splitlines()]
    for label, count in expected.items():
        assert [label, str(SIZES[label]), str(count)] in table
    stay = [
        label for label in SIZES if f"class {label!r} stays at {SIZES[label]} train rows" in err
    ]
    size = {"mean": 5, "4": 4, "max": 9}.get(arguments[-1] if "--to" in arguments else "")
    assert stay == [label for label, count in expected.items() if size not in (None, count)]
    assert ("--to mean (5)" in err) == ("mean" in arguments)


def test_methods_that_write_no_images_add_no_columns_but_their_own(
    manifest: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = ["age", "path", "label", "subject", "split"]
    monkeypatch.setenv("LEUKCTL_WORKERS", "2")  # a wish for the commands that it means something to
    assert list(run(capsys, str(manifest))[1][0]) == columns
    assert list(run(capsys, str(manifest), "--method", "oversample")[1][0]) == [*columns, "copy"]
    assert list(run(capsys, str(manifest), "--method", "weights")[1][0]) == [*columns, "weight"]


def test_oversampled_rows_are_numbered_copies(
    manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, rows, _ = run(capsys, str(manifest), "--method", "oversample", "--to", "7")
    counts = Counter((row["label"], row["copy"]) for row in rows if row["split"] == "train")
    assert counts == {
        ("ALL", "0"): 9,
        ("AML", "0"): 5,
        ("AML", "1"): 2,
        ("healthy", "0"): 2,
        ("healthy", "1"): 2,
        ("healthy", "2"): 2,
        ("healthy", "3"): 1,
    }


def test_a_manifest_without_splits_is_told_of_by_its_column(
    manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [line.rpartition(",")[0] for line in manifest.read_text().splitlines()]
    manifest.write_text("\n".join(lines) + "\n")
    status, rows, err = run(capsys, str(manifest))
    assert (status, rows) == (2, [])
    assert "split.csv, line 1, column split: the column is missing" in err
    assert err.count("\n") == 1


def test_augment_writes_images_a_manifest_and_an_empty_list_of_rejected(
    manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, rows, err = run(
        capsys, str(manifest), "--method", "augment", "--images", "new", "--workers", "1"
    )
    assert status == 0
    assert train_counts(rows) == {"ALL": 9, "AML": 9, "healthy": 9}
    new = [row for row in rows if row["parent"]]
    assert len(new) == 11
    assert all(files.sha256(Path(row["path"])) == row["sha256"] for row in new)
    assert all(row["path"].startswith(f"new/{row['label']}/") for row in new)
    assert Path("new/rejected.csv").read_text() == "path,reason\n"
    assert "11 images made, 0 of them before now; 0 rejected" in err
    _, again, err = run(capsys, str(manifest), "--method", "augment", "--images", "new")
    assert "11 images made, 11 of them before now" in err
    assert again == rows


def test_an_unreadable_image_is_named_left_out_and_replaced(
    manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("cells/healthy/1.png").write_bytes(b"no image")
    arguments = [str(manifest), "--method", "augment", "--images", "new"]
    status, rows, err = run(capsys, *arguments)
    assert status == 1
    assert "leukctl: error: cells/healthy/1.png: not an image" in err
    assert "1 rejected" in err
    assert train_counts(rows) == {"ALL": 9, "AML": 9, "healthy": 9}
    assert "cells/healthy/1.png" not in {row["path"] for row in rows}
    assert (
        Path("new/rejected.csv")
        .read_text()
        .splitlines()[1]
        .startswith('cells/healthy/1.png,"not an')
    )
    assert run(capsys, *arguments, "--allow-rejected", "1")[:2] == (0, rows)


def test_weights_are_written_and_told(manifest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, rows, err = run(capsys, str(manifest), "--method", "weights")
    assert status == 0
    assert {(row["label"], row["weight"]) for row in rows if row["split"] == "train"} == {
        ("ALL", repr(16 / 27)),
        ("AML", repr(16 / 15)),
        ("healthy", repr(16 / 6)),
    }
    assert {row["weight"] for row in rows if row["split"] != "train"} == {""}
    assert ["healthy", "2", "2.6667"] in [line.split() for line in err.splitlines()]
    assert main(["balance", str(manifest), "--method", "weights", "-q", "-o", "w.csv"]) == 0
    assert run(capsys, "w.csv", "--method", "weights")[0] == 2
    assert run(capsys, "w.csv", "--method", "weights", "--force")[1] == rows
    _, _, err = run(capsys, "w.csv")
    assert "the column weight stays as it was" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "augment"], "--method augment needs --images DIR"),
        (["--images", "new"], "--images goes with --method augment"),
        (["--method", "oversample", "--rotate", "3"], "--rotate goes with --method augment"),
        (["--method", "weights", "--fill", "black"], "--fill goes with --method augment"),
        (["--method", "weights", "--to", "max"], "--to: --method weights leaves the rows"),
        (["--method", "weights", "--even", "subject"], "--even: --method weights leaves"),
        (["--to", "half"], "--to 'half': give min, max, mean or a number of rows above 0"),
        (["--even", "slide"], "split.csv, line 1, column slide: the column is missing"),
        (["--force"], "--force: --method undersample replaces nothing"),
        (["--root", "cells"], "--root goes with --method augment"),
        (["--method", "weights", "--workers", "2"], "--workers goes with --method augment"),
        (["--method", "augment", "--images", "cells"], "need a folder of their own"),
        (["--method", "augment", "--images", "new", "--zoom", "1"], "--zoom 1: from 0 to 0.9"),
        (["--method", "augment", "--images", "new", "--fill", "red"], "--fill"),
        (["--method", "augment", "--images", "split.csv/x"], "split.csv"),
    ],
)
def test_what_does_not_fit_is_one_line_and_leaves_nothing(
    manifest: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    before = sorted(Path().rglob("*"))
    status, rows, err = run(capsys, str(manifest), *arguments)
    assert (status, rows) == (2, [])
    assert message in err
    assert err.count("\n") == 1
    assert "unforeseen" not in err
    assert sorted(Path().rglob("*")) == before


def test_two_calls_in_a_pipe_bring_all_classes_to_the_mean(manifest: Path) -> None:
    leukctl = f"{shlex.quote(sys.executable)} -m leukctl"
    line = f"{leukctl} balance split.csv --to mean -q | {leukctl} balance - --method augment "
    line += "--images new -q -o balanced.csv; echo $?"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("0\n", "")
    rows = list(csv.DictReader(io.StringIO(Path("balanced.csv").read_text())))
    assert train_counts(rows) == {"ALL": 5, "AML": 5, "healthy": 5}


def test_an_interrupted_augmentation_goes_on(
    manifest: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from leukctl.balancing import work

    whole, made = work._make_copy, []

    def interrupted(*given: object) -> object:
        if len(made) == 4:
            raise KeyboardInterrupt
        made.append(given)
        return whole(*given)  # type: ignore[arg-type]

    arguments = [str(manifest), "--method", "augment", "--images", "new", "--workers", "1"]
    with monkeypatch.context() as patch:
        patch.setattr(work, "_make_copy", interrupted)
        assert run(capsys, *arguments, "-o", "out.csv")[0] == 130
    assert not Path("out.csv").exists()
    assert len(list(Path("new").rglob("*.png"))) == 4
    _, rows, err = run(capsys, *arguments)
    assert "11 images made, 4 of them before now" in err
    assert len(rows) == 16 + 6 + 11
