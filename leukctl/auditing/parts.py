"""The parts of a split, and what stands in two of them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations

from leukctl.tables import Table

Part = tuple[str, str]


def of_rows(table: Table) -> list[Part]:
    """Return split and fold of every row, each "" where there is none."""
    return list(zip(table.column("split", ""), table.column("fold", ""), strict=True))


def apart(a: Part, b: Part) -> bool:
    """Tell whether two rows stand on two sides: of the splits, of the folds, or of fold and test.

    A row of a fold takes part in training, whatever its split; a row of neither takes none.
    """
    if any(one and other and one != other for one, other in zip(a, b, strict=True)):
        return True
    return any(one[1] and not one[0] and other[0] == "test" for one, other in ((a, b), (b, a)))


def any_apart(parts: Iterable[Part]) -> bool:
    """Tell whether two of ``parts`` are apart."""
    return any(apart(a, b) for a, b in combinations(set(parts), 2))


def crossing(names: Sequence[str], parts: Sequence[Part]) -> list[str]:
    """Return the names whose rows stand on two sides, sorted; "" is no name."""
    where: dict[str, set[Part]] = defaultdict(set)
    for name, part in zip(names, parts, strict=True):
        if name:
            where[name].add(part)
    return sorted(name for name, found in where.items() if any_apart(found))
