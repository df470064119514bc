"""``NAME:KEY=VALUE:…``, as options write what has parameters of its own, and what it means."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from leukctl.errors import UsageError
from leukctl.preparing.parameters import Parameter

Known = Mapping[str, tuple[Parameter, ...]]


@dataclass(frozen=True, slots=True)
class Choice:
    """A name of a registry with all its parameters, those that were not given by default."""

    name: str
    parameters: dict[str, Any]


def read(option: str, text: str, known: Known) -> Choice:
    """Return the choice that ``text`` makes, such as ``sgd:momentum=0.9``.

    Args:
        option: its name, for messages.
        known: the names to choose from, and the parameters of each.

    Raises :class:`UsageError` for an unknown name or parameter, and for a value that does not fit.
    """
    name, *arguments = (part.strip() for part in text.split(":"))
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"{option} {text!r}: unknown{hint} (known: {', '.join(known)})")
    parameters = {parameter.name: parameter for parameter in known[name]}
    values: dict[str, Any] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if key not in parameters or not equals:
            there = ", ".join(f"{key}=VALUE" for key in parameters) or "none"
            raise UsageError(f"{option} {text!r}: unknown parameter {argument!r} (known: {there})")
        if key in values:
            raise UsageError(f"{option} {text!r}: {key} is given twice")
        try:
            values[key] = parameters[key].read(value)
        except ValueError as error:
            raise UsageError(f"{option} {text!r}: {key} must be {error}, not {value!r}") from None
    return Choice(name, {key: values.get(key, parameters[key].default) for key in parameters})
