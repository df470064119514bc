"""Timing two ways of doing one thing, in turn, so that a machine's drift falls on both."""

import statistics
import time
from collections.abc import Callable


def compare(
    ours: Callable[[], object], theirs: Callable[[], object], pairs: int = 5
) -> tuple[float, float, float]:
    """Return the median seconds of both and the median of the ratios theirs / ours.

    Each is called once before the counted pairs.
    """
    ours(), theirs()
    times = []
    for _ in range(pairs):
        a = _seconds(ours)
        times.append((a, _seconds(theirs)))
    return (
        statistics.median(a for a, _ in times),
        statistics.median(b for _, b in times),
        statistics.median(b / a for a, b in times),
    )


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def say(name: str, figures: tuple[float, float, float]) -> None:
    """Print a line."""
    ours, theirs, ratio = figures
    print(f"{name:32s} ours {ours:8.3f} s  theirs {theirs:8.3f} s  ratio {ratio:5.2f}")
