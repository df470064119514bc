"""Many small jobs, with results in order and bounded memory, on the processors of this machine.

:mod:`leukctl.cluster` has them done elsewhere.
"""

import contextlib
import ctypes
import itertools
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Protocol, TypeVar

import cv2

from leukctl.errors import LeukctlError

Job = TypeVar("Job")
Result = TypeVar("Result")

# Of a chunk of jobs: passing one on costs about a millisecond, and an interrupt waits for its end.
_CHUNK_S = 0.1
_LARGEST_CHUNK = 256

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8


class Runner(Protocol):
    """Does jobs somewhere, and yields their results in the order of the jobs."""

    def __call__(
        self, work: Callable[[Job], Result], jobs: Iterable[Job], /
    ) -> Iterator[Result]: ...


def processors() -> int:
    """Return how many processors this process may use: its affinity, and its cgroup's quota."""
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            count = min(count, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):
        pass
    return count


def keep_memory() -> bool:
    """Let glibc keep freed memory for the next array; return whether it was done.

    It gives every large array back to the system when it is freed otherwise, so that much of the
    time goes into page faults: decoding a 640x480 JPEG took twice as long. The price is a higher
    peak. All threads share one arena, since the arenas of other threads give back what they can,
    whatever the thresholds. ``LEUKCTL_MALLOC=default`` leaves the allocator alone.
    """
    if os.environ.get("LEUKCTL_MALLOC") == "default":
        return False
    try:
        libc = ctypes.CDLL(None)
        libc.gnu_get_libc_version  # noqa: B018 - musl, macOS and Windows have no such symbol
        mallopt: Callable[[int, int], int] = libc.mallopt
    except (OSError, TypeError, AttributeError):
        return False
    wishes = ((_M_MMAP_THRESHOLD, 1 << 30), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_ARENA_MAX, 1))
    return all(bool(mallopt(*wish)) for wish in wishes)


def give_back_memory() -> None:
    """Give the system what glibc keeps, so that whoever asks it for memory has some.

    oneDNN asks it directly for the code that it compiles.
    """
    with contextlib.suppress(OSError, TypeError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def settle() -> None:
    """Make this process one of several equals: a thread of OpenCV's, and memory that it keeps."""
    cv2.setNumThreads(1)
    keep_memory()


def chunks(items: Iterable[Job], size: int) -> Iterator[list[Job]]:
    """Yield lists of ``size`` items, the last perhaps shorter."""
    rest = iter(items)
    while chunk := list(itertools.islice(rest, size)):
        yield chunk


def spread(
    work: Callable[[Job], Result], jobs: Iterable[Job], run: Runner
) -> Generator[Result, None, None]:
    """Yield ``work(job)`` for every job, in order, passing on to ``run`` chunks of many.

    Their size follows from the time that the last ones took.
    """
    size = 1

    def cut() -> Iterator[list[Job]]:
        rest = iter(jobs)
        while chunk := list(itertools.islice(rest, size)):
            yield chunk

    for seconds, results in run(partial(_timed, work), cut()):
        size = max(1, min(2 * size, _LARGEST_CHUNK, int(len(results) * _CHUNK_S / seconds)))
        yield from results


def _timed(work: Callable[[Job], Result], jobs: Sequence[Job]) -> tuple[float, list[Result]]:
    started = time.perf_counter()
    results = [work(job) for job in jobs]
    return max(time.perf_counter() - started, 1e-9), results


def in_order(
    work: Callable[[Job], Result], jobs: Iterable[Job], workers: int
) -> Generator[Result, None, None]:
    """Yield ``work(job)`` for every job, in the order of the jobs.

    Only a few jobs a worker are taken ahead, so that memory does not grow with their number.
    Jobs, results and ``work`` must be picklable; a job should take some tenths of a second.

    Args:
        workers: processes; 1 works in this one.

    Raises:
        LeukctlError: a process was killed. What ``work`` raises comes through as it is.
    """
    if workers == 1:
        settle()
        yield from map(work, jobs)
        return
    # Not forked: this process may run threads already, of a progress bar for one.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _begin)
    waiting: deque[Future[Result]] = deque()
    try:
        for job in jobs:
            with _interrupts_held_back():
                waiting.append(pool.submit(work, job))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise LeukctlError(
            "a worker process was killed, perhaps for want of memory; fewer --workers may help"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Keep Ctrl-C from a process that starts meanwhile, until it can ignore it by itself."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _begin() -> None:
    # A parent that is killed outright tells nobody, and its workers would wait for ever.
    threading.Thread(target=_end_with_parent, daemon=True).start()
    settle()
    # Ctrl-C reaches the whole group; the parent answers it, and says so once.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
