"""How many images go through a network at once, where the memory decides."""

import itertools
import math
import threading
from collections.abc import Callable, Sized
from typing import Any, TypeVar

from leukctl import processes
from leukctl.errors import ONEDNN, LeukctlError, is_out_of_memory

Result = TypeVar("Result")


class Portion:
    """The part of a batch that the memory has room for.

    That is all of it until a batch was too large, then half, as often as it takes, of every batch
    from there on. Where several threads have batches and one has no room, they take turns from
    there on, before anything is halved.

    Args:
        on_smaller: told of the new size.

    Attributes:
        size: images at most; None where no batch has been too large.
    """

    def __init__(self, on_smaller: Callable[[int], None] = lambda size: None) -> None:
        self.size: int | None = None
        self.on_smaller = on_smaller
        self._turn = threading.Condition()
        self._is_shared = True
        self._met = False
        self._inside = 0

    def cuts(self, count: int) -> list[slice]:
        """Return the parts of a batch, as alike as can be: BatchNorm could not take a lone one."""
        parts = math.ceil(count / self.size) if self.size is not None else 1
        edges = [count * place // parts for place in range(parts + 1)]
        return [slice(*pair) for pair in itertools.pairwise(edges)]

    def attempt(self, count: int, work: Callable[[list[slice]], Result]) -> Result:
        """Return ``work(parts)`` of a batch, in smaller parts where the memory was too small.

        ``work`` puts back by itself what it had changed when it failed. Raises
        :class:`LeukctlError` where one image is too much.
        """
        while True:
            with self._turn:
                self._turn.wait_for(lambda: self._is_shared or not self._inside)
                self._inside += 1
                self._met = self._met or self._inside > 1
                is_shared = self._is_shared
                parts = self.cuts(count)
            try:
                return work(parts)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                said = str(error)
            finally:
                with self._turn:
                    self._inside -= 1
                    was_alone = not (is_shared and self._met)
                    self._turn.notify_all()
            # Here the error is gone, and with it the tensors that its traceback held.
            processes.give_back_memory()
            if was_alone:
                self._halve(max(part.stop - part.start for part in parts), said)
            else:
                self._is_shared = False

    def each(self, function: Callable[[Any], Result], batch: Sized) -> list[Result]:
        """Return what ``function`` makes of each part of a batch that can be sliced."""
        sliced: Any = batch
        return self.attempt(len(batch), lambda parts: [function(sliced[part]) for part in parts])

    def _halve(self, tried: int, said: str) -> None:
        if tried <= 1:
            unsure = f" (oneDNN: {said})" if said in ONEDNN else ""
            raise LeukctlError(
                f"out of memory with one image at a time{unsure}; a smaller --input-size, a "
                "smaller backbone or more memory is needed"
            )
        smaller = (tried + 1) // 2
        if self.size is None or smaller < self.size:
            self.size = smaller
            self.on_smaller(smaller)
