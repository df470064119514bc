"""Chains as prep, train, predict and explain hand them on."""

from pathlib import Path

import numpy as np
import pytest

from leukctl import catalog, explanations, images, manifest, predictions, runs, tables
from leukctl.cli import main
from leukctl.preparing import Chain

NEW = (
    "denoise:median,stain:macenko:reference={},contrast:stretch,segment:cell,"
    "roi:mask=black,square,resize:32"
)


@pytest.fixture
def drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with 24 drawn cells of two classes in it."""
    monkeypatch.chdir(tmp_path)
    line = ["synth", "cells", "--images", "24", "--subjects", "8", "--size", "64"]
    assert main([*line, "--workers", "1", "-q"]) == 0
    return tmp_path


def prep(*arguments: str) -> int:
    return main(["prep", "cells/manifest.csv", "--images", "img", "--workers", "1", *arguments])


def test_a_recipe_is_its_chain(drawn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prep("--recipe", "altalhi2026", "-o", "all.csv") == 0
    assert "the paper leaves open" in capsys.readouterr().err
    table = manifest.read_path(Path("all.csv"))
    chain = str(Chain.parse(catalog.RECIPES["altalhi2026"]))
    assert set(table.column("prep")) == {chain}
    assert images.read_rgb(Path(table.column("path")[0])).shape == (224, 224, 3)


def test_recipe_and_steps_are_two_chains(drawn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prep("--recipe", "altalhi2026", "--steps", "resize:8") == 2
    assert "--recipe and --steps are two chains; give one" in capsys.readouterr().err
    assert prep("--recipe", "altalhi") == 2


def test_help_tells_recipes_and_steps_as_the_catalog_does(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["prep", "--help"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    for key, steps in catalog.RECIPES.items():
        assert f"{key} {steps}" in lines
    for name in catalog.STEPS:
        assert any(line.split(":")[0].split(" ")[0] == name for line in lines)


def test_a_note_of_what_could_not_be_done_stands_in_the_manifest(drawn: Path) -> None:
    Path("white").mkdir()
    Path("white/one.png").write_bytes(images.encode_png(np.full((20, 30, 3), 255, np.uint8)))
    steps = ["--steps", "stain:macenko,segment:nucleus,roi,resize:16", "-o", "all.csv"]
    assert main(["prep", "white", "--layout", "folders", "--images", "img", *steps]) == 0
    notes = set(manifest.read_path(Path("all.csv")).column("prep_note"))
    assert notes == {
        "stain: no tissue, picture kept; segment: no nucleus found, picture kept; "
        "roi: no stained region, whole frame kept"
    }


def test_a_run_prepares_raw_images_as_its_own_without_the_reference_file(drawn: Path) -> None:
    raw = sorted(Path("cells/images").rglob("*.png"))
    reference = Path("reference.png")
    reference.write_bytes(raw[-1].read_bytes())
    assert prep("--steps", NEW.format(reference), "-o", "all.csv", "-q") == 0
    reference.unlink()
    table = manifest.read_path(Path("all.csv"))
    split = [("train", "train", "val", "test")[index // 2 % 4] for index in range(len(table))]
    tables.write_path(table.with_columns(split=split), Path("split.csv"))
    train = ["train", "split.csv", "--backbone", "standard_cnn", "--input-size", "32"]
    assert main([*train, "--epochs", "1", "-o", "run", "-q"]) in (0, 1)
    assert "reference.png" not in str(runs.read(Path("run")).prep)

    named = dict(zip(table.column("original"), table.column("path"), strict=True))
    some = [path for path in raw if str(path) in named][:3]
    assert len(some) == 3
    for name, paths in (("raw", map(str, some)), ("own", (named[str(path)] for path in some))):
        assert main(["predict", "run", *paths, "-o", f"{name}.csv", "-q"]) == 0
    answers = [predictions.read_path(Path(f"{name}.csv")) for name in ("raw", "own")]
    np.testing.assert_array_equal(answers[0].probabilities, answers[1].probabilities)
    explain = ["explain", "run", str(some[0]), "--methods", "gradcam", "-o", "maps", "-q"]
    assert main(explain) == 0
    assert explanations.heatmap(explanations.read(Path("maps"))[0]).shape == (32, 32)
