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
    from there on.

    Args:
        on_smaller: told of the new size.

    Attributes:
        size: images at most; None where no batch has been too large.
    """

    def __init__(self, on_smaller: Callable[[int], None] = lambda size: None) -> None:
        self.size: int | None = None
        self.on_smaller = on_smaller
        self._lock = threading.Lock()

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
            parts = self.cuts(count)
            try:
                return work(parts)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                said = str(error)
            # Here the error is gone, and with it the tensors that its traceback held.
            processes.give_back_memory()
            self._halve(max(part.stop - part.start for part in parts), said)

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
        with self._lock:  # of two that failed at once, one tells
            if self.size is not None and self.size <= smaller:
                return
            self.size = smaller
        self.on_smaller(smaller)
