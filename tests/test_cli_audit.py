"""The audit of a split as users call it."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from slides import Rgb, slide, window, write

from leukctl.cli import main

Rows = list[dict[str, str]]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(list(arguments))
    out, err = capsys.readouterr()
    return status, out, err


def rows_of(text: str) -> Rows:
    return list(csv.DictReader(io.StringIO(text)))


def manifest(folder: Path, rows: list[tuple[Rgb, str]], header: str = "path,split") -> Path:
    """Write images and a manifest of them; a row's text follows its path."""
    lines = [header]
    for place, (rgb, cells) in enumerate(rows):
        lines.append(f"{write(folder / 'img' / f'{place:03}.png', rgb)},{cells}")
    path = folder / "all.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def distinct(seed: int, side: int = 96) -> Rgb:
    return window(slide(1000 + seed, side), 0, 0, side)


def test_a_copy_across_splits_is_a_leak(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rgb = distinct(0)
    path = manifest(
        tmp_path,
        [(rgb, "train"), (np.ascontiguousarray(rgb[::-1]), "test"), (distinct(1), "test")],
    )
    status, out, err = run(capsys, "split", "--audit", str(path))
    assert status == 1
    (pair,) = rows_of(out)
    assert [Path(pair[side]).stem for side in ("path_a", "path_b")] == ["000", "001"]
    assert (pair["kind"], pair["mirrored"], pair["crosses"]) == ("near-duplicate", "yes", "yes")
    assert (pair["split_a"], pair["split_b"]) == ("train", "test")
    assert "1 pairs cross the splits" in err


def test_a_copy_within_a_split_is_listed_and_no_leak(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rgb = distinct(0)
    path = manifest(tmp_path, [(rgb, "train"), (rgb, "train"), (distinct(1), "test")])
    status, out, _ = run(capsys, "split", "--audit", str(path))
    assert status == 0
    (pair,) = rows_of(out)
    assert (pair["kind"], pair["crosses"]) == ("same-bytes", "no")


def test_the_json_counts_what_the_csv_lists(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    field = slide(1, 400)
    rows = [(window(field, 0, 0), "train"), (window(field, 110, 0), "test")]
    path = manifest(tmp_path, [*rows, (distinct(3), "val")])
    pairs = tmp_path / "pairs.csv"
    status, out, _ = run(capsys, "split", "--audit", str(path), "--json", "--pairs", str(pairs))
    document = json.loads(out)
    assert status == 1
    assert (document["schema"], document["kind"], document["images"]) == (1, "audit", 3)
    assert document["leaks"]["by_kind"]["overlap"] == {"pairs": 1, "crossing": 1}
    assert document["leaks"]["crossing"] == 1
    assert [row["kind"] for row in rows_of(pairs.read_text())] == ["overlap"]
    assert "another picture of a part of the same field" in document["findings"][0]


@pytest.mark.parametrize(
    ("header", "cells", "sentence"),
    [
        ("path,split,subject", ("train,S1", "test,S1", "test,S2"), "1 subjects stand in two"),
        ("path,fold,subject", ("0,S1", "1,S1", "1,S2"), "1 subjects stand in two"),
        ("path,split,group", ("train,g", "val,g", "test,h"), "1 groups stand in two"),
    ],
)
def test_what_ought_to_stay_together_is_looked_up_in_the_columns(
    header: str,
    cells: tuple[str, ...],
    sentence: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [(distinct(place), text) for place, text in enumerate(cells)]
    path = manifest(tmp_path, rows, header)
    status, _, err = run(capsys, "split", "--audit", str(path), "--no-shortcuts")
    assert status == 1
    assert sentence in err


def test_an_image_apart_from_what_augmentation_made_of_it_is_a_leak(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parent = tmp_path / "img" / "000.png"
    rows = [(distinct(0), "test,"), (distinct(1), f"train,{parent}")]
    path = manifest(tmp_path, rows, "path,split,parent")
    status, _, err = run(capsys, "split", "--audit", str(path), "--no-shortcuts")
    assert status == 1
    assert "1 images stand in another split than images made of them" in err


def sides(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, *options: str
) -> tuple[int, str, str]:
    """Audit a manifest of three files with the same bytes, x0, x1 and x2, and one other, y."""
    for name in ("x0", "x1", "x2"):
        write(tmp_path / f"{name}.png", distinct(0))
    write(tmp_path / "y.png", distinct(1))
    path = tmp_path / "all.csv"
    path.write_text(text)
    return run(capsys, "split", "--audit", str(path), "--root", str(tmp_path), *options)


@pytest.mark.parametrize(
    "text",
    [
        "path,split,copy\nx0.png,train,0\nx0.png,test,1\n",
        "path,split\nx0.png,train\n./x0.png,test\n",
        "path,split\nx0.png,\nx1.png,train\nx2.png,test\n",
        "path,split,fold\nx0.png,,0\nx1.png,test,\n",
        "path,split,fold\nx0.png,train,0\nx1.png,train,1\n",
    ],
    ids=[
        "a repeated row",
        "one file written two ways",
        "the first takes no part",
        "a fold and test",
        "two folds of train",
    ],
)
def test_a_file_on_two_sides_is_a_leak_however_it_got_there(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = sides(tmp_path, capsys, text)
    assert status == 1
    assert "1 pairs cross the splits: the same file" in err
    assert [row["crosses"] for row in rows_of(out)].count("yes") == 1


def test_rows_that_oversampling_repeated_are_no_copies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "path,split,copy\nx0.png,train,0\nx0.png,train,1\ny.png,test,0\n"
    status, out, _ = sides(tmp_path, capsys, text)
    assert (status, rows_of(out)) == (0, [])


def test_a_near_duplicate_of_a_picture_that_stands_on_two_sides_crosses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "z.png", np.ascontiguousarray(distinct(0)[:, ::-1]))
    text = "path,split\nx0.png,\nx1.png,train\nz.png,test\n"
    status, out, _ = sides(tmp_path, capsys, text)
    assert status == 1
    near = [row for row in rows_of(out) if row["kind"] == "near-duplicate"]
    assert [(row["path_a"], row["path_b"], row["crosses"]) for row in near] == [
        ("x1.png", "z.png", "yes")
    ]


def test_folds_are_audited_against_the_test_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [(distinct(place), f"{'ab'[place % 2]},S{place},") for place in range(8)]
    path = manifest(tmp_path, [*rows, (distinct(0), "a,T,test")], "path,label,subject,split")
    status, _, err = run(capsys, "split", str(path), "--folds", "2")
    assert status == 1
    assert "1 pairs cross the splits" in err


def test_numbers_of_the_pairs_read_back_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rgb = distinct(0)
    rows = [(rgb, "train"), (np.ascontiguousarray(rgb[::-1]), "train")]
    path, document = manifest(tmp_path, rows), tmp_path / "pairs.csv"
    _, out, _ = run(capsys, "split", "--audit", str(path), "--pairs", str(document))
    (pair,) = rows_of(out)
    assert len(pair["score"]) > 8
    assert 0 <= float(pair["angle"]) < 360
    assert document.read_text() == out


def test_nothing_is_written_where_the_audit_cannot_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [(distinct(place), f"{'ab'[place % 2]},S{place}") for place in range(8)]
    path, target = manifest(tmp_path, rows, "path,label,subject"), tmp_path / "split.csv"
    missing = str(tmp_path / "none" / "pairs.csv")
    (tmp_path / "none").write_text("a file, where a folder would have to be")
    status, _, _ = run(capsys, "split", str(path), "--pairs", missing, "-o", str(target))
    assert status == 2
    assert not target.exists()


def test_a_root_without_the_images_is_an_error_and_no_short_audit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [(distinct(place), f"{'ab'[place % 2]},S{place}") for place in range(8)]
    path = manifest(tmp_path, rows, "path,label,subject")
    path.write_text(path.read_text().replace(str(tmp_path), ""))
    status, out, err = run(capsys, "split", str(path), "--root", str(tmp_path / "other"))
    assert (status, out) == (2, "")
    assert "no such image" in err


def test_a_class_of_one_source_is_told_and_no_leak(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = ["train,CLL,a", "train,ALL,a", "test,ALL,b", "test,ALL,b"]
    rows = [(distinct(place), text) for place, text in enumerate(cells)]
    path = manifest(tmp_path, rows, "path,split,label,source")
    status, out, _ = run(capsys, "split", "--audit", str(path), "--no-shortcuts", "--json")
    assert status == 0
    assert json.loads(out)["leaks"]["classes_of_one_source"] == ["CLL"]


def test_copies_of_two_labels_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(distinct(0), "train,ALL"), (distinct(0), "train,healthy")]
    path = manifest(tmp_path, rows, "path,split,label")
    _, _, err = run(capsys, "split", "--audit", str(path), "--no-shortcuts")
    assert "1 pairs of copies bear two different labels" in err


def test_an_image_that_cannot_be_read_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = manifest(tmp_path, [(distinct(0), "train"), (distinct(1), "test")])
    (tmp_path / "img" / "001.png").write_bytes(b"no image")
    status, out, err = run(capsys, "split", "--audit", str(path), "--json")
    assert status == 1
    assert json.loads(out)["unread"] == [str(tmp_path / "img" / "001.png")]
    assert "001.png: not an image" in err


def test_an_image_that_is_not_there_ends_an_audit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = manifest(tmp_path, [(distinct(0), "train"), (distinct(1), "test")])
    (tmp_path / "img" / "001.png").unlink()
    status, out, err = run(capsys, "split", "--audit", str(path))
    assert (status, out) == (2, "")
    assert "line 3, column path: no such image" in err


def test_a_split_is_audited_and_a_leak_between_subjects_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Every subject has one image, and each image a copy under another subject's name.
    pictures = [distinct(place) for place in range(6)] * 2
    rows = [(rgb, f"{'ab'[place % 2]},S{place}") for place, rgb in enumerate(pictures)]
    path = manifest(tmp_path, rows, "path,label,subject")
    target = tmp_path / "split.csv"
    status, _, err = run(
        capsys, "split", str(path), "--ratios", "50,50", "-o", str(target), "--seed", "3"
    )
    side = {row["path"]: row["split"] for row in rows_of(target.read_text())}
    names = sorted(side)
    crossing = sum(side[a] != side[b] for a, b in zip(names[:6], names[6:], strict=True))
    assert crossing > 0
    assert status == 1
    assert f"6 pairs of copies, {crossing} of them across splits" in err


def test_a_split_writes_what_report_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [(distinct(place), f"{'ab'[place % 2]},S{place}") for place in range(12)]
    path = manifest(tmp_path, rows, "path,label,subject")
    target = tmp_path / "audit.json"
    status, _, _ = run(
        capsys, "split", str(path), "--ratios", "50,50", "--shortcuts", "--audit-json", str(target)
    )
    assert status == 0
    document = json.loads(target.read_text())
    assert [found["name"] for found in document["shortcuts"]] == [
        *("color", "background", "file", "source")
    ]
    status, out, _ = run(capsys, "report", str(target), "--format", "markdown")
    assert status == 0
    assert "background" in out


def test_groups_of_copies_never_cross_a_split(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    field = slide(2, 400)
    pictures = [window(field, 90 * place, 0) for place in range(2)] * 2
    pictures += [distinct(place) for place in range(16)]
    rows = [(rgb, "ab"[place % 2]) for place, rgb in enumerate(pictures)]
    path = manifest(tmp_path, rows, "path,label")
    for seed in range(3):
        status, out, err = run(capsys, "split", str(path), "--ratios", "50,50", "--seed", str(seed))
        assert status == 0
        assert len({row["split"] for row in rows_of(out)[:4]}) == 1
        assert len({row["group"] for row in rows_of(out)[:4]}) == 1
        assert "0 of them across splits" in err
        assert "performance on unseen patients stays unknown" in err


def test_without_an_audit_no_image_is_needed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ["path,label,subject", *(f"{p}.png,{'ab'[p % 2]},S{p}" for p in range(20))]
    path = tmp_path / "all.csv"
    path.write_text("\n".join(lines) + "\n")
    status, _, err = run(capsys, "split", str(path), "--no-audit")
    assert status == 0
    assert "audit" not in err
    status, _, err = run(capsys, "split", str(path))
    assert status == 0
    assert "20 images are not there ('0.png'; --root says where paths start)" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--audit", "--ratios", "80,20"), "--ratios would change it"),
        (("--audit", "--by", "subject"), "--by would change it"),
        (("--audit", "--hold-out", "source=a"), "--hold-out would change it"),
        (("--json",), "--json goes with --audit"),
        (("--audit", "--pairs", "-"), "--pairs needs a file"),
        (("--no-audit", "--pairs", "pairs.csv"), "--no-audit leaves out"),
        (("--no-audit", "--shortcuts"), "--no-audit leaves out"),
        (("--no-audit", "--audit-json", "audit.json"), "--no-audit leaves out"),
        (("--pairs", "pairs.csv", "--ratios", "50,50"), "no such image"),
    ],
)
def test_options_that_contradict_are_refused(
    options: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "all.csv"
    path.write_text("path,label,subject\nmade-up.png,a,S1\nother.png,a,S2\n")
    status, out, err = run(capsys, "split", str(path), *options)
    assert (status, out) == (2, "")
    assert message in err


def test_a_set_drawn_without_copies_has_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = tmp_path / "drawn"
    assert main(["synth", str(drawn), "--images", "60", "--seed", "5", "-q"]) == 0
    status, _, err = run(capsys, "split", str(drawn / "manifest.csv"), "--root", str(drawn))
    assert status == 0
    assert "0 pairs of copies" in err
