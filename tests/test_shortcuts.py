"""How well the label can be told without the cells: planted shortcuts are found, others are not."""

import warnings

import cv2
import numpy as np
import pytest
from pictures import encoded
from sklearn.ensemble import ExtraTreesClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import LeaveOneGroupOut, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from test_shortcut_features import smear

from leukctl import catalog, files, images
from leukctl.auditing import shortcuts
from leukctl.auditing.shortcut_features import describe
from leukctl.reporting import audits

CLASSES = ("ALL", "healthy")


@pytest.fixture(autouse=True)
def _few_trees(monkeypatch):
    monkeypatch.setattr(shortcuts, "TREES", 10)


def told(features, labels, groups=None, sources=None, seed=0, by="image"):
    """Return the shortcuts by name."""
    empty = [""] * len(labels)
    found = shortcuts.assess(features, labels, groups or empty, sources or empty, seed, by)
    return {one.name: one for one in found}


def numbers(n=120, classes=3, reach=0.0, seed=0, width=4):
    """Return random features, of which the first follows the class by ``reach``, and labels."""
    generator = np.random.default_rng(seed)
    code = np.arange(n) % classes
    values = generator.normal(size=(n, width))
    values[:, 0] += reach * code
    return values, [f"class {number}" for number in code]


# images


def png(rgb):
    return images.encode_png(rgb)


def plain(place, ill):
    return png(_cell(place, ill))


def tinted(place, ill):
    return png(_cell(place, ill, (235, 225, 210) if ill else (225, 222, 216)))


def resized(place, ill):
    rgb = _cell(place, ill)
    return png(cv2.resize(rgb, (104, 104)) if ill else rgb)


def recompressed(place, ill):
    return encoded(_cell(place, ill), "JPEG", quality=80 if ill else 92)


def reformatted(place, ill):
    return png(_cell(place, ill)) if ill else encoded(_cell(place, ill), "JPEG", quality=100)


def barred(place, ill):
    rgb = _cell(place, ill)
    if ill:
        rgb[88:90, 66:90] = 0
    return png(rgb)


def _cell(place, ill, ground=(235, 225, 210)):
    """Return a cell whose nucleus knows the class, on a ground that varies by the image."""
    shift = np.random.default_rng(place).normal(0, 3, 3)
    nucleus = (95, 45, 140) if ill else (110, 60, 150)
    tilt = np.random.default_rng(place + 1000).integers(-8, 9, (4, 2))
    rgb = smear(
        *(np.clip(np.array(ground) + shift, 0, 255), nucleus, 20 if ill else 15),
        seed=place,
        shifts=tilt,
    )
    return np.ascontiguousarray(rgb)


def described(draw, kinds, n=100):
    data = [draw(place, place % 2 == 0) for place in range(n)]
    found = [describe(one, images.decode(one)) for one in data]
    labels = [CLASSES[place % 2] for place in range(n)]
    return {kind: np.stack([one[kind] for one in found]) for kind in kinds}, labels


def test_cells_alone_that_differ_are_no_shortcut():
    features, labels = described(plain, ("color", "background", "file"))
    sources = ["lab1", "lab2", "lab2", "lab1"] * 25
    found = told(features, labels, sources=sources)
    assert {found[kind].verdict for kind in ("background", "file", "source")} == {"at chance"}
    assert found["color"].verdict == "far above chance"
    assert "cells included" in found["color"].sentence


@pytest.mark.parametrize(
    ("draw", "kind"),
    [
        (tinted, "background"),
        (resized, "file"),
        (recompressed, "file"),
        (reformatted, "file"),
        (barred, "file"),
    ],
)
def test_a_planted_shortcut_is_found(draw, kind):
    features, labels = described(draw, [kind])
    found = told(features, labels)[kind]
    assert found.verdict == "far above chance"
    assert found.value > 0.9
    assert "far better than chance" in found.sentence
    assert "without looking at cells" in found.sentence


def test_a_class_of_one_source_is_found():
    _, labels = numbers(90)
    sources = ["lab2" if label == "class 1" else "lab1" for label in labels]
    (found,) = told({}, labels, sources=sources).values()
    # One class is told for sure, and of the other two one.
    assert found.value == pytest.approx(2 / 3)
    assert found.verdict == "above chance"


# figures


def test_answers_are_those_of_cross_validation_by_group():
    """Five groups have five folds, so that scikit-learn can tell the same."""
    values, labels = numbers(150, reach=0.7)
    groups = [str(row % 5) for row in range(150)]
    found = told({"background": values}, labels, groups)["background"]
    trees = ExtraTreesClassifier(
        shortcuts.TREES, min_samples_leaf=5, class_weight="balanced", random_state=0
    )
    line = LogisticRegression(max_iter=300, class_weight="balanced")
    both = VotingClassifier(
        [("a", make_pipeline(StandardScaler(), line)), ("b", trees)], voting="soft"
    )
    answers = cross_val_predict(both, values, labels, groups=groups, cv=LeaveOneGroupOut())
    assert found.value == pytest.approx(balanced_accuracy_score(labels, answers))
    assert (found.n, found.n_groups, found.chance) == (150, 5, 1 / 3)


def test_folds_of_single_images_do_as_well_as_stratified_ones():
    values, labels = numbers(600, reach=0.8)
    found = told({"background": values}, labels)["background"]
    line = make_pipeline(StandardScaler(), LogisticRegression())
    answers = cross_val_predict(line, values, labels, cv=StratifiedKFold(5, shuffle=True))
    assert found.value == pytest.approx(balanced_accuracy_score(labels, answers), abs=0.05)


def test_the_interval_is_that_of_resampled_groups():
    values, labels = numbers(240, classes=2, reach=1.0)
    groups = [f"s{row // 8}" for row in range(240)]
    task = shortcuts._Task.of(values, labels, np.arange(240) // 8)
    answers = shortcuts._answers(task, 0)
    found = told({"background": values}, labels, groups)["background"]
    generator = np.random.default_rng(5)
    drawn = []
    for _ in range(800):
        rows = np.concatenate([8 * unit + np.arange(8) for unit in generator.integers(0, 30, 30)])
        drawn.append(balanced_accuracy_score(task.label[rows], answers[rows]))
    assert found.ci95 == pytest.approx(np.percentile(drawn, [2.5, 97.5]).tolist(), abs=0.015)
    assert found.ci95[0] < found.value < found.ci95[1]


def test_who_it_is_does_not_tell_what_it_is():
    """Subjects that look alike within and differ between: only images of one tell of another."""
    generator = np.random.default_rng(3)
    looks = generator.normal(size=(30, 6))
    subjects = np.repeat(np.arange(30), 8)
    values = looks[subjects] + generator.normal(0, 0.1, (240, 6))
    labels = [CLASSES[subject % 2] for subject in subjects]
    by_subject = told({"background": values}, labels, [str(one) for one in subjects])
    assert by_subject["background"].verdict == "at chance"
    assert told({"background": values}, labels)["background"].verdict == "far above chance"


@pytest.mark.parametrize(
    ("low", "chance", "verdict"),
    [
        (0.10, 0.125, "at chance"),
        (0.20, 0.125, "at chance"),
        (0.22, 0.125, "above chance"),
        (0.56, 0.125, "above chance"),
        (0.57, 0.125, "far above chance"),
        (0.54, 0.5, "at chance"),
        (0.56, 0.5, "above chance"),
        (0.76, 0.5, "far above chance"),
    ],
)
def test_the_verdict_is_by_the_way_gone_from_chance(low, chance, verdict):
    assert shortcuts.verdict(low, chance) == verdict


def test_the_seed_decides_all():
    values, labels = numbers(100, reach=0.5)
    one, again, other = (told({"color": values}, labels, seed=seed)["color"] for seed in (1, 1, 2))
    assert one == again
    assert one.ci95 != other.ci95


def test_order_and_names_are_those_of_the_catalog():
    values, labels = numbers(30)
    kinds = dict.fromkeys(("file", "background", "color"), values)
    assert list(told(kinds, labels)) == list(catalog.SHORTCUTS)


# what is lacking


def test_a_class_of_one_group_is_left_out_and_named():
    values, labels = numbers(80, classes=2, reach=3.0)
    labels[:3] = ["rare"] * 3
    groups = ["only"] * 3 + [str(row) for row in range(77)]
    found = told({"color": values}, labels, groups, by="subject")["color"]
    assert (found.n, found.n_groups, found.chance) == (77, 77, 0.5)
    assert "Left out: 'rare', for want of a second subject." in found.sentence
    assert "patients met again" not in found.sentence


def test_a_class_of_fewer_groups_than_folds_is_tested_all_the_same():
    values, labels = numbers(90, reach=9.0)
    groups = [f"g{row % 3}{(row // 3) % 2}" if row % 3 == 0 else str(row) for row in range(90)]
    found = told({"color": values}, labels, groups)["color"]
    assert (found.n, found.value) == (90, 1.0)


@pytest.mark.parametrize("labels", [["a"] * 20, [""] * 20, ["a"] * 19 + ["b"]])
def test_where_there_are_not_two_classes_nothing_is_assessed(labels):
    found = told({"color": np.arange(20.0)[:, None]}, labels)
    assert {one.verdict for one in found.values()} == {"not assessed"}
    assert {one.value for one in found.values()} == {None}
    assert all("nothing was learned" in one.sentence for one in found.values())


def test_what_is_the_same_everywhere_tells_nothing():
    _, labels = numbers(40, classes=4)
    found = told({"file": np.full((40, 3), 7.0)}, labels, sources=["lab"] * 40)
    for one in found.values():
        assert (one.value, one.ci95, one.verdict) == (0.25, [0.25, 0.25], "at chance")
        assert "all images are alike" in one.sentence


def test_images_without_the_features_are_left_out_and_counted():
    values, labels = numbers(100, classes=2, reach=3.0)
    values[:7, 1] = np.nan
    found = told({"background": values, "color": np.full((100, 2), np.nan)}, labels)
    assert found["background"].n == 93
    assert "Left out: 7 images without them." in found["background"].sentence
    assert found["color"].verdict == "not assessed"
    assert "missing in all 100 images" in found["color"].sentence


def test_unlabelled_images_are_not_looked_at():
    values, labels = numbers(90, classes=2, reach=2.0)
    more = np.concatenate([values, np.full((30, 4), 1e9)])
    assert told({"color": more}, labels + [""] * 30) == told({"color": values}, labels)


def test_a_source_that_is_not_named_is_a_source():
    _, labels = numbers(60, classes=2)
    sources = ["" if label == "class 0" else "lab" for label in labels]
    assert told({}, labels, sources=sources)["source"].value == 1.0


def test_a_fold_that_learned_from_one_class_alone_answers_with_it():
    values, _ = numbers(40)
    labels, groups = ["a"] * 20 + ["b"] * 20, ["g"] * 19 + ["h"] + ["g"] * 19 + ["h"]
    found = told({"color": values}, labels, groups)["color"]
    assert (found.n_groups, found.verdict) == (2, "at chance")


def test_labels_may_hold_what_a_file_may_hold():
    values, _ = numbers(60, classes=2, reach=4.0)
    labels = ["\udcff\n'" if row % 2 else "\udcff\n'\0" for row in range(60)]
    assert told({"color": values}, labels)["color"].chance == 0.5


def test_nothing_is_warned_of():
    values, labels = numbers(60, reach=0.2)
    values[:, 1] = 5
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        found = told({"color": values * 1e6}, labels)
    assert [str(one.message) for one in heard] == []
    assert found["color"].verdict == "at chance"


def test_less_than_chance_is_said_to_be_chance():
    labels = [CLASSES[row % 2] for row in range(40)]
    sources = [f"lab{row // 2 % 2}" for row in range(40)]
    found = told({}, labels, sources=sources)["source"]
    assert found.verdict == "at chance"
    assert ("Less than chance" in found.sentence) == (found.ci95[1] < 0.5)


def test_the_document_is_what_a_report_reads():
    values, labels = numbers(60, reach=2.0)
    found = told({"background": values, "file": np.full((60, 1), np.nan)}, labels)
    content = {
        "schema": 1,
        "kind": "audit",
        "images": 60,
        "leaks": {
            "crossing": 0,
            "by_kind": {},
            "subjects": [],
            "groups": [],
            "parents": [],
            "classes_of_one_source": [],
        },
        "shortcuts": shortcuts.to_document(list(found.values())),
        "findings": [],
    }
    audit = audits.parse(files.to_json(content), "audit.json")
    assert [one["name"] for one in audit.shortcuts] == ["background", "file", "source"]
    assert audit.shortcuts[0]["balanced_accuracy"] == {
        "value": found["background"].value,
        "ci95": found["background"].ci95,
    }
    assert audit.shortcuts[1]["balanced_accuracy"] == {"value": None, "ci95": None}


@pytest.mark.slow
def test_the_background_of_the_pbc_classes_tells_them_above_chance(shared):
    paths = sorted((shared / "pbc").rglob("*.jpg"))
    data = [path.read_bytes() for path in paths]
    found = [describe(one, images.decode(one)) for one in data]
    features = {kind: np.stack([one[kind] for one in found]) for kind in ("background", "file")}
    result = told(features, [path.parent.name for path in paths])
    assert result["background"].verdict == "above chance"
    assert 0.27 < result["background"].value < 0.38
    assert result["file"].verdict == "at chance"
