"""Balancing by rows: undersampling, oversampling, their targets, and what they must not touch."""

import itertools
from collections import Counter

import pytest

from leukctl import balancing, catalog, manifest
from leukctl.balancing import Balanced, Request, targets, warping
from leukctl.balancing.requests import Made, Method
from leukctl.errors import InputError, UsageError
from leukctl.tables import Table

DEFAULTS = {"undersample": "min", "oversample": "max"}


def table(**sizes: int) -> Table:
    """Return a manifest with these train rows, each class's test and val rows among them."""
    rows = []
    for label, size in sizes.items():
        for i in range(size):
            rows.append([f"{label}{i}.png", label, "train"])
            if i % 4 == 0:
                rows.append([f"{label}{i}t.png", label, "test" if i % 8 else "val"])
    rows.append(["unlabeled.png", "", ""])
    return Table("all.csv", ["path", "label", "split"], rows, list(range(2, len(rows) + 2)))


def of_subjects(**sizes: tuple[int, ...]) -> Table:
    """Return train rows of these numbers for the subjects of each class."""
    found = [
        [f"{label}{number}-{i}.png", label, "train", f"{label}{number}"]
        for label, counts in sizes.items()
        for number, count in enumerate(counts)
        for i in range(count)
    ]
    lines = list(range(2, len(found) + 2))
    return Table("all.csv", ["path", "label", "split", "subject"], found, lines)


def balance(before: Table, method: str, to: str = "", seed: int = 0, **more: str) -> Balanced:
    return balancing.balance(before, method, Request(to or DEFAULTS[method], seed=seed, **more))


def subjects(made: Balanced) -> dict[str, int]:
    return dict(sorted(Counter(made.made.table.column("subject")).items()))


def others(made: Table) -> list[list[str]]:
    return [row[:3] for row in made.rows if row[2] != "train"]


def test_methods_targets_and_fills_are_those_of_the_catalog() -> None:
    assert list(balancing.METHODS) == list(catalog.BALANCING)
    assert list(targets.TARGETS) == list(catalog.BALANCING_TARGETS)
    assert list(warping.FILLS) == list(catalog.FILLS)
    assert list(warping.FLIPS) == list(catalog.FLIPS)


def test_undersampling_keeps_the_smallest_size_of_each_class() -> None:
    before = table(a=30, b=12, c=5)
    made = balance(before, "undersample")
    assert made.before == {"a": 30, "b": 12, "c": 5}
    assert made.after == {"a": 5, "b": 5, "c": 5}
    assert others(made.made.table) == others(before)
    old = list(before.rows)
    places = [old.index(row) for row in made.made.table.rows]
    assert places == sorted(set(places))


def test_oversampling_repeats_up_to_the_largest_class() -> None:
    before = table(a=30, b=12, c=30)
    made = balance(before, "oversample")
    whole = list(made.made.table.rows)
    assert made.after == {"a": 30, "b": 30, "c": 30}
    assert [row[:3] for row in whole[: len(before)]] == list(before.rows)
    assert {row[3] for row in whole[: len(before)]} == {"0"}
    added = whole[len(before) :]
    assert {(row[1], row[2]) for row in added} == {("b", "train")}
    # 18 repetitions of 12 rows: each once, and six of them once more.
    times = Counter(row[0] for row in added)
    assert sorted(times.values()) == [1] * 6 + [2] * 6
    manifest.check(made.made.table)


def test_oversampling_goes_on_numbering_where_copies_are_there() -> None:
    rows = [["x.png", "a", "train", "0"], ["x.png", "a", "train", "4"]]
    rows += [[f"{i}.png", "b", "train", ""] for i in range(4)]
    before = Table("all.csv", ["path", "label", "split", "copy"], rows)
    made = balance(before, "oversample").made.table
    assert sorted(row[3] for row in made.rows if row[0] == "x.png") == ["0", "4", "5", "6"]


@pytest.mark.parametrize(
    ("to", "size"), [("min", 4), ("max", 30), ("mean", 14), ("12", 12), ("0012", 12)]
)
def test_a_target_is_a_size_of_the_classes_or_a_number(to: str, size: int) -> None:
    targets.check(to)
    assert targets.size(to, {"a": 30, "b": 7, "c": 4}) == size  # the mean is 13.67


def test_a_mean_halfway_between_two_numbers_is_rounded_up() -> None:
    assert [targets.size("mean", {"a": n, "b": n + 1}) for n in (1, 2)] == [2, 3]


@pytest.mark.parametrize("to", ["", "0", "-3", "2.5", "median", "1e3", "٣", "9" * 5000])
def test_a_target_that_is_none_is_refused(to: str) -> None:
    with pytest.raises(UsageError, match="--to"):
        targets.check(to)


def test_a_method_leaves_what_only_the_other_could_change_and_says_so() -> None:
    before = table(a=30, b=12, c=5)
    down = balance(before, "undersample", "12")
    assert (down.after, down.left) == ({"a": 12, "b": 12, "c": 5}, ["c"])
    up = balance(before, "oversample", "12")
    assert (up.after, up.left) == ({"a": 30, "b": 12, "c": 12}, ["a"])


@pytest.mark.parametrize(("first", "then"), [("mean", "max"), ("12", "12"), ("20", "20")])
def test_two_methods_in_a_row_make_all_classes_equal(first: str, then: str) -> None:
    before = table(a=30, b=12, c=3)
    size = {"mean": 15}.get(first) or int(first)
    for methods in (("undersample", "oversample"), ("oversample", "undersample")):
        second = then if methods[0] == "undersample" or then != "max" else "min"
        half = balance(before, methods[0], first).made.table
        whole = balance(half, methods[1], second)
        assert whole.after == dict.fromkeys("abc", size)
        assert whole.left == []
        assert others(whole.made.table) == others(before)


@pytest.mark.parametrize("total", range(1, 21))
def test_what_stays_of_the_subjects_is_as_even_as_can_be(total: int) -> None:
    have = (10, 6, 3, 1)
    made = balance(of_subjects(a=have, b=(20,)), "undersample", str(total), even="subject")
    kept = subjects(made)
    assert kept.pop("b0") == total
    assert sum(n * n for n in kept.values()) == min(
        sum(n * n for n in counts)
        for counts in itertools.product(*(range(n + 1) for n in have))
        if sum(counts) == total
    )
    assert all(n <= have[int(name[1:])] for name, n in kept.items())


@pytest.mark.parametrize("total", range(9, 25))
def test_what_is_repeated_of_the_subjects_is_as_even_as_can_be(total: int) -> None:
    have = (5, 2, 1)
    made = balance(of_subjects(a=have), "oversample", str(total), even="subject")
    counts = subjects(made)
    assert sum(counts.values()) == total
    assert sum(n * n for n in counts.values()) == min(
        sum(n * n for n in counts)
        for counts in itertools.product(*(range(n, total + 1) for n in have))
        if sum(counts) == total
    )
    # Of a subject every image is repeated before one is repeated again.
    times = Counter(made.made.table.column("path"))
    for number in range(3):
        own = [count for path, count in times.items() if path.startswith(f"a{number}")]
        assert max(own) - min(own) <= 1


def test_subjects_are_even_within_each_class_and_other_columns_serve_too() -> None:
    before = of_subjects(a=(8, 2), b=(1, 5))
    assert subjects(balance(before, "undersample", "4", even="subject")) == {
        "a0": 2,
        "a1": 2,
        "b0": 1,
        "b1": 3,
    }
    sources = ["x" if name[1] == "0" else "y" for name in before.column("subject")]
    made = balance(before.with_columns(source=sources), "undersample", "4", even="source")
    assert Counter(made.made.table.column("source")) == {"x": 3, "y": 5}


@pytest.mark.parametrize("method", ["undersample", "oversample"])
def test_without_even_large_subjects_stay_large(method: str) -> None:
    before = of_subjects(a=(90, 10), b=(50,), c=(200,))
    counts = subjects(balance(before, method))
    assert counts["a0"] > 3 * counts["a1"]


@pytest.mark.parametrize("to", ["1", "max"])
def test_even_needs_its_column_on_every_train_row_also_where_nothing_is_dropped(to: str) -> None:
    before = of_subjects(a=(3, 2), b=(1,))
    with pytest.raises(InputError, match="column slide: the column is missing"):
        balance(before, "undersample", to, even="slide")
    slides = ["", *["1"] * (len(before) - 1)]
    with pytest.raises(InputError, match="column slide: empty, and --even slide needs it"):
        balance(before.with_columns(slide=slides), "undersample", to, even="slide")


@pytest.mark.parametrize("method", ["undersample", "oversample"])
@pytest.mark.parametrize("even", [{}, {"even": "subject"}])
def test_what_is_drawn_does_not_depend_on_the_order_of_rows(method: str, even: dict) -> None:
    before = of_subjects(a=(10, 6, 3, 1), b=(4, 2), c=(11,))
    turned = before.select(reversed(range(len(before))))
    one, other = (balance(t, method, "9", **even).made.table for t in (before, turned))
    assert sorted(one.rows) == sorted(other.rows)
    assert list(one.rows) != list(other.rows)


def test_the_seed_decides() -> None:
    before = table(a=30, b=5)
    first, again, other = (
        list(balance(before, "undersample", seed=seed).made.table.rows) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_a_class_without_train_rows_is_told_of() -> None:
    rows = [["x.png", "a", "train"], ["z.png", "z", "test"]]
    before = Table("all.csv", ["path", "label", "split"], rows)
    assert balance(before, "undersample").absent == ["z"]


def test_what_cannot_be_balanced_is_refused() -> None:
    with pytest.raises(InputError, match="column split: the column is missing"):
        balance(Table("m", ["path", "label"], [["x", "a"]]), "undersample")
    columns = ["path", "label", "split"]
    with pytest.raises(InputError, match="no row is in train"):
        balance(Table("m", columns, [["x", "a", "test"]]), "undersample")
    with pytest.raises(InputError, match="m, line 7, column label: empty"):
        balance(Table("m", columns, [["x", "", "train"]], [7]), "oversample")
    rows = [["x", "a", "train", "s"], ["y", "a", "train", ""], ["z", "b", "train", "t"]]
    before = Table("m", [*columns, "subject"], rows, [2, 3, 4])
    with pytest.raises(InputError, match="m, line 3, column subject: empty, and --even subject"):
        balance(before, "undersample", even="subject")
    with pytest.raises(InputError, match="column slide: the column is missing"):
        balance(before, "undersample", even="slide")


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_method_that_would_change_other_rows_is_found_out(
    monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    rows = [["x", "a", "train"], ["y", "a", "val"], ["z", "b", "test"], ["w", "b", ""]]
    before = Table("m", ["path", "label", "split"], rows)

    def lose(table: Table, members: object, request: object) -> Made:
        return Made(table.select(i for i in range(4) if i != place + 1))

    def alter(table: Table, members: object, request: object) -> Made:
        labels = table.column("label")
        labels[place + 1] = "c"
        return Made(table.with_columns(label=labels))

    for fault in (lose, alter):
        monkeypatch.setitem(balancing.METHODS, "faulty", Method(fault, "min"))
        with pytest.raises(RuntimeError, match="outside train"):
            balancing.balance(before, "faulty", Request("min"))
