"""The registry of operations, and how their parameters are read and shown.

A step is written ``name``, ``name:value`` or ``name:key=value``, with further parameters after
further colons. To add an operation, write its function, put it into :data:`OPERATIONS` and its
name into :data:`leukctl.catalog.STEPS`.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from leukctl.preparing.geometry import Result, resize, zoom
from leukctl.preparing.region import roi

MAX_SIDE = 16384


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of an operation.

    Attributes:
        read: text → value; raises ValueError with what is expected.
        show: value → the text that reads back to it.
        default: None where the parameter must be given.
    """

    name: str
    read: Callable[[str], Any]
    show: Callable[[Any], str]
    default: Any = None


@dataclass(frozen=True, slots=True)
class Operation:
    """A function ``(rgb, mask, **parameters) -> (rgb, mask, note)`` and its parameters.

    The note says what could not be done and what was done instead, None where all went well.
    """

    apply: Callable[..., Result]
    parameters: tuple[Parameter, ...]


def _read_size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", text, re.ASCII)
    if match:
        width, height = int(match[1]), int(match[2] or match[1])
        if 1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE:
            return width, height
    raise ValueError(f"SIZE or WIDTHxHEIGHT, from 1 to {MAX_SIDE} pixels")


def _show_size(size: tuple[int, int]) -> str:
    return str(size[0]) if size[0] == size[1] else f"{size[0]}x{size[1]}"


def _number_reader(expected: str, fits: Callable[[float], bool]) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise ValueError(expected) from None
        if not math.isfinite(value) or not fits(value):
            raise ValueError(expected)
        return value

    return read


def _show_number(value: float) -> str:
    return repr(value).removesuffix(".0")


_FACTOR = _number_reader("a number above 0 and up to 1", lambda value: 0 < value <= 1)
_MARGIN = _number_reader("a number from 0 to 2", lambda value: 0 <= value <= 2)
_AREA = _number_reader("a number from 0 up to 1", lambda value: 0 <= value < 1)

OPERATIONS = {
    "resize": Operation(resize, (Parameter("size", _read_size, _show_size),)),
    "zoom": Operation(zoom, (Parameter("factor", _FACTOR, _show_number),)),
    "roi": Operation(
        roi,
        (
            Parameter("margin", _MARGIN, _show_number, 0.1),
            Parameter("minarea", _AREA, _show_number, 0.01),
        ),
    ),
}
