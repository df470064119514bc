import csv
import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from leukctl import files
from leukctl.errors import UsageError
from leukctl.synthesis import dataset, shapes
from leukctl.synthesis.dataset import Recipe

RECIPE = Recipe(images=26, classes=("ALL", "[Malignant] é"), subjects=6, sources=2, size=64, seed=3)


def bytes_below(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*.png")
        if path.is_file()
    }


def rows_of(folder: Path) -> list[dict[str, str]]:
    with open(folder / "manifest.csv", encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("synth") / "cells"
    dataset.write(RECIPE, out, workers=1)
    return out


def test_two_processes_write_the_same_bytes_as_one(drawn: Path, tmp_path: Path) -> None:
    dataset.write(RECIPE, tmp_path / "cells", workers=2)
    assert bytes_below(tmp_path / "cells") == bytes_below(drawn)
    told = (tmp_path / "cells" / "manifest.csv").read_text()
    assert told.replace(str(tmp_path / "cells"), str(drawn)) == (drawn / "manifest.csv").read_text()


def test_another_seed_draws_other_images() -> None:
    other = dataclasses.replace(RECIPE, seed=4)
    assert not np.array_equal(dataset.draw(RECIPE, 0)[0], dataset.draw(other, 0)[0])


def test_an_image_does_not_depend_on_how_many_are_drawn() -> None:
    more = dataclasses.replace(RECIPE, images=1000)
    for image in (0, 7, 25):
        assert np.array_equal(dataset.draw(RECIPE, image)[0], dataset.draw(more, image)[0])


def test_no_two_images_are_alike(drawn: Path) -> None:
    assert len({row["sha256"] for row in rows_of(drawn)}) == RECIPE.images


def test_manifest_has_the_columns_and_names_files_that_are_there(drawn: Path) -> None:
    rows = rows_of(drawn)
    assert list(rows[0]) == ["path", "label", "subject", "source", "mask", "sha256"]
    assert len(rows) == RECIPE.images
    for row in rows:
        name = Path(row["path"]).name
        assert row["path"] == f"{drawn}/images/{row['label']}/{name}"
        assert row["mask"] == f"{drawn}/masks/{row['label']}/{name}"
        assert files.sha256(Path(row["path"])) == row["sha256"]
        assert Path(row["mask"]).is_file()
    assert len(bytes_below(drawn)) == 2 * RECIPE.images


def test_paths_start_with_the_folder_as_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    dataset.write(RECIPE, Path("build/cells"), workers=1)
    path = rows_of(tmp_path / "build" / "cells")[0]["path"]
    assert path.startswith("build/cells/images/")
    assert (tmp_path / path).is_file()


@pytest.mark.parametrize(
    ("images", "classes", "subjects", "sources"),
    [(500, 2, 40, 2), (26, 3, 8, 2), (7, 2, 7, 3), (101, 5, 13, 4)],
)
def test_images_are_even_over_classes_and_over_the_subjects_of_each(
    images: int, classes: int, subjects: int, sources: int
) -> None:
    recipe = Recipe(images, tuple("abcde"[:classes]), subjects, sources, 64, 1)
    taken = [recipe.image_subject(image) for image in range(images)]
    of_class = Counter(recipe.subject_class(subject) for subject in taken)
    assert len(of_class) == classes
    assert max(of_class.values()) - min(of_class.values()) <= 1
    assert set(taken) == set(range(subjects))
    assert {recipe.subject_source(subject) for subject in taken} == set(range(sources))
    for label in range(classes):
        counts = Counter(subject for subject in taken if recipe.subject_class(subject) == label)
        assert max(counts.values()) - min(counts.values()) <= 1


def test_a_subject_has_one_class_and_one_source(drawn: Path) -> None:
    rows = rows_of(drawn)
    facts = {(row["subject"], row["label"], row["source"]) for row in rows}
    assert len(facts) == len({row["subject"] for row in rows}) == RECIPE.subjects


def test_every_class_comes_from_every_source(drawn: Path) -> None:
    pairs = {(row["label"], row["source"]) for row in rows_of(drawn)}
    assert len(pairs) == len(RECIPE.classes) * RECIPE.sources


def test_numbers_do_not_give_the_class_away() -> None:
    recipe = Recipe(400, ("a", "b"), 40, 2, 64, 0)
    labels = np.array([recipe.subject_class(recipe.image_subject(n)) for n in range(400)])
    for period in (2, 4, 40):
        agreement = np.mean(labels[period:] == labels[:-period])
        assert 0.3 < agreement < 0.7, period


def test_masks_have_three_values_and_the_size_of_the_image(drawn: Path) -> None:
    for row in rows_of(drawn):
        with Image.open(row["mask"]) as mask, Image.open(row["path"]) as image:
            assert mask.mode == "L"
            assert image.mode == "RGB"
            assert mask.size == image.size == (RECIPE.size, RECIPE.size)
            assert set(np.unique(np.asarray(mask))) == {0, 128, 255}


def test_the_mask_lies_on_the_picture() -> None:
    for image in range(12):
        rgb, mask = dataset.draw(dataclasses.replace(RECIPE, size=128), image)
        red, grey = rgb[..., 0].astype(float), rgb.mean(axis=2)
        # Chromatin takes the red light, which red cells let through, and it is the darkest.
        assert red[mask == 255].mean() < red[mask == 128].mean() < red[mask == 0].mean()
        assert np.median(grey[mask == 255]) < np.percentile(grey[mask == 0], 5)


def test_the_cell_is_whole_and_its_nucleus_inside() -> None:
    for image in range(12):
        _, mask = dataset.draw(RECIPE, image)
        border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
        assert not border.any()
        rows, columns = np.nonzero(mask == 255)
        around = [mask[rows + dy, columns + dx] for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0))]
        assert min(side.min() for side in around) > 0


def test_light_tells_the_source_but_not_the_class() -> None:
    recipe = Recipe(160, ("ALL", "healthy"), 40, 2, 64, 11)
    subjects = [recipe.image_subject(image) for image in range(recipe.images)]
    labels = [recipe.subject_class(subject) for subject in subjects]
    sources = [recipe.subject_source(subject) for subject in subjects]
    grounds = []
    for image in range(recipe.images):
        rgb, mask = dataset.draw(recipe, image)
        ground = rgb[mask == 0].astype(float)
        grounds.append(np.concatenate([ground.mean(axis=0), ground.std(axis=0)]))
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))

    def accuracy(wanted: list[int]) -> float:
        folds = GroupKFold(5, shuffle=True, random_state=0)
        return float(cross_val_score(model, grounds, wanted, groups=subjects, cv=folds).mean())

    assert accuracy(labels) < 0.65
    assert accuracy(sources) > 0.8


def test_size_and_nucleus_tell_more_of_the_class_than_chance_and_not_all() -> None:
    recipe = Recipe(200, ("ALL", "healthy"), 40, 2, 64, 5)
    subjects = [recipe.image_subject(image) for image in range(recipe.images)]
    labels = [recipe.subject_class(subject) for subject in subjects]
    masks = [dataset.draw(recipe, image)[1] for image in range(recipe.images)]
    areas = [[(mask == 255).sum(), (mask == 128).sum()] for mask in masks]
    model = make_pipeline(StandardScaler(), LogisticRegression())
    accuracy = cross_val_score(model, areas, labels, groups=subjects, cv=GroupKFold(5)).mean()
    assert 0.75 < accuracy < 0.99


def test_a_shape_is_cut_at_the_frame_and_may_lie_outside() -> None:
    circle = shapes.Outline(-20.0, 5.0, np.full(2048, 3.0))
    rows, columns = shapes.window(circle, 10)
    assert columns == slice(0, 0)
    assert rows.stop <= 10


def test_a_circle_covers_its_area() -> None:
    circle = shapes.Outline(40.0, 40.0, np.full(2048, 20.0))
    inside, outward = shapes.depth(circle, shapes.whole(80))
    assert shapes.coverage(inside, 1.0).sum() == pytest.approx(np.pi * 20**2, rel=0.01)
    assert inside[40, 40] == pytest.approx(20)
    assert outward[40, 60] == pytest.approx(1)


def test_a_folder_that_holds_a_set_is_refused_unless_forced(tmp_path: Path) -> None:
    dataset.write(RECIPE, tmp_path, workers=1)
    before = (tmp_path / "manifest.csv").read_bytes()
    smaller = dataclasses.replace(RECIPE, images=10, classes=("x", "y"))
    with pytest.raises(UsageError, match="--force"):
        dataset.write(smaller, tmp_path, workers=1)
    assert (tmp_path / "manifest.csv").read_bytes() == before
    dataset.write(smaller, tmp_path, workers=1, force=True)
    assert len(bytes_below(tmp_path)) == 20
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == ["x", "y"]


def test_force_leaves_the_images_of_others_alone(tmp_path: Path) -> None:
    theirs = [tmp_path / "images" / "ALL" / name for name in ("cell-000001.png", "mine.png")]
    theirs[0].parent.mkdir(parents=True)
    for path in theirs:
        path.write_bytes(b"precious")
    with pytest.raises(UsageError, match="already holds images"):
        dataset.write(RECIPE, tmp_path, workers=1)
    other = dataclasses.replace(RECIPE, classes=("x", "y"))
    dataset.write(other, tmp_path, workers=1, force=True)
    assert [path.read_bytes() for path in theirs] == [b"precious"] * 2


def test_an_interrupted_call_leaves_no_manifest(tmp_path: Path) -> None:
    def stop(step: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dataset.write(RECIPE, tmp_path, workers=2, on_progress=stop)
    assert not list(tmp_path.glob("*manifest*"))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"images": 0}, "--images 0"),
        ({"images": 5}, "--images 5 is fewer than --subjects 6"),
        ({"subjects": 1}, "2 classes"),
        ({"sources": 7}, "7 sources"),
        ({"sources": 0}, "--sources 0"),
        ({"size": 47}, "--size 47"),
        ({"size": 100_000}, "--size 100000"),
        ({"classes": ("ALL",)}, "at least two"),
        ({"classes": ("ALL", "all")}, "twice"),
        ({"classes": ("ALL", "")}, "name of a folder"),
        ({"classes": ("ALL", "..")}, "name of a folder"),
        ({"classes": ("ALL", "a/b")}, "name of a folder"),
        ({"classes": ("ALL", "a\nb")}, "name of a folder"),
        ({"classes": ("ALL", "\udcff")}, "name of a folder"),
        ({"classes": ("ALL", "x" * 300)}, "name of a folder"),
    ],
)
def test_wishes_that_do_not_fit_are_named(wrong: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        dataclasses.replace(RECIPE, **wrong)
