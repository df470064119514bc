import os
from pathlib import Path

import pytest

from leukctl import layouts, tables
from leukctl.errors import InputError

HEADER = "Patient_ID,new_names,labels\n"


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def rows(root: Path, layout: str) -> list[list[str]]:
    found = layouts.read(layouts.list_folder(root), layout, "set")
    return [[os.path.relpath(row[0], root), *row[1:]] for row in found.table.rows]


def test_first_folder_is_the_class(tmp_path: Path) -> None:
    touch(tmp_path, "b/x.png", "a/deep/er/y.JPG", "a/z.tiff", "a/notes.txt", ".git/k.png")
    assert rows(tmp_path, "folders") == [
        ["a/deep/er/y.JPG", "a", "", "set"],
        ["a/z.tiff", "a", "", "set"],
        ["b/x.png", "b", "", "set"],
    ]


def test_images_outside_class_folders_have_no_label_and_are_told_of(tmp_path: Path) -> None:
    touch(tmp_path, "x.png", "a/y.png")
    found = layouts.read(layouts.list_folder(tmp_path), "folders", "set")
    assert found.table.column("label") == ["a", ""]
    assert "1 images lie outside" in found.notes[0]
    flat = layouts.read(layouts.list_folder(tmp_path / "a"), "folders", "set")
    assert flat.table.column("label") == [""]
    assert "no class folders" in flat.notes[0]


def test_a_folder_around_the_classes_is_suspected(tmp_path: Path) -> None:
    touch(tmp_path, "set/a/x.png", "set/b/y.png")
    found = layouts.read(layouts.list_folder(tmp_path), "folders", "set")
    assert str(tmp_path / "set") in found.notes[0]


def test_links_are_followed_once_and_loops_end(tmp_path: Path) -> None:
    touch(tmp_path / "real", "a/x.png")
    root = tmp_path / "root"
    root.mkdir()
    (root / "a").symlink_to(tmp_path / "real" / "a")
    (tmp_path / "real" / "a" / "up").symlink_to(root)
    (root / "self").symlink_to("self")
    listing = layouts.list_folder(root)
    assert listing.images == ["a/x.png"]
    assert listing.aliases == 1


def test_other_files_are_counted(tmp_path: Path) -> None:
    touch(tmp_path, "a.txt", "b.TXT", "c.db", ".hidden.png", "none", "a/x.png")
    skipped = layouts.list_folder(tmp_path).skipped
    assert skipped == {".txt": 2, ".db": 1, "hidden": 1, "no suffix": 1}


def test_results_inside_the_source_are_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.png", "build/img/set/a/x.png")
    assert layouts.list_folder(tmp_path, tmp_path / "build" / "img").images == ["a/x.png"]


def test_what_prep_made_before_is_no_class(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.png", "old/img/set/a/x.png", "old/img/masks/set/a/x.png", "b/rejected.csv")
    touch(tmp_path, "b/y.png")
    (tmp_path / "old" / "img" / "rejected.csv").write_text("path,reason\n")
    listing = layouts.list_folder(tmp_path)
    assert (listing.images, listing.results) == (["a/x.png", "b/y.png"], ["old/img"])
    inner = layouts.list_folder(tmp_path / "old" / "img")
    assert (inner.images, inner.results) == (["set/a/x.png"], ["masks"])


def test_names_that_are_not_utf8_survive(tmp_path: Path) -> None:
    touch(tmp_path, "a/\udcff\n.png")
    assert rows(tmp_path, "folders") == [["a/\udcff\n.png", "a", "", "set"]]


def test_an_empty_folder_says_what_was_looked_for_and_found(tmp_path: Path) -> None:
    touch(tmp_path, "a.csv", "b.csv")
    with pytest.raises(InputError, match=r"looked for \.png .*found 2 \.csv"):
        rows(tmp_path, "folders")


def test_cnmc_names_give_class_and_subject(tmp_path: Path) -> None:
    touch(tmp_path, "fold_0/all/UID_11_2_3_all.bmp", "fold_1/hem/UID_H4_5_6_hem.bmp")
    assert layouts.recognize(layouts.list_folder(tmp_path)) == "cnmc"
    assert rows(tmp_path, "cnmc") == [
        ["fold_0/all/UID_11_2_3_all.bmp", "all", "11", "set", "training"],
        ["fold_1/hem/UID_H4_5_6_hem.bmp", "hem", "H4", "set", "training"],
    ]


@pytest.mark.parametrize("place", ["val", "val/phase"])
def test_cnmc_label_file_names_the_renamed_phase(tmp_path: Path, place: str) -> None:
    touch(tmp_path, "val/phase/1.bmp", "val/phase/2.bmp", "val/phase/3.bmp", "test/4.bmp")
    text = "\ufeff" + HEADER + "UID_57_29_1_all.bmp,1.bmp,1\r\nUID_H9_1_1_hem.bmp,2.bmp,0\r\n"
    text += "UID_58_1_1_all.bmp,99.bmp,1\r\n"
    (tmp_path / place / "phase_labels.csv").write_text(text)
    found = layouts.read(layouts.list_folder(tmp_path), "cnmc", "set")
    assert layouts.recognize(layouts.list_folder(tmp_path)) == "cnmc"
    cells = [(Path(row[0]).name, row[1], row[2]) for row in found.table.rows]
    assert cells == [
        ("4.bmp", "", ""),
        ("1.bmp", "all", "57"),
        ("2.bmp", "hem", "H9"),
        ("3.bmp", "", ""),
    ]
    assert "2 images have no label" in found.notes[0]
    assert "names 1 images that are not there" in found.notes[1]


@pytest.mark.parametrize("text", ["", "Patient_ID,labels\nUID_57_29_1_all.bmp,1\n", "\0\1"])
def test_a_cnmc_label_file_of_other_columns_is_told_of(tmp_path: Path, text: str) -> None:
    touch(tmp_path, "val/phase/1.bmp", "UID_1_1_1_all.bmp")
    for name in ("phase_labels.csv", "phase/own.csv", "others.csv"):
        (tmp_path / "val" / name).write_text(text)
    found = layouts.read(layouts.list_folder(tmp_path), "cnmc", "set")
    assert [row[1] for row in found.table.rows] == ["all", ""]
    assert [note.split()[0].rpartition("val/")[2] for note in found.notes[1:]] == [
        "phase/own.csv",
        "phase_labels.csv",
    ]
    assert "is no label file: it has not the columns Patient_ID,new_names,labels" in found.notes[1]


def test_cnmc_label_file_beside_the_given_folder_is_found(tmp_path: Path) -> None:
    touch(tmp_path, "phase/1.bmp")
    (tmp_path / "phase_labels.csv").write_text(HEADER + "UID_57_29_1_all.bmp,1.bmp,1\n")
    assert rows(tmp_path / "phase", "cnmc") == [["1.bmp", "all", "57", "set", ""]]


def test_a_label_file_that_may_belong_to_two_folders_labels_neither(tmp_path: Path) -> None:
    touch(tmp_path, "x/1.bmp", "y/1.bmp", "z/UID_1_1_1_all.bmp")
    (tmp_path / "labels.csv").write_text(HEADER + "UID_57_29_1_all.bmp,1.bmp,1\n")
    assert [row[1] for row in rows(tmp_path, "cnmc")] == ["", "", "all"]


def test_cnmc_phases_are_told_by_their_folders(tmp_path: Path) -> None:
    touch(tmp_path, "C-NMC_training_data/fold_2/all/UID_1_1_1_all.bmp")
    touch(tmp_path, "validation_data/C-NMC_test_prelim_phase_data/1.bmp", "elsewhere/2.bmp")
    touch(tmp_path, "testing_data/C-NMC_test_final_phase_data/1.bmp")
    table = layouts.read(layouts.list_folder(tmp_path), "cnmc", "set").table
    assert table.column("part") == ["training", "", "final", "preliminary"]
    assert "split" not in table


@pytest.mark.parametrize("inner", ["", "C-NMC_test_final_phase_data"])
def test_a_cnmc_phase_without_labels_is_recognized_by_its_folder(
    tmp_path: Path, inner: str
) -> None:
    touch(tmp_path, *(f"testing_data/C-NMC_test_final_phase_data/{i}.bmp" for i in range(3)))
    root = tmp_path / "testing_data" / inner
    listing = layouts.list_folder(root)
    assert layouts.recognize(listing) == "cnmc"
    found = layouts.read(listing, "cnmc", "set")
    assert found.table.column("label") == [""] * 3
    assert found.table.column("part") == ["final"] * 3
    assert found.notes == [f"3 images have no label, such as {found.relative[0]!r}: kept without"]


def test_renamed_phases_belong_to_the_named_images_beside_them_and_strangers_do_not(
    tmp_path: Path,
) -> None:
    touch(tmp_path, "fold_0/all/UID_1_1_1_all.bmp", *(f"phase_{p}/{p}.bmp" for p in (2, 3)))
    assert layouts.recognize(layouts.list_folder(tmp_path)) == "cnmc"
    touch(tmp_path, *(f"other/{i}.png" for i in range(4)))
    assert layouts.recognize(layouts.list_folder(tmp_path)) == "folders"


def test_an_inner_folder_of_cnmc_tells_its_phase(tmp_path: Path) -> None:
    touch(tmp_path, "training_data/fold_0/hem/UID_H1_1_1_hem.bmp")
    assert rows(tmp_path / "training_data" / "fold_0" / "hem", "cnmc") == [
        ["UID_H1_1_1_hem.bmp", "hem", "H1", "set", "training"]
    ]


@pytest.mark.parametrize(
    ("line", "column"),
    [
        ("cell.bmp,1.bmp,1", "Patient_ID"),
        ("UID_1_1_1_all.bmp,1.bmp,0", "labels"),
        ("UID_1_1_1_all.bmp,1.bmp,all", "labels"),
    ],
)
def test_wrong_label_lines_are_named(tmp_path: Path, line: str, column: str) -> None:
    touch(tmp_path, "phase/1.bmp")
    (tmp_path / "phase" / "labels.csv").write_text(HEADER + line + "\n")
    with pytest.raises(InputError, match=f"labels.csv, line 2, column {column}"):
        rows(tmp_path, "cnmc")


def test_a_cell_in_the_other_class_folder_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "fold_0/hem/UID_11_2_3_all.bmp")
    with pytest.raises(InputError, match="named 'all' but lies in a folder 'hem'"):
        rows(tmp_path, "cnmc")


def test_sources_are_joined_under_the_union_of_their_columns() -> None:
    first = layouts.Found(tables.Table("a", ["path", "label"], [["x", "L"]]), ["x"])
    second = layouts.Found(tables.Table("b", ["path", "age"], [["y", "7"]]), ["y"])
    joined = layouts.combine([first, second])
    assert joined.table.columns == ["path", "label", "age"]
    assert joined.table.rows == [["x", "L", ""], ["y", "", "7"]]
    assert joined.relative == ["x", "y"]


def test_real_cnmc_samples(shared: Path) -> None:
    listing = layouts.list_folder(shared / "cnmc-samples" / "cells")
    assert layouts.recognize(listing) == "cnmc"
    table = layouts.read(listing, "cnmc", "cells").table
    assert table.column("part") == ["training"] * 6 + ["preliminary", "final"]
    assert table.column("label") == ["all", "hem", "all", "hem", "all", "hem", "", ""]
    assert table.column("subject") == ["1", "H6", "2", "H10", "13", "H1", "", ""]


def test_images_beside_their_manifest_are_called_by_their_path_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("set/images/a.png", "elsewhere/b.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"x")
    table = tables.Table("m", ["path"], [["set/images/a.png"], ["elsewhere/b.png"]])
    found = layouts.from_manifest(table, None, None, Path("set"))
    assert found.relative == ["images/a.png", "elsewhere/b.png"]
    assert found.table.column("path") == ["set/images/a.png", "elsewhere/b.png"]
