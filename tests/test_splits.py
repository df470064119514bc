import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold

from leukctl import catalog, splits
from leukctl.errors import InputError, UsageError
from leukctl.tables import Table


def table(rows: list[tuple[str, str]], **more: list[str]) -> Table:
    """Return a manifest of (label, subject) rows."""
    columns = ["path", "label", "subject", *more]
    cells = zip(*more.values(), strict=True) if more else [()] * len(rows)
    return Table(
        "all.csv",
        columns,
        [
            [f"{i}.png", *row, *extra]
            for i, (row, extra) in enumerate(zip(rows, cells, strict=True))
        ],
        list(range(2, len(rows) + 2)),
    )


def patients(seed: int, subjects: int, classes: int) -> Table:
    """Return a manifest of subjects with very unequal numbers of images and unequal classes."""
    rng = np.random.default_rng(seed)
    rows = []
    for subject in range(subjects):
        label = str(min(int(rng.exponential(1.0)), classes - 1))
        rows += [(label, f"S{subject}")] * (1 + int(rng.exponential(15)))
    return table(rows)


def parts_of(values: list[str], cells: list[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for value, cell in zip(values, cells, strict=True):
        found.setdefault(value, set()).add(cell)
    return found


def test_units_and_catalog_name_the_same() -> None:
    assert {"auto", *splits.UNITS} == set(catalog.SPLIT_UNITS)


@pytest.mark.parametrize(
    ("text", "ratios"),
    [("80,10,10", [80, 10, 10]), ("65, 35", [65, 0, 35]), ("99.5,0.25,0.25", [99.5, 0.25, 0.25])],
)
def test_ratios_are_read(text: str, ratios: list[float]) -> None:
    assert splits.parse_ratios(text) == ratios


@pytest.mark.parametrize(
    "text",
    [
        "",
        "80",
        "80,10",
        "0.8,0.1,0.1",
        "80,10,5,5",
        "a,b",
        "110,-10,0",
        "nan,50,50",
        "100,0,0",
        "0,50,50",
        "inf,0,0",
    ],
)
def test_ratios_that_cannot_be_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--ratios"):
        splits.parse_ratios(text)


@pytest.mark.parametrize("seed", range(5))
def test_no_subject_stands_in_two_splits(seed: int) -> None:
    manifest = patients(seed, 60, 3)
    made = splits.by_ratios(manifest, [80, 10, 10], "auto", seed)
    assert made.unit == "subject"
    assert all(
        len(parts) == 1 for parts in parts_of(manifest.column("subject"), made.cells).values()
    )
    assert set(made.cells) == set(catalog.SPLITS)


def test_equal_single_images_split_exactly() -> None:
    rows = [("ALL", "")] * 100 + [("healthy", "")] * 40
    made = splits.by_ratios(table(rows), [80, 10, 10], "auto", 0)
    assert made.unit == "image"
    assert made.counts.tolist() == [[80, 10, 10], [32, 4, 4]]
    assert made.groups.tolist() == [112, 14, 14]


def test_odd_remainders_of_many_classes_even_out() -> None:
    # 15 images a class want 12, 1.5 and 1.5; over ten classes val and test must still be equal.
    made = splits.by_ratios(
        table([(str(i % 10), "") for i in range(150)]), [80, 10, 10], "image", 0
    )
    assert made.counts.sum(axis=0).tolist() == [120, 15, 15]
    assert set(made.counts[:, 0].tolist()) == {12}


def test_proportions_are_as_even_as_those_of_scikit_learn() -> None:
    ours, theirs = [], []
    for seed in range(10):
        manifest = patients(seed, 80, 3)
        labels = np.array(manifest.column("label"))
        made = splits.by_folds(manifest, 5, "subject", seed)
        folds = np.array(made.cells).astype(int)
        oracle = np.zeros(len(manifest), int)
        cross = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
        for fold, (_, test) in enumerate(cross.split(labels, labels, manifest.column("subject"))):
            oracle[test] = fold
        for place, errors in ((folds, ours), (oracle, theirs)):
            shares = [
                [np.mean(place[labels == c] == f) for f in range(5)] for c in np.unique(labels)
            ]
            errors.append(np.abs(np.array(shares) - 0.2).max())
    assert np.mean(ours) <= np.mean(theirs)


def test_every_class_reaches_every_split_where_it_has_subjects_enough() -> None:
    for seed in range(20):
        manifest = table(
            [("a", f"A{i}") for i in range(3)]
            + [("b", f"B{i // 30}") for i in range(300)]
            + [("c", f"C{i % 4}") for i in range(90)]
        )
        made = splits.by_ratios(manifest, [80, 10, 10], "subject", seed)
        assert (made.counts > 0).all()
        assert made.warnings == []


def test_a_class_with_too_few_subjects_goes_to_train_and_test_and_is_named() -> None:
    rows = [("rare", f"R{i % 2}") for i in range(20)] + [("many", f"M{i}") for i in range(50)]
    made = splits.by_ratios(table(rows), [80, 10, 10], "subject", 3)
    assert (made.counts[made.classes.index("rare")] > 0).tolist() == [True, False, True]
    assert made.warnings == ["class 'rare' has 2 subjects for 3 parts: none in val"]


def test_a_subject_with_two_labels_stays_whole() -> None:
    rows = [(label, f"S{i}") for i in range(20) for label in ("before", "after")]
    made = splits.by_ratios(table(rows), [50, 25, 25], "subject", 0)
    assert made.counts.tolist() == [[10, 5, 5], [10, 5, 5]]


def test_identical_images_stay_together() -> None:
    digests = [f"{i // 4:064x}" for i in range(200)]
    made = splits.by_ratios(table([("x", "")] * 200, sha256=digests), [50, 25, 25], "image", 0)
    assert all(len(parts) == 1 for parts in parts_of(digests, made.cells).values())
    assert made.groups.sum() == 50
    np.testing.assert_allclose(made.counts, [[100, 48, 52]], atol=4)


def test_rows_without_a_label_stay_outside() -> None:
    rows = [("x", "A"), ("", ""), ("x", "B"), ("x", "C"), ("", "A")]
    made = splits.by_ratios(table(rows), [34, 33, 33], "auto", 0)
    assert made.unit == "subject"
    assert [made.cells[1], made.cells[4]] == ["", ""]
    assert sorted(made.cells[i] for i in (0, 2, 3)) == ["test", "train", "val"]


def test_folds_leave_out_the_test_rows() -> None:
    parts = ["train"] * 8 + ["test"] * 2
    manifest = table([("x", f"S{i}") for i in range(10)], split=parts)
    made = splits.by_folds(manifest, 4, "subject", 0)
    assert made.cells[8:] == ["", ""]
    assert sorted(made.cells[:8]) == sorted("00112233")


def test_the_result_depends_on_names_and_seed_alone() -> None:
    manifest = patients(0, 60, 3)
    made = splits.by_ratios(manifest, [80, 10, 10], "subject", 7)
    turned = manifest.select(range(len(manifest) - 1, -1, -1))
    assert splits.by_ratios(turned, [80, 10, 10], "subject", 7).cells == made.cells[::-1]
    assert splits.by_ratios(manifest, [80, 10, 10], "subject", 8).cells != made.cells


def test_what_cannot_be_split_is_refused() -> None:
    with pytest.raises(InputError, match="column label: no row has a label"):
        splits.by_ratios(table([("", "A")]), [80, 10, 10], "auto", 0)
    with pytest.raises(InputError, match="2 subjects for 5 parts"):
        splits.by_folds(table([("x", "A"), ("x", "B"), ("x", "B")]), 5, "auto", 0)
    with pytest.raises(InputError, match=r"all\.csv, line 3, column subject: empty"):
        splits.by_ratios(table([("x", "A"), ("x", "")]), [80, 10, 10], "subject", 0)


def test_identical_files_of_two_subjects_are_counted_where_they_cross() -> None:
    manifest = table([("x", "A"), ("x", "B"), ("x", "B")], sha256=["1", "1", "2"])
    assert splits.crossing_files(manifest, ["train", "test", "test"]) == 1
    assert splits.crossing_files(manifest, ["train", "train", "test"]) == 0


def test_half_a_million_rows_of_subjects_are_assigned_evenly() -> None:
    rng = np.random.default_rng(0)
    counts = np.zeros((50_000, 4), np.int64)
    counts[np.arange(50_000), rng.integers(0, 4, 50_000)] = 1 + rng.poisson(10, 50_000)
    place = splits.assign_groups(counts, np.array([0.8, 0.1, 0.1]), 0)
    shares = np.array([counts[place == part].sum(axis=0) for part in range(3)]) / counts.sum(axis=0)
    np.testing.assert_allclose(shares, np.repeat([[0.8], [0.1], [0.1]], 4, axis=1), atol=1e-4)
