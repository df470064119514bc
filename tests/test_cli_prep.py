"""``leukctl prep`` as users call it: streams, statuses, files, bad input."""

import csv
import inspect
import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from pictures import write_bloodmnist, write_noise
from PIL import Image

from leukctl import catalog, files, images
from leukctl.cli import main
from leukctl.cli import prep as prep_command


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with ``cells/{ALL,healthy}/`` of three images each in it."""
    monkeypatch.chdir(tmp_path)
    for index in range(3):
        write_noise(tmp_path / "cells" / "ALL" / f"{index}.bmp", index)
        write_noise(tmp_path / "cells" / "healthy" / f"{index}.png", 100 + index)
    return tmp_path


def prep(*arguments: str) -> int:
    return main(["prep", *arguments, "--workers", "1"])


def test_folders_become_a_manifest_on_standard_output(
    cells: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prep("cells", "--images", "img", "--steps", "resize:16") == 0
    out, err = capsys.readouterr()
    found = list(csv.DictReader(io.StringIO(out)))
    assert out.splitlines()[0] == "path,label,subject,source,sha256,prep,prep_note,original"
    assert [row["path"] for row in found] == [
        f"img/cells/{label}/{index}.png" for label in ("ALL", "healthy") for index in range(3)
    ]
    assert {row["source"] for row in found} == {"cells"}
    assert [row["label"] for row in found] == ["ALL"] * 3 + ["healthy"] * 3
    assert found[0]["original"] == "cells/ALL/0.bmp"
    for row in found:
        assert files.sha256(cells / row["path"]) == row["sha256"]
        assert images.read_rgb(cells / row["path"]).shape == (16, 16, 3)
    assert "taken for folders, 6 images, 2 classes (ALL 3, healthy 3)" in err
    assert (cells / "img" / "rejected.csv").read_text() == "path,reason\n"


def test_a_second_run_changes_nothing(cells: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prep("cells", "--images", "img", "-o", "a.csv") == 0
    assert prep("cells", "--images", "img", "-o", "b.csv") == 0
    assert "6 images prepared, 6 of them before now" in capsys.readouterr().err
    assert (cells / "a.csv").read_bytes() == (cells / "b.csv").read_bytes()


def test_the_default_is_the_papers_input_size(cells: Path) -> None:
    assert prep("cells", "--images", "img", "-o", "a.csv", "-q") == 0
    assert images.read_rgb(cells / "img/cells/ALL/0.png").shape == (224, 224, 3)


def test_bad_images_are_listed_and_the_rest_is_done(
    cells: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = cells / "cells" / "ALL"
    whole = write_noise(folder / "whole.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("hello")
    (folder / "gone.png").symlink_to("nowhere")
    os.mkfifo(folder / "pipe.png")
    write_noise(folder / 'a [1], "b"\nc.png', format="PNG")
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.png")).write_bytes(whole)
    assert prep("cells", "--images", "img", "-o", "all.csv") == 1
    reasons = {Path(row["path"]).name: row["reason"] for row in rows(cells / "img/rejected.csv")}
    assert reasons == {
        "cut.jpg": "truncated",
        "empty.png": "empty file",
        "gone.png": "No such file or directory",
        "pipe.png": "not a regular file",
        "text.png": "not an image, or of a format that is not read",
    }
    err = capsys.readouterr().err
    assert "cells/ALL/cut.jpg: truncated" in err
    prepared = rows(cells / "all.csv")
    assert len(prepared) == 9
    assert {row["path"] for row in prepared} >= {
        'img/cells/ALL/a [1], "b"%0Ac.png',
        "img/cells/ALL/%FF.png",
    }
    assert all((cells / row["path"]).is_file() for row in prepared)
    # Bytes that are no UTF-8 are escaped there, so that the manifest itself is UTF-8.
    assert all(os.path.exists(row["original"]) for row in prepared if "%FF" not in row["path"])
    assert "%FF" in (cells / "all.csv").read_text(encoding="utf-8")
    assert prep("cells", "--images", "img", "-o", "all.csv", "--allow-rejected", "5") == 0
    assert prep("cells", "--images", "img", "-o", "all.csv", "--allow-rejected", "4") == 1


def test_many_rejected_are_cut_short_on_the_terminal(
    cells: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for index in range(30):
        (cells / "cells" / "ALL" / f"bad{index}.png").touch()
    assert prep("cells", "--images", "img", "-o", "all.csv") == 1
    err = capsys.readouterr().err
    assert err.count("empty file") == 20
    assert "and 10 more, all in img/rejected.csv" in err
    assert len(rows(cells / "img" / "rejected.csv")) == 30


def test_manifest_columns_and_masks_come_through(
    cells: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("L", (30, 20), 255).save(cells / "mask.png")
    text = "\ufeffage,path,label,subject,mask,split\r\n"
    text += "7,cells/ALL/0.bmp,ALL,S1,mask.png,train\r\n9,cells/healthy/0.png,,S2,,\r\n"
    (cells / "m.csv").write_bytes(text.encode())
    assert prep("m.csv", "--images", "img", "--steps", "zoom:0.5", "--source", "lab") == 0
    found = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert ",".join(found[0]) == (
        "path,label,subject,source,split,mask,sha256,prep,prep_note,original,age"
    )
    assert [row["mask"] for row in found] == ["img/masks/lab/cells/ALL/0.png", ""]
    assert images.read_rgb(cells / found[0]["mask"]).shape == (10, 15, 3)
    assert [(row["age"], row["split"], row["label"]) for row in found] == [
        ("7", "train", "ALL"),
        ("9", "", ""),
    ]


def test_root_says_where_a_manifests_paths_start(cells: Path) -> None:
    (cells / "m.csv").write_text("path\nALL/0.bmp\n")
    assert prep("m.csv", "--images", "img", "--root", "cells", "-o", "o.csv") == 0
    (row,) = rows(cells / "o.csv")
    assert (row["path"], row["original"]) == ("img/images/ALL/0.png", "cells/ALL/0.bmp")


def test_paths_of_a_manifest_never_lead_outside(cells: Path) -> None:
    (cells / "deep").mkdir()
    paths = ["../cells/ALL/0.bmp", f"{cells}/cells/ALL/1.bmp", "x/../../cells/ALL/2.bmp"]
    (cells / "deep" / "x").mkdir()
    (cells / "m.csv").write_text("path\n" + "\n".join(paths) + "\n")
    assert prep("m.csv", "--images", "out/img", "--root", "deep", "-o", "o.csv") == 0
    for row in rows(cells / "o.csv"):
        assert (cells / row["path"]).resolve().is_relative_to(cells / "out" / "img")
    assert len({row["path"] for row in rows(cells / "o.csv")}) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("label\nx\n", "m.csv, line 1, column path: the column is missing"),
        ("path,path\nx,y\n", "m.csv, line 1, column path: the column stands there twice"),
        ("path\nno.png\n", "m.csv, line 2, column path: no such image: 'no.png'"),
        ("path,mask\ncells/ALL/0.bmp,no\n", "m.csv, line 2, column mask: no such mask: 'no'"),
        ("path\ncells/ALL/0.bmp\n\ncells/ALL/0.bmp\n", "m.csv, line 4, column path:"),
        ("path,split\ncells/ALL/0.bmp,tset\n", "line 2, column split: unknown split 'tset'"),
        ("path\n", "m.csv: no rows below the header"),
        ("", "m.csv: empty"),
    ],
)
def test_a_wrong_manifest_is_one_line(
    cells: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    (cells / "m.csv").write_text(text)
    assert prep("m.csv", "--images", "img", "-o", "o.csv") == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert not (cells / "o.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "--images", "img"], "no such folder or manifest"),
        (["cells", "--images", "cells"], "is SRC itself"),
        (["cells", "--images", "img", "--layout", "cnmc"], "not laid out as cnmc"),
        (["cells/ALL/0.bmp", "--images", "img"], "neither a folder nor a CSV file"),
        (["cells", "other/cells", "--images", "img"], "two SRC are called 'cells'"),
        (["cells", "other", "--images", "img", "--source", "x"], "--source names one data set"),
        (["cells", "--images", "img", "--steps", "zom:0.6"], "did you mean zoom?"),
        (["m.csv", "n.csv", "--images", "img"], "stands in two of them"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    cells: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    write_noise(cells / "other" / "cells" / "a" / "x.png")
    for name in ("m.csv", "n.csv"):
        (cells / name).write_text("path\ncells/ALL/0.bmp\n")
    assert prep(*arguments, "-o", "o.csv", "-q") == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert not (cells / "img").exists()


def test_several_sources_make_one_manifest(cells: Path) -> None:
    write_noise(cells / "lab" / "ALL" / "0.bmp")
    assert prep("cells", "lab", "--images", "img", "-o", "o.csv", "-q") == 0
    found = rows(cells / "o.csv")
    assert [row["source"] for row in found] == ["cells"] * 6 + ["lab"]
    assert found[-1]["path"] == "img/lab/ALL/0.png"


@pytest.mark.parametrize("workers", ["1", "2"])
def test_images_of_an_archive_become_files(
    cells: Path, capsys: pytest.CaptureFixture[str], workers: str
) -> None:
    arrays = write_bloodmnist(cells / "bloodmnist_12.npz")
    line = ["prep", "bloodmnist_12.npz", "--images", "img", "--steps", "", "--workers", workers]
    assert main([*line, "-o", "a.csv"]) == 0
    assert "taken for bloodmnist, 56 images, 8 classes (basophil 7," in capsys.readouterr().err
    found = rows(cells / "a.csv")
    assert [row["split"] for row in found] == ["train"] * 40 + ["val"] * 8 + ["test"] * 8
    assert found[17]["path"] == "img/bloodmnist_12/train/17.png"
    assert found[17]["original"] == "bloodmnist_12.npz#train/17"
    for row in found:
        split, index = row["original"].partition("#")[2].split("/")
        np.testing.assert_array_equal(
            images.read_rgb(cells / row["path"]), arrays[f"{split}_images"][int(index)]
        )
    assert main([*line, "-o", "b.csv"]) == 0
    assert "56 images prepared, 56 of them before now" in capsys.readouterr().err
    assert (cells / "a.csv").read_bytes() == (cells / "b.csv").read_bytes()


def test_an_archive_beside_other_sources_leaves_gaps(
    cells: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_bloodmnist(cells / "bloodmnist.npz", 20)
    assert prep("cells", "bloodmnist.npz", "--images", "img", "-o", "a.csv", "-q") == 0
    found = rows(cells / "a.csv")
    assert [row["split"] for row in found] == [""] * 6 + ["train"] * 20 + ["val"] * 8 + ["test"] * 8
    assert {row["source"] for row in found} == {"cells", "bloodmnist"}


def test_a_damaged_archive_is_one_line_and_no_manifest(
    cells: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_bloodmnist(cells / "bloodmnist.npz")
    data = bytearray((cells / "bloodmnist.npz").read_bytes())
    data[9000:9100] = bytes(100)
    (cells / "bloodmnist.npz").write_bytes(data)
    assert prep("bloodmnist.npz", "--images", "img", "-o", "a.csv", "-q") == 2
    err = capsys.readouterr().err
    assert err.startswith("leukctl: error: bloodmnist.npz: no .npz archive, or a damaged one")
    assert err.count("\n") == 1
    assert not (cells / "a.csv").exists()


def test_labels_of_a_manifest_without_subjects_are_mapped(
    cells: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (cells / "m.csv").write_text("path,label\ncells/ALL/0.bmp,1\ncells/ALL/1.bmp,0\n")
    (cells / "map.csv").write_text("source,from,to\n,1,ALL\n,0,healthy\n")
    assert prep("m.csv", "--images", "img", "-o", "o.csv", "--labels", "map.csv") == 0
    assert [row["label"] for row in rows(cells / "o.csv")] == ["ALL", "healthy"]
    assert "labels by map.csv: 2 classes (ALL 1, healthy 1)" in capsys.readouterr().err


def test_labels_of_several_sources_become_one_vocabulary(
    cells: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_noise(cells / "lab" / "leukemia" / "0.bmp")
    write_noise(cells / "lab" / "unsure" / "1.bmp")
    line = ["cells", "lab", "--images", "img", "-o", "o.csv", "--labels", "map.csv"]
    text = "source,from,to\ncells,ALL,ALL\n,healthy,Healthy\nlab,leukemia,ALL\n"
    (cells / "map.csv").write_text(text)
    assert prep(*line, "-q") == 2
    err = capsys.readouterr().err
    assert err == "leukctl: error: map.csv: no line for the label 'unsure' of source 'lab'\n"
    assert not (cells / "o.csv").exists()
    (cells / "map.csv").write_text(text + "lab,unsure,\n")
    assert prep(*line) == 0
    assert "labels by map.csv: 2 classes (ALL 4, Healthy 3)" in capsys.readouterr().err
    assert [row["label"] for row in rows(cells / "o.csv")] == (
        ["ALL"] * 3 + ["Healthy"] * 3 + ["ALL", ""]
    )


def test_sources_made_from_one_another_are_warned_of(
    cells: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_bloodmnist(cells / "bloodmnist.npz")
    write_noise(cells / "PBC" / "basophil" / "BA_1.jpg")
    assert prep("PBC", "bloodmnist.npz", "--images", "img", "-o", "o.csv") == 0
    assert "pbc and bloodmnist hold the same cells" in capsys.readouterr().err


def test_splits_of_a_data_set_are_kept_until_forced(
    cells: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_bloodmnist(cells / "bloodmnist.npz")
    assert prep("bloodmnist.npz", "--images", "img", "-o", "o.csv", "-q") == 0
    assert main(["split", "o.csv", "-o", "s.csv"]) == 2
    assert "the column split is filled already; --force" in capsys.readouterr().err


def test_help_tells_the_layouts_as_the_catalog_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prep", "--help"]) == 0
    out = capsys.readouterr().out.split("Layouts:\n")[1].split("\n\n")[0] + "\n"
    told = dict(re.findall(r"^    ([a-z0-9-]+) {2,}(\S.*)$", out, re.MULTILINE))
    assert told == catalog.LAYOUTS


def test_choices_are_those_of_the_catalog() -> None:
    given = inspect.signature(prep_command.prep, eval_str=True).parameters
    layout, recipe = (get_args(given[name].annotation)[0] for name in ("layout", "recipe"))
    assert get_args(layout) == tuple(catalog.LAYOUTS)
    assert get_args(get_args(recipe)[0]) == tuple(catalog.RECIPES)


def test_results_below_the_source_are_not_taken_for_input(cells: Path) -> None:
    for name in ("a.csv", "b.csv"):
        assert prep("cells", "--images", "cells/prepared", "-o", name, "-q") == 0
    assert len(rows(cells / "a.csv")) == 6
    assert (cells / "a.csv").read_bytes() == (cells / "b.csv").read_bytes()


def test_originals_are_never_replaced(cells: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # The folder for cells/ is cells/ itself when results go to its parent.
    before = (cells / "cells" / "healthy" / "0.png").read_bytes()
    assert prep("cells/healthy", "--images", "cells", "-o", "o.csv") == 2
    assert "overwritten by its own result" in capsys.readouterr().err
    assert (cells / "cells" / "healthy" / "0.png").read_bytes() == before


def test_a_full_disk_leaves_nothing_half_written(cells: Path) -> None:
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)); "
        "from leukctl.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    arguments = ["prep", "cells", "--images", "img", "-o", "o.csv", "-q"]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "leukctl: error: img/cells/ALL/0.png: File too large\n"
    assert [path for path in (cells / "img").rglob("*") if path.is_file()] == []
    assert not (cells / "o.csv").exists()


# Interrupts the process that gathers the results when it has some of them.
INTERRUPTED = """
import os, signal, sys
from leukctl import processes
from leukctl.cli import main

signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
whole = processes.in_order

def cut_off(*given, **named):
    for number, results in enumerate(whole(*given, **named)):
        yield results
        if number == 4:
            os.kill(os.getpid(), signal.SIGINT)

processes.in_order = cut_off
sys.exit(main(sys.argv[1:]))
"""


def test_an_interrupted_prep_goes_on_to_the_same_result(cells: Path) -> None:
    for index in range(3, 80):
        write_noise(cells / "cells" / "ALL" / f"{index}.bmp", index)
    steps = ["--steps", "resize:100,denoise:nlm:search=5"]
    arguments = ["prep", "cells", "--images", "img", "-o", "o.csv", "-q", *steps]
    command = [sys.executable, "-c", INTERRUPTED, *arguments, "--workers", "2"]
    first = subprocess.run(command, capture_output=True, text=True)
    assert (first.returncode, first.stderr) == (130, "leukctl: error: interrupted\n")
    there = {path: path.stat().st_mtime_ns for path in (cells / "img").rglob("*") if path.is_file()}
    assert 5 <= len(there) < 83
    assert {path.suffix for path in there} == {".png"}
    assert not (cells / "o.csv").exists()
    assert main([*arguments, "--workers", "2"]) == 0
    assert {path: path.stat().st_mtime_ns for path in there} == there
    whole = ["prep", "cells", "--images", "whole", "-o", "w.csv", "-q", *steps]
    assert main([*whole, "--workers", "2"]) == 0
    assert (cells / "w.csv").read_text().replace("whole/", "img/") == (cells / "o.csv").read_text()


def test_prep_split_and_balance_make_a_pipeline(cells: Path) -> None:
    for index in range(3, 20):
        write_noise(cells / "cells" / "ALL" / f"{index}.bmp", index)
    leukctl = f"{shlex.quote(sys.executable)} -m leukctl"
    line = (
        f"{leukctl} prep cells --images img --steps resize:8 | {leukctl} split - --seed 1 "
        f"| {leukctl} balance - --method oversample > train.csv"
    )
    assert subprocess.run(["bash", "-o", "pipefail", "-c", line]).returncode == 0
    train = [row for row in rows(cells / "train.csv") if row["split"] == "train"]
    assert [sum(row["label"] == label for row in train) for label in ("ALL", "healthy")] == [16, 16]


def test_real_cells_of_the_papers_chain(shared: Path, tmp_path: Path) -> None:
    source = str(shared / "cnmc-samples" / "cells")
    chain = "resize:256,zoom:0.6,resize:224"
    out = tmp_path / "all.csv"
    assert prep(source, "--steps", chain, "--images", str(tmp_path / "i"), "-o", str(out)) == 0
    found = rows(out)
    assert len(found) == 8
    first = next(row for row in found if "UID_H10_1_1_hem" in row["path"])
    assert (first["label"], first["subject"], first["prep"]) == ("hem", "H10", chain)
    with Image.open(first["original"]) as image:
        box = image.resize((256, 256), Image.Resampling.BOX).crop((51, 51, 205, 205))
        truth = np.asarray(box.resize((224, 224), Image.Resampling.BICUBIC), float)
    assert np.abs(images.read_rgb(Path(first["path"])) - truth).mean() < 2


def test_a_root_without_a_manifest_is_refused(
    cells: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prep("cells", "--images", "img", "--root", "elsewhere") == 2
    assert "--root is for paths in a manifest" in capsys.readouterr().err
    assert not (cells / "img").exists()


def test_images_of_another_manifest_are_not_replaced(
    cells: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prep("cells", "--images", "img", "--steps", "resize:16", "-o", "a.csv") == 0
    before = (cells / "img" / "cells" / "ALL" / "0.png").read_bytes()
    assert prep("cells", "--images", "img", "--steps", "resize:8", "-o", "b.csv") == 2
    assert "prepared by other steps before" in capsys.readouterr().err
    write_noise(cells / "cells" / "ALL" / "0.bmp", 99)
    assert prep("cells", "--images", "img", "--steps", "resize:16", "-o", "b.csv") == 2
    assert "prepared from another file before" in capsys.readouterr().err
    assert (cells / "img" / "cells" / "ALL" / "0.png").read_bytes() == before
    assert not (cells / "b.csv").exists()


def test_a_folder_with_a_manifest_is_read_through_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["synth", "drawn", "--images", "4", "--subjects", "2", "--size", "48", "-q"]) == 0
    assert prep("drawn", "--images", "img", "--steps", "resize:16", "-o", "all.csv") == 0
    found = rows(tmp_path / "all.csv")
    assert {row["label"] for row in found} == {"ALL", "healthy"}
    assert {row["subject"] for row in found} == {"s001", "s002"}
