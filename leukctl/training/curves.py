"""``--tensorboard``: the history as event files of TensorBoard, an epoch at a time."""

import shutil
import time
from pathlib import Path
from typing import Any

from leukctl import runs, runtime
from leukctl.training.state import Epoch


class Curves:
    """Writes ``RUN/tensorboard/train`` and ``…/val``, which TensorBoard draws into one chart each.

    Their tags are ``loss``, ``accuracy`` and ``f1_macro``, the step is the epoch; ``learning_rate``
    is with train. What an earlier training left there goes.

    Args:
        past: the epochs to go on from. They are written anew: whoever was killed may have written
            one more or one less than the checkpoint has.

    Raises :class:`leukctl.errors.UsageError` where the package is missing.
    """

    def __init__(self, run: Path, past: list[Epoch]) -> None:
        writer = runtime.summary_writer()
        clear(run)
        # The step tells a TensorBoard that is watching to forget what it has read before.
        self._writers: dict[str, Any] = {
            split: writer(str(run / runs.TENSORBOARD / split), purge_step=1)
            for split in ("train", "val")
        }
        before = time.time() - sum(epoch.seconds for epoch in past)
        for epoch in past:
            before += epoch.seconds
            self.add(epoch, before)

    def add(self, epoch: Epoch, when: float | None = None) -> None:
        """Write an epoch, so that it can be seen at once.

        Args:
            when: seconds since 1970, None for now.
        """
        for split, figures in (("train", epoch.train), ("val", epoch.val)):
            writer = self._writers[split]
            for name, value in figures.items():
                writer.add_scalar(name, value, epoch.epoch, when)
        self._writers["train"].add_scalar("learning_rate", epoch.learning_rate, epoch.epoch, when)
        for writer in self._writers.values():
            writer.flush()

    def close(self) -> None:
        """Close the files."""
        for writer in self._writers.values():
            writer.close()


def begin(run: Path, wanted: bool, goes_on: bool, past: list[Epoch]) -> Curves | None:
    """Return what writes the curves of a training, or None.

    Args:
        wanted: whether that was asked for now.
        goes_on: whether the run does, and with it the curves that it had; others go.
        past: its epochs so far.
    """
    if wanted or (goes_on and (run / runs.TENSORBOARD).is_dir()):
        return Curves(run, past)
    clear(run)
    return None


def clear(run: Path) -> None:
    """Remove the event files of a run."""
    shutil.rmtree(run / runs.TENSORBOARD, ignore_errors=True)
