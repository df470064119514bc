"""Batches that go through a network side by side on a CPU."""

import os
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
_COUNT = 2
_START_S = 60.0


def most(compute: Compute) -> int:
    """Return how many lanes there are at most, whatever the number of threads."""
    return _COUNT if compute.device.type == "cpu" else 1


def threads(compute: Compute) -> int | None:
    """Return the threads of a lane, on which the last bits of what it computes depend."""
    if compute.device.type != "cpu":
        return None
    return max(1, torch.get_num_threads() // _count(compute))


def _count(compute: Compute) -> int:
    # Where OpenMP binds threads to processors, all that Python starts are bound to the first's.
    is_bound = os.environ.get("OMP_PROC_BIND", "false").lower() != "false"
    return 1 if is_bound or torch.get_num_threads() < _COUNT else most(compute)


class Lanes:
    """Two lanes for batches, each with half of the threads; on anything but a CPU there is one.

    Attributes:
        count: how many batches are computed at a time.
    """

    def __init__(self, compute: Compute) -> None:
        self.count = _count(compute)
        self._pool = _pool(self.count, threads(compute) or 1) if self.count > 1 else None

    def submit(
        self, work: Callable[Given, Result], *given: Given.args, **named: Given.kwargs
    ) -> Future[Result]:
        """Have ``work`` done in the next free lane; where there is one, by the caller itself."""
        if self._pool is not None:
            return self._pool.submit(work, *given, **named)
        done: Future[Result] = Future()
        done.set_result(work(*given, **named))
        return done

    def close(self) -> None:
        """End the lanes after what they are at; what waits for them is not done."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


def _pool(count: int, share: int) -> ThreadPoolExecutor:
    there = threading.Barrier(count + 1, timeout=_START_S)

    def begin() -> None:
        torch.get_num_threads()  # else its first operation would take the number from the others
        torch.set_num_threads(share)

    pool = ThreadPoolExecutor(count, "lane", begin)
    before = torch.get_num_threads()
    try:
        for _ in range(count):
            pool.submit(there.wait)
        there.wait()
    except BaseException:
        there.abort()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    finally:
        # The lanes set the number for themselves, and for threads that begin later.
        torch.set_num_threads(before)
    return pool
