"""One vocabulary for the labels of several sources."""

import pytest

from leukctl.errors import InputError
from leukctl.layouts import label_map
from leukctl.tables import Table

ROWS = Table(
    "rows",
    ["path", "label", "source"],
    [["1", "all", "cnmc"], ["2", "hem", "cnmc"], ["3", "ALL", "idb"], ["4", "", "idb"]],
)


def labels(*lines: str) -> Table:
    rows = [line.split(",") for line in lines]
    return Table("map.csv", ["source", "from", "to"], rows, list(range(2, 2 + len(rows))))


def mapped(*lines: str) -> list[str]:
    return label_map.apply(ROWS, labels(*lines)).column("label")


def test_labels_are_named_anew_by_source() -> None:
    lines = ("cnmc,all,ALL", "cnmc,hem,Healthy", "idb,ALL,leukemia", "other,ALL,x")
    assert mapped(*lines) == ["ALL", "Healthy", "leukemia", ""]


def test_an_empty_source_is_any_and_a_named_one_goes_first() -> None:
    assert mapped(",all,A", ",hem,H", ",ALL,A", "idb,ALL,B") == ["A", "H", "B", ""]


def test_an_empty_new_label_takes_the_label_away() -> None:
    assert mapped(",all,ALL", "cnmc,hem,", ",ALL,ALL") == ["ALL", "", "ALL", ""]


def test_the_other_columns_and_the_table_given_stay_as_they_are() -> None:
    result = label_map.apply(ROWS, labels(",all,A", ",hem,H", ",ALL,A"))
    assert result.columns == ROWS.columns
    assert result.column("path") == ["1", "2", "3", "4"]
    assert ROWS.column("label") == ["all", "hem", "ALL", ""]


def test_a_label_that_the_map_misses_is_named() -> None:
    with pytest.raises(InputError) as caught:
        mapped("cnmc,all,ALL", "idb,hem,Healthy")
    assert str(caught.value) == (
        "map.csv: no line for the label 'hem' of source 'cnmc', nor for 1 others"
    )


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["cnmc,,x"], "map.csv, line 2, column from: empty"),
        (["a,all,x", "a,all,y"], "map.csv, line 3, column from: 'all' of source 'a' stands above"),
    ],
)
def test_wrong_maps_are_named_by_line(lines: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        mapped(*lines)


def test_a_map_without_its_columns_is_refused() -> None:
    with pytest.raises(InputError, match=r"map.csv, line 1, column to: the column is missing"):
        label_map.apply(ROWS, Table("map.csv", ["source", "from"]))
    with pytest.raises(InputError, match=r"rows, line 1, column label: the column is missing"):
        label_map.apply(Table("rows", ["path"], [["1"]]), labels(",a,b"))
