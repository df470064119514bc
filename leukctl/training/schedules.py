"""How the learning rate goes down, and when a stage ends before its last epoch."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from leukctl.preparing.parameters import Parameter, number, whole
from leukctl.runtime import torch
from leukctl.training.choices import Choice

Figures = dict[str, float]
Build = Callable[..., Any]

# Monitor → what it reads from the figures of val, to be made larger; the loss breaks ties.
MONITORS: dict[str, Callable[[Figures], tuple[float, ...]]] = {
    "val_f1": lambda val: (val["f1_macro"], -val["loss"]),
    "val_loss": lambda val: (-val["loss"],),
}


@dataclass(slots=True)
class Watch:
    """Ends a stage whose monitor has not gained for long.

    Attributes:
        monitor: one of :data:`MONITORS`.
        patience: epochs without a gain after which it ends; 0 never ends it.
        best: the best so far.
        waited: epochs since.
    """

    monitor: str
    patience: int
    best: tuple[float, ...] = (-math.inf,)
    waited: int = 0

    def count(self, val: Figures) -> None:
        """Count an epoch with its figures of val."""
        figures = MONITORS[self.monitor](val)
        self.waited = 0 if figures > self.best else self.waited + 1
        self.best = max(self.best, figures)

    def is_over(self) -> bool:
        """Tell whether the last epoch counted is the last of its stage."""
        return 0 < self.patience <= self.waited

    def state_dict(self) -> dict[str, Any]:
        """Return what goes on with :meth:`load_state_dict`."""
        return {"best": list(self.best), "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.best, self.waited = tuple(state["best"]), state["waited"]


class Plateau:
    """Multiplies the rate by ``factor`` after ``patience`` epochs without a gain, as Keras does."""

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        epochs: int,
        monitor: str,
        factor: float,
        patience: int,
        least: float,
    ) -> None:
        self._optimizer = optimizer
        self._watch = Watch(monitor, patience)
        self._factor = factor
        self._least = least

    def step(self, val: Figures) -> None:
        """Count an epoch."""
        self._watch.count(val)
        if self._watch.is_over():
            self._watch.waited = 0
            for group in self._optimizer.param_groups:
                group["lr"] = min(group["lr"], max(group["lr"] * self._factor, self._least))

    def state_dict(self) -> dict[str, Any]:
        """Return what goes on with :meth:`load_state_dict`; the rate is the optimizer's."""
        return self._watch.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self._watch.load_state_dict(state)


class Schedule:
    """Sets the learning rate of an optimizer, epoch by epoch.

    Args:
        choice: of :data:`SCHEDULES`.
        epochs: of the stage.
        monitor: what a plateau is looked for in.
    """

    def __init__(
        self, choice: Choice, optimizer: torch.optim.Optimizer, epochs: int, monitor: str
    ) -> None:
        self._optimizer = optimizer
        build = SCHEDULES[choice.name].build
        self._scheduler = build(optimizer, epochs, monitor, **choice.parameters)

    @property
    def rate(self) -> float:
        """The learning rate of the epoch to come."""
        return self._optimizer.param_groups[0]["lr"]

    def end_epoch(self, val: Figures) -> None:
        """Set the rate of the next epoch."""
        if isinstance(self._scheduler, Plateau):
            self._scheduler.step(val)
        else:
            self._scheduler.step()

    def state_dict(self) -> dict[str, Any]:
        """Return what goes on with :meth:`load_state_dict`."""
        return self._scheduler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state; where the epochs are more than then, on the curve of the new number.

        A plateau's rate hangs on what has been, and is that of the optimizer.
        """
        self._scheduler.load_state_dict(state)
        if isinstance(self._scheduler, torch.optim.lr_scheduler.LambdaLR):
            rates = zip(self._scheduler.base_lrs, self._scheduler.lr_lambdas, strict=True)
            for group, (rate, curve) in zip(self._optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * curve(self._scheduler.last_epoch)


def _cosine(optimizer: torch.optim.Optimizer, epochs: int, monitor: str) -> Any:
    """Fall to zero along half a cosine (Loshchilov & Hutter 2017), over the epochs of a stage."""
    return torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda done: 0.5 * (1 + math.cos(math.pi * min(done / epochs, 1)))
    )


def _constant(optimizer: torch.optim.Optimizer, epochs: int, monitor: str) -> Any:
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda done: 1.0)


@dataclass(frozen=True, slots=True)
class _Kind:
    build: Build
    parameters: tuple[Parameter, ...] = ()


# Each name of the catalogue.
SCHEDULES = {
    "cosine": _Kind(_cosine),
    "plateau": _Kind(
        Plateau,
        (
            number("factor", "above 0 and below 1", lambda x: 0 < x < 1, 0.1),
            whole("patience", "of 1 or more", lambda n: n >= 1, 3),
            number("least", "of 0 or more", lambda x: x >= 0, 0.0),
        ),
    ),
    "constant": _Kind(_constant),
}
PARAMETERS = {name: kind.parameters for name, kind in SCHEDULES.items()}
