"""A chain of operations: read from text, shown as text, applied to a picture."""

import difflib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from leukctl.errors import UsageError
from leukctl.preparing.deferred import denoised_region
from leukctl.preparing.geometry import Mask, Result, Rgb
from leukctl.preparing.operations import OPERATIONS, Operation
from leukctl.preparing.parameters import Parameter

DEFAULT_STEPS = "resize:224"


@dataclass(frozen=True, slots=True)
class Step:
    """One operation with all its parameters."""

    name: str
    values: dict[str, Any]

    def __str__(self) -> str:
        """Return the canonical text: parameters without a default by place, the others by name.

        Defaults are written out, so that a chain that a file carries stays the same when a later
        version has others; tacit ones stay so.
        """
        parts = [self.name]
        for parameter in OPERATIONS[self.name].parameters:
            if not parameter.exists(self.values):
                continue
            value = self.values[parameter.name]
            if parameter.default is None:
                parts.append(parameter.show(value))
            elif not (parameter.tacit and value == parameter.default):
                parts.append(f"{parameter.name}={parameter.show(value)}")
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

        ``denoise:nlm,roi`` looks for the region before it removes the noise, as
        :func:`leukctl.preparing.deferred.denoised_region` says.
        """
        notes = []
        for name, apply in _plan(self.steps):
            rgb, mask, note = apply(rgb, mask)
            if note is not None:
                notes.append(f"{name}: {note}")
        contiguous = np.ascontiguousarray(mask) if mask is not None else None
        return np.ascontiguousarray(rgb), contiguous, notes


def _plan(steps: Sequence[Step]) -> Iterator[tuple[str, Callable[[Rgb, Mask | None], Result]]]:
    """Yield what is to be done in turn, and what to call it in a note."""
    place = 0
    while place < len(steps):
        step, *then = steps[place : place + 3]
        if step.values.get("method") == "nlm" and [s.name for s in then[:1]] == ["roi"]:
            resizing = next((s.values for s in then[1:] if s.name == "resize"), None)
            yield "roi", partial(denoised_region, step.values, then[0].values, resizing)
            place += 2 if resizing is None else 3
        else:
            yield step.name, partial(OPERATIONS[step.name].apply, **step.values)
            place += 1


def _parse_step(text: str, chain: str) -> Step:
    name, *arguments = (part.strip() for part in text.split(":"))
    operation = OPERATIONS.get(name)
    if operation is None:
        near = difflib.get_close_matches(name, OPERATIONS, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(
            f"unknown step {text!r} in {chain!r}{hint} (known: {', '.join(OPERATIONS)})"
        )
    known = _parameters(operation, arguments)
    values: dict[str, Any] = {}
    for place, argument in enumerate(arguments):
        key, value = _read_argument(text, known, place, argument)
        if key in values:
            raise UsageError(f"step {text!r}: {key} is given twice")
        values[key] = value
    for parameter in known:
        if values.setdefault(parameter.name, parameter.default) is None:
            write = " or ".join(f"{name}:{value}" for value in parameter.known or ("VALUE",))
            raise UsageError(f"step {text!r} lacks its {parameter.name}: write {write}")
    return Step(name, values)


def _parameters(operation: Operation, arguments: Sequence[str]) -> list[Parameter]:
    """Return the parameters that there are, given the choices among the arguments."""
    choices = {}
    for place, parameter in enumerate(operation.parameters):
        named = [a.partition("=")[2] for a in arguments if a.startswith(f"{parameter.name}=")]
        placed = [a for a in arguments[place : place + 1] if "=" not in a]
        choices[parameter.name] = next(iter(named + placed), parameter.default)
    return [parameter for parameter in operation.parameters if parameter.exists(choices)]


def _read_argument(
    text: str, parameters: Sequence[Parameter], place: int, argument: str
) -> tuple[str, object]:
    known = {parameter.name: parameter for parameter in parameters}
    key, equals, value = argument.partition("=")
    if not equals:
        if place >= len(parameters):
            raise UsageError(f"step {text!r} has more parameters than {len(known)}")
        key, value = parameters[place].name, argument
    if key not in known:
        raise UsageError(f"step {text!r}: unknown parameter {key!r} (known: {', '.join(known)})")
    try:
        return key, known[key].read(value)
    except ValueError as error:
        raise UsageError(f"step {text!r}: {key} must be {error}, not {value!r}") from None
