"""Balancing: train rows dropped, repeated, augmented or weighted; other rows stay as they are."""

from dataclasses import dataclass

from leukctl import manifest
from leukctl.balancing import augmentation, sampling, targets, weights
from leukctl.balancing.requests import Augmentation, Made, Method, Request
from leukctl.balancing.rows import Members, groups, train_rows
from leukctl.balancing.warping import Ranges
from leukctl.tables import Table

__all__ = ["METHODS", "Augmentation", "Balanced", "Ranges", "Request", "balance", "lacking"]

METHODS: dict[str, Method] = {
    "undersample": Method(sampling.undersample, "min"),
    "oversample": Method(sampling.oversample, "max"),
    "augment": Method(augmentation.augment, "max"),
    "weights": Method(weights.weight, None),
}


@dataclass(slots=True)
class Balanced:
    """A balanced manifest.

    Attributes:
        made: its rows, and what became of images.
        before, after: train rows of each class.
        size: the train rows that each class was to get; None for weights.
        left: classes of another size, since the method only adds or only drops rows.
        absent: classes that occur, but not in train.
    """

    made: Made
    before: dict[str, int]
    after: dict[str, int]
    size: int | None
    left: list[str]
    absent: list[str]


def balance(table: Table, method: str, request: Request) -> Balanced:
    """Return ``table`` with its train rows balanced by ``method``, one of :data:`METHODS`.

    Raises :class:`InputError` for a missing column, for a train row without a label, and where no
    row is in train; and what the method itself raises.
    """
    members = train_rows(table)
    for rows in members.values():  # also of a class that nothing is done to
        groups(table, rows, request.even)
    chosen = METHODS[method]
    made = chosen.apply(table, members, request)
    _check_others_untouched(table, made.table)
    after = _sizes(train_rows(made.table))
    before = _sizes(members)
    size = targets.size(request.to, before) if chosen.default_to is not None else None
    left = [label for label, count in after.items() if size is not None and count != size]
    absent = [label for label in manifest.classes(table) if label not in members]
    return Balanced(made, before, after, size, left, absent)


def lacking(table: Table, to: str) -> int:
    """Return how many train rows the classes lack of the size ``to``, all together."""
    sizes = _sizes(train_rows(table))
    size = targets.size(to, sizes)
    return sum(max(0, size - count) for count in sizes.values())


def _sizes(members: Members) -> dict[str, int]:
    return {label: len(rows) for label, rows in members.items()}


def _check_others_untouched(before: Table, after: Table) -> None:
    """Raise RuntimeError, a fault of ours, where the rows outside train are not what they were."""
    old, new = (_outside_train(table) for table in (before, after))
    if any(old.column(name) != new.column(name) for name in before.columns):
        raise RuntimeError("balancing changed rows outside train")


def _outside_train(table: Table) -> Table:
    splits = table.column("split")
    return table.select(index for index, split in enumerate(splits) if split != "train")
