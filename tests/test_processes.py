import os
import signal

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
