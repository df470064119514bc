"""Things joined in pairs, directly or not, as one group each."""

from collections.abc import Iterable


def leaders(number: int, pairs: Iterable[tuple[int, int]]) -> list[int]:
    """Return for each of ``number`` things the first one of the group that ``pairs`` join."""
    leader = list(range(number))

    def lead(place: int) -> int:
        while leader[place] != place:
            leader[place] = place = leader[leader[place]]
        return place

    for a, b in pairs:
        first, second = sorted((lead(a), lead(b)))
        leader[second] = first
    return [lead(place) for place in range(number)]
