"""fuse from the command line: features of backbones, classifiers on train rows alone, folds."""

import csv
import io
import os
from pathlib import Path

import numpy as np
import pytest
import xgboost
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from leukctl import catalog, cli, files, inference, manifest, runs, runtime, tables
from leukctl.backbones.folding import fold
from leukctl.fusion import estimators, seen

SMALL = ["--set", "n_estimators=10", "--set", "max_depth=2"]


@pytest.fixture(scope="module")
def fused(trained: Path, squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fusion of one trained network with itself."""
    folder = tmp_path_factory.mktemp("fused") / "fused"
    pair = f"{trained},{trained}"
    assert cli.main(["fuse", str(squares), "--runs", pair, *SMALL, "-o", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def in_folds(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The squares of train and val, in folds by five subjects each of both classes."""
    table = manifest.read_path(squares)
    subjects = [f"S{index % 5}" for index in range(len(table))]
    path = tmp_path_factory.mktemp("folds") / "all.csv"
    tables.write_path(table.with_columns(subject=subjects, split=[""] * len(table)), path)
    return path


def features_of(trained: Path, squares: Path) -> np.ndarray:
    """Return the features of the squares by the network of a run, folded, in one batch."""
    run = runs.read(trained)
    compute = runtime.compute("cpu", "fp32", 2)
    network = inference.load(run, compute).network.backbone  # type: ignore[attr-defined]
    fold(network, run.backbones[0].input_size)
    extract = inference.FeatureExtractor(network, run.backbones[0], compute)
    read = inference.reader(run)
    return extract([read(path) for path in manifest.image_paths(manifest.read_path(squares))])


def numbers(squares: Path) -> np.ndarray:
    labels = manifest.read_path(squares).column("label")
    return np.array([["blue", "red"].index(label) for label in labels])


def test_a_fusion_predicts_in_a_fresh_start_what_it_said_when_it_was_made(
    fused: Path, squares: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["predict", str(fused), str(squares)]) == 0
    own = runs.read_predictions(fused)
    assert answered(capsys) == dict(
        zip(own.identity["path"], own.probabilities.tolist(), strict=True)
    )


def answered(capsys: pytest.CaptureFixture[str]) -> dict[str, list[float]]:
    """Return the probabilities that predict wrote, by path."""
    rows = csv.DictReader(io.StringIO(capsys.readouterr().out))
    return {row["path"]: [float(row["p:blue"]), float(row["p:red"])] for row in rows}


@pytest.mark.parametrize("more", [[], ["--project", "relu", "--pca", "5"]])
def test_an_image_is_answered_to_the_last_bit_alike_whatever_comes_with_it(
    more: list[str],
    trained: Path,
    squares: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Matrix products of another size, or of rows at another place, would round differently."""
    more = [*more, "--batch-size", "8"]
    names = ["xgboost", "svm", "logreg", "knn"]
    line = ["fuse", str(squares), "--runs", str(trained), "--classifier", ",".join(names), *more]
    assert cli.main([*line, "-q", "-o", str(tmp_path / "run")]) == 0
    table = manifest.read_path(squares)
    tables.write_path(table.select(range(36, -1, -1)), tmp_path / "odd.csv")
    for name in names:
        own = runs.read_predictions(tmp_path / "run" / name)
        whole = dict(zip(own.identity["path"], own.probabilities.tolist(), strict=True))
        for size in ("48", "5"):
            capsys.readouterr()
            given = ["predict", str(tmp_path / "run" / name), str(tmp_path / "odd.csv"), "-q"]
            assert cli.main([*given, "--batch-size", size]) == 0
            found = answered(capsys)
            assert len(found) == 37
            assert found == {path: whole[path] for path in found}, (name, size)


def test_the_trees_are_those_of_xgboost_on_the_features_side_by_side(
    fused: Path, trained: Path, squares: Path
) -> None:
    single = features_of(trained, squares)
    features = np.concatenate([single, single], axis=1)
    labels = numbers(squares)
    train = manifest.rows_of_split(manifest.read_path(squares), "train")
    oracle = make_pipeline(
        StandardScaler(),
        xgboost.XGBClassifier(
            objective="multi:softprob",
            num_class=2,
            n_estimators=10,
            learning_rate=0.15,
            reg_lambda=1.0,
            max_depth=2,
            max_bin=64,
            colsample_bytree=0.1,
            tree_method="hist",
            random_state=0,
        ),
    ).fit(features[train], labels[train])
    own = runs.read_predictions(fused).probabilities
    assert np.abs(own - oracle.predict_proba(features)).max() < 1e-4


def swapped(source: Path, column: str, chosen: str, target: Path) -> Path:
    """Write a manifest whose rows of one split or fold have the labels of the other class."""
    table = manifest.read_path(source)
    pairs = zip(table.column("label"), table.column(column), strict=True)
    other = {"blue": "red", "red": "blue"}
    labels = [other[label] if cell == chosen else label for label, cell in pairs]
    tables.write_path(table.with_columns(label=labels), target)
    return target


LEARNED = (runs.TREES, runs.SKOPS, runs.STEPS)


def learned(folder: Path) -> dict[str, str]:
    return {name: digest for name, digest in runs.read(folder).files.items() if name in LEARNED}


def test_the_labels_of_val_and_test_change_nothing_that_is_learned(
    trained: Path, squares: Path, tmp_path: Path
) -> None:
    swapped(squares, "split", "test", tmp_path / "a.csv")
    swapped(tmp_path / "a.csv", "split", "val", tmp_path / "b.csv")
    more = ["--runs", str(trained), "--project", "relu", "--pca", "5", "--classifier", "logreg"]
    for name, path in (("a", squares), ("b", tmp_path / "b.csv")):
        assert cli.main(["fuse", str(path), *more, "-q", "-o", str(tmp_path / name)]) == 0
    assert learned(tmp_path / "a") == learned(tmp_path / "b")
    assert set(learned(tmp_path / "a")) == {runs.SKOPS, runs.STEPS}


def test_the_images_of_test_change_nothing_that_is_learned(
    trained: Path, squares: Path, tmp_path: Path
) -> None:
    table = manifest.read_path(squares)
    rows = [i for i, split in enumerate(table.column("split")) if split != "test"]
    tables.write_path(table.select(rows), tmp_path / "without.csv")
    more = ["--runs", str(trained), "--pca", "5", "--classifier", "svm"]
    for name, path in (("a", squares), ("b", tmp_path / "without.csv")):
        assert cli.main(["fuse", str(path), *more, "-q", "-o", str(tmp_path / name)]) == 0
    assert learned(tmp_path / "a") == learned(tmp_path / "b")


def test_a_fold_is_fitted_on_the_others_alone(
    trained: Path, in_folds: Path, tmp_path: Path
) -> None:
    """Steps and classifier of a fold are those without its rows, which have other labels here."""
    assert cli.main(["split", str(in_folds), "--folds", "3", "-o", str(tmp_path / "f.csv")]) == 0
    swapped(tmp_path / "f.csv", "fold", "1", tmp_path / "g.csv")
    more = ["--runs", str(trained), "--project", "gelu", "--pca", "0.9", "--classifier", "logreg"]
    for name in "fg":
        arguments = ["fuse", str(tmp_path / f"{name}.csv"), "--cross-validate", *more, "-q"]
        assert cli.main([*arguments, "-o", str(tmp_path / name)]) == 0
    same = [
        learned(tmp_path / "f" / f"fold-{number}") == learned(tmp_path / "g" / f"fold-{number}")
        for number in range(3)
    ]
    assert same == [False, True, False]


def test_folds_by_subject_give_the_scores_of_scikit_learn_and_their_spread(
    trained: Path, in_folds: Path, squares: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    arguments = ["fuse", str(in_folds), "--runs", str(trained), "--classifier", "logreg"]
    assert cli.main([*arguments, "--folds", "5", "-o", str(run)]) == 0
    features, labels = features_of(trained, squares), numbers(squares)
    order = {path: row for row, path in enumerate(manifest.read_path(in_folds).column("path"))}
    subjects = manifest.read_path(in_folds).column("subject")
    seen, areas, accuracies = set(), [], []
    for number in range(5):
        own = runs.read_predictions(run / f"fold-{number}").of_split("test")
        rows = np.array([order[path] for path in own.identity["path"]])
        (subject,) = {subjects[row] for row in rows}
        seen.add(subject)
        others = np.setdiff1d(np.arange(len(labels)), rows)
        oracle = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        given = oracle.fit(features[others], labels[others]).predict_proba(features[rows])
        assert np.abs(own.probabilities - given).max() < 1e-3
        areas.append(roc_auc_score(labels[rows], given[:, 1]))
        accuracies.append((given.argmax(axis=1) == labels[rows]).mean())
    assert seen == set(subjects)
    spread = files.read_json(run / "metrics.json")["folds"]
    red = spread["per_class"]["red"]
    assert red["auroc"]["mean"] == pytest.approx(np.mean(areas))
    assert red["auroc"]["sd"] == pytest.approx(np.std(areas, ddof=1))
    assert red["accuracy"]["mean"] == pytest.approx(np.mean(accuracies))
    table = tables.read_path(run / "folds-classes.csv")
    assert table.columns[:3] == ["fold", "class", "n"]
    assert len(table) == 10


def test_backbones_that_learned_from_images_to_be_tested_on_are_named(
    trained: Path, squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Folds test on all images, also on the train and val ones of a run."""
    more = ["--runs", str(trained), "--classifier", "knn"]
    assert cli.main(["fuse", str(squares), *more, "-o", str(tmp_path / "own")]) == 0
    assert "learned from" not in capsys.readouterr().err
    table = manifest.read_path(squares)
    splits = table.column("split")
    other = {"train": "test", "val": "val", "test": "train"}
    moved = table.with_columns(split=[other[split] for split in splits])
    tables.write_path(moved, tmp_path / "moved.csv")
    assert cli.main(["fuse", str(tmp_path / "moved.csv"), *more, "-o", str(tmp_path / "m")]) == 0
    known = splits.count("train")
    assert f"{trained} learned from {known} images tested on here" in capsys.readouterr().err
    tables.write_path(table.with_columns(split=[""] * len(table)), tmp_path / "all.csv")
    folds = ["fuse", str(tmp_path / "all.csv"), *more, "--folds", "2"]
    assert cli.main([*folds, "-o", str(tmp_path / "folds")]) == 0
    known += splits.count("val")
    assert f"{trained} learned from {known} images tested on here" in capsys.readouterr().err


def test_what_a_backbone_knows_is_told_by_subject_too_and_where_it_cannot_be(
    squares: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    table = manifest.read_path(squares)
    subjects = [f"S{place // 4}" for place in range(len(table))]
    splits = ["train" if place < 24 else "test" for place in range(len(table))]
    table = table.with_columns(subject=subjects, source=["lab"] * len(table), split=splits)
    tables.write_path(table, run / runs.PREDICTIONS)
    assert seen.count(table, [], run) == seen.Known(0, 0, True)
    # Three images of two subjects, all of which it learned from.
    moved = ["test" if place in (0, 4, 5) else "" for place in range(len(table))]
    assert seen.count(table.with_columns(split=moved), [], run) == seen.Known(3, 2, True)
    other = table.with_columns(path=[f"./{path}" for path in table.column("path")], split=moved)
    assert seen.count(other, [], run) == seen.Known(0, 2, False)
    elsewhere = other.with_columns(source=["another"] * len(table))
    assert seen.count(elsewhere, [], run) == seen.Known(0, 0, False)
    assert seen.count(elsewhere, [], tmp_path) is None


def test_paths_that_are_spelled_otherwise_are_said(
    trained: Path, squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = manifest.read_path(squares)
    spelled = [os.path.relpath(path) for path in table.column("path")]
    assert not {*spelled} & {*table.column("path")}
    tables.write_path(table.with_columns(path=spelled), tmp_path / "spelled.csv")
    more = ["--runs", str(trained), "--classifier", "knn", "-o", str(tmp_path / "run")]
    assert cli.main(["fuse", str(tmp_path / "spelled.csv"), *more]) == 0
    said = capsys.readouterr().err
    assert f"{trained}: no path of its predictions is in" in said
    assert "cannot be told whether it learned from images tested on here" in said


def test_the_svm_keeps_subjects_together_and_says_where_it_cannot(
    trained: Path,
    squares: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[np.ndarray | None] = []
    divide = estimators.folds_of
    monkeypatch.setattr(
        estimators, "folds_of", lambda y, groups, seed: given.append(groups) or divide(y, groups, 0)
    )
    table = manifest.read_path(squares)
    line = ["--runs", str(trained), "--classifier", "svm", "--features", str(tmp_path / "f")]
    for name, blue in (("whole", 4), ("single", 1)):
        subjects = [
            f"B{place % blue}" if label == "blue" else f"R{place % 4}"
            for place, label in enumerate(table.column("label"))
        ]
        tables.write_path(table.with_columns(subject=subjects), tmp_path / f"{name}.csv")
        path = str(tmp_path / f"{name}.csv")
        assert cli.main(["fuse", path, *line, "-o", str(tmp_path / name)]) == 0
        told = (
            "svm: the train rows of class 'blue' are of a single subject" in capsys.readouterr().err
        )
        assert told == (name == "single")
    assert [len(np.unique(groups)) for groups in given if groups is not None] == [8, 24]


def test_several_classifiers_have_a_run_each_that_predict_and_report_take(
    trained: Path, squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, names = tmp_path / "all", list(catalog.CLASSIFIERS)
    more = ["--classifier", ",".join(names), "--set", "n_estimators=8"]
    arguments = ["fuse", str(squares), "--runs", str(trained), *more, "-o", str(run)]
    assert cli.main(arguments) == 0
    said = capsys.readouterr().err
    assert [line.split()[0] for line in said.splitlines()[-len(names) :]] == names
    assert sorted(path.name for path in run.iterdir()) == sorted(names)
    for name in names:
        assert cli.main(["predict", str(run / name), str(squares), "-q"]) == 0
        rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
        given = np.array([[float(row["p:blue"]), float(row["p:red"])] for row in rows])
        assert np.abs(given - runs.read_predictions(run / name).probabilities).max() < 1e-5, name
    assert cli.main(["report", *(str(run / name) for name in names), "--format", "csv"]) == 0
    assert capsys.readouterr().out.count("\n") > len(names)
    assert cli.main(arguments) == 2
    assert "--force replaces it" in capsys.readouterr().err


def test_a_second_classifier_says_that_no_features_were_computed_for_its_stages(
    trained: Path, squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = ["--runs", str(trained), "--features", str(tmp_path / "f")]
    for name, computed in (("knn", 40), ("logreg", 0)):
        run = tmp_path / name
        arguments = ["fuse", str(squares), *own, "--classifier", name, "-o", str(run)]
        assert cli.main(arguments) == 0
        assert f"extraction are of {computed} of 40 images" in capsys.readouterr().err
        environment = files.read_json(run / runs.ENVIRONMENT)
        assert environment["features"] == {"computed": computed, "images": 40}
    assert environment["stages_s"]["extraction"] == 0


def test_the_folds_of_a_fusion_are_no_run_and_say_where_the_runs_are(
    trained: Path, in_folds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    arguments = ["fuse", str(in_folds), "--runs", str(trained), "--classifier", "knn"]
    killed = [folder / ".new.0123abcd.tmp" for folder in (run, run / "fold-1")]
    for left in killed:  # by one that wrote there
        left.mkdir(parents=True)
    assert cli.main([*arguments, "--folds", "2", "-q", "-o", str(run)]) == 0
    assert not any(left.exists() for left in killed)
    assert cli.main(["predict", str(run), str(in_folds)]) == 2
    assert "each fold in it is a run" in capsys.readouterr().err
    assert cli.main(["predict", str(run / "fold-1"), str(in_folds), "-q"]) == 0


def test_the_same_fusion_twice_is_the_same_to_the_byte(
    trained: Path, squares: Path, tmp_path: Path
) -> None:
    more = ["--runs", str(trained), "--project", "relu", "--classifier", "svm,xgboost"]
    for name in "ab":
        arguments = ["fuse", str(squares), *more, "--set", "n_estimators=5", "-q"]
        own = ["--features", str(tmp_path / f"features-{name}")]
        assert cli.main([*arguments, *own, "-o", str(tmp_path / name)]) == 0
    for path in sorted((tmp_path / "a").rglob("*")):
        if path.is_file() and path.name != "environment.json":
            other = tmp_path / "b" / path.relative_to(tmp_path / "a")
            assert files.sha256(path) == files.sha256(other), path


def test_repeated_rows_count_as_often_as_they_stand_there(
    trained: Path, squares: Path, tmp_path: Path
) -> None:
    """To repeat a row is to weigh it twice, as long as no row is drawn by chance."""
    table = manifest.read_path(squares)
    blue = [i for i, label in enumerate(table.column("label")) if label == "blue"]
    train = set(manifest.rows_of_split(table, "train"))
    twice = table.with_columns(copy=["0"] * len(table))
    twice.rows += [[*table.rows[i], "1"] for i in blue if i in train]
    twice.lines = []
    tables.write_path(twice, tmp_path / "twice.csv")
    weight = ["2" if label == "blue" else "1" for label in table.column("label")]
    tables.write_path(table.with_columns(weight=weight), tmp_path / "weighted.csv")
    answers = []
    for name in ("twice", "weighted"):
        # C is against the sum of the weights, which are scaled to a mean of 1.
        more = ["--set", "C=1" if name == "twice" else "C=1.5", "--no-standardize"]
        arguments = ["fuse", str(tmp_path / f"{name}.csv"), "--runs", str(trained), *more]
        arguments += ["--classifier", "logreg", "-q", "-o", str(tmp_path / name)]
        assert cli.main(arguments) == 0
        answers.append(runs.read_predictions(tmp_path / name).probabilities)
    assert np.abs(answers[0] - answers[1]).max() < 2e-3


def test_a_run_of_an_older_leukctl_still_answers(fused: Path, squares: Path) -> None:
    """Its head has the four numbers of the trees, and its features were not folded."""
    run = runs.read(fused)
    compute = runtime.compute("cpu", "fp32", 2)
    features = np.random.default_rng(0).normal(size=(30, 512)).astype(np.float32)
    parameters = {"objective": "multi:softprob", "num_class": 2, "max_depth": 2, "seed": 0}
    booster = xgboost.train(parameters, xgboost.DMatrix(features, np.arange(30) % 2), 3)
    files.write_bytes(fused / runs.TREES, bytes(booster.save_raw("ubj")))
    (fused / runs.STEPS).unlink()
    run.head = {
        "classifier": "xgboost",
        "trees": 3,
        "learning_rate": 0.1,
        "reg_lambda": 1.0,
        "depth": 2,
    }
    runs.write(run, fused)
    model = inference.load(runs.read(fused), compute)
    images = [np.full((40, 40, 3), 100, np.uint8)]
    (extract, _) = model.extractors  # type: ignore[attr-defined]
    assert any(isinstance(m, runtime.torch.nn.BatchNorm2d) for m in extract.backbone.modules())
    single = extract(images)
    given = booster.inplace_predict(np.concatenate([single, single], axis=1))
    assert np.allclose(model.probabilities(images), given, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "one of the two"),
        (["--backbones", "a,b", "--runs", "c,d"], "one of the two"),
        (["--backbones", "standard_cnn,"], "names with commas"),
        (["--backbones", "standard_cnn,resnet10t", "--weights", "x"], "1 weights for 2"),
        (["--runs", "nowhere,nowhere"], "no such run folder"),
        (["--runs", "a", "--input-size", "32"], "--input-size goes with --backbones"),
        (["--runs", "a", "--set", "trees=3"], "xgboost has no 'trees'"),
        (["--runs", "a", "--classifier", "svn"], "did you mean svm"),
        (["--runs", "a", "--folds", "3", "--cross-validate"], "one of them"),
        (["--runs", "a", "--features-only", "--folds", "3"], "takes no --folds"),
        (
            ["--runs", "a", "--features-only", "--classifier", "svm", "--set", "C=2", "--pca", "3"],
            "takes no --classifier, --set, --pca",
        ),
        (["--runs", "a", "--cross-validate"], "column fold"),
        (["--backbones", "standard_cnn", "--input-size", "32", "--pca", "99"], "--pca 99: more"),
    ],
)
def test_what_cannot_be_is_refused(
    squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments, said: str
) -> None:
    folder = tmp_path / "run"
    assert cli.main(["fuse", str(squares), *arguments, "-o", str(folder)]) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]
    assert not folder.exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--pca", "25"], "--pca 25: more components than the 24 train rows have"),
        (["--pca", "24", "--set", "x"], "KEY=VALUE"),
        (["--project", "relu", "--pca", "65", "--folds", "2"], "--pca 65: more components than"),
        (["--classifier", "xgboost,knn", "--set", "n_neighbors=25"], "n_neighbors 25, where there"),
        (
            ["--classifier", "knn", "--set", "n_neighbors=18", "--folds", "2"],
            "n_neighbors 18, where there are 17 train rows, where fold 0 is the test",
        ),
        (["--classifier", "svm"], "svm: a class has a single train row"),
    ],
)
def test_what_the_rows_do_not_allow_is_refused_before_an_image_is_read(
    squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    table = manifest.read_path(squares)
    if "--folds" in more:
        table = table.with_columns(split=[""] * len(table)).select(range(3, 37))
    if "svm" in more:
        labels = table.column("label")
        rows = [row for row in range(len(table)) if labels[row] == "blue"]
        table = table.select([*rows, labels.index("red")])
    tables.write_path(table, tmp_path / "m.csv")
    line = ["fuse", str(tmp_path / "m.csv"), "--backbones", "standard_cnn", "--input-size", "32"]
    line += ["--features", str(tmp_path / "f"), "-o", str(tmp_path / "run")]
    assert cli.main([*line, *more]) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "f").exists()
    assert not (tmp_path / "run").exists()


def test_more_components_than_features_are_refused_before_an_image_is_read(
    squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["fuse", str(squares), "--backbones", "standard_cnn", "--input-size", "32"]
    line += ["--features", str(tmp_path / "f"), "-o", str(tmp_path / "run")]
    table = manifest.read_path(squares)
    train = manifest.rows_of_split(table, "train")
    many = table.select([*range(len(table)), *train * 9])
    copies = ["0"] * len(table) + [str(1 + place // len(train)) for place in range(9 * len(train))]
    many = many.with_columns(copy=copies)
    tables.write_path(many, tmp_path / "many.csv")
    line[1] = str(tmp_path / "many.csv")
    assert cli.main([*line, "--project", "relu", "--pca", "65"]) == 2
    assert "of 64 features have" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "f").exists()


def test_a_class_that_a_fold_lacks_is_refused_by_name(
    squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = manifest.read_path(squares)
    cells = ["0" if label == "blue" and i % 3 else "1" if i % 2 else "2"
             for i, label in enumerate(table.column("label"))]  # fmt: skip
    tables.write_path(table.with_columns(fold=cells), tmp_path / "f.csv")
    arguments = ["fuse", str(tmp_path / "f.csv"), "--backbones", "standard_cnn"]
    assert cli.main([*arguments, "--cross-validate", "-o", str(tmp_path / "run")]) == 2
    assert "class 'red' has no image in fold 0" in capsys.readouterr().err
    assert cli.main([*arguments, "--folds", "2", "-o", str(tmp_path / "run")]) == 2
    assert "has folds already; --cross-validate" in capsys.readouterr().err


def test_a_fusion_of_fusions_is_refused(
    squares: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fused = tmp_path / "fused"
    more = ["--classifier", "knn", "-q"]
    assert cli.main(["fuse", str(squares), "--runs", str(trained), *more, "-o", str(fused)]) == 0
    status = cli.main(["fuse", str(squares), "--runs", str(fused), "-o", str(tmp_path / "x")])
    assert (status, "a fusion itself" in capsys.readouterr().err) == (2, True)
