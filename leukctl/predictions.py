"""Prediction rows: read, check, align, write.

A predictions file is a CSV with the identity columns of the manifest, then ``predicted`` (empty =
no confident prediction), ``confidence``, then one ``p:<class>`` a class. Any tool may write one:
only ``path`` and the ``p:`` columns are needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from leukctl import catalog, tables
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
        identity: the columns of :data:`IDENTITY`, each with N cells, "" where unknown.
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
        return Predictions(
            self.name,
            self.classes,
            {name: [cells[i] for i in rows] for name, cells in self.identity.items()},
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
    identities = zip(*(predictions.identity[column] for column in IDENTITY), strict=True)
    rows = [
        row(identity, predictions.classes, probabilities, answer)
        for identity, probabilities, answer in zip(
            identities,
            predictions.probabilities.tolist(),
            predictions.predicted.tolist(),
            strict=True,
        )
    ]
    return Table(predictions.name, header(predictions.classes), rows)


def read(stream: IO[str], name: str) -> Predictions:
    """Read a predictions file from a text stream; see :func:`from_table`."""
    return from_table(tables.read(stream, name))


def read_path(path: Path, name: str | None = None) -> Predictions:
    """Read the predictions file at ``path``; ``name`` is the model's, by default the file's."""
    predictions = from_table(tables.read_path(path))
    predictions.name = name if name is not None else path.stem
    return predictions


def from_table(table: Table) -> Predictions:
    """Return the predictions in ``table``, checked.

    Raises :class:`InputError` naming file, line and column for a missing column, a doubled path, a
    label or an answer that is no class, a probability that is no number in [0, 1], or a row that
    does not sum to 1 within 1e-3.
    """
    table.require("path")
    classes = [column[2:] for column in table.columns if column.startswith("p:")]
    if not classes:
        raise InputError("no column p:<class>", file=table.name, line=1)
    if "" in classes:
        raise InputError("the class has no name", file=table.name, line=1, column="p:")
    probabilities = _probabilities(table, classes)
    identity = {column: table.column(column, "") for column in IDENTITY}
    _check_identity(table, identity, classes)
    place = {name: index for index, name in enumerate(classes)} | {"": -1}
    if "predicted" in table:
        for index, answer in enumerate(table.column("predicted")):
            if answer not in place:
                raise table.error(index, "predicted", f"{answer!r} is none of the classes")
        predicted = np.array([place[a] for a in table.column("predicted")], np.int64)
    else:
        predicted = probabilities.argmax(axis=1) if len(table) else np.zeros(0, np.int64)
    return Predictions(table.name, classes, identity, probabilities, predicted)


def _probabilities(table: Table, classes: list[str]) -> NDArray[np.float64]:
    places = [table.columns.index(f"p:{name}") for name in classes]
    try:
        values = np.array(
            [[float(row[place]) for place in places] for row in table.rows], np.float64
        ).reshape(len(table), len(classes))
    except ValueError:
        index, column = next(
            (i, table.columns[p])
            for i, row in enumerate(table.rows)
            for p in places
            if not _is_number(row[p])
        )
        raise table.error(index, column, "not a number") from None
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
    return values


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _check_identity(table: Table, identity: dict[str, list[str]], classes: list[str]) -> None:
    allowed = {*classes, ""}
    seen: dict[str, int] = {}
    for index, (path, label, split) in enumerate(
        zip(identity["path"], identity["label"], identity["split"], strict=True)
    ):
        if not path:
            raise table.error(index, "path", "empty")
        if seen.setdefault(path, index) != index:
            raise table.error(index, "path", f"{path!r} stands there twice")
        if label not in allowed:
            raise table.error(index, "label", f"{label!r} is none of the classes")
        if split and split not in catalog.SPLITS:
            raise table.error(index, "split", f"unknown split {split!r}")


def align(many: Sequence[Predictions]) -> list[Predictions]:
    """Return the same images in the same order with the same class order for every model.

    Rows are matched by path and class columns by name, after the first of ``many``. What one
    knows of an image (its label, say) and another leaves empty, all know in the result.

    Raises :class:`InputError` naming the first image that one has and another lacks, or whose
    label or split they tell differently, and for class sets that differ.
    """
    first = many[0]
    aligned = [first]
    for other in many[1:]:
        if set(other.classes) != set(first.classes):
            raise InputError(
                f"classes {', '.join(other.classes)}, where {first.name} has "
                f"{', '.join(first.classes)}",
                file=other.name,
            )
        place = {path: index for index, path in enumerate(other.identity["path"])}
        _check_same_images(first, other, place)
        moved = other.select([place[path] for path in first.identity["path"]])
        for earlier in aligned:
            _check_same_truth(earlier, moved)
        aligned.append(_reorder_classes(moved, first.classes))
    identity = {column: _known([one.identity[column] for one in aligned]) for column in IDENTITY}
    return [replace(one, identity=identity) for one in aligned]


def _known(columns: Sequence[list[str]]) -> list[str]:
    if all(column == columns[0] for column in columns):
        return columns[0]
    return [next(filter(None, cells), "") for cells in zip(*columns, strict=True)]


def _check_same_images(first: Predictions, other: Predictions, place: dict[str, int]) -> None:
    for path in first.identity["path"]:
        if path not in place:
            raise InputError(f"no row for {path!r}, which {first.name} has", file=other.name)
    if len(other) != len(first):
        extra = next(iter(place.keys() - set(first.identity["path"])))
        raise InputError(f"a row for {extra!r}, which {first.name} lacks", file=other.name)


def _check_same_truth(first: Predictions, other: Predictions) -> None:
    for column in ("label", "split"):
        pairs = zip(
            first.identity["path"], first.identity[column], other.identity[column], strict=True
        )
        for path, a, b in pairs:
            if a and b and a != b:
                raise InputError(
                    f"{path!r} has {column} {b!r}, where {first.name} has {a!r}", file=other.name
                )


def _reorder_classes(predictions: Predictions, classes: list[str]) -> Predictions:
    order = [predictions.classes.index(name) for name in classes]
    renumber = np.array([*(classes.index(name) for name in predictions.classes), -1], np.int64)
    return Predictions(
        predictions.name,
        classes,
        predictions.identity,
        predictions.probabilities[:, order],
        renumber[predictions.predicted],
    )
