import csv
import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leukctl import tables
from leukctl.errors import InputError
from leukctl.tables import Table


def read(text: str) -> Table:
    return tables.read(io.StringIO(text, newline=""), "a.csv")


def test_a_table_keeps_its_columns_and_rows_in_order() -> None:
    table = read("z,path,a\n1,x,2\n3,y,4\n")
    assert table.columns == ["z", "path", "a"]
    assert table.rows == [["1", "x", "2"], ["3", "y", "4"]]
    assert list(table.lines) == [2, 3]
    assert len(table) == 2
    assert "path" in table
    assert "label" not in table


@pytest.mark.parametrize(
    "raw",
    [
        b"path,label\nx,1\n",
        b"\xef\xbb\xbfpath,label\nx,1\n",
        b"path,label\r\nx,1\r\n",
        b"path,label\rx,1\r",
        b"path,label\nx,1",
        b'\xef\xbb\xbf"path","label"\r\n"x","1"\r\n',
        b"path,label\n\n\nx,1\n\n",
    ],
)
def test_tables_of_other_tools_read_alike(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(raw)
    table = tables.read_path(tmp_path / "a.csv")
    assert (table.columns, table.rows) == (["path", "label"], [["x", "1"]])


def test_a_row_after_a_quoted_line_end_is_named_by_its_line() -> None:
    table = read('path,note\n"a\nb","x\r\ny"\nc,d\n\ne,f\n')
    assert table.rows == [["a\nb", "x\r\ny"], ["c", "d"], ["e", "f"]]
    assert list(table.lines) == [2, 5, 7]
    assert str(table.error(1, "note", "odd")) == "a.csv, line 5, column note: odd"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a.csv: empty, where a CSV header was expected"),
        ("path,path\n", "a.csv, line 1, column path: the column stands there twice"),
        ("path,,b\n", "a.csv, line 1: column 2 has no name"),
        ("path,b\nx\n", "a.csv, line 2: 1 cells where the header has 2"),
        ('path,b\n"x\ny",1\nz,1,2\n', "a.csv, line 4: 3 cells where the header has 2"),
        ('path,b\nx,"1\n', "a.csv, line 2: not CSV (unexpected end of data)"),
        ('path,b\nx,"1"2\n', "a.csv, line 2: not CSV (',' expected after '\"')"),
        ("path\n" + "x" * 200_000 + "\n", "a.csv, line 2: not CSV (field larger than field limit"),
    ],
)
def test_what_is_no_table_is_named_by_file_and_line(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read(text)
    assert str(caught.value).startswith(message)


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"b\.csv: no such file"):
        tables.read_path(tmp_path / "b.csv")
    with pytest.raises(InputError, match="a folder, where a CSV file was expected"):
        tables.read_path(tmp_path)


def test_a_missing_column_is_named_with_those_there_are() -> None:
    table = read("path,b\nx,1\n")
    for ask in (lambda: table.require("path", "label"), lambda: table.column("label")):
        with pytest.raises(InputError) as caught:
            ask()
        assert str(caught.value) == (
            "a.csv, line 1, column label: the column is missing (there are: path, b)"
        )
    assert table.column("label", "none") == ["none"]


def test_columns_are_replaced_where_they_stand_and_added_at_the_end() -> None:
    table = read("a,path,b\n1,x,2\n3,y,4\n")
    made = table.with_columns(path=["X", "Y"], split=["train", "test"])
    assert made.columns == ["a", "path", "b", "split"]
    assert made.rows == [["1", "X", "2", "train"], ["3", "Y", "4", "test"]]
    assert table.rows == [["1", "x", "2"], ["3", "y", "4"]]
    with pytest.raises(ValueError, match="1 cells of column split for 2 rows"):
        table.with_columns(split=["train"])


def test_selected_rows_keep_their_lines_and_may_repeat() -> None:
    chosen = read("path\na\nb\nc\n").select([2, 0, 2])
    assert chosen.column("path") == ["c", "a", "c"]
    assert list(chosen.lines) == [4, 2, 4]


def test_rows_are_added_read_and_compared_as_lists() -> None:
    table = Table("t", ["a", "b"], [["1", "x"]])
    table.rows.append(["2", "y"])
    table.rows += [["3", "z"], ["4", ""]]
    assert table.rows[1] == ["2", "y"]
    assert table.rows[-2:] == [["3", "z"], ["4", ""]]
    assert table.rows != [["1", "x"]]
    assert table.column("b") == ["x", "y", "z", ""]
    for wrong in (["5"], ["5", "", ""]):
        with pytest.raises(ValueError, match="cells for 2 columns"):
            table.rows.append(wrong)
    assert len(table) == 4


def test_tables_made_of_one_another_do_not_change_together() -> None:
    table = read("path\na\nb\n")
    longer, column = table.with_columns(label=["x", "y"]), table.column("path")
    table.rows.append(["c"])
    longer.rows.append(["d", "z"])
    column[0] = "changed"
    table.rows[0][0] = "changed"
    assert table.rows == [["a"], ["b"], ["c"]]
    assert longer.rows == [["a", "x"], ["b", "y"], ["d", "z"]]


def test_many_rows_keep_their_lines_and_their_quotes() -> None:
    """More rows than are taken at once, some of which need quotes, some of two lines."""
    rows = [
        [f"{i}.png", ("a\r\nb" if i % 9999 == 5 else "c"), "x" * (i % 3)] for i in range(30_000)
    ]
    rows[20_000][2] = "1,2"
    expected = io.StringIO()
    csv.writer(expected, lineterminator="\n").writerows([["path", "note", "n"], *rows])
    text = tables.to_text(Table("t", ["path", "note", "n"], rows))
    assert text == expected.getvalue()
    table = read(text)
    assert table.rows == rows
    for index in (0, 5, 6, 10_004, 10_005, 29_999):
        before = text.index(f"\n{index}.png,") + 1
        assert table.lines[index] == text.count("\n", 0, before) + 1
    with pytest.raises(InputError, match=f"line {text.count(chr(10)) + 2}: 1 cells"):
        read(text + "\n" + "short\n")


def test_foreign_columns_and_bytes_pass_through_untouched(tmp_path: Path) -> None:
    raw = b'note,path,\xe9\n" padded ",caf\xe9.png,"a,b ""c"""\n,"x\ny",007\n'
    (tmp_path / "a.csv").write_bytes(raw)
    table = tables.read_path(tmp_path / "a.csv")
    assert os.fsencode(table.column("path")[0]) == b"caf\xe9.png"
    tables.write_path(table, tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_bytes() == raw.replace(b'" padded "', b" padded ")


def test_lines_end_in_a_newline_alone() -> None:
    table = Table("t", ["a", "b"], [["x\r", "1"], ["\r\n", "2"], ["\n", ""]])
    assert tables.to_text(table) == 'a,b\n"x\r",1\n"\r\n",2\n"\n",\n'


cells = st.text(st.characters(blacklist_categories=()) | st.sampled_from(',"\r\n \0\ufeff'))


@given(st.data())
def test_any_table_reads_back_as_it_was_written(data: st.DataObject) -> None:
    columns = data.draw(st.lists(cells.filter(bool), min_size=1, max_size=4, unique=True))
    row = st.lists(cells, min_size=len(columns), max_size=len(columns))
    rows = data.draw(st.lists(row, max_size=4))
    text = tables.to_text(Table("t", columns, rows))
    read_by_csv = list(csv.reader(io.StringIO(text, newline="")))
    assert read_by_csv == [columns, *rows]
    streamed = io.StringIO(newline="")
    tables.writer(streamed).writerows([columns, *rows])
    assert streamed.getvalue() == text
    if columns[0].startswith("\ufeff"):
        return  # what a mark of byte order says at the start is not known
    again = read(text)
    assert (again.columns, again.rows) == (columns, rows)
