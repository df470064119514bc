"""``leukctl split`` as users call it."""

import csv
import io
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leukctl.cli import main

UNKNOWN = "performance on unseen patients stays unknown"


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
    assert err.count(UNKNOWN) == 1
    assert "subjects stand in more than one part; --by subject keeps them together" in err
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
    status, rows, _ = run(capsys, "split", str(made), "--keep", "test", "--ratios", "50,50")
    assert status == 0
    assert Counter(row["split"] for row in rows) == {"train": 18, "val": 18, "test": 4, "": 1}


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
        (["--folds", "21"], "all.csv: 20 subjects for 21 parts: too few; ask for fewer parts"),
        (["--folds", "1"], "--folds"),
        (["--folds", "3", "--keep", "test"], "--hold-out and --keep do not go with --folds"),
        (["--by", "slide"], "--by 'slide': unknown (known: auto, subject, source, group:COLUMN"),
        (["--by", "source"], "all.csv, line 1, column source: the column is missing"),
        (["--by", "group:age", "--folds", "41"], "40 groups for 41 parts"),
        (["--hold-out", "source"], "--hold-out 'source': not COLUMN=VALUE"),
        (["--hold-out", "source=x"], "all.csv, line 1, column source: the column is missing"),
        (
            ["--hold-out", "subject=x"],
            "no row with a label has 'x', to be held out (there are: S0,",
        ),
        (["--hold-out", "subject=S1", "--ratios", "0,100"], "train and one other need a share"),
        (["--keep", "test"], "all.csv, line 1, column split: the column is missing"),
        (["--keep", "tset"], "--keep 'tset': no split (known: train, val, test)"),
        (["--by", "near-duplicate"], "all.csv, line 2, column path: no such image: '0.png'"),
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


def test_a_reader_that_leaves_ends_the_command_quietly(tmp_path: Path) -> None:
    lines = [f"{'x' * 200}{i}.png,a,S{i % 50}" for i in range(5000)]  # more than a pipe holds
    (tmp_path / "all.csv").write_text("\n".join(["path,label,subject", *lines]) + "\n")
    leukctl = f"{shlex.quote(sys.executable)} -m leukctl"
    line = f"{leukctl} split all.csv -q | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("path,label,subject,split\n0\n", "")


def test_a_source_is_held_out_with_whom_it_shares(
    manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = manifest.read_text().splitlines()
    sources = ["source"] + ["lab1"] * 33 + ["lab2"] * 7 + ["lab2"]
    cells = zip(lines, sources, strict=True)
    manifest.write_text("".join(f"{line},{source}\n" for line, source in cells))
    status, rows, err = run(capsys, "split", str(manifest), "--hold-out", "source=lab2")
    assert status == 0
    assert [row["split"] for row in rows[32:]] == ["test"] * 8 + [""]
    assert Counter(row["split"] for row in rows[:32]) == {"train": 28, "val": 4}
    assert "1 rows go to test too, since other rows of their subjects are in test: 'S16'" in err
    assert UNKNOWN not in err
    table = [line.split() for line in err.splitlines()]
    assert ["subjects", "14", "2", "4", "20"] in table


def test_a_split_by_source_says_what_stays_unknown(
    manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = manifest.read_text().replace("subject", "source")
    manifest.write_text(text)
    status, rows, err = run(capsys, "split", str(manifest), "--by", "source")
    assert status == 0
    assert "split by source" in err
    assert err.count(UNKNOWN) == 1
    for row, other in zip(rows[:40:2], rows[1:40:2], strict=True):
        assert row["split"] == other["split"]


def test_a_patient_that_the_kept_splits_tear_apart_ends_with_status_1(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = manifest.read_text().splitlines()
    splits = ["split", "train", "test", *[""] * 39]
    cells = zip(lines, splits, strict=True)
    manifest.write_text("".join(f"{line},{split}\n" for line, split in cells))
    status, rows, err = run(
        capsys, "split", str(manifest), "--keep", "train,test", "--ratios", "80,20"
    )
    assert status == 1
    assert [row["split"] for row in rows[:2]] == ["train", "test"]
    assert Counter(row["split"] for row in rows) == {"train": 31, "val": 8, "test": 1, "": 1}
    assert "1 subjects stand in several of the splits kept: 'S0'" in err


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Nine pictures, each as PNG and compressed; two that look unlike show one subject."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    lines = ["path,label,subject"]
    for seed, look in enumerate("abcdefghi"):
        coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
        picture = Image.fromarray(coarse).resize((128, 128), Image.Resampling.BICUBIC)
        picture.save(folder / f"{look}1.png")
        picture.save(folder / f"{look}2.jpg", quality=80)
        lines += [f"{look}1.png,x,{'S' if look == 'a' else ''}"]
        lines += [f"{look}2.jpg,x,{'S' if look == 'b' else ''}"]
    (tmp_path / "all.csv").write_text("\n".join([*lines, "absent,,"]) + "\n")
    return folder


@pytest.mark.parametrize("option", ["root", "workers"])
def test_without_an_audit_options_for_looking_need_a_split_that_looks(
    pictures: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    option: str,
) -> None:
    value = {"root": f"{pictures}/", "workers": "1"}[option]
    manifest = ["split", str(tmp_path / "all.csv"), "--no-audit", "--ratios", "50,50"]
    status, rows, err = run(capsys, *manifest, "--by", "image", f"--{option}", value)
    assert (status, rows) == (2, [])
    assert f"--{option} is for looking at images, and a split by image with --no-audit" in err
    assert err.count("\n") == 1
    monkeypatch.setenv(f"LEUKCTL_{option.upper()}", value)
    assert run(capsys, *manifest, "--by", "image")[0] == 0
    monkeypatch.setenv("LEUKCTL_ROOT", str(pictures))
    status, rows, err = run(capsys, *manifest, f"--{option}", value)
    assert (status, len(rows)) == (0, 19)
    assert "split by near-duplicate" in err
    assert "audit" not in err


def test_where_subjects_are_missing_those_that_look_alike_stay_together(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest, root = str(tmp_path / "all.csv"), ["--root", str(pictures)]
    status, rows, err = run(capsys, "split", manifest, *root, "--ratios", "50,25,25")
    assert status == 0
    assert "split by near-duplicate" in err
    assert err.count(UNKNOWN) == 1
    groups = [row["group"] for row in rows]
    assert groups[0] == groups[1] == groups[2] == groups[3]
    assert groups[4:18:2] == groups[5:18:2]
    assert len(set(groups[:18])) == 8
    assert groups[18] == ""
    parts = {row["group"]: row["split"] for row in rows}
    assert all(row["split"] == parts[row["group"]] for row in rows)
    assert Counter(row["split"] for row in rows) == {"train": 10, "val": 4, "test": 4, "": 1}


def test_groups_that_were_found_serve_the_next_split(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, again = tmp_path / "split.csv", tmp_path / "again.csv"
    arguments = ["--root", str(pictures), "--ratios", "75,25"]
    assert main(["split", str(tmp_path / "all.csv"), *arguments, "-q", "-o", str(made)]) == 0
    for path in pictures.iterdir():
        path.unlink()
    status, rows, err = run(capsys, "split", str(made), "--folds", "3")
    assert status == 0
    assert "split by group:group" in err
    assert err.count(UNKNOWN) == 1
    folds = {row["group"]: row["fold"] for row in rows}
    assert all(row["fold"] == folds[row["group"]] for row in rows)
    assert all(bool(row["fold"]) == (row["split"] == "train") for row in rows)

    status, _, err = run(capsys, "split", str(made), "--by", "near-duplicate", "--keep", "test")
    assert status == 2
    assert "the column group is filled already; --by group:group takes it" in err
    lines = made.read_text().splitlines()
    again.write_text("\n".join([*lines, "new,x,,,"]) + "\n")
    status, _, err = run(capsys, "split", str(again), "--keep", "test")
    assert status == 2
    assert "again.csv, line 21, column group: empty, unlike others; fill it, or --force" in err


def test_images_that_cannot_be_found_to_look_at_are_one_line(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (pictures / "b1.png").unlink()
    root = ["--root", str(pictures)]
    status, rows, err = run(capsys, "split", str(tmp_path / "all.csv"), *root)
    assert (status, rows) == (2, [])
    assert err.count("\n") == 1
    assert "all.csv, line 4, column path: no such image:" in err
    assert "--root says where paths start, --by image splits without looking" in err
    assert run(capsys, "split", str(tmp_path / "all.csv"), "--by", "image")[0] == 0


def test_the_order_of_the_rows_decides_nothing(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    header, *lines = (tmp_path / "all.csv").read_text().splitlines()
    turned = tmp_path / "turned.csv"
    turned.write_text("\n".join([header, *lines[::-1]]) + "\n")
    found = [
        run(capsys, "split", str(path), "--root", str(pictures), "--ratios", "50,50")[1]
        for path in (tmp_path / "all.csv", turned)
    ]
    assert found[0] == found[1][::-1]


def test_parts_of_a_data_set_become_its_splits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """C-NMC's preliminary phase as test, its training phase divided, its final one unlabelled."""
    rows = [f"{i}.bmp,{'all' if i % 2 else 'hem'},H{i // 4},training" for i in range(80)]
    rows += [f"p{i}.bmp,{'all' if i % 2 else 'hem'},{i // 4},preliminary" for i in range(16)]
    rows += [f"f{i}.bmp,,,final" for i in range(4)]
    manifest = tmp_path / "cnmc.csv"
    manifest.write_text("\n".join(["path,label,subject,part", *rows]) + "\n")
    status, made, err = run(
        capsys, "split", str(manifest), "--hold-out", "part=preliminary", "--ratios", "75,25"
    )
    assert status == 0
    assert Counter((row["part"], row["split"]) for row in made) == {
        ("training", "train"): 60,
        ("training", "val"): 20,
        ("preliminary", "test"): 16,
        ("final", ""): 4,
    }
    assert "4 rows stay outside (no label)" in err
