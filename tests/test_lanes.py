"""Batches side by side on a CPU."""

import threading
from collections.abc import Iterator

import pytest

from leukctl.lanes import Lanes
from leukctl.runtime import Compute, torch

CPU = Compute(torch.device("cpu"), "fp32", 1)


@pytest.fixture(params=[1, 2, 3, 4])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_each_lane_has_half_of_the_threads_and_the_caller_keeps_its_own(threads: int) -> None:
    lanes = Lanes(CPU)
    count = lanes.count
    assert count == min(threads, 2)
    met = threading.Barrier(count)

    def look(operand: torch.Tensor) -> tuple[str, int]:
        if count > 1:
            met.wait(10)  # so that each lane takes one
        _ = operand @ operand
        return threading.current_thread().name, torch.get_num_threads()

    seen = [one.result() for one in [lanes.submit(look, torch.ones(64, 64)) for _ in range(count)]]
    lanes.close()
    assert {number for _, number in seen} == {max(1, threads // 2)}
    assert len({name for name, _ in seen}) == count
    assert torch.get_num_threads() == threads


def test_a_gpu_has_one_lane_and_the_caller_works_in_it() -> None:
    lanes = Lanes(Compute(torch.device("cuda"), "fp32", 1))
    assert lanes.count == 1
    assert lanes.submit(threading.get_ident).result() == threading.get_ident()


def test_what_breaks_in_a_lane_breaks_where_it_is_waited_for(threads: int) -> None:
    lanes = Lanes(CPU)
    with pytest.raises(ZeroDivisionError):
        lanes.submit(lambda: 1 // 0).result()
    lanes.close()


def test_closed_lanes_leave_what_waits_undone() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    lanes, go = Lanes(CPU), threading.Event()
    begun = threading.Barrier(lanes.count + 1)

    def work() -> bool:
        begun.wait(10)
        return go.wait(10)

    busy = [lanes.submit(work) for _ in range(lanes.count)]
    begun.wait(10)
    waiting = lanes.submit(int)
    threading.Timer(0.1, go.set).start()
    lanes.close()
    torch.set_num_threads(before)
    assert all(one.result() for one in busy)
    assert waiting.cancelled()
