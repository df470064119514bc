"""Many trainings by one line: each in a folder of its own, each trained once."""

from pathlib import Path

import pytest

from leukctl import cli, files, runs
from leukctl.cli import grids
from leukctl.errors import UsageError
from leukctl.training import Options

NAMES = ["none-adam", "none-sgd", "mixup_alpha=0.4-adam", "mixup_alpha=0.4-sgd"]


def arguments(manifest: Path, folder: Path, *more: str) -> list[str]:
    given = ["train", str(manifest), "--backbone", "standard_cnn", "--input-size", "32"]
    given += ["--augment", "none,mixup:alpha=0.4", "--optimizer", "adam,sgd", "--epochs", "2"]
    return [*given, "--batch-size", "8", "-o", str(folder), *more]


@pytest.fixture(scope="module")
def grid(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("grid") / "runs"
    assert cli.main([*arguments(squares, folder), "-q"]) in (0, 1)
    return folder


def test_a_run_of_the_grid_is_that_of_its_own_line(
    squares: Path, grid: Path, tmp_path: Path
) -> None:
    names = [f"standard_cnn-{name}" for name in NAMES]
    assert sorted(path.name for path in grid.iterdir()) == sorted(names)
    alone = arguments(squares, tmp_path / names[3], "--augment", "mixup:alpha=0.4", "-q")
    assert cli.main([*alone, "--optimizer", "sgd"]) in (0, 1)
    for name in ("run.json", "model.safetensors", "history.csv", "metrics.json"):
        assert files.sha256(tmp_path / names[3] / name) == files.sha256(grid / names[3] / name)
    digests = {files.sha256(grid / name / "model.safetensors") for name in names}
    assert len(digests) == 4


def test_the_same_line_again_trains_nothing_and_shows_all(
    squares: Path, grid: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in grid.rglob("*")}
    collapsed = [runs.read(grid / f"standard_cnn-{name}").collapsed for name in NAMES]
    assert cli.main(arguments(squares, grid)) == int(any(collapsed))
    said = capsys.readouterr().err
    assert said.count("done already") == 4
    assert {path: path.stat().st_mtime_ns for path in grid.rglob("*")} == before
    scores = files.read_json(grid / "standard_cnn-none-sgd" / "metrics.json")["splits"]["test"]
    row = next(line for line in said.splitlines() if line.startswith("standard_cnn-none-sgd"))
    assert row.split() == [
        "standard_cnn-none-sgd",
        "test",
        *(f"{scores[name]['value']:.4f}" for name in ("accuracy", "log_loss", "f1_macro")),
    ]


def test_what_was_interrupted_goes_on_and_what_is_missing_is_trained(
    squares: Path,
    grid: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from leukctl.training.checkpoints import Checkpoint

    save, second = Checkpoint.save, f"standard_cnn-{NAMES[1]}"

    def saves(self: Checkpoint, state: object) -> None:
        save(self, state)  # type: ignore[arg-type]
        if self.run.name == second and len(self.record.epochs) == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Checkpoint, "save", saves)
        assert cli.main(arguments(squares, tmp_path / "runs")) == 130
    capsys.readouterr()
    assert cli.main(arguments(squares, tmp_path / "runs")) in (0, 1)
    said = capsys.readouterr().err
    assert said.count("done already") == 1
    assert f"{second} goes on after epoch 1" in said
    for name in NAMES:
        model = Path(f"standard_cnn-{name}") / "model.safetensors"
        assert files.sha256(tmp_path / "runs" / model) == files.sha256(grid / model)


def test_one_that_fails_is_named_and_keeps_no_other_back(
    squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "runs"
    given = arguments(squares, folder, "--augment", "none", "--backbone", "vgg11,standard_cnn")
    assert cli.main([*given, "--optimizer", "adam", "--input-size", "16"]) == 2
    said = capsys.readouterr().err
    assert "leukctl: error: 1 of 2 failed: vgg11-none-adam" in said
    assert runs.is_run(folder / "standard_cnn-none-adam")
    assert not (folder / "vgg11-none-adam").exists()


def test_other_options_or_another_manifest_are_refused_before_anything_is_trained(
    squares: Path, grid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*arguments(squares, grid, "--lr", "0.5"), "-q"]) == 2
    assert "was trained with lr 0.001, not 0.5; --force" in capsys.readouterr().err
    assert cli.main([*arguments(squares, grid, "--epochs", "9"), "-q"]) == 2
    run = grid / "standard_cnn-none-adam"
    further = f"--resume {run} --epochs 9 goes on with it, --force trains it anew"
    assert further in capsys.readouterr().err
    manifest = tmp_path / "manifest.csv"
    manifest.write_text(squares.read_text().replace(",test\n", ",\n", 1))
    assert cli.main([*arguments(manifest, grid), "-q"]) == 2
    assert "was trained with another manifest; --force" in capsys.readouterr().err
    run = grid / "standard_cnn-none-sgd"
    assert cli.main([*arguments(squares, run), "-q"]) == 2
    assert "holds a run; several need a folder of their own" in capsys.readouterr().err
    folder = tmp_path / "runs"
    for more in (["--backbone", "standard_cnn,resnet5O"], ["--augment", "none,mixed"]):
        assert cli.main([*arguments(squares, folder, *more), "-q"]) == 2
        assert "did you mean" in capsys.readouterr().err
    assert not folder.exists()


def test_each_backbone_has_weights_of_its_own() -> None:
    given = {"backbone": "a,b", "augment": None, "optimizer": "adam, sgd"}
    found = grids.combinations(given, Path("w/a,w/b"))
    assert [(one["backbone"], str(one["weights"]), one["optimizer"]) for one in found] == [
        ("a", "w/a", "adam"),
        ("a", "w/a", "sgd"),
        ("b", "w/b", "adam"),
        ("b", "w/b", "sgd"),
    ]
    with pytest.raises(UsageError, match="1 for 2 backbones"):
        grids.combinations(given, Path("w/a"))
    for wrong in ("a,,b", "a,a"):
        with pytest.raises(UsageError, match="different names, with commas"):
            grids.combinations(given | {"backbone": wrong}, None)
    one = grids.combinations({**given, "backbone": "a", "optimizer": None}, Path("w,x"))
    assert [item["weights"] for item in one] == [Path("w,x")]


def test_the_name_of_a_run_stays_inside_its_folder() -> None:
    hub = Options("hf-hub:../owner/model", augment="mixup:alpha=0.2")
    assert grids.name_of(hub) == "hf-hub_.._owner_model-mixup_alpha=0.2-adamw"
    assert grids.name_of(Options("../..")) == "-basic-adamw"


@pytest.mark.slow
def test_folds_of_every_combination(squares: Path, tmp_path: Path) -> None:
    from leukctl import tables

    table = tables.read_path(squares)
    folds = tables.read_path(squares).with_columns(
        fold=[str(index % 2) for index in range(len(table))], subject=table.column("path")
    )
    tables.write_path(folds, tmp_path / "folds.csv")
    given = arguments(tmp_path / "folds.csv", tmp_path / "runs", "--cross-validate", "-q")
    assert cli.main([*given, "--augment", "none"]) in (0, 1)
    for name in NAMES[:2]:
        assert runs.is_folds(tmp_path / "runs" / f"standard_cnn-{name}")
    assert cli.main(["report", *map(str, (tmp_path / "runs").iterdir())]) == 0
