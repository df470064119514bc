"""Batches that go through a network side by side on a CPU."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from leukctl.runtime import Compute, torch

Given = ParamSpec("Given")
Result = TypeVar("Result")

# The threads that share a batch wait for each other after every layer, above all where other
# threads decode images meanwhile; those of two batches do not. Each further lane would cost the
# memory of a batch.
COUNT = 2


class Lanes:
    """Two lanes for batches, each with half of the threads; on anything but a CPU there is one.

    What is computed in a lane depends on its number of threads alone, in its last bits, and not
    on what is in the other one.

    Attributes:
        count: how many batches are computed at a time.
    """

    def __init__(self, compute: Compute) -> None:
        threads = torch.get_num_threads()
        self.count = COUNT if compute.device.type == "cpu" and threads > 1 else 1
        self._pool = _pool(self.count, threads) if self.count > 1 else None

    def submit(
        self, work: Callable[Given, Result], *given: Given.args, **named: Given.kwargs
    ) -> Future[Result]:
        """Have ``work`` done in the next free lane."""
        if self._pool is not None:
            return self._pool.submit(work, *given, **named)
        done: Future[Result] = Future()
        done.set_result(work(*given, **named))
        return done

    def close(self) -> None:
        """End the lanes after what they are at; what waits for them is not done."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


def _pool(count: int, threads: int) -> ThreadPoolExecutor:
    there = threading.Barrier(count + 1)

    def begin() -> None:
        torch.get_num_threads()  # else its first operation would take the number from the others
        torch.set_num_threads((threads + 1) // count)

    pool = ThreadPoolExecutor(count, "lane", begin)
    for _ in range(count):
        pool.submit(there.wait)
    there.wait()
    # The lanes set the number for themselves, and for threads that begin later.
    torch.set_num_threads(threads)
    return pool
