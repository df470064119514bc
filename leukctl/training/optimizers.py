"""The optimizers, as torch has them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from leukctl.errors import UsageError
from leukctl.preparing.parameters import Parameter, number
from leukctl.preparing.parameters import choice as one_of
from leukctl.runtime import torch
from leukctl.training.choices import Choice

Build = Callable[..., torch.optim.Optimizer]


@dataclass(frozen=True, slots=True)
class Optimizer:
    """How one is made.

    Attributes:
        build: takes the tensors, ``lr``, ``weight_decay`` and the parameters.
        parameters: which are its own, with torch's defaults where not said otherwise.
    """

    build: Build
    parameters: tuple[Parameter, ...]


def _share(name: str, default: float) -> Parameter:
    return number(name, "from 0 to below 1", lambda x: 0 <= x < 1, default)


def _eps(default: float) -> Parameter:
    return number("eps", "above 0", lambda x: x > 0, default)


def _with_betas(kind: Build, tensors: Any, beta1: float, beta2: float, **more: Any) -> Any:
    return kind(tensors, betas=(beta1, beta2), **more)


def _sgd(tensors: Any, nesterov: str, **more: Any) -> Any:
    if nesterov == "yes" and not more["momentum"]:
        raise UsageError("--optimizer sgd: nesterov=yes needs a momentum above 0")
    return torch.optim.SGD(tensors, nesterov=nesterov == "yes", **more)


_ADAM = (_share("beta1", 0.9), _share("beta2", 0.999), _eps(1e-8))

# Each name of the catalogue.
OPTIMIZERS = {
    "adam": Optimizer(partial(_with_betas, torch.optim.Adam), _ADAM),
    "adamw": Optimizer(partial(_with_betas, torch.optim.AdamW), _ADAM),
    # Without momentum, torch's default, nobody trains a network any more.
    "sgd": Optimizer(_sgd, (_share("momentum", 0.9), one_of("nesterov", ("no", "yes"), "no"))),
    "rmsprop": Optimizer(
        torch.optim.RMSprop, (_share("alpha", 0.99), _share("momentum", 0.0), _eps(1e-8))
    ),
    "adadelta": Optimizer(torch.optim.Adadelta, (_share("rho", 0.9), _eps(1e-6))),
}
PARAMETERS = {name: optimizer.parameters for name, optimizer in OPTIMIZERS.items()}


def build(
    choice: Choice, tensors: Iterable[torch.nn.Parameter], rate: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Return the optimizer chosen.

    Args:
        rate: the learning rate.
        weight_decay: decoupled from the gradient with adamw (Loshchilov & Hutter 2019), an L2
            penalty with the others.
    """
    kind = OPTIMIZERS[choice.name]
    return kind.build(list(tensors), lr=rate, weight_decay=weight_decay, **choice.parameters)
