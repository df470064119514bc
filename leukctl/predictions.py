"""Prediction rows: read, check, write.

A predictions file is a CSV with the identity columns of the manifest, then ``predicted`` (empty =
no confident prediction), ``confidence``, then one ``p:<class>`` a class. Any tool may write one:
only ``path`` and the ``p:`` columns are needed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leukctl import catalog, columns, tables
from leukctl.errors import InputError
from leukctl.tables import Table

IDENTITY = ("path", "label", "subject", "source", "split", "fold")
SUM_TOLERANCE = 1e-3


@dataclass(slots=True)
class Predictions:
    """What a model said of some images.

    Attributes:
        name: the model, for tables and errors.
        classes: K class names, in the order of ``probabilities``.
        identity: the columns of :data:`IDENTITY`, and a key where one was asked for, each with N
            cells, "" where unknown.
        probabilities: float64 (N, K), each row summing to 1.
        predicted: int64 (N,), the index of the answer, -1 where there is no confident one.
    """

    name: str
    classes: list[str]
    identity: dict[str, list[str]]
    probabilities: NDArray[np.float64]
    predicted: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.predicted)

    @property
    def labels(self) -> NDArray[np.int64]:
        """The index of each true class, int64 (N,); -1 where the label is unknown."""
        place = {name: index for index, name in enumerate(self.classes)}
        return np.array([place.get(label, -1) for label in self.identity["label"]], np.int64)

    def select(self, indices: Sequence[int] | NDArray[np.int64]) -> "Predictions":
        """Return the rows at ``indices``."""
        rows = np.asarray(indices, np.int64)
        places = rows.tolist()
        return Predictions(
            self.name,
            self.classes,
            {name: [*map(cells.__getitem__, places)] for name, cells in self.identity.items()},
            self.probabilities[rows],
            self.predicted[rows],
        )

    def of_split(self, split: str) -> "Predictions":
        """Return the rows of one split; "" is the rows that have none."""
        return self.select([i for i, s in enumerate(self.identity["split"]) if s == split])

    def splits(self) -> list[str]:
        """Return the splits that occur among labelled rows, in the order train, val, test, ""."""
        found = {s for s, y in zip(self.identity["split"], self.labels, strict=True) if y >= 0}
        return [split for split in (*catalog.SPLITS, "") if split in found]


def make(
    name: str,
    classes: list[str],
    manifest: Table,
    probabilities: NDArray[np.float64],
) -> Predictions:
    """Return the predictions for the rows of ``manifest``; the answer is the likeliest class."""
    identity = {column: manifest.column(column, "") for column in IDENTITY}
    return Predictions(name, classes, identity, probabilities, probabilities.argmax(axis=1))


def header(classes: Sequence[str]) -> list[str]:
    """Return the columns of a predictions file."""
    return [*IDENTITY, "predicted", "confidence", *(f"p:{name}" for name in classes)]


def row(
    identity: Sequence[str], classes: Sequence[str], probabilities: Sequence[float], predicted: int
) -> list[str]:
    """Return one row of a predictions file; every number reads back to the same value."""
    answer = classes[predicted] if predicted >= 0 else ""
    return [
        *identity,
        answer,
        repr(float(max(probabilities))),
        *(repr(float(p)) for p in probabilities),
    ]


def to_table(predictions: Predictions) -> Table:
    """Return ``predictions`` as the table that :func:`read` reads back."""
    classes, values = predictions.classes, predictions.probabilities
    names = [*classes, ""]  # -1 is no answer
    answers = [names[place] for place in predictions.predicted.tolist()]
    numbers = [values.max(axis=1), *values.T]
    columns = [
        *(predictions.identity[column].copy() for column in IDENTITY),
        answers,
        *([*map(repr, column.tolist())] for column in numbers),
    ]
    return Table.of_columns(predictions.name, dict(zip(header(classes), columns, strict=True)))


def read(stream: Iterable[str], name: str, key: str = "path") -> Predictions:
    """Read and check a predictions file, such as a text stream opened with ``newline=""``.

    Args:
        name: what errors call the file.
        key: a column that tells the images apart, kept beside those of :data:`IDENTITY`.

    Raises :class:`InputError` naming file, line and column for a missing column, a doubled path or
    key, a label or an answer that is no class, a probability that is no number in [0, 1], or a row
    that does not sum to 1 within 1e-3.
    """
    text = {*IDENTITY, "predicted", key}

    def kind(column: str) -> type[str] | type[float] | None:
        if column.startswith("p:"):
            return float
        return str if column in text else None

    found = columns.read(stream, name, kind, require=("path", key))
    table = Table.of_columns(name, found.text, found.lines)
    numbers = {column: np.array(cells) for column, cells in found.numbers.items()}
    return _checked(table, numbers, key)


def read_path(path: Path, name: str | None = None, key: str = "path") -> Predictions:
    """Read the predictions file at ``path``; ``name`` is the model's, by default the file's."""
    with tables.opened(path) as stream:
        predictions = read(stream, str(path), key)
    predictions.name = name if name is not None else path.stem
    return predictions


def from_table(table: Table, key: str = "path") -> Predictions:
    """Return the predictions in ``table``, checked as :func:`read` does."""
    table.require("path", key)
    numbers = {
        column: np.array(columns.floats(table.column(column), table.name, column, table.lines))
        for column in table.columns
        if column.startswith("p:")
    }
    return _checked(table, numbers, key)


def _checked(table: Table, numbers: dict[str, NDArray[np.float64]], key: str) -> Predictions:
    """Return the predictions in ``table``, whose columns ``p:<class>`` are ``numbers``."""
    classes = [column[2:] for column in numbers]
    if not classes:
        raise InputError("no column p:<class>", file=table.name, line=1)
    if "" in classes:
        raise InputError("the class has no name", file=table.name, line=1, column="p:")
    probabilities = np.stack([*numbers.values()], axis=1)
    _check_probabilities(table, classes, probabilities)
    identity = {column: table.column(column, "") for column in dict.fromkeys((*IDENTITY, key))}
    for column in dict.fromkeys(("path", key)):
        _check_distinct(table, column, identity[column])
    _check_known(table, "label", identity["label"], {*classes, ""}, "{} is none of the classes")
    _check_known(table, "split", identity["split"], {*catalog.SPLITS, ""}, "unknown split {}")
    if "predicted" in table:
        answers = table.column("predicted")
        place = {name: index for index, name in enumerate(classes)} | {"": -1}
        _check_known(table, "predicted", answers, {*place}, "{} is none of the classes")
        predicted = np.fromiter(map(place.__getitem__, answers), np.int64, len(answers))
    else:
        predicted = probabilities.argmax(axis=1)
    return Predictions(table.name, classes, identity, probabilities, predicted)


def _check_probabilities(table: Table, classes: list[str], values: NDArray[np.float64]) -> None:
    outside = ~((values >= 0) & (values <= 1))  # true for NaN too
    if outside.any():
        index, place = np.argwhere(outside)[0]
        raise table.error(
            int(index), f"p:{classes[place]}", f"{values[index, place]} is outside [0, 1]"
        )
    off = np.abs(values.sum(axis=1) - 1) > SUM_TOLERANCE
    if off.any():
        index = int(np.argmax(off))
        raise table.error(
            index, "p:*", f"the probabilities sum to {values[index].sum():.4g}, not to 1"
        )


def _check_distinct(table: Table, column: str, cells: list[str]) -> None:
    if "" not in (found := set(cells)) and len(found) == len(cells):
        return
    seen: set[str] = set()
    for index, cell in enumerate(cells):
        if not cell:
            raise table.error(index, column, "empty")
        if cell in seen:
            raise table.error(index, column, f"{cell!r} stands there twice")
        seen.add(cell)


def _check_known(table: Table, column: str, cells: list[str], known: set[str], what: str) -> None:
    if {*cells} <= known:
        return
    index, cell = next((i, cell) for i, cell in enumerate(cells) if cell not in known)
    raise table.error(index, column, what.format(repr(cell)))
