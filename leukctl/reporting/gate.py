"""The gate: conditions on metrics, and a comparison with a baseline.

A condition is a metric's name, one of ``< <= > >=`` and a number; nothing is evaluated. It says
when to fail, and a metric that is not defined fails too, since nothing then shows that it held.
"""

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from leukctl import catalog
from leukctl.errors import UsageError
from leukctl.reporting.documents import nearest

Values = Mapping[str, float | None]

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

# The name may hold anything, a class's own signs included: the last comparison is the one meant.
_CONDITION = re.compile(
    r"\s*(?P<metric>.*\S)\s*(?P<operator><=|>=|<|>)\s*(?P<bar>[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?)\s*",
    re.DOTALL,
)
# A fall of exactly the tolerance is none, whatever the last bits of the subtraction say.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Condition:
    """When to fail: ``metric`` stands in relation ``operator`` to ``bar``."""

    metric: str
    operator: str
    bar: float


@dataclass(frozen=True, slots=True)
class Breach:
    """A metric that did not hold.

    Attributes:
        metric: its name.
        was: its value in the baseline, None where there is no baseline.
        value: its value, None where undefined.
        bar: what was asked of it, in words.
    """

    metric: str
    was: float | None
    value: float | None
    bar: str

    def __str__(self) -> str:
        was = "" if self.was is None else f"was {self.was:.6g}, "
        value = "undefined" if self.value is None else f"{self.value:.6g}"
        return f"{self.metric}: {was}is {value}, bar: {self.bar}"


@dataclass(frozen=True, slots=True)
class Tolerances:
    """How far a metric may fall: ``named`` ones by their own measure, the others by ``default``."""

    default: float = 0.0
    named: dict[str, float] = field(default_factory=dict)


def parse(text: str) -> Condition:
    """Return the condition in ``text``, such as ``test.f1_macro < 0.90``; or raise UsageError."""
    found = _CONDITION.fullmatch(text)
    bar = _number(found["bar"]) if found else None
    if found is None or bar is None:
        raise UsageError(
            f"no condition: {text!r}; write METRIC < NUMBER (or <=, >, >=), "
            "as in 'test.f1_macro < 0.90'"
        )
    return Condition(found["metric"], found["operator"], bar)


def check(conditions: Sequence[Condition], values: Values) -> list[Breach]:
    """Return a breach for every condition that is met, or whose metric is undefined.

    Raises :class:`UsageError` with the nearest names for a metric that does not exist.
    """
    breaches = []
    for condition in conditions:
        value = _look_up(values, condition.metric)
        if value is None or OPERATORS[condition.operator](value, condition.bar):
            bar = f"fails if {condition.operator} {condition.bar:g}"
            breaches.append(Breach(condition.metric, None, value, bar))
    return breaches


def parse_tolerances(texts: Sequence[str]) -> Tolerances:
    """Return the tolerances in ``texts``: ``0.01`` for all, ``test.f1_macro=0.005`` for one."""
    default, named = 0.0, {}
    for text in texts:
        name, given, number = text.rpartition("=")
        value = _number(number.strip())
        if value is None or value < 0 or (given and not name.strip()):
            raise UsageError(
                f"no tolerance: {text!r}; write a number from 0 on, or METRIC=NUMBER, "
                "as in 'test.f1_macro=0.005'"
            )
        if given:
            named[name.strip()] = value
        else:
            default = value
    return Tolerances(default, named)


def compare(was: Values, values: Values, split: str, tolerances: Tolerances) -> list[Breach]:
    """Return a breach for every metric that is worse than in the baseline, beyond its tolerance.

    Compared are the metrics of :data:`leukctl.catalog.METRICS` on ``split``, and those that a
    tolerance names. What the baseline does not define cannot fall.

    Args:
        was: the values of the baseline.
        values: the values now.

    Raises :class:`UsageError` for a metric that either of the two does not have.
    """
    names = [f"{split}.{metric}" for metric in catalog.METRICS]
    names += [name for name in tolerances.named if name not in names]
    breaches = []
    for name in names:
        if name not in was and name not in tolerances.named and f"{split}.n" in was:
            continue  # a baseline of an earlier version, which lacks the metric
        before, now = _look_up(was, name, " in the baseline"), _look_up(values, name)
        if before is None:
            continue
        allowed = tolerances.named.get(name, tolerances.default)
        down = _metric(name) in catalog.METRICS_DOWN
        bar = before + allowed if down else before - allowed
        if now is None or (now - bar if down else bar - now) > _ROUNDING:
            breaches.append(
                Breach(name, before, now, f"at {'most' if down else 'least'} {bar:.6g}")
            )
    return breaches


def _metric(name: str) -> str:
    """Return the metric at the end of a name, which an end of its interval may follow."""
    *_, metric, last = ["", *name.split(".")]
    return metric if last in ("lo", "hi") else last


def _look_up(values: Values, name: str, where: str = "") -> float | None:
    if name not in values:
        raise UsageError(f"no metric {name!r}{where}; the nearest: {nearest(name, values)}")
    return values[name]


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
