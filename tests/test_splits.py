import warnings
from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from leukctl import catalog, splits
from leukctl.errors import InputError, UsageError
from leukctl.splits import Assignment, greedy, ratios
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


def split(manifest: Table, share: str | None = None, by: str = "subject", **more) -> Assignment:
    """Split as the command does, looking at no image."""
    plan = splits.parse(share, by=by, **more)
    return splits.assign(manifest, plan, splits.choose(manifest, by))


def parts_of(values: list[str], cells: list[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for value, cell in zip(values, cells, strict=True):
        found.setdefault(value, set()).add(cell)
    return found


def by_class(made: Assignment) -> dict[str, dict[str, int]]:
    """Return class → part → rows."""
    rows = made.counts.tolist()
    return {
        name: dict(zip(made.parts, row, strict=True))
        for name, row in zip(made.classes, rows, strict=True)
    }


def test_units_and_catalog_name_the_same() -> None:
    assert {"auto", "group:COLUMN", *splits.UNITS} == set(catalog.SPLIT_UNITS)


@pytest.mark.parametrize(
    ("text", "filled", "shares"),
    [
        ("80,10,10", (), [80, 10, 10]),
        ("65, 35", (), [65, 0, 35]),
        ("99.5,0.25,0.25", (), [99.5, 0.25, 0.25]),
        (None, (), [80, 10, 10]),
        (None, ("test",), [90, 10, 0]),
        ("85,15", ("test",), [85, 15, 0]),
        ("100,0", ("test",), [100, 0, 0]),
        ("70,20,10", ("test",), [70, 20, 10]),
        ("0,50,50", ("train",), [0, 50, 50]),
        ("80,20", ("train", "val"), [80, 0, 20]),
    ],
)
def test_ratios_are_shares_of_the_rows_to_be_divided(
    text: str | None, filled: tuple[str, ...], shares: list[float]
) -> None:
    assert ratios.parse_ratios(text, filled) == shares


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
        "33.3,33.3,33.3",
    ],
)
def test_ratios_that_cannot_be_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--ratios"):
        ratios.parse_ratios(text)


def test_a_held_out_test_does_not_replace_train() -> None:
    with pytest.raises(UsageError, match="train and one other need a share"):
        ratios.parse_ratios("0,100", ("test",))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "slide"}, "--by 'slide': unknown .known: auto, subject, source, group:COLUMN,"),
        ({"by": "group:"}, "--by 'group:'"),
        ({"hold_out": ["lab2"]}, "--hold-out 'lab2': not COLUMN=VALUE"),
        ({"hold_out": ["=lab2"]}, "--hold-out '=lab2': not COLUMN=VALUE"),
        ({"hold_out": ["source="]}, "--hold-out 'source=': not COLUMN=VALUE"),
        ({"keep": "tset"}, "--keep 'tset': no split .known: train, val, test"),
        ({"keep": ""}, "--keep ''"),
        ({"folds": 3, "keep": "test"}, "do not go with --folds"),
        ({"folds": 3, "hold_out": ["source=a"]}, "do not go with --folds"),
        ({"folds": 3, "share": "80,20"}, "--ratios or --folds, not both"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_is_read(
    options: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        splits.parse(**options)


@pytest.mark.parametrize("seed", range(5))
def test_no_subject_stands_in_two_splits(seed: int) -> None:
    manifest = patients(seed, 60, 3)
    made = split(manifest, "80,10,10", "auto", seed=seed)
    assert made.unit.name == "subject"
    assert all(
        len(parts) == 1 for parts in parts_of(manifest.column("subject"), made.cells).values()
    )
    assert set(made.cells) == set(catalog.SPLITS)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c", ""]),
            st.integers(0, 12),
            st.sampled_from(["lab1", "lab2"]),
            st.sampled_from(["", "", "train", "val", "test"]),
        ),
        min_size=3,
        max_size=60,
    ),
    st.sampled_from([{}, {"hold_out": ["source=lab2"]}, {"keep": "test"}, {"keep": "train,test"}]),
    st.integers(0, 3),
)
def test_whatever_the_table_a_subject_is_torn_apart_by_nobody_but_the_manifest(
    rows: list[tuple[str, int, str, str]], options: dict[str, str], seed: int
) -> None:
    subjects = [f"S{subject}" for _, subject, _, _ in rows]
    manifest = table(
        [(row[0], subject) for row, subject in zip(rows, subjects, strict=True)],
        source=[row[2] for row in rows],
        split=[row[3] for row in rows],
    )
    try:
        made = split(manifest, seed=seed, **options)
    except InputError:
        assume(False)  # too few subjects, or nothing to hold out or keep
    kept = options.get("keep", "none").split(",")
    known: dict[str, set[str]] = {}
    for (label, _, source, before), subject, cell in zip(rows, subjects, made.cells, strict=True):
        assert bool(cell) == bool(label)
        if label and before in kept:
            assert cell == before
            known.setdefault(subject, set()).add(before)
        if label and "hold_out" in options and source == "lab2":
            assert cell == "test"
    torn = {subject for subject, splits_kept in known.items() if len(splits_kept) > 1}
    assert made.leaks == bool(torn)
    placed = [(subject, cell) for subject, cell in zip(subjects, made.cells, strict=True) if cell]
    for subject, parts in parts_of(*map(list, zip(*placed, strict=True))).items():
        assert len(parts) == 1 or subject in torn


def test_equal_single_images_split_exactly() -> None:
    rows = [("ALL", "")] * 100 + [("healthy", "")] * 40
    made = split(table(rows), "80,10,10", "image")
    assert made.counts.tolist() == [[80, 10, 10], [32, 4, 4]]
    assert made.groups.tolist() == [112, 14, 14]
    assert made.distance is not None
    assert made.distance[0] == pytest.approx(0)


def test_odd_remainders_of_many_classes_even_out() -> None:
    # 15 images a class want 12, 1.5 and 1.5; over ten classes val and test must still be equal.
    made = split(table([(str(i % 10), "") for i in range(150)]), "80,10,10", "image")
    assert made.counts.sum(axis=0).tolist() == [120, 15, 15]
    assert set(made.counts[:, 0].tolist()) == {12}
    assert made.distance is not None
    assert made.distance[0] == pytest.approx(100 * 0.5 / 15)


@pytest.mark.parametrize("subjects", [20, 80])
def test_classes_and_sizes_are_as_even_as_those_of_scikit_learn(subjects: int) -> None:
    ours, theirs = [], []
    for seed in range(10):
        manifest = patients(seed, subjects, 3)
        labels = np.array(manifest.column("label"))
        made = split(manifest, folds=5, seed=seed)
        folds = np.array(made.cells).astype(int)
        oracle = np.zeros(len(manifest), int)
        cross = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of classes with fewer subjects than folds
            pairs = list(cross.split(labels, labels, manifest.column("subject")))
        for fold, (_, test) in enumerate(pairs):
            oracle[test] = fold
        for place, errors in ((folds, ours), (oracle, theirs)):
            shares = np.array(
                [[np.mean(place[labels == c] == f) for f in range(5)] for c in np.unique(labels)]
            )
            sizes = np.bincount(place, minlength=5) / len(place)
            errors.append([((shares - 0.2) ** 2).sum(), np.abs(sizes - 0.2).max()])
    mean_ours, mean_theirs = np.mean(ours, axis=0), np.mean(theirs, axis=0)
    assert (mean_ours <= mean_theirs * 1.001).all()


def test_every_class_reaches_every_split_where_it_has_subjects_enough() -> None:
    for seed in range(20):
        manifest = table(
            [("a", f"A{i}") for i in range(3)]
            + [("b", f"B{i // 30}") for i in range(300)]
            + [("c", f"C{i % 4}") for i in range(90)]
        )
        made = split(manifest, seed=seed)
        assert (made.counts > 0).all()
        assert made.warnings == []


def test_a_class_with_too_few_subjects_goes_to_train_and_test_and_is_named() -> None:
    rows = [("rare", f"R{i % 2}") for i in range(20)] + [("many", f"M{i}") for i in range(50)]
    made = split(table(rows), seed=3)
    assert (made.counts[made.classes.index("rare")] > 0).tolist() == [True, False, True]
    assert made.warnings == ["class 'rare' has 2 subjects for 3 parts: none in val"]


def test_no_fold_stays_empty_where_classes_have_few_subjects() -> None:
    """Six subjects, two a class: by class alone, all would fit into two folds of five."""
    rows = [(str(i // 2), f"S{i}") for i in range(6) for _ in range(4)]
    for seed in range(5):
        made = split(table(rows), folds=5, seed=seed)
        assert sorted(made.groups.tolist()) == [1, 1, 1, 1, 2]


def test_a_split_that_would_stay_empty_is_refused() -> None:
    rows = [(label, f"{label}{i}") for label in "ab" for i in range(2) for _ in range(9)]
    with pytest.raises(InputError, match="4 subjects for 3 parts: too few to fill val without"):
        split(table(rows))
    assert split(table(rows), "50,50").counts.tolist() == [[9, 9], [9, 9]]


def test_a_subject_with_two_labels_stays_whole() -> None:
    rows = [(label, f"S{i}") for i in range(20) for label in ("before", "after")]
    made = split(table(rows), "50,25,25")
    assert made.counts.tolist() == [[10, 5, 5], [10, 5, 5]]


def test_identical_images_stay_together() -> None:
    digests = [f"{i // 4:064x}" for i in range(200)]
    made = split(table([("x", "")] * 200, sha256=digests), "50,25,25", "image")
    assert all(len(parts) == 1 for parts in parts_of(digests, made.cells).values())
    assert made.groups.sum() == 50
    np.testing.assert_allclose(made.counts, [[100, 48, 52]], atol=4)


def test_rows_without_a_label_stay_outside() -> None:
    rows = [("x", "A"), ("", ""), ("x", "B"), ("x", "C"), ("", "A")]
    made = split(table(rows), "34,33,33", "auto")
    assert made.unit.name == "subject"
    assert [made.cells[1], made.cells[4]] == ["", ""]
    assert sorted(made.cells[i] for i in (0, 2, 3)) == ["test", "train", "val"]


def test_folds_leave_out_the_test_rows_and_who_is_among_them() -> None:
    parts = ["train"] * 7 + ["", "test", "test"]
    subjects = [f"S{i}" for i in range(9)] + ["S0"]
    manifest = table([("x", subject) for subject in subjects], split=parts)
    made = split(manifest, folds=3)
    assert [i for i, cell in enumerate(made.cells) if not cell] == [0, 8, 9]
    assert Counter(made.cells[1:8]).keys() == {"0", "1", "2"}
    assert made.parts == ["0", "1", "2"]
    assert made.warnings == [
        "1 rows stay outside too, since other rows of their subjects are in test: 'S0'"
    ]


def test_the_result_depends_on_names_and_seed_alone() -> None:
    manifest = patients(0, 60, 3)
    order = np.random.default_rng(1).permutation(len(manifest)).tolist()
    shuffled = manifest.select(order)
    for more in ({}, {"folds": 4}, {"hold_out": ["subject=S3"]}):
        made = split(manifest, seed=7, **more)
        again = split(shuffled, seed=7, **more)
        assert again.cells == [made.cells[i] for i in order]
    assert split(manifest, seed=8).cells != split(manifest, seed=7).cells


def test_what_cannot_be_split_is_refused() -> None:
    with pytest.raises(InputError, match="column label: no row has a label"):
        split(table([("", "A")]))
    with pytest.raises(InputError, match="2 subjects for 5 parts: too few; ask for fewer parts"):
        split(table([("x", "A"), ("x", "B"), ("x", "B")]), folds=5)
    with pytest.raises(InputError, match=r"all\.csv, line 3, column subject: empty, and --by subj"):
        split(table([("x", "A"), ("x", "")]))
    with pytest.raises(InputError, match=r"all\.csv, line 1, column slide: the column is missing"):
        split(table([("x", "A")]), by="group:slide")


def test_auto_takes_the_surest_unit_that_every_labelled_row_has() -> None:
    groups = ["g", "", "h"]
    rows = [("x", "A"), ("", ""), ("x", "B")]
    partly = [("x", "A"), ("", ""), ("x", "")]
    assert splits.choose(table(rows, group=groups), "auto").name == "subject"
    assert splits.choose(table(partly, group=groups), "auto").name == "group:group"
    assert splits.choose(table(partly, group=["g", "", ""]), "auto").name == "near-duplicate"
    assert splits.choose(table(partly), "auto").name == "near-duplicate"


def test_sources_and_groups_stay_whole() -> None:
    rows = [("x", f"S{i}") for i in range(40)]
    more = {"source": [f"lab{i % 4}" for i in range(40)], "slide": [str(i % 10) for i in range(40)]}
    for by, column in (("source", "source"), ("group:slide", "slide")):
        made = split(table(rows, **more), "50,25,25", by)
        assert all(len(parts) == 1 for parts in parts_of(more[column], made.cells).values())
        assert made.counts.tolist() == [[20, 10, 10]] or by != "source"


def test_held_out_rows_and_who_is_among_them_make_the_test() -> None:
    """Sixteen subjects of lab1, four of lab2, one of whom has rows in lab1 too."""
    rows = [("x" if i % 2 else "y", f"S{i // 2}") for i in range(40)]
    sources = ["lab1"] * 32 + ["lab2"] * 8
    sources[33] = "lab1"
    made = split(table(rows, source=sources), hold_out=["source=lab2"])
    assert made.cells[32:] == ["test"] * 8
    assert Counter(made.cells[:32]) == {"train": 28, "val": 4}  # 90 and 10 percent of 16 subjects
    assert made.warnings == [
        "1 rows go to test too, since other rows of their subjects are in test: 'S16'"
    ]
    assert made.distance is not None
    assert made.distance[0] == pytest.approx(100 * (2 / 16 - 0.1))


def test_several_conditions_and_a_share_add_up_in_test() -> None:
    rows = [("x", f"S{i}") for i in range(24)]
    sources = ["a"] * 20 + ["b", "b", "c", "c"]
    made = split(table(rows, source=sources), "80,10,10", hold_out=["source=b", "source=c"], seed=1)
    assert made.cells[20:] == ["test"] * 4
    assert by_class(made) == {"x": {"train": 16, "val": 2, "test": 6}}


def test_a_hold_out_that_finds_nothing_or_leaves_nothing_is_refused() -> None:
    rows = [("x", "A"), ("x", "B"), ("", "C")]
    manifest = table(rows, source=["lab1", "lab1", "lab2"])
    with pytest.raises(
        InputError, match=r"column source: no row with a label has 'lab2'.*: lab1\)"
    ):
        split(manifest, hold_out=["source=lab2"])
    with pytest.raises(InputError, match="nothing is left to be divided"):
        split(manifest, hold_out=["source=lab1"])
    with pytest.raises(InputError, match="column slide: the column is missing"):
        split(manifest, hold_out=["slide=1"])


def test_a_class_that_only_or_never_stands_in_the_test_is_named() -> None:
    rows = [("x", f"S{i}") for i in range(10)] + [("new", "T"), ("new", "T")]
    made = split(table(rows, source=["a"] * 10 + ["b"] * 2), hold_out=["source=b"])
    assert made.warnings == [
        "class 'new' has 0 subjects for 2 parts: none in train, val",
        "class 'x' has no row that is held out or kept in test",
    ]


def test_kept_splits_stay_and_the_rest_is_divided() -> None:
    rows = [("x", f"S{i}") for i in range(20)] + [("x", "S3")]
    before = ["train"] * 15 + ["test"] * 5 + ["test"]
    made = split(table(rows, split=before), "50,50", keep="test")
    assert made.cells[15:] == ["test"] * 6
    assert made.cells[3] == "test"
    assert Counter(made.cells) == {"train": 7, "val": 7, "test": 7}
    assert made.warnings == [
        "1 rows go to test too, since other rows of their subjects are in test: 'S3'"
    ]
    assert not made.leaks


def test_where_all_splits_are_kept_nothing_changes() -> None:
    rows = [("x", f"S{i}") for i in range(6)] + [("", "S0")]
    before = ["train", "train", "train", "train", "val", "test", ""]
    made = split(table(rows, split=before), keep="train,val,test")
    assert made.cells == before
    assert made.distance is None


def test_a_subject_that_the_kept_splits_tear_apart_is_named() -> None:
    rows = [("x", f"S{i % 5}") for i in range(8)]
    before = ["train", "train", "train", "", "", "test", "", ""]
    made = split(table(rows, split=before), "100,0", keep="train,test")
    assert made.cells == ["train", "train", "train", "train", "train", "test", "train", "train"]
    assert made.leaks
    assert made.warnings[0] == "1 subjects stand in several of the splits kept: 'S0'"
    with pytest.raises(InputError, match="no row with a label is in val, to be kept"):
        split(table(rows, split=before), keep="val")


def test_to_hold_out_what_is_kept_elsewhere_is_refused() -> None:
    rows = [("x", "A"), ("x", "A"), ("x", "B")]
    more = {"source": ["a", "b", "b"], "split": ["train", "", ""]}
    with pytest.raises(InputError, match=r"line 3, column subject: 'A' is held out .* in train"):
        split(table(rows, **more), keep="train", hold_out=["source=b"])
    with pytest.raises(InputError, match=r"line 2, column split: --hold-out wants it in test"):
        split(table(rows, **more), keep="train", hold_out=["source=a"])


def test_subjects_and_files_that_cross_are_counted() -> None:
    manifest = table([("x", "A"), ("x", "B"), ("x", "B")], sha256=["1", "1", "2"])
    crossing = splits.crossing
    assert crossing(manifest.column("sha256"), ["train", "test", "test"]) == 1
    assert crossing(manifest.column("sha256"), ["train", "train", "test"]) == 0
    assert crossing(manifest.column("sha256"), ["train", "", "test"]) == 0
    assert crossing(manifest.column("subject"), ["train", "train", "test"]) == 1


def test_half_a_million_rows_of_subjects_are_assigned_evenly() -> None:
    rng = np.random.default_rng(0)
    counts = np.zeros((50_000, 4), np.int64)
    counts[np.arange(50_000), rng.integers(0, 4, 50_000)] = 1 + rng.poisson(10, 50_000)
    place = greedy.assign_groups(counts, np.array([0.8, 0.1, 0.1]), 0)
    shares = np.array([counts[place == part].sum(axis=0) for part in range(3)]) / counts.sum(axis=0)
    np.testing.assert_allclose(shares, np.repeat([[0.8], [0.1], [0.1]], 4, axis=1), atol=1e-4)
