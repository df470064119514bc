"""Predictions of several models → the same images in the same order."""

import itertools
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from leukctl.errors import InputError
from leukctl.predictions import Predictions


def align(many: Iterable[Predictions], key: str = "path") -> list[Predictions]:
    """Return the same images in the same order with the same class order for every model.

    Rows are matched by the column ``key``, which names no image twice, and class columns by name,
    after the first of ``many``, which are taken one by one. What one knows of an image (its label,
    say) and another leaves empty, all know in the result; where ``key`` is not the path, they have
    the first one's paths.

    Raises :class:`InputError` naming the images that one has and another lacks, or of which they
    tell differently, and for class sets that differ.
    """
    aligned: list[Predictions] = []
    known: dict[str, list[str]] = {}
    place: dict[str, int] = {}
    told: dict[tuple[str, int], str] = {}
    for other in many:
        if not aligned:
            known = {column: cells.copy() for column, cells in other.identity.items()}
            place = {cell: index for index, cell in enumerate(known[key])}
            aligned.append(replace(other, identity=known))
            continue
        first = aligned[0]
        _check_same_classes(first, other)
        if other.identity[key] != known[key]:
            other = _told(other, key).select(_order(place, other, key, first.name))
        _learn(known, other, key, told, first.name)
        aligned.append(replace(_reorder_classes(other, first.classes), identity=known))
    return aligned


def _check_same_classes(first: Predictions, other: Predictions) -> None:
    parts = [
        f"{what} {', '.join(map(repr, names))}"
        for what, names in (
            ("no class", [name for name in first.classes if name not in other.classes]),
            ("a class", [name for name in other.classes if name not in first.classes]),
        )
        if names
    ]
    if parts:
        raise InputError(
            f"{' and '.join(parts)}, where {first.name} has {', '.join(map(repr, first.classes))}",
            file=other.name,
        )


def _order(place: dict[str, int], other: Predictions, key: str, first: str) -> NDArray[np.int64]:
    """Return where ``other`` has each of the images that are at ``place``, and no others."""
    cells = other.identity[key]
    places = np.fromiter(map(place.get, cells, itertools.repeat(-1)), np.int64, len(cells))
    order = np.argsort(places)
    if np.array_equal(places[order], np.arange(len(place))):
        return order
    known = {*cells}
    if missing := [cell for cell in place if cell not in known]:
        raise InputError(f"no row for {_some(missing)}, which {first} has", file=other.name)
    extra = [cell for cell in cells if cell not in place]
    raise InputError(f"a row for {_some(extra)}, which {first} lacks", file=other.name)


def _told(other: Predictions, key: str) -> Predictions:
    """Return ``other`` with what it tells of the images, and not what they are called."""
    told = {name: cells for name, cells in other.identity.items() if name not in ("path", key)}
    return replace(other, identity=told)


def _some(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:3]))
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


def _learn(
    known: dict[str, list[str]],
    other: Predictions,
    key: str,
    told: dict[tuple[str, int], str],
    first: str,
) -> None:
    """Fill what is ``known`` of the images with what ``other`` knows, its rows in their order.

    Args:
        told: who told a cell that ``first`` left empty, added to.
    """
    for column, cells in known.items():
        if column in ("path", key) or (theirs := other.identity[column]) == cells:
            continue
        for index, (mine, new) in enumerate(zip(cells, theirs, strict=True)):
            if not mine and new:
                cells[index] = new
                told[column, index] = other.name
            elif new and new != mine:
                raise InputError(
                    f"{known[key][index]!r} has {column} {new!r}, where "
                    f"{told.get((column, index), first)} has {mine!r}",
                    file=other.name,
                )


def _reorder_classes(predictions: Predictions, classes: list[str]) -> Predictions:
    if predictions.classes == classes:
        return predictions
    order = [predictions.classes.index(name) for name in classes]
    renumber = np.array([*(classes.index(name) for name in predictions.classes), -1], np.int64)
    return Predictions(
        predictions.name,
        classes,
        predictions.identity,
        predictions.probabilities[:, order],
        renumber[predictions.predicted],
    )
