import os
import signal
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import pytest

from leukctl import processes
from leukctl.errors import LeukctlError, UsageError


def square(number: int) -> int:
    return number * number


def refuse(number: int) -> int:
    raise UsageError(f"no {number}")


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_jobs(workers: int) -> None:
    assert list(processes.in_order(square, range(30), workers)) == [n * n for n in range(30)]


@pytest.mark.parametrize("workers", [1, 2])
def test_few_jobs_are_taken_ahead(workers: int) -> None:
    jobs = iter(range(1000))
    results = processes.in_order(square, jobs, workers)
    assert next(results) == 0
    assert next(jobs) <= 2 * workers + 1
    results.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_a_job_comes_through(workers: int) -> None:
    with pytest.raises(UsageError, match="no 0"):
        list(processes.in_order(refuse, range(3), workers))


def test_a_killed_process_is_told_in_words() -> None:
    with pytest.raises(LeukctlError, match="killed"):
        list(processes.in_order(die, range(3), 2))


def test_there_is_a_processor() -> None:
    assert 1 <= processes.processors() <= (os.cpu_count() or 1)


def test_chunks_cut_a_stream() -> None:
    assert list(processes.chunks(iter(range(5)), 2)) == [[0, 1], [2, 3], [4]]


def test_many_small_jobs_travel_in_chunks_that_take_a_tenth_of_a_second() -> None:
    sizes: list[int] = []

    def run(work: Callable[..., object], jobs: Iterable[list[int]]) -> Iterator[object]:
        for chunk in jobs:
            sizes.append(len(chunk))
            yield 0.01 * len(chunk), [number * number for number in chunk]

    assert list(processes.spread(square, range(100), run)) == [n * n for n in range(100)]
    assert sizes == [1, 2, 4, 8, *[10] * 8, 5]


@pytest.mark.parametrize("workers", [1, 2])
def test_small_jobs_come_in_order_from_processes(workers: int) -> None:
    run = partial(processes.in_order, workers=workers)
    assert list(processes.spread(square, range(1000), run)) == [n * n for n in range(1000)]


def test_a_job_that_takes_long_travels_alone() -> None:
    taken = iter(range(100))

    def run(work: Callable[..., object], jobs: Iterable[list[int]]) -> Iterator[object]:
        for chunk in jobs:
            yield 3.0, [str(number) for number in chunk]

    results = processes.spread(str, taken, run)
    assert [next(results), next(results)] == ["0", "1"]
    assert next(taken) == 2
