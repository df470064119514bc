from collections import Counter

import pytest

from leukctl import balancing, catalog, manifest
from leukctl.errors import InputError
from leukctl.tables import Table


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


def others(made: Table) -> list[list[str]]:
    return [row[:3] for row in made.rows if row[2] != "train"]


def test_methods_and_catalog_name_the_same() -> None:
    assert set(balancing.METHODS) == set(catalog.BALANCING)


def test_undersampling_keeps_the_smallest_size_of_each_class() -> None:
    before = table(a=30, b=12, c=5)
    made = balancing.balance(before, "undersample", 0)
    assert made.before == {"a": 30, "b": 12, "c": 5}
    assert made.after == {"a": 5, "b": 5, "c": 5}
    assert others(made.table) == others(before)
    places = [before.rows.index(row) for row in made.table.rows]
    assert places == sorted(set(places))


def test_oversampling_repeats_up_to_the_largest_class() -> None:
    before = table(a=30, b=12, c=30)
    made = balancing.balance(before, "oversample", 0)
    assert made.after == {"a": 30, "b": 30, "c": 30}
    assert [row[:3] for row in made.table.rows[: len(before)]] == before.rows
    assert {row[3] for row in made.table.rows[: len(before)]} == {"0"}
    added = made.table.rows[len(before) :]
    assert {(row[1], row[2]) for row in added} == {("b", "train")}
    # 18 repetitions of 12 rows: each once, and six of them once more.
    times = Counter(row[0] for row in added)
    assert sorted(times.values()) == [1] * 6 + [2] * 6
    manifest.check(Table("out", made.table.columns, made.table.rows, [0] * len(made.table)))


def test_oversampling_goes_on_numbering_where_copies_are_there() -> None:
    rows = [["x.png", "a", "train", "0"], ["x.png", "a", "train", "4"]]
    rows += [[f"{i}.png", "b", "train", ""] for i in range(4)]
    before = Table("all.csv", ["path", "label", "split", "copy"], rows)
    made = balancing.balance(before, "oversample", 0)
    assert sorted(row[3] for row in made.table.rows if row[0] == "x.png") == ["0", "4", "5", "6"]


def test_the_seed_decides() -> None:
    before = table(a=30, b=5)
    first, again, other = (
        balancing.balance(before, "undersample", seed).table.rows for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_a_class_without_train_rows_is_told_of() -> None:
    rows = [["x.png", "a", "train"], ["z.png", "z", "test"]]
    before = Table("all.csv", ["path", "label", "split"], rows)
    assert balancing.balance(before, "undersample", 0).absent == ["z"]


def test_what_cannot_be_balanced_is_refused() -> None:
    with pytest.raises(InputError, match="column split: the column is missing"):
        balancing.balance(Table("m", ["path", "label"], [["x", "a"]]), "undersample", 0)
    columns = ["path", "label", "split"]
    with pytest.raises(InputError, match="no row is in train"):
        balancing.balance(Table("m", columns, [["x", "a", "test"]]), "undersample", 0)
    with pytest.raises(InputError, match="m, line 7, column label: empty"):
        balancing.balance(Table("m", columns, [["x", "", "train"]], [7]), "oversample", 0)
