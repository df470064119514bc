import io
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leukctl import alignment, predictions, tables
from leukctl.errors import InputError
from leukctl.predictions import Predictions


def read(text: str, name: str = "p.csv") -> Predictions:
    return predictions.read(io.StringIO(text, newline=""), name)


def test_a_path_and_the_classes_are_enough() -> None:
    rows = read("p:b,path,p:a\n0.25,x,0.75\n0.5,y,0.5\n")
    assert rows.classes == ["b", "a"]
    assert rows.identity["path"] == ["x", "y"]
    assert rows.identity["label"] == ["", ""]
    np.testing.assert_array_equal(rows.probabilities, [[0.25, 0.75], [0.5, 0.5]])
    assert rows.predicted.tolist() == [1, 0]
    assert rows.labels.tolist() == [-1, -1]


def test_an_empty_answer_is_no_confident_prediction() -> None:
    rows = read("path,label,predicted,p:a,p:b\nx,b,,0.5,0.5\ny,a,b,0.1,0.9\n")
    assert rows.predicted.tolist() == [-1, 1]
    assert rows.labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("p:a\n1\n", "p.csv, line 1, column path: the column is missing"),
        ("path,label\nx,a\n", "p.csv, line 1: no column p:<class>"),
        ("path,p:,p:a\nx,0,1\n", "p.csv, line 1, column p:: the class has no name"),
        ("path,p:a,p:a\nx,0,1\n", "p.csv, line 1, column p:a: the column stands there twice"),
        ("path,p:a\nx,1\n,1\n", "p.csv, line 3, column path: empty"),
        ("path,p:a\nx,1\nx,1\n", "p.csv, line 3, column path: 'x' stands there twice"),
        ("path,p:a,p:b\nx,1,0\ny,0.5,half\n", "p.csv, line 3, column p:b: not a number"),
        ("path,p:a,p:b\nx,1,\n", "p.csv, line 2, column p:b: not a number"),
        ("path,p:a,p:b\nx,nan,1\n", "p.csv, line 2, column p:a: nan is outside [0, 1]"),
        ("path,p:a,p:b\nx,inf,1\n", "p.csv, line 2, column p:a: inf is outside [0, 1]"),
        ("path,p:a,p:b\nx,1.5,-0.5\n", "p.csv, line 2, column p:a: 1.5 is outside [0, 1]"),
        ("path,p:a,p:b\nx,1.0,-1e-9\n", "p.csv, line 2, column p:b: -1e-09 is outside [0, 1]"),
        (
            "path,p:a,p:b\nx,1,0\ny,0.5,0.51\n",
            "p.csv, line 3, column p:*: the probabilities sum to 1.01, not to 1",
        ),
        ("path,predicted,p:a\nx,b,1\n", "p.csv, line 2, column predicted: 'b' is none of the"),
        ("path,label,p:a\nx,b,1\n", "p.csv, line 2, column label: 'b' is none of the classes"),
        ("path,split,p:a\nx,tset,1\n", "p.csv, line 2, column split: unknown split 'tset'"),
    ],
)
def test_wrong_predictions_are_named_by_file_line_and_column(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read(text)
    assert str(caught.value).startswith(message)


def test_rounded_probabilities_are_taken() -> None:
    assert len(read("path,p:a,p:b,p:c\nx,0.333,0.333,0.333\n")) == 1


def test_a_file_without_rows_has_no_predictions() -> None:
    assert len(read("path,p:a,p:b\n")) == 0
    assert len(read("path,label,predicted,p:a,p:b\n")) == 0


def test_the_first_header_is_that_of_the_manifest() -> None:
    assert predictions.header(["ALL", "healthy"]) == [
        "path",
        "label",
        "subject",
        "source",
        "split",
        "fold",
        "predicted",
        "confidence",
        "p:ALL",
        "p:healthy",
    ]


numbers = st.lists(st.floats(0, 1), min_size=3, max_size=3).filter(lambda row: sum(row) > 1e-3)


@given(st.lists(numbers, max_size=4), st.data())
def test_predictions_read_back_to_the_same_values(
    rows: list[list[float]], data: st.DataObject
) -> None:
    values = np.array([[x / sum(row) for x in row] for row in rows]).reshape(len(rows), 3)
    values = np.clip(values, 0, 1)
    classes = ["early Pre-B", "[Malignant], Pro-B", os.fsdecode(b"caf\xe9\n")]
    identity = {name: [""] * len(rows) for name in predictions.IDENTITY}
    identity["path"] = [f"{index} é,\n{index}" for index in range(len(rows))]
    answers = st.integers(-1, 2)
    predicted = data.draw(st.lists(answers, min_size=len(rows), max_size=len(rows)))
    made = Predictions("m", classes, identity, values, np.array(predicted, np.int64))
    again = read(tables.to_text(predictions.to_table(made)))
    assert (again.classes, again.identity) == (classes, identity)
    np.testing.assert_array_equal(again.probabilities, values)
    np.testing.assert_array_equal(again.predicted, made.predicted)


def test_predictions_are_called_by_their_file(tmp_path: Path) -> None:
    (tmp_path / "densenet.csv").write_text("path,p:a\nx,1\n")
    assert predictions.read_path(tmp_path / "densenet.csv").name == "densenet"
    assert predictions.read_path(tmp_path / "densenet.csv", "run").name == "run"


def test_splits_come_in_the_order_of_work_and_only_with_labels() -> None:
    rows = read("path,label,split,p:a\nx,a,test,1\ny,a,train,1\nz,,val,1\nw,a,,1\n")
    assert rows.splits() == ["train", "test", ""]
    assert rows.of_split("test").identity["path"] == ["x"]
    assert rows.of_split("").identity["path"] == ["w"]


FIRST = (
    "path,label,subject,split,predicted,p:a,p:b,p:c\n"
    "x,a,S0,test,a,0.7,0.2,0.1\n"
    "y,c,,val,,0.3,0.3,0.4\n"
)


def test_rows_are_matched_by_path_and_classes_by_name() -> None:
    shuffled = (
        "p:c,p:a,path,predicted,p:b,split,label\n0.5,0.1,y,c,0.4,val,c\n0.6,0.3,x,b,0.1,test,a\n"
    )
    first, other = alignment.align([read(FIRST), read(shuffled, "other")])
    assert other.name == "other"
    assert other.classes == first.classes == ["a", "b", "c"]
    assert other.identity["path"] == ["x", "y"]
    np.testing.assert_array_equal(other.probabilities, [[0.3, 0.1, 0.6], [0.1, 0.4, 0.5]])
    assert other.predicted.tolist() == [1, 2]
    np.testing.assert_array_equal(first.probabilities, [[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]])
    assert first.predicted.tolist() == [0, -1]


def test_what_one_file_knows_of_an_image_all_know() -> None:
    bare = "path,p:c,p:b,p:a\ny,1,0,0\nx,0,0,1\n"
    for many in ([read(bare), read(FIRST)], [read(FIRST), read(bare)]):
        aligned = alignment.align(many)
        for one in aligned:
            labels = dict(zip(one.identity["path"], one.identity["label"], strict=True))
            assert labels == {"x": "a", "y": "c"}
            assert one.labels.tolist() == [one.classes.index(x) for x in one.identity["label"]]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ("path,p:a,p:b\nx,1,0\ny,1,0\n", "no class 'c', where p.csv has 'a', 'b', 'c'"),
        (
            "path,p:a,p:b,p:d\nx,1,0,0\ny,1,0,0\n",
            "no class 'c' and a class 'd', where p.csv has 'a', 'b', 'c'",
        ),
        ("path,p:a,p:b,p:c\nx,1,0,0\n", "no row for 'y', which p.csv has"),
        ("path,p:a,p:b,p:c\nx,1,0,0\ny,1,0,0\nz,1,0,0\n", "a row for 'z', which p.csv lacks"),
        ("path,p:a,p:b,p:c\nx,1,0,0\nz,1,0,0\n", "no row for 'y', which p.csv has"),
        (
            "path,p:a,p:b,p:c\nx,1,0,0\ny,1,0,0\n5,1,0,0\n4,1,0,0\n3,1,0,0\n2,1,0,0\n",
            "a row for '5', '4', '3' and 1 more, which p.csv lacks",
        ),
        (
            "path,subject,p:a,p:b,p:c\nx,S1,1,0,0\ny,S2,1,0,0\n",
            "'x' has subject 'S1', where p.csv has 'S0'",
        ),
        (
            "path,label,p:a,p:b,p:c\nx,a,1,0,0\ny,b,1,0,0\n",
            "'y' has label 'b', where p.csv has 'c'",
        ),
        (
            "path,split,p:a,p:b,p:c\nx,train,1,0,0\ny,val,1,0,0\n",
            "'x' has split 'train', where p.csv has 'test'",
        ),
    ],
)
def test_files_that_contradict_each_other_are_named(other: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        alignment.align([read(FIRST), read(other, "other.csv")])
    assert str(caught.value) == f"other.csv: {message}"


def test_files_beside_one_without_labels_still_contradict_each_other() -> None:
    texts = ["path,p:a,p:b\nx,1,0\n", "path,label,p:a,p:b\nx,a,1,0\n"]
    texts.append("path,label,p:a,p:b\nx,b,1,0\n")
    with pytest.raises(InputError, match="2: 'x' has label 'b', where 1 has 'a'"):
        alignment.align([read(text, str(index)) for index, text in enumerate(texts)])


def test_rows_are_matched_by_another_column_where_paths_differ() -> None:
    one = read_by("sha256", "path,sha256,label,p:a,p:b\nx,11,a,1,0\ny,22,b,0.5,0.5\n")
    two = read_by("sha256", "path,sha256,p:a,p:b\nv/y,22,0.25,0.75\nv/x,11,0.125,0.875\n")
    first, other = alignment.align([one, two], "sha256")
    assert other.identity["path"] == first.identity["path"] == ["x", "y"]
    np.testing.assert_array_equal(other.probabilities, [[0.125, 0.875], [0.25, 0.75]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,p:a\nx,1\n", "p.csv, line 1, column id: the column is missing"),
        ("path,id,p:a\nx,,1\n", "p.csv, line 2, column id: empty"),
        ("path,id,p:a\nx,1,1\ny,1,1\n", "p.csv, line 3, column id: '1' stands there twice"),
    ],
)
def test_a_key_tells_every_row(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_by("id", text)
    assert str(caught.value).startswith(message)


def read_by(key: str, text: str) -> Predictions:
    return predictions.read(io.StringIO(text, newline=""), "p.csv", key)
