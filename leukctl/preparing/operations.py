"""The registry of operations and their parameters.

A step is written ``name``, ``name:value`` or ``name:key=value``, with further parameters after
further colons. To add an operation, write its function, put it into :data:`OPERATIONS` and its
name into :data:`leukctl.catalog.STEPS`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from leukctl.preparing import contrast, denoise, region, segment, stain
from leukctl.preparing.geometry import Result, resize, square, zoom
from leukctl.preparing.parameters import Parameter, choice, fill, intervals, number, size, whole


@dataclass(frozen=True, slots=True)
class Operation:
    """A function ``(rgb, mask, **parameters) -> (rgb, mask, note)`` and its parameters.

    The note says what could not be done and what was done instead, None where all went well.
    """

    apply: Callable[..., Result]
    parameters: tuple[Parameter, ...]


def _odd(most: int) -> tuple[str, Callable[[int], bool]]:
    return f"that is odd, from 3 to {most}", lambda value: value % 2 == 1 and 3 <= value <= most


def _up_to(most: float) -> tuple[str, Callable[[float], bool]]:
    return f"above 0 and up to {most:g}", lambda value: 0 < value <= most


def _from_zero(most: float) -> tuple[str, Callable[[float], bool]]:
    return f"from 0 to {most:g}", lambda value: 0 <= value <= most


def _below(most: float) -> tuple[str, Callable[[float], bool]]:
    return f"from 0 up to {most:g}", lambda value: 0 <= value < most


def _hsv(only: tuple[str, str]) -> tuple[Parameter, ...]:
    return (
        intervals("hue", 360, segment.HUE, only, wraps=True),
        intervals("saturation", 1, segment.SATURATION, only),
        intervals("value", 1, segment.VALUE, only),
    )


OPERATIONS = {
    "resize": Operation(
        resize,
        (size("size"), choice("fit", ("exact", "pad"), "exact"), fill(("fit", "pad"))),
    ),
    "zoom": Operation(zoom, (number("factor", *_up_to(1)),)),
    "square": Operation(square, (choice("how", ("pad", "crop"), "pad"), fill(("how", "pad")))),
    "roi": Operation(
        region.roi,
        (
            number("margin", *_from_zero(2), 0.1),
            number("minarea", *_below(1), 0.01),
            choice("mask", tuple(region.MASKS), "auto"),
            *_hsv(("mask", "hsv")),
            whole("level", *_below(255), region.masks.BLACK, ("mask", "black")),
        ),
    ),
    "segment": Operation(
        segment.segment, (choice("by", tuple(segment.METHODS)), *_hsv(("by", "hsv")))
    ),
    "denoise": Operation(
        denoise.denoise,
        (
            choice("method", tuple(denoise.METHODS)),
            whole("size", *_odd(99), 3, ("method", "median")),
            number("sigma", *_up_to(50), 1.0, ("method", "gaussian")),
            number("h", *_up_to(100), 3.0, ("method", "nlm")),
            number("hcolor", *_up_to(100), 3.0, ("method", "nlm")),
            whole("template", *_odd(31), 7, ("method", "nlm")),
            whole("search", *_odd(99), 21, ("method", "nlm")),
        ),
    ),
    "contrast": Operation(
        contrast.contrast,
        (
            choice("method", tuple(contrast.METHODS)),
            number("clip", *_up_to(100), 2.0, ("method", "clahe")),
            whole("tiles", "from 1 to 64", lambda value: 1 <= value <= 64, 8, ("method", "clahe")),
            number("low", *_below(50), 1.0, ("method", "stretch")),
            number(
                "high",
                "above 50 and up to 100",
                lambda value: 50 < value <= 100,
                99.0,
                ("method", "stretch"),
            ),
        ),
    ),
    "emboss": Operation(contrast.emboss, (number("strength", *_up_to(10), 1.0),)),
    "stain": Operation(
        stain.stain,
        (
            choice("method", tuple(stain.METHODS)),
            *(
                Parameter(
                    "reference",
                    stain.reader(method),
                    stain.show_reference,
                    stain.METHODS[method].builtin,
                    only=("method", frozenset({method})),
                )
                for method in stain.METHODS
            ),
            number("beta", *_below(5), stain.BETA, ("method", "macenko")),
            number("alpha", *_below(50), stain.ALPHA, ("method", "macenko")),
        ),
    ),
}
