"""Fusion: boosted trees on the features of several backbones, fitted on train rows alone."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
import xgboost

from leukctl import cli, files, fusion, inference, manifest, runs, runtime, tables

SMALL = ["--trees", "10", "--depth", "2"]


@pytest.fixture(scope="module")
def fused(trained: Path, squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fusion of one trained network with itself."""
    folder = tmp_path_factory.mktemp("fused") / "fused"
    pair = f"{trained},{trained}"
    assert cli.main(["fuse", str(squares), "--runs", pair, *SMALL, "-o", str(folder)]) == 0
    return folder


def test_a_fusion_predicts_in_a_fresh_start_what_it_said_when_it_was_made(
    fused: Path, squares: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["predict", str(fused), str(squares)]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    own = runs.read_predictions(fused)
    given = np.array([[float(row["p:blue"]), float(row["p:red"])] for row in rows])
    assert [row["path"] for row in rows] == own.identity["path"]
    assert np.abs(given - own.probabilities).max() < 1e-6


def test_the_trees_are_those_of_xgboost_on_the_features_side_by_side(
    fused: Path, trained: Path, squares: Path
) -> None:
    run = runs.read(trained)
    network = inference.load(run, runtime.compute("cpu", "fp32", 2)).network  # type: ignore[attr-defined]
    extract = inference.FeatureExtractor(
        network.backbone, run.backbones[0], runtime.compute("cpu", "fp32", 2)
    )
    table = manifest.read_path(squares)
    read = inference.reader(run)
    single = extract([read(path) for path in manifest.image_paths(table)])
    features = np.concatenate([single, single], axis=1)
    labels = np.array([["blue", "red"].index(label) for label in table.column("label")])
    train = manifest.rows_of_split(table, "train")
    oracle = xgboost.XGBClassifier(
        objective="multi:softprob",
        num_class=2,
        n_estimators=10,
        learning_rate=0.1,
        reg_lambda=1.0,
        max_depth=2,
        max_bin=64,
        tree_method="hist",
        random_state=0,
    ).fit(features[train], labels[train])
    own = runs.read_predictions(fused).probabilities
    assert np.abs(own - oracle.predict_proba(features)).max() < 1e-5


def test_the_labels_of_val_and_test_change_nothing_in_the_trees(
    trained: Path, squares: Path, tmp_path: Path
) -> None:
    table = manifest.read_path(squares)
    pairs = zip(table.column("label"), table.column("split"), strict=True)
    swap = {"blue": "red", "red": "blue"}
    swapped = [label if split == "train" else swap[label] for label, split in pairs]
    tables.write_path(table.with_columns(label=swapped), tmp_path / "swapped.csv")
    for name, path in (("a", squares), ("b", tmp_path / "swapped.csv")):
        cli.main(["fuse", str(path), "--runs", str(trained), *SMALL, "-o", str(tmp_path / name)])
    assert files.sha256(tmp_path / "a/model.ubj") == files.sha256(tmp_path / "b/model.ubj")


def test_repeated_rows_count_as_often_as_they_stand_there(squares: Path) -> None:
    table = manifest.read_path(squares)
    features = np.random.default_rng(0).normal(size=(len(table), 4)).astype(np.float32)
    train = manifest.rows_of_split(table, "train")
    doubled = table.with_columns(copy=["0"] * len(table))
    doubled.rows += [[*table.rows[i], "1"] for i in train]
    doubled.lines = []
    trees = fusion.Trees(trees=3, depth=2, reg_lambda=0)
    a = fusion.fit(features, table, doubled, ["blue", "red"], trees, 0)
    b = xgboost.train(
        {
            "objective": "multi:softprob",
            "num_class": 2,
            "eta": 0.1,
            "lambda": 0,
            "max_depth": 2,
            "max_bin": 64,
            "tree_method": "hist",
            "seed": 0,
        },
        xgboost.DMatrix(
            features[train],
            [["blue", "red"].index(table.column("label")[i]) for i in train],
            weight=[2.0] * len(train),
        ),
        3,
    )
    matrix = xgboost.DMatrix(features)
    assert np.allclose(a.predict(matrix), b.predict(matrix), atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "one of the two"),
        (["--backbones", "a,b", "--runs", "c,d"], "one of the two"),
        (["--backbones", "standard_cnn,", "--trees", "1"], "names with commas"),
        (["--backbones", "standard_cnn,resnet10t", "--weights", "x"], "1 weights for 2"),
        (["--runs", "nowhere,nowhere"], "no such run folder"),
    ],
)
def test_sources_that_are_none_are_refused(
    squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments, said: str
) -> None:
    folder = tmp_path / "run"
    assert cli.main(["fuse", str(squares), *arguments, "-o", str(folder)]) == 2
    assert said in capsys.readouterr().err
    assert not folder.exists()


def test_a_fusion_of_fusions_is_refused(
    fused: Path, squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = cli.main(["fuse", str(squares), "--runs", str(fused), "-o", str(tmp_path / "x")])
    assert (status, "a fusion itself" in capsys.readouterr().err) == (2, True)
