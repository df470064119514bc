"""A chain of operations: read from text, shown as text, applied to a picture."""

import difflib
from dataclasses import dataclass
from typing import Any

import numpy as np

from leukctl.errors import UsageError
from leukctl.preparing.geometry import Mask, Rgb
from leukctl.preparing.operations import OPERATIONS, Operation

DEFAULT_STEPS = "resize:224"


@dataclass(frozen=True, slots=True)
class Step:
    """One operation with all its parameters."""

    name: str
    values: dict[str, Any]

    def __str__(self) -> str:
        """Return the canonical text: parameters without a default by place, the others by name.

        Defaults are written out, so that a chain that a file carries stays the same when a later
        version has others.
        """
        parts = [self.name]
        for parameter in OPERATIONS[self.name].parameters:
            text = parameter.show(self.values[parameter.name])
            parts.append(text if parameter.default is None else f"{parameter.name}={text}")
        return ":".join(parts)


@dataclass(frozen=True, slots=True)
class Chain:
    """Operations in the order in which they are applied."""

    steps: tuple[Step, ...]

    @classmethod
    def parse(cls, text: str) -> "Chain":
        """Read a chain such as ``resize:256,zoom:0.6,resize:224``; "" is the empty chain.

        Raises :class:`UsageError` naming the step that cannot be read.

        >>> str(Chain.parse("roi:0.2, resize:224x224"))
        'roi:margin=0.2:minarea=0.01,resize:224'
        """
        parts = [part.strip() for part in text.split(",")] if text.strip() else []
        return cls(tuple(_parse_step(part, text) for part in parts))

    def __str__(self) -> str:
        return ",".join(str(step) for step in self.steps)

    def apply(self, rgb: Rgb, mask: Mask | None = None) -> tuple[Rgb, Mask | None, list[str]]:
        """Return the picture, its mask and notes of what a step could not do.

        Args:
            rgb: uint8 (H, W, 3).
            mask: uint8 (H, W), which goes through the same geometry.
        """
        notes = []
        for step in self.steps:
            rgb, mask, note = OPERATIONS[step.name].apply(rgb, mask, **step.values)
            if note is not None:
                notes.append(f"{step.name}: {note}")
        contiguous = np.ascontiguousarray(mask) if mask is not None else None
        return np.ascontiguousarray(rgb), contiguous, notes


def _parse_step(text: str, chain: str) -> Step:
    name, *arguments = (part.strip() for part in text.split(":"))
    operation = OPERATIONS.get(name)
    if operation is None:
        near = difflib.get_close_matches(name, OPERATIONS, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(
            f"unknown step {text!r} in {chain!r}{hint} (known: {', '.join(OPERATIONS)})"
        )
    values: dict[str, Any] = {}
    for place, argument in enumerate(arguments):
        key, value = _read_argument(text, operation, place, argument)
        if key in values:
            raise UsageError(f"step {text!r}: {key} is given twice")
        values[key] = value
    for parameter in operation.parameters:
        if values.setdefault(parameter.name, parameter.default) is None:
            raise UsageError(f"step {text!r} lacks its {parameter.name}: write {name}:VALUE")
    return Step(name, values)


def _read_argument(
    text: str, operation: Operation, place: int, argument: str
) -> tuple[str, object]:
    known = {parameter.name: parameter for parameter in operation.parameters}
    key, equals, value = argument.partition("=")
    if not equals:
        if place >= len(operation.parameters):
            raise UsageError(f"step {text!r} has more parameters than {len(known)}")
        key, value = operation.parameters[place].name, argument
    if key not in known:
        raise UsageError(f"step {text!r}: unknown parameter {key!r} (known: {', '.join(known)})")
    try:
        return key, known[key].read(value)
    except ValueError as error:
        raise UsageError(f"step {text!r}: {key} must be {error}, not {value!r}") from None
