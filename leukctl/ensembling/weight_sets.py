"""The weight sets that a search tries."""

import itertools
import math
from collections.abc import Iterator, Sequence

from leukctl.ensembling import mixing
from leukctl.errors import InputError, UsageError
from leukctl.tables import Table

Weights = tuple[float, ...]

# Of DenseNet-201 and ResNet-50, and the thresholds that go with them.
PATEL2025: list[Weights] = [(0.5, 0.5), (0.6, 0.4), (0.4, 0.6), (0.3, 0.7), (0.7, 0.3)]
PATEL2025_THRESHOLDS = (0.7, 0.8)
PREFIX = "w:"  # of the columns of a table
MOST = 100_000


def named(text: str, count: int) -> list[Weights]:
    """Return the weight sets that ``text`` names for ``count`` models, no two alike.

    ``patel2025``, ``grid:STEP``, or sets with spaces between them and commas within.

    Raises :class:`UsageError`.
    """
    if text == "patel2025":
        if count != 2:
            raise UsageError(f"the weight sets of patel2025 are of 2 models, here are {count}")
        return PATEL2025
    if text.startswith("grid:"):
        return grid(count, _number(text.removeprefix("grid:"), text))
    sets = [tuple(_number(cell, text) for cell in part.split(",")) for part in text.split()]
    return _checked(sets, count, "--search")


def grid(count: int, step: float) -> list[Weights]:
    """Return all weights that are multiples of ``step`` and sum to 1, the first model's rising.

    Raises :class:`UsageError` for a step that does not divide 1, or for too many.
    """
    parts = round(1 / step) if 0 < step <= 1 else 0
    if not parts or abs(parts * step - 1) > 1e-9:
        raise UsageError(f"--search grid:{step:g}: a step that divides 1, such as 0.1 or 0.05")
    number = math.comb(parts + count - 1, count - 1)
    if number > MOST:
        raise UsageError(
            f"--search grid:{step:g} is {number} weight sets of {count} models, more than {MOST}; "
            "take a larger step"
        )
    return [tuple(n / parts for n in numbers) for numbers in _compositions(parts, count)]


def of_table(table: Table, names: Sequence[str]) -> list[Weights]:
    """Return the weight sets in the rows of ``table``, whose columns are ``w:<model>``.

    Other columns are passed over, so that the table of an earlier search can be tried again.

    Raises :class:`InputError` for a column that is missing or too many, and for a cell that is no
    number.
    """
    table.require(*(f"{PREFIX}{name}" for name in names))
    wanted = {f"{PREFIX}{name}" for name in names}
    for column in table.columns:
        if column.startswith(PREFIX) and column not in wanted:
            raise InputError("no such model here", file=table.name, line=1, column=column)
    columns = []
    for name in names:
        numbers = []
        for index, cell in enumerate(table.column(f"{PREFIX}{name}")):
            try:
                numbers.append(float(cell))
            except ValueError:
                raise table.error(index, f"{PREFIX}{name}", f"{cell!r} is no number") from None
        columns.append(numbers)
    return _checked(list(zip(*columns, strict=True)), len(names), table.name)


def _checked(sets: Sequence[Weights], count: int, where: str) -> list[Weights]:
    if not sets:
        raise UsageError(f"{where}: no weight sets")
    for weights in sets:
        try:
            mixing.shares(weights, count)
        except UsageError as error:
            raise UsageError(f"{where}: {','.join(f'{w:g}' for w in weights)}: {error}") from None
    if len(set(sets)) > MOST:
        raise UsageError(f"{where}: more than {MOST} weight sets")
    return list(dict.fromkeys(sets))


def _number(cell: str, text: str) -> float:
    try:
        return float(cell)
    except ValueError:
        raise UsageError(
            f"--search {text!r}: grid:STEP, patel2025, a CSV of weights, or sets such as "
            "'0.5,0.5 0.7,0.3'"
        ) from None


def _compositions(total: int, count: int) -> Iterator[tuple[int, ...]]:
    """Yield every way to write ``total`` as ``count`` numbers from 0."""
    for bars in itertools.combinations(range(total + count - 1), count - 1):
        edges = (-1, *bars, total + count - 1)
        yield tuple(b - a - 1 for a, b in itertools.pairwise(edges))
