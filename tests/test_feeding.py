"""Batches on their way to the device."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from leukctl import tensors
from leukctl.runs import BackboneSpec
from leukctl.runtime import torch
from leukctl.training import feeding

SPEC = BackboneSpec("net", "net", {}, (4, 5), (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))


def drawn(count: int) -> list[NDArray[np.uint8]]:
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (2, 4, 5, 3), np.uint8) for _ in range(count)]


def test_on_a_cpu_each_batch_comes_when_it_is_asked_for() -> None:
    batches, taken = drawn(3), []

    def told() -> Iterator[NDArray[np.uint8]]:
        for place, pixels in enumerate(batches):
            taken.append(place)
            yield pixels

    cpu = torch.device("cpu")
    for place, found in enumerate(feeding.inputs(told(), SPEC, cpu)):
        assert taken == list(range(place + 1))
        assert torch.equal(found, tensors.normalize(batches[place], SPEC, cpu))
    assert place == 2


class Recorded:
    """Stands for torch's streams and events, and notes what is asked of them."""

    def __init__(self, said: list[str]) -> None:
        self.said = said
        self.sent = 0

    def record_event(self) -> str:
        self.sent += 1
        self.said.append(f"sent {self.sent}")
        return str(self.sent)

    def wait_event(self, event: str) -> None:
        self.said.append(f"wait for {event}")


@pytest.mark.parametrize("count", [0, 1, 3])
def test_to_a_gpu_the_next_batch_is_sent_before_this_one_is_waited_for(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    recorded = Recorded(said)

    @contextmanager
    def within(stream: Any) -> Iterator[None]:
        assert stream is recorded
        yield

    monkeypatch.setattr(torch.cuda, "Stream", lambda device: recorded)
    monkeypatch.setattr(torch.cuda, "stream", within)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: recorded)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self)
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda self, stream: said.append("kept"))
    move = torch.Tensor.to
    here = torch.device("cuda")
    monkeypatch.setattr(
        torch.Tensor,
        "to",
        lambda self, *to, **how: self if here in to else move(self, *to, **how),
    )
    batches = drawn(count)
    for place, found in enumerate(feeding.inputs(iter(batches), SPEC, here)):
        assert torch.allclose(found, tensors.normalize(batches[place], SPEC, torch.device("cpu")))
        said.append(f"computed {place + 1}")
    expected = []
    for number in range(1, count + 1):
        ahead = [f"sent {number + 1}"] if number < count else []
        first = ["sent 1"] if number == 1 else []
        expected += [*first, *ahead, f"wait for {number}", "kept", f"computed {number}"]
    assert said == expected


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_gpu_gets_what_a_cpu_makes() -> None:
    batches, cuda = drawn(5), torch.device("cuda")
    for pixels, found in zip(batches, feeding.inputs(batches, SPEC, cuda), strict=True):
        assert found.device.type == "cuda"
        assert torch.allclose(found.cpu(), tensors.normalize(pixels, SPEC, torch.device("cpu")))
