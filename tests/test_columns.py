import io

import pytest

from leukctl import columns
from leukctl.errors import InputError

KINDS = {"p:a": float, "confidence": None}


def read(text: str, *require: str) -> columns.Columns:
    stream = io.StringIO(text, newline="")
    return columns.read(stream, "m.csv", lambda name: KINDS.get(name, str), require)


def test_numbers_are_read_apart_and_what_is_not_wanted_is_passed_over() -> None:
    found = read("path,confidence,p:a,label\nx,high,0.5,A\n" + "y,low,1e-3,B\n" * 2000)
    assert found.header == ["path", "confidence", "p:a", "label"]
    assert found.text == {"path": ["x", *["y"] * 2000], "label": ["A", *["B"] * 2000]}
    assert found.numbers["p:a"].tolist() == [0.5, *[0.001] * 2000]
    assert list(found.lines) == list(range(2, 2003))


@pytest.mark.parametrize("empty", [0, 1, 600])  # the last more than is read at once
def test_what_is_no_number_is_named_by_its_line(empty: int) -> None:
    text = 'p:a,x\n0.5,"two\nlines"\n' + "\n" * empty + "half,y\n"
    with pytest.raises(InputError, match=rf"m\.csv, line {4 + empty}, column p:a: not a number"):
        read(text)


def test_a_column_that_is_missing_is_told_with_those_that_are_there() -> None:
    with pytest.raises(InputError, match=r"column id: .* \(there are: path, confidence, p:a\)"):
        read("path,confidence,p:a\nx,1,high\n", "path", "id")


def test_a_row_of_another_length_is_refused_where_its_cells_are_not_wanted() -> None:
    with pytest.raises(InputError, match="line 3: 1 cells where the header has 2"):
        read("path,confidence\nx,1\ny\n")
