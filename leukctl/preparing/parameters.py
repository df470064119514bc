"""What the operations' parameters are, how they are read from text, and how shown."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

MAX_SIDE = 16384
_DECIMALS = 6  # of an interval's bounds

Intervals = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of an operation.

    Attributes:
        read: text → value; raises ValueError with what is expected.
        show: value → the text that reads back to it.
        default: None where the parameter must be given.
        tacit: the default is not written out: it is what the step meant before it had a choice.
        known: the names to choose from, where it is a choice.
        only: the choices, by the name of another parameter, for which this one exists; such
            parameters come after all others.
    """

    name: str
    read: Callable[[str], Any]
    show: Callable[[Any], str] = str
    default: Any = None
    tacit: bool = False
    known: tuple[str, ...] = ()
    only: tuple[str, frozenset[str]] | None = None

    def exists(self, values: dict[str, Any]) -> bool:
        """Return whether the choices made so far leave room for this parameter."""
        return self.only is None or values.get(self.only[0]) in self.only[1]


def choice(name: str, known: tuple[str, ...], default: str | None = None) -> Parameter:
    """Return a parameter that is one of ``known`` names; a default is tacit."""

    def read(text: str) -> str:
        if text not in known:
            raise ValueError(f"one of {', '.join(known)}")
        return text

    return Parameter(name, read, default=default, tacit=default is not None, known=known)


def number(
    name: str,
    expected: str,
    fits: Callable[[float], bool],
    default: float | None = None,
    only: tuple[str, str] | None = None,
) -> Parameter:
    """Return a parameter that is a finite number for which ``fits`` holds."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise ValueError(f"a number {expected}") from None
        if not math.isfinite(value) or not fits(value):
            raise ValueError(f"a number {expected}")
        return value

    return Parameter(name, read, show_number, default, only=_only(only))


def whole(
    name: str,
    expected: str,
    fits: Callable[[int], bool],
    default: int | None = None,
    only: tuple[str, str] | None = None,
) -> Parameter:
    """Return a parameter that is a whole number for which ``fits`` holds."""

    def read(text: str) -> int:
        if not re.fullmatch(r"\d{1,6}", text, re.ASCII) or not fits(int(text)):
            raise ValueError(f"a whole number {expected}")
        return int(text)

    return Parameter(name, read, str, default, only=_only(only))


def intervals(
    name: str, most: float, default: Intervals, only: tuple[str, str], wraps: bool = False
) -> Parameter:
    """Return a parameter of intervals ``LOW-HIGH``, several joined by ``+``.

    Args:
        most: the largest value; the smallest is 0.
        wraps: LOW above HIGH is the interval through ``most`` and on from 0.
    """
    expected = f"LOW-HIGH between 0 and {show_number(most)}" + ("" if wraps else ", LOW first")

    def read(text: str) -> Intervals:
        found = []
        for part in text.split("+"):
            match = re.fullmatch(r"(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)", part, re.ASCII)
            if not match:
                raise ValueError(expected)
            low, high = round(float(match[1]), _DECIMALS), round(float(match[2]), _DECIMALS)
            if max(low, high) > most or (low > high and not wraps):
                raise ValueError(expected)
            found.append((low, high))
        return tuple(found)

    return Parameter(name, read, show_intervals, default, only=_only(only))


def size(name: str) -> Parameter:
    """Return a parameter of (width, height) in pixels, written SIZE or WIDTHxHEIGHT."""
    return Parameter(name, _read_size, _show_size)


def fill(only: tuple[str, str]) -> Parameter:
    """Return the parameter of what padding is filled with."""
    return replace(choice("fill", ("ground", "black", "white"), "ground"), only=_only(only))


def show_number(value: float) -> str:
    """Return the shortest text that reads back to ``value``."""
    return repr(value).removesuffix(".0")


def show_intervals(value: Intervals) -> str:
    """Return the text that reads back to the intervals."""
    return "+".join(f"{_plain(low)}-{_plain(high)}" for low, high in value)


def _plain(value: float) -> str:
    # Without an exponent, whose minus would part the interval.
    return f"{value:.{_DECIMALS}f}".rstrip("0").rstrip(".")


def _only(only: tuple[str, str] | None) -> tuple[str, frozenset[str]] | None:
    return None if only is None else (only[0], frozenset(only[1].split("|")))


def _read_size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", text, re.ASCII)
    if match:
        width, height = int(match[1]), int(match[2] or match[1])
        if 1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE:
            return width, height
    raise ValueError(f"SIZE or WIDTHxHEIGHT, from 1 to {MAX_SIDE} pixels")


def _show_size(size: tuple[int, int]) -> str:
    return str(size[0]) if size[0] == size[1] else f"{size[0]}x{size[1]}"
