"""The chain as readers type it: the README, pipes, and real cells where they are at hand."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from leukctl import cli, explanations, manifest, runs, tables

README = Path(__file__).parents[1] / "README.md"


def shell(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a POSIX shell script in which ``leukctl`` is this tree's."""
    binary = folder / ".bin"
    binary.mkdir(exist_ok=True)
    launcher = binary / "leukctl"
    launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m leukctl "$@"\n')
    launcher.chmod(0o755)
    return subprocess.run(
        ["sh", "-e", "-c", script],
        cwd=folder,
        env=os.environ | {"PATH": f"{binary}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )


def lines_below(heading: str) -> str:
    """Return the first indented block below a heading of the README."""
    text = README.read_text().split(f"## {heading}\n", 1)[1]
    block = re.search(r"(?:^    .*\n)+", text, re.MULTILINE)
    assert block is not None
    return block.group().replace("\n    ", "\n")


@pytest.mark.slow
def test_the_ten_lines_of_the_readme_run_as_they_stand(tmp_path: Path) -> None:
    script = lines_below("The chain in ten lines")
    assert len(script.strip().splitlines()) == 10
    # Fewer images and epochs, and explanations of the test images alone; the lines stay theirs.
    small = script.replace("--images 600", "--images 240 --subjects 40")
    small = re.sub(r"--epochs \d+", "--epochs 10", small)
    small = small.replace("explain runs/net build/split.csv", "explain runs/net build/three.csv")
    small = small.replace(
        "leukctl explain", "head -n 4 build/split.csv > build/three.csv\nleukctl explain"
    )
    done = shell(small.replace("--input-size 112", "--input-size 48"), tmp_path)
    # A model of few epochs may well have collapsed, which is status 1 and said.
    if done.returncode == 1 and "collapsed" in done.stderr:
        pytest.fail(f"too few epochs: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    page = (tmp_path / "report.html").read_text()
    assert "gradcam / scorecam" in page
    assert "data:image/" in page
    assert len(explanations.read(tmp_path / "build" / "maps")) == 6


def test_prep_split_and_balance_work_in_a_pipe(tmp_path: Path) -> None:
    script = (
        "leukctl synth cells --images 40 --subjects 10 --size 64 -q\n"
        "leukctl prep cells/manifest.csv --steps resize:32 --images img"
        " | leukctl split - --ratios 60,20,20 | leukctl balance - > train.csv\n"
    )
    done = shell(script, tmp_path)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    table = manifest.read_path(tmp_path / "train.csv", ("label", "subject", "split", "mask"))
    parts: dict[str, set[str]] = {}
    for subject, split in zip(table.column("subject"), table.column("split"), strict=True):
        parts.setdefault(subject, set()).add(split)
    assert all(len(found) == 1 for found in parts.values())
    train = table.select(manifest.rows_of_split(table, "train"))
    counts = [train.column("label").count(name) for name in ("ALL", "healthy")]
    assert counts[0] == counts[1] > 0
    assert all((tmp_path / mask).is_file() for mask in table.column("mask"))


def test_one_answer_can_be_piped_away(trained: Path, squares: Path, tmp_path: Path) -> None:
    images = " ".join(map(str, sorted((squares.parent / "test").iterdir())))
    done = shell(f"leukctl predict {trained} {images} | head -1", tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("path,label,subject,source,split,fold,predicted,confidence,p:")
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_the_gate_fails_a_build_when_a_metric_fell(trained: Path, tmp_path: Path) -> None:
    better = json.loads((trained / "metrics.json").read_text())
    better["splits"]["test"]["log_loss"]["value"] -= 0.5
    (tmp_path / "better.json").write_text(json.dumps(better))
    line = f"leukctl report {trained} --baseline"
    held = shell(f"{line} {trained}/metrics.json --tolerance 0.01", tmp_path)
    fell = shell(f"{line} better.json --tolerance 0.01", tmp_path)
    assert (held.returncode, fell.returncode) == (0, 1)
    assert "test.log_loss" in fell.stderr


@pytest.mark.slow
def test_real_cells_are_learned_through_the_whole_chain(shared: Path, tmp_path: Path) -> None:
    cells = tmp_path / "cells"
    for folder in sorted((shared / "pbc" / "PBC_dataset_normal_DIB").iterdir()):
        (cells / folder.name).mkdir(parents=True)
        for image in sorted(folder.iterdir())[:60]:
            (cells / folder.name / image.name).symlink_to(image)
    weights = shared / "weights" / "mobilenetv2_100"
    script = f"""
leukctl prep cells --images img -o all.csv
leukctl split all.csv --ratios 60,20,20 -o split.csv
leukctl train split.csv --weights '{weights}' --augment none --frozen-epochs 20 \\
    --frozen-lr 3e-3 --epochs 0 -o run
leukctl explain run $(ls {cells}/eosinophil/*.jpg | head -n 4) -o maps
leukctl report run --fail-if 'test.accuracy < 0.75' -o table.md
"""
    done = shell(script, tmp_path)
    assert done.returncode == 0, done.stderr
    answers = runs.read_predictions(tmp_path / "run").of_split("test")
    assert len(answers) == 96
    assert answers.classes[0] == "basophil"
    rows = explanations.read(tmp_path / "maps")
    assert len(rows) == 4
    assert {explanations.heatmap(row).shape for row in rows} == {(224, 224)}
    assert "balanced" in (tmp_path / "table.md").read_text()


def test_a_raw_cnmc_image_is_explained_as_its_run_was_prepared(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shared / "cnmc-samples" / "cells"
    assert (
        cli.main(
            [
                "prep",
                str(folder),
                "--layout",
                "cnmc",
                "--images",
                str(tmp_path / "img"),
                "--steps",
                "resize:64,zoom:0.6,resize:32",
                "-o",
                str(tmp_path / "all.csv"),
            ]
        )
        == 0
    )
    table = manifest.read_path(tmp_path / "all.csv")
    labelled = [i for i, label in enumerate(table.column("label")) if label]
    split = ["train", "train", "train", "train", "val", "val", "train", "train"][: len(labelled)]
    some = table.select(labelled).with_columns(split=split)
    tables.write_path(some, tmp_path / "split.csv")
    status = cli.main(
        [
            "train",
            str(tmp_path / "split.csv"),
            "--backbone",
            "standard_cnn",
            "--input-size",
            "32",
            "--epochs",
            "1",
            "-o",
            str(tmp_path / "run"),
        ]
    )
    assert status in (0, 1)  # eight images may well collapse
    raw = next(folder.rglob("UID_H10_1_1_hem.bmp"))
    assert cli.main(["explain", str(tmp_path / "run"), str(raw), "-o", str(tmp_path / "maps")]) == 0
    assert explanations.heatmap(explanations.read(tmp_path / "maps")[0]).shape == (32, 32)
