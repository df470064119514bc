import pytest
from fakes import HISTORY, few, many

from leukctl import images, metrics
from leukctl.errors import InputError
from leukctl.reporting import figures
from leukctl.tables import Table

HOSTILE = (
    "<script>",
    "[bold]",
    "$x^{2$",
    "a\nb",
    "long " * 40 + "name",
    "\udcff",
    "漢字",
    "_hidden",
)


def _twice(draw, tmp_path):
    draw(tmp_path / "a.png")
    draw(tmp_path / "b.png")
    data = (tmp_path / "a.png").read_bytes()
    assert data == (tmp_path / "b.png").read_bytes()
    pixels = images.decode(data)
    assert pixels.std() > 5  # something is drawn
    return data


def test_figures_with_hostile_names_are_drawn_the_same_each_time(tmp_path):
    rows = many(300, HOSTILE)
    matrix = metrics.score(rows)["confusion"]
    drawn = [
        _twice(lambda path: figures.confusion(matrix, list(HOSTILE), path, "$m$"), tmp_path),
        _twice(lambda path: figures.roc(rows, path, "[m]"), tmp_path),
    ]
    assert drawn[0] != drawn[1]
    assert b"Software" not in drawn[0] + drawn[1]


@pytest.mark.parametrize("rows", [few("aaa", "aaa"), few("", ""), few("--", "ab")])
def test_roc_without_two_classes_is_drawn(rows, tmp_path):
    _twice(lambda path: figures.roc(rows, path, "m"), tmp_path)


@pytest.mark.parametrize("matrix", [[[3]], [[0, 0], [0, 0]]])
def test_confusion_of_one_class_or_of_nothing_is_drawn(matrix, tmp_path):
    names = ["a", "b"][: len(matrix)]
    _twice(lambda path: figures.confusion(matrix, names, path, "m"), tmp_path)


@pytest.mark.parametrize("epochs", [0, 1, 3])
def test_curves_of_any_number_of_epochs_are_drawn(epochs, tmp_path):
    rows = [[str(e), "head", *["0.5"] * 7, "1"] for e in range(1, epochs + 1)]
    if rows:
        rows[0][6] = ""  # no validation yet
    history = Table("history.csv", HISTORY, rows)
    _twice(lambda path: figures.curves(history, path), tmp_path)


def test_a_history_that_is_no_numbers_is_an_input_error(tmp_path):
    history = Table("history.csv", HISTORY, [["1", "head", *["?"] * 8]], [2])
    with pytest.raises(InputError, match=r"history.csv, line 2, column train_loss: '\?'"):
        figures.curves(history, tmp_path / "x.png")
    assert not (tmp_path / "x.png").exists()
