"""Batches on their way to the device."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from leukctl import tensors
from leukctl.runs import BackboneSpec
from leukctl.runtime import torch
from leukctl.training import augment, choices, feeding
from leukctl.training.feeding import Loaded

SPEC = BackboneSpec("net", "net", {}, (4, 5), (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))


CPU = torch.device("cpu")


def drawn(count: int) -> list[NDArray[np.uint8]]:
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (2, 4, 5, 3), np.uint8) for _ in range(count)]


def regime(text: str) -> choices.Choice:
    return choices.read("--augment", text, augment.PARAMETERS)


def test_on_a_cpu_each_batch_comes_when_it_is_asked_for() -> None:
    batches, taken = drawn(3), []

    def told() -> Iterator[Loaded]:
        for place, pixels in enumerate(batches):
            taken.append(place)
            yield Loaded(pixels)

    for place, found in enumerate(feeding.inputs(told(), SPEC, CPU)):
        assert taken == list(range(place + 1))
        assert torch.equal(found, tensors.normalize(batches[place], SPEC, CPU))
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


def loaded(pixels: NDArray[np.uint8], text: str, epoch: int = 1) -> Loaded:
    """Return a batch as the threads leave it to a device that warps."""
    if text == "none":
        return Loaded(pixels)
    size = (pixels.shape[1], pixels.shape[2])
    return Loaded(pixels, augment.placements(np.arange(len(pixels)), size, regime(text), 3, epoch))


@pytest.mark.parametrize("text", ["none", "basic"])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_to_a_gpu_the_next_batch_is_sent_before_this_one_is_waited_for(
    count: int, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    recorded = Recorded(said)

    @contextmanager
    def within(stream: Any) -> Iterator[None]:
        assert stream is recorded
        yield

    monkeypatch.setattr(feeding, "_stream", lambda device: recorded)
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
    batches = [loaded(pixels, text) for pixels in drawn(count)]
    expected_inputs = list(feeding.inputs(batches, SPEC, CPU))
    for place, found in enumerate(feeding.inputs(batches, SPEC, here)):
        assert torch.allclose(found, expected_inputs[place])
        said.append(f"computed {place + 1}")
    expected = []
    for number in range(1, count + 1):
        ahead = [f"sent {number + 1}"] if number < count else []
        first = ["sent 1"] if number == 1 else []
        expected += [*first, *ahead, f"wait for {number}", "kept", f"computed {number}"]
    assert said == expected


@pytest.mark.parametrize(
    "text",
    [
        "basic",
        "basic:rotate=15:shift=0.2:scale=0.2:flip=horizontal",
        "basic:rotate=0:shift=1:scale=0.9",
        "mixup",
    ],
)
def test_a_device_warps_images_as_opencv_does(text: str) -> None:
    size = (48, 60)
    pixels = np.random.default_rng(1).integers(0, 256, (12, *size, 3), np.uint8)
    expected = augment.augment_batch(pixels, np.arange(12), regime(text), 3, 2)
    assert (expected != pixels).mean() > 0.9
    spec = BackboneSpec("net", "net", {}, size, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    (found,) = feeding.inputs([loaded(pixels, text, 2)], spec, CPU)
    assert found.dtype == torch.float32
    assert found.is_contiguous(memory_format=torch.channels_last)
    levels = found.permute(0, 2, 3, 1).numpy() * 255
    assert np.allclose(levels, levels.round(), atol=1e-3)
    difference = np.abs(levels.round() - expected)
    if int(cv2.__version__.split(".")[0]) < 5:  # it reads at 32nds of a pixel
        assert difference.mean() < 3
    else:
        assert difference.max() <= 1
        assert difference.mean() < 0.01


@pytest.mark.parametrize("flip", ["none", "both"])
def test_a_device_flips_to_the_bit(flip: str) -> None:
    size, indices = (15, 20), np.arange(8)
    pixels = np.random.default_rng(0).integers(0, 256, (8, *size, 3), np.uint8)
    draws = (regime(f"basic:rotate=0:shift=0:scale=0:flip={flip}"), 0, 1)
    expected = augment.augment_batch(pixels, indices, *draws)
    assert np.array_equal(expected, pixels) == (flip == "none")
    batch = Loaded(pixels, augment.placements(indices, size, *draws))
    (found,) = feeding.inputs([batch], SPEC, CPU)
    assert torch.equal(found, tensors.normalize(expected, SPEC, CPU))


def test_only_what_is_all_a_warp_is_left_to_the_device() -> None:
    left = {name for name in augment.AUGMENTATIONS if augment.is_a_warp(regime(name))}
    assert left == {"basic", "mixup", "cutmix"}
    assert not feeding.warps_on(CPU)
    assert feeding.warps_on(torch.device("cuda"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_gpu_gets_what_a_cpu_makes() -> None:
    cuda = torch.device("cuda")
    random = np.random.default_rng(0)
    large = [random.integers(0, 256, (32, 224, 224, 3), np.uint8) for _ in range(4)]
    given = [loaded(pixels, text) for text in ("none", "basic") for pixels in drawn(3) + large]
    expected = list(feeding.inputs(given, SPEC, CPU))
    reserved = set()
    for busy in (False, True, True):
        found = []
        for place, one in enumerate(feeding.inputs(given, SPEC, cuda)):
            assert one.device.type == "cuda"
            if busy:
                torch.cuda._sleep(10_000_000)  # a network that computes while the next one is sent
            found.append(one + 0.0)  # and reads what it was given when it gets there
            with torch.cuda.stream(feeding._stream(cuda)):
                torch.cuda._sleep(10_000_000 * (place % 2))  # the next one arrives late
        for one, other in zip(expected, found, strict=True):
            # A level more or less where a value lies between two.
            assert torch.allclose(other.cpu(), one, atol=1.01 / 255 / min(SPEC.std))
        del one, other, found
        reserved.add(torch.cuda.memory_reserved())
    assert len(reserved) <= 2  # after the first, an epoch takes no more than the one before
