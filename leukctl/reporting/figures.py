"""The figures of a run folder as PNG: confusion matrix, ROC curves, training curves.

Drawn with matplotlib's objects and without pyplot, so that nothing global changes and the same
numbers give the same bytes. Colors are of Okabe and Ito (2008), told apart by color-blind readers
too. Names of classes are shown as they are: no mathematics is read from them.
"""

import io
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import auc

from leukctl import files, metrics
from leukctl.predictions import Predictions
from leukctl.reporting.history import CURVES, numbers, stage_borders
from leukctl.tables import Table

COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#7a6f00", "#000000")
DASHES = ("solid", "dashed", "dashdot", "dotted")
LONGEST_NAME = 28

# Where its cache folder cannot be written, matplotlib says so at length; figures come out all the
# same.
logging.getLogger("matplotlib").setLevel(logging.ERROR)

_DPI = 150
_MAX_NUMBERED = 24
_MAX_LEGEND = 20
_LITERAL: dict[str, Any] = {"parse_math": False}


def shown(name: str, longest: int = LONGEST_NAME) -> str:
    """Return ``name`` on one line, cut where it is too long for a figure."""
    text = files.printable(name)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def confusion(matrix: list[list[int]], classes: list[str], path: Path, title: str) -> None:
    """Write a confusion matrix as PNG: rows are the truth, shaded by share of the row.

    Args:
        matrix: K lists of K counts.
        classes: K names.
    """
    counts = np.asarray(matrix, float).reshape(len(classes), len(classes))
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    side = min(3.2 + 0.45 * len(classes), 14)
    figure = Figure(figsize=(side + 0.8, side), dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(picture, ax=axes, label="share of the true class", shrink=0.8)
    names = [shown(name) for name in classes]
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", **_LITERAL)
    axes.set_yticks(range(len(names)), names, **_LITERAL)
    axes.set(xlabel="predicted", ylabel="true")
    axes.set_title(shown(title, 60), **_LITERAL)
    if len(classes) <= _MAX_NUMBERED:
        _number(axes, counts, shares)
    _save(figure, path)


def roc(predictions: Predictions, path: Path, title: str) -> None:
    """Write the one-vs-rest ROC curves of the labelled rows as PNG.

    A class that has no curve (no image of it, or none of another) is left out.
    """
    figure = Figure(figsize=(6, 5.2), dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    curves = metrics.roc(predictions)
    style = {name: _style(place) for place, name in enumerate(predictions.classes)}
    for name, (false, true) in curves.items():
        area = float(auc(false, true))
        # The number stands first: matplotlib hides labels that start with an underscore.
        axes.plot(false, true, label=f"{area:.3f}  {shown(name)}", **style[name])
    if not curves:
        _say(axes, "no ROC curve: images of at least two classes are needed")
    axes.set(xlabel="1 - specificity", ylabel="sensitivity", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    axes.set_title(shown(title, 60), **_LITERAL)
    if 0 < len(curves) <= _MAX_LEGEND:
        _legend(axes, "AUROC  class")
    _save(figure, path)


def curves(history: Table, path: Path) -> None:
    """Write loss, accuracy and macro F1 by epoch, train and val, as PNG.

    Args:
        history: of ``history.csv``: ``epoch``, ``stage`` and ``{train,val}_{loss,accuracy,
            f1_macro}``; an empty cell is a gap.
    """
    figure = Figure(figsize=(10.5, 3.4), dpi=_DPI, layout="constrained")
    epochs = numbers(history, "epoch")
    for panel, (column, title) in enumerate(CURVES.items()):
        axes = figure.add_subplot(1, len(CURVES), panel + 1)
        for place, split in enumerate(("train", "val")):
            values = numbers(history, f"{split}_{column}")
            axes.plot(epochs, values, label=split, marker=".", **_style(place))
        for border in stage_borders(history):
            axes.axvline(border, color="0.6", linewidth=1, linestyle="dotted")
        axes.set(xlabel="epoch", title=title)
        if column != "loss":
            axes.set_ylim(-0.02, 1.02)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.grid(color="0.9")
    _legend(figure.axes[0], None)
    _save(figure, path)


def _number(axes: Axes, counts: np.ndarray, shares: np.ndarray) -> None:
    for row, column in np.ndindex(counts.shape):
        color = "white" if shares[row, column] > 0.6 else "black"
        axes.text(
            column,
            row,
            f"{counts[row, column]:.0f}",
            ha="center",
            va="center",
            color=color,
            fontsize=8,
        )


def _style(place: int) -> dict[str, Any]:
    return {
        "color": COLORS[place % len(COLORS)],
        "linestyle": DASHES[(place + place // len(COLORS)) % len(DASHES)],
        "linewidth": 1.6,
    }


def _legend(axes: Axes, title: str | None) -> None:
    for text in axes.legend(title=title, fontsize=8, title_fontsize=8).get_texts():
        text.set_parse_math(False)


def _say(axes: Axes, what: str) -> None:
    axes.text(0.5, 0.5, what, ha="center", va="center", transform=axes.transAxes)


def _save(figure: Figure, path: Path) -> None:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes, and is no reason for a warning.
        warnings.simplefilter("ignore", UserWarning)
        FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    files.write_bytes(path, buffer.getvalue())
