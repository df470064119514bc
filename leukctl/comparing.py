"""How alike two heatmaps of one image are."""

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from leukctl import explanations
from leukctl.errors import InputError
from leukctl.explanations import Explanation

COLUMNS = (
    "path",
    "label",
    "predicted",
    "model_a",
    "method_a",
    "model_b",
    "method_b",
    "target_a",
    "target_b",
    "mr_ssim",
    "spearman",
    "top20_iou",
    "ssim_window",
)
MEASURES = COLUMNS[9:12]


def mr_ssim(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Return the structural similarity of two heatmaps in [0, 1], the MR-SSIM of digiammarco2024.

    In [-1, 1], 1 for equal maps: scikit-image's mean SSIM with its uniform 7x7 window (smaller
    for smaller maps), K1 = 0.01, K2 = 0.03 and a data range of 1.

    Args:
        first, second: float32 (H, W), of one size, 3 pixels a side or more.
    """
    from skimage.metrics import structural_similarity

    window = ssim_window(first.shape)
    return float(structural_similarity(first, second, data_range=1.0, win_size=window))


def ssim_window(shape: tuple[int, ...]) -> int:
    """Return the side of the window that :func:`mr_ssim` averages over, in pixels."""
    side = min(7, *shape)
    return side if side % 2 else side - 1


def spearman(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Return the rank correlation of two heatmaps over their pixels, in [-1, 1].

    Unlike the structural similarity it does not grow with large regions where both are zero.
    """
    from scipy.stats import spearmanr

    return float(spearmanr(first, second, axis=None).statistic)


def top_overlap(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Return the intersection over union of the hottest fifths of two heatmaps, in [0, 1]."""
    a, b = _top(first), _top(second)
    return float((a & b).sum() / (a | b).sum())


def _top(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    # Above the quantile, and not from it on: where most of a map is zero, zeros are not its top.
    bound = np.quantile(values, 0.8)
    return values > bound if bound < values.max() else values == bound


def pairs(rows: Sequence[Explanation]) -> Iterator[tuple[Explanation, Explanation]]:
    """Yield the maps of one image that answer one question: two methods, or two models.

    Two maps are paired when they share the image and either the model or the method, in the
    order in which images and maps first come. Where an image has maps of several classes
    (``explain --target all``), they must share the class too; else each model's own answer will
    do.

    Raises :class:`InputError` for two maps of one image and class by one model and method.
    """
    by_image: dict[str, list[Explanation]] = {}
    for row in rows:
        by_image.setdefault(row.path, []).append(row)
    for path, maps in by_image.items():
        several = len({(row.model, row.method) for row in maps}) < len(maps)
        for a, b in combinations(maps, 2):
            same_model, same_method = a.model == b.model, a.method == b.method
            if several and a.target != b.target:
                continue
            if same_model and same_method:
                raise InputError(
                    f"two {a.method} maps of {path!r} by {a.model!r}", file=b.file.parent
                )
            if same_model or same_method:
                yield a, b


def compare(a: Explanation, b: Explanation) -> list[str]:
    """Return the row of similarity.csv for two maps of one image.

    The measures stay empty where either map shows nothing: two empty maps would count as equal.

    Raises :class:`InputError` for maps that cannot be read or are of different sizes.
    """
    first, second = explanations.heatmap(a), explanations.heatmap(b)
    if first.shape != second.shape:
        raise InputError(
            f"{first.shape[1]}x{first.shape[0]} pixels, where {b.file} has "
            f"{second.shape[1]}x{second.shape[0]}",
            file=a.file,
        )
    if min(first.shape) < 3:
        raise InputError("under 3 pixels a side, too small to compare", file=a.file)
    flags = {*a.status.split("+"), *b.status.split("+")}
    comparable = not flags & {*explanations.SHOWS_NOTHING}
    return [
        a.path,
        a.label,
        a.predicted,
        a.model,
        a.method,
        b.model,
        b.method,
        a.target,
        b.target,
        *(repr(measure(first, second)) if comparable else "" for measure in _MEASURES),
        str(ssim_window(first.shape)),
    ]


_MEASURES = (mr_ssim, spearman, top_overlap)
