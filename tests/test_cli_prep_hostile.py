"""``leukctl prep`` over every layout, with everything in it that a folder may hold."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pictures import bomb, encoded, tiff
from PIL import Image

from leukctl import images, layouts
from leukctl.cli import main

RGB = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(Image.fromarray(np.rot90(RGB)), "TIFF", exif=exif)


WHOLE = Image.fromarray(RGB)
GREY = RGB.max(axis=2)
# Whatever its name says, the content decides; the pixels that come of each, None for any.
GOOD: dict[str, tuple[bytes, np.ndarray | None]] = {
    "bmp": (encoded(WHOLE, "BMP"), RGB),
    "alpha": (encoded(Image.fromarray(np.dstack([RGB, GREY * 0 + 255])), "PNG"), RGB),
    "grey": (encoded(Image.fromarray(GREY), "PNG"), np.dstack([GREY] * 3)),
    "16-bit": (tiff(GREY.astype(np.uint16) * 257), np.dstack([GREY] * 3)),
    "palette": (encoded(WHOLE.quantize(16), "PNG"), None),
    "cmyk": (encoded(WHOLE.convert("CMYK"), "JPEG"), None),
    "rotated": (turned(), RGB),
}
BAD = {
    "truncated": (encoded(WHOLE, "PNG")[:400], "truncated"),
    "empty": (b"", "empty file"),
    "huge": (bomb(), "60000x60000 pixels"),
    "text": (b"hello", "not an image"),
}
CONTENTS = [*GOOD, *BAD]

HOSTILE_FOLDER = 'a, "b" [c]\n\udcff'


def four(index: int) -> str:
    return ("Benign", "Early", "Pre", "Pro")[index % 4]


# The path of image number i in each layout; where names are free, hostile ones.
ODD = "cell, [1] \"q\" 'p'\n\udcfe"
NAMES: dict[str, Callable[[int], str]] = {
    "folders": lambda i: f"class, {i % 2}\udcfd/{ODD}{i}.png",
    "cnmc": lambda i: f"fold_0/{('all', 'hem')[i % 2]}/UID_{i}_1_1_{('all', 'hem')[i % 2]}.bmp",
    "all-idb": lambda i: f"{ODD}/Im{i:03d}_{i % 2}.jpg",
    "taleghani": lambda i: (
        f"{four(i)}/WBC-{'' if four(i) == 'Benign' else 'Malignant-'}{four(i)}-{i:03d}.jpg"
    ),
    "taleghani-4class": lambda i: f"{('Benign', '[Malignant] Pre-B')[i % 2]}/{ODD}{i}.jpg",
    "pbc": lambda i: f"{('basophil/BA', 'ig/MY')[i % 2]}_{i}.jpg",
    "raabin": lambda i: f"{('Train', 'TestA')[i % 2]}/Basophil/{ODD}{i}.jpg",
    "munich-aml": lambda i: f"{('BAS/BAS', 'MYO/MYO')[i % 2]}_{i:04d}.tiff",
    "multi-cancer": lambda i: f"ALL/{('all_benign', 'all_pro')[i % 2]}/{ODD}{i}.jpg",
}


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def prep(*arguments: str) -> int:
    return main(["prep", *arguments, "--images", "img", "-o", "o.csv", "--workers", "1"])


def test_every_layout_of_files_is_tried() -> None:
    assert {*NAMES, "bloodmnist"} == {*layouts.READERS}


@pytest.mark.parametrize("layout", NAMES)
def test_hostile_files_are_rejected_and_the_rest_is_done(
    layout: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / HOSTILE_FOLDER
    for index, kind in enumerate(CONTENTS):
        path = root / NAMES[layout](index)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(GOOD[kind][0] if kind in GOOD else BAD[kind][0])
    assert prep(HOSTILE_FOLDER, "--steps", "") == 1
    err = capsys.readouterr().err
    took = err.splitlines()[0].rpartition("taken for ")[2]
    assert took.startswith(f"{layout}, {len(CONTENTS)} images, ")
    rejected = [row["reason"] for row in rows(Path("img/rejected.csv"))]
    for _, reason in BAD.values():
        assert sum(reason in given for given in rejected) == 1
        assert err.count(reason) == 1
    prepared = rows(Path("o.csv"))
    assert len(prepared) == len(GOOD)
    assert "" not in {row["label"] for row in prepared}
    expected = [pixels.tobytes() for _, pixels in GOOD.values() if pixels is not None]
    made = [images.read_rgb(Path(row["path"])).tobytes() for row in prepared]
    assert sorted(found for found in made if found in expected) == sorted(expected)
    assert f"{len(GOOD)} images prepared, 0 of them before now; {len(BAD)} rejected" in err
    inside = (tmp_path / "img").resolve()
    assert all(Path(row["path"]).resolve().is_relative_to(inside) for row in prepared)


@pytest.mark.parametrize("layout", layouts.READERS)
def test_a_folder_of_something_else_says_what_was_looked_for_and_found(
    layout: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.docx").write_text("hello")
    assert prep("notes", "--layout", layout) == 2
    err = capsys.readouterr().err
    assert err.startswith("leukctl: error: notes: ")
    assert "(looked for " in err
    assert err.endswith("; found 1 .docx)\n")
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


@pytest.mark.parametrize("layout", [name for name in layouts.READERS if name != "folders"])
def test_the_wrong_layout_says_what_was_looked_for_and_found(
    layout: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cells" / "healthy" / "x.png"
    path.parent.mkdir(parents=True)
    path.write_bytes(encoded(WHOLE, "PNG"))
    assert prep("cells", "--layout", layout) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"leukctl: error: cells: not laid out as {layout} (looked for ")
    assert err.endswith("found 1 images such as 'healthy/x.png')\n")
    assert err.count("\n") == 1


def archive(**changed: np.ndarray | None) -> None:
    arrays: dict[str, np.ndarray] = {}
    for split in ("train", "val", "test"):
        arrays[f"{split}_images"] = np.full((8, 4, 4, 3), 7, np.uint8)
        arrays[f"{split}_labels"] = np.arange(8, dtype=np.uint8)[:, None]
    arrays |= {name: array for name, array in changed.items() if array is not None}
    kept = {name: array for name, array in arrays.items() if changed.get(name, array) is not None}
    np.savez_compressed("bloodmnist.npz", **kept)


class Loaded:
    """Leaves a trace where it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return Path.touch, (Path("unpickled"),)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"val_images": None}, "no array val_images in it (there are: "),
        ({"test_labels": None}, "no array test_labels in it"),
        ({"train_images": np.array([Loaded()])}, "train_images holds Python objects, which are"),
        ({"train_labels": np.array([[Loaded()]] * 8)}, "train_labels holds Python objects"),
        ({"train_labels": np.full((8, 1), 8, np.uint8)}, "train_labels holds 8 to 8, where 0 to 7"),
        ({"train_images": np.ones((8, 4, 4), np.uint8)}, "train_images is uint8 (8, 4, 4), where"),
    ],
)
def test_an_archive_of_something_else_is_one_line_and_never_unpickled(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changed: dict[str, np.ndarray | None],
    message: str,
) -> None:
    archive(**changed)
    before = sorted(tmp_path.iterdir())
    assert prep("bloodmnist.npz") == 2
    err = capsys.readouterr().err
    assert err.startswith(f"leukctl: error: bloodmnist.npz: {message}")
    assert err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_an_archive_of_another_name_is_told_how_it_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive()
    (tmp_path / "bloodmnist.npz").rename("blood.npz")
    assert prep("blood.npz") == 2
    err = capsys.readouterr().err
    assert err.endswith("found 1 .npz); --layout bloodmnist reads an .npz of any name\n")
    assert err.count("\n") == 1
    assert prep("blood.npz", "--layout", "bloodmnist") == 0
    assert len(rows(Path("o.csv"))) == 24


def test_a_manifest_is_a_csv_or_a_folder_that_holds_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "x.png").write_bytes(encoded(WHOLE, "PNG"))
    archive()
    for given, message in (
        ("set", "set: a folder (looked for a CSV with a column path, or for manifest.csv in the"),
        (
            "bloodmnist.npz",
            "bloodmnist.npz, line 1, column path: the column is missing (there are: bytes of NUL",
        ),
        ("nowhere", "nowhere: no such folder or manifest"),
    ):
        assert prep(given, "--layout", "manifest") == 2
        err = capsys.readouterr().err
        assert err.startswith(f"leukctl: error: {message}")
        assert err.count("\n") == 1
    (tmp_path / "set" / "manifest.csv").write_text("path,label\nset/x.png,a\n")
    assert prep("set", "--layout", "manifest") == 0
    assert [row["label"] for row in rows(Path("o.csv"))] == ["a"]


def test_labels_and_images_that_do_not_meet_are_told_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    phase = tmp_path / "C-NMC_test_prelim_phase_data"
    phase.mkdir()
    for name in ("1.bmp", "2.bmp"):
        (phase / name).write_bytes(encoded(WHOLE, "BMP"))
    (tmp_path / "C-NMC_test_prelim_phase_data_labels.csv").write_text(
        "Patient_ID,new_names,labels\nUID_57_29_1_all.bmp,1.bmp,1\nUID_H9_1_1_hem.bmp,3.bmp,0\n"
    )
    assert prep(phase.name) == 0
    err = capsys.readouterr().err
    assert "1 images have no label, such as '2.bmp': kept without" in err
    assert "_labels.csv names 1 images that are not there, such as '3.bmp'" in err
    kept = [(row["label"], row["subject"], row["part"]) for row in rows(Path("o.csv"))]
    assert kept == [("all", "57", "preliminary"), ("", "", "preliminary")]


def test_a_label_map_that_misses_a_label_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive()
    (tmp_path / "map.csv").write_text("source,from,to\n,basophil,B\n")
    assert prep("bloodmnist.npz", "--labels", "map.csv", "-q") == 2
    assert capsys.readouterr().err == (
        "leukctl: error: map.csv: no line for the label 'eosinophil' of source 'bloodmnist', "
        "nor for 6 others\n"
    )
    assert not (tmp_path / "img").exists()
