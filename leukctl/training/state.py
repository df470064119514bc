"""Where training stands after a whole epoch: all that it takes to go on from there."""

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from leukctl.runtime import torch

Tensors = dict[str, torch.Tensor]


@dataclass(slots=True)
class Epoch:
    """An epoch's figures: a row of history.csv, and the seconds it took."""

    epoch: int
    stage: str
    learning_rate: float
    train: dict[str, float]
    val: dict[str, float]
    seconds: float = 0.0


@dataclass(slots=True)
class Best:
    """The best state so far.

    Attributes:
        key: macro F1 on val, then minus its loss, to be made larger.
        state: the network's tensors on the CPU.
        epoch: when it was reached; the first is 1.
    """

    key: tuple[float, ...] = (-math.inf, -math.inf)
    state: Tensors = field(default_factory=dict)
    epoch: int = 0


@dataclass(slots=True)
class State:
    """Training after a whole epoch.

    Attributes:
        stage: the name of the one at hand.
        epochs: all so far.
        network: its tensors.
        optimizer: its ``state_dict``.
        parts: the ``state_dict`` of whatever else the stage goes on with, by name; plain values.
        best: its tensors may be missing where they are those of ``network``.
        randomness: of :func:`randomness`.
    """

    stage: str
    epochs: list[Epoch]
    network: Tensors
    optimizer: dict[str, Any]
    parts: dict[str, dict[str, Any]]
    best: Best
    randomness: tuple[Tensors, dict[str, Any]]


def set_seed(seed: int) -> None:
    """Begin the global random states of torch, numpy and Python, whoever may draw from them."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def randomness() -> tuple[Tensors, dict[str, Any]]:
    """Return the global random states of torch, numpy and Python: tensors, and plain values."""
    version, words, gauss = random.getstate()
    numpy_state: dict[str, Any] = dict(np.random.get_state(legacy=False))
    tensors = {
        "torch": torch.get_rng_state(),
        "numpy": torch.from_numpy(numpy_state["state"]["key"].astype(np.int64)),
        "python": torch.tensor(words, dtype=torch.int64),
    }
    if torch.cuda.is_available():
        tensors |= {f"cuda{i}": state for i, state in enumerate(torch.cuda.get_rng_state_all())}
    plain = {
        "numpy": {
            "pos": int(numpy_state["state"]["pos"]),
            "has_gauss": int(numpy_state["has_gauss"]),
            "gauss": float(numpy_state["gauss"]),
        },
        "python": {"version": version, "gauss": gauss},
    }
    return tensors, plain


def set_randomness(tensors: Tensors, plain: dict[str, Any]) -> None:
    """Set the global random states to what :func:`randomness` returned."""
    torch.set_rng_state(tensors["torch"])
    devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for index in range(devices):
        if f"cuda{index}" in tensors:
            torch.cuda.set_rng_state(tensors[f"cuda{index}"], index)
    ours = plain["numpy"]
    key = tensors["numpy"].numpy().astype(np.uint32)
    np.random.set_state(("MT19937", key, ours["pos"], ours["has_gauss"], ours["gauss"]))
    words = tuple(tensors["python"].tolist())
    random.setstate((plain["python"]["version"], words, plain["python"]["gauss"]))


def flatten(state: Mapping[str, Any]) -> tuple[Tensors, dict[str, Any]]:
    """Return an optimizer's ``state_dict`` as tensors by name, and the plain values of it."""
    tensors: Tensors = {}
    values: dict[str, dict[str, Any]] = {}
    for index, own in state["state"].items():
        for name, value in own.items():
            if isinstance(value, torch.Tensor):
                tensors[f"{index}.{name}"] = value
            else:
                values.setdefault(str(index), {})[name] = value
    return tensors, {"param_groups": state["param_groups"], "values": values}


def unflatten(tensors: Tensors, plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ``state_dict`` that :func:`flatten` took apart."""
    state: dict[int, dict[str, Any]] = {int(i): dict(own) for i, own in plain["values"].items()}
    for key, tensor in tensors.items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = tensor
    return {"state": state, "param_groups": plain["param_groups"]}


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Put ``state`` into an optimizer of the same tensors.

    A moment gets the strides of its tensor, as it had when the optimizer made it: kernels for
    other strides may round otherwise.
    """
    optimizer.load_state_dict(state)
    for tensor, own in _moments(optimizer):
        for name, value in own.items():
            if isinstance(value, torch.Tensor) and value.shape == tensor.shape:
                own[name] = torch.empty_like(tensor, dtype=value.dtype).copy_(value)


def _moments(optimizer: torch.optim.Optimizer) -> Iterator[tuple[torch.Tensor, dict[str, Any]]]:
    for group in optimizer.param_groups:
        for tensor in group["params"]:
            if tensor in optimizer.state:
                yield tensor, optimizer.state[tensor]
