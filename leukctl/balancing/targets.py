"""How many train rows each class is to have."""

import re
from collections.abc import Callable, Mapping

from leukctl.errors import UsageError


def _mean(sizes: list[int]) -> int:
    """Return the mean, halves rounded up."""
    return (2 * sum(sizes) + len(sizes)) // (2 * len(sizes))


# By the names of catalog.BALANCING_TARGETS.
TARGETS: dict[str, Callable[[list[int]], int]] = {"min": min, "max": max, "mean": _mean}


def check(to: str) -> None:
    """Raise :class:`UsageError` unless ``to`` is a name of :data:`TARGETS` or a number above 0."""
    if to not in TARGETS and not re.fullmatch(r"0*[1-9]\d{0,8}", to, re.ASCII):
        raise UsageError(f"--to {to!r}: give {', '.join(TARGETS)} or a number of rows above 0")


def size(to: str, sizes: Mapping[str, int]) -> int:
    """Return the train rows that each class is to have.

    Args:
        to: ``min``, ``max`` or ``mean`` (rounded) of the classes' sizes, or a number.
        sizes: train rows of each class.
    """
    return TARGETS[to](list(sizes.values())) if to in TARGETS else int(to)
