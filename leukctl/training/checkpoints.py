"""The state of a training ↔ the files of its checkpoint."""

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from leukctl import checkpoints
from leukctl.backbones.weights import read_safetensors
from leukctl.checkpoints import Record
from leukctl.errors import InputError, WeightsError
from leukctl.runtime import torch
from leukctl.training.state import Best, Epoch, State, Tensors, flatten, unflatten

_RANDOM = "random."


class Checkpoint:
    """Writes the states of one training.

    A file of the network stays for as long as it is the last one or the best one, so that the best
    is never written twice.

    Args:
        run: its folder.
        record: what stays the same, and the state it goes on from.

    Attributes:
        seconds: that saving took.
    """

    def __init__(self, run: Path, record: Record) -> None:
        self.run = run
        self.record = record
        self.seconds = 0.0

    def begin(self) -> None:
        """Write that training has begun; an older checkpoint in the folder goes."""
        try:
            checkpoints.commit(self.run, self.record)
        except checkpoints.CheckpointError:
            if not self.record.epochs:
                checkpoints.discard(self.run)
            raise

    def save(self, state: State) -> None:
        """Write ``state``; raises :class:`leukctl.checkpoints.CheckpointError`."""
        started = time.monotonic()
        epoch = state.epochs[-1].epoch
        moments, optimizer = flatten(state.optimizer)
        randomness, plain = state.randomness
        moments |= {f"{_RANDOM}{name}": tensor for name, tensor in randomness.items()}
        network = self._write(f"network-{epoch}.safetensors", state.network)
        best = network if state.best.epoch == epoch else self.record.files["best"]
        record = replace(
            self.record,
            finished=False,
            epochs=[_row(epoch) for epoch in state.epochs],
            seconds=[epoch.seconds for epoch in state.epochs],
            progress={
                "stage": state.stage,
                "best": {"epoch": state.best.epoch, "key": list(state.best.key)},
                "optimizer": optimizer,
                "parts": state.parts,
                "random": plain,
            },
            files={
                "network": network,
                "best": best,
                "optimizer": self._write(f"optimizer-{epoch}.safetensors", moments),
            },
        )
        checkpoints.commit(self.run, record)
        self.record = record
        self.seconds += time.monotonic() - started

    def finish(self) -> None:
        """Write that the results of the run are in its folder."""
        self.record = replace(self.record, finished=True)
        checkpoints.commit(self.run, self.record)

    def _write(self, name: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, str]:
        from safetensors.torch import save

        data = save({key: value.detach().cpu().contiguous() for key, value in tensors.items()})
        checkpoints.write(self.run / checkpoints.FOLDER / name, data)
        return {"name": name, "sha256": sha256(data).hexdigest()}


def _row(epoch: Epoch) -> dict[str, Any]:
    row = asdict(epoch)
    del row["seconds"]
    return row


def load(run: Path, record: Record) -> State | None:
    """Return the state that ``record`` has of a run, None where no epoch had ended.

    Raises :class:`InputError` for files that are missing or damaged.
    """
    if not record.progress:
        return None
    try:
        moments = _tensors(run, record, "optimizer")
        random = {k: moments.pop(k) for k in list(moments) if k.startswith(_RANDOM)}
        progress = record.progress
        rows = zip(record.epochs, record.seconds, strict=True)
        best = progress["best"]
        return State(
            stage=progress["stage"],
            epochs=[Epoch(**row, seconds=seconds) for row, seconds in rows],
            network=_tensors(run, record, "network"),
            optimizer=unflatten(moments, progress["optimizer"]),
            parts=progress["parts"],
            best=Best(tuple(best["key"]), _tensors(run, record, "best"), best["epoch"]),
            randomness=(
                {k.removeprefix(_RANDOM): tensor for k, tensor in random.items()},
                progress["random"],
            ),
        )
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        path = run / checkpoints.FOLDER / checkpoints.STATE
        raise InputError(f"damaged ({error!r})", file=path) from None


def _tensors(run: Path, record: Record, role: str) -> Tensors:
    try:
        return read_safetensors(checkpoints.tensors(run, record, role))
    except WeightsError as error:
        raise InputError(str(error)) from None
