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


def smooth(count: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return images without sharp edges, on which two bilinear warps hardly differ."""
    random = np.random.default_rng(1)
    coarse = random.integers(0, 256, (count, 6, 6, 3), np.uint8)
    return np.stack([cv2.resize(one, size[::-1], interpolation=cv2.INTER_CUBIC) for one in coarse])


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
    for place, found in enumerate(feeding.inputs(map(Loaded, batches), SPEC, here)):
        assert torch.allclose(found, tensors.normalize(batches[place], SPEC, CPU))
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
    size, choice, indices = (48, 60), regime(text), np.arange(12)
    pixels, draws = smooth(12, size), (choice, 3, 2)
    expected = augment.augment_batch(pixels, indices, *draws)
    assert np.abs(expected.astype(int) - pixels).max() > 100
    spec = BackboneSpec("net", "net", {}, size, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    batch = Loaded(pixels, augment.placements(indices, size, *draws))
    (found,) = feeding.inputs([batch], spec, CPU)
    assert found.dtype == torch.float32
    assert found.is_contiguous(memory_format=torch.channels_last)
    levels = found.permute(0, 2, 3, 1).numpy() * 255
    assert np.allclose(levels, levels.round(), atol=1e-3)
    difference = np.abs(levels - expected)
    assert difference.mean() < 0.5
    assert np.quantile(difference, 0.999) <= 6  # 1/32 of a pixel, where levels change quickly


@pytest.mark.parametrize("flip", ["none", "both"])
def test_a_device_flips_to_the_bit(flip: str) -> None:
    size, indices = (15, 20), np.arange(8)
    pixels = np.random.default_rng(0).integers(0, 256, (8, *size, 3), np.uint8)
    draws = (regime(f"basic:rotate=0:shift=0:scale=0:flip={flip}"), 0, 1)
    expected = augment.augment_batch(pixels, indices, *draws)
    assert np.array_equal(expected, pixels) == (flip == "none")
    batch = Loaded(pixels, augment.placements(indices, size, *draws))
    (found,) = feeding.inputs([batch], SPEC, CPU)
    assert torch.allclose(found, tensors.normalize(expected, SPEC, CPU), atol=1e-5)


def test_only_what_is_all_a_warp_is_left_to_the_device() -> None:
    left = {name for name in augment.AUGMENTATIONS if augment.is_a_warp(regime(name))}
    assert left == {"basic", "mixup", "cutmix"}
    assert not feeding.warps_on(CPU)
    assert feeding.warps_on(torch.device("cuda"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_gpu_gets_what_a_cpu_makes() -> None:
    batches, cuda = drawn(5), torch.device("cuda")
    given = [Loaded(batch) for batch in batches]
    random = np.random.default_rng(0)
    how = {"rotate": 180.0, "shift": 0.1, "scale": 0.1, "flip": "both"}
    for batch in batches:
        where = np.stack([augment.placement(random, (4, 5), **how) for _ in batch])  # type: ignore[arg-type]
        given.append(Loaded(batch, where))
    expected = list(feeding.inputs(given, SPEC, CPU))
    for one, found in zip(expected, feeding.inputs(given, SPEC, cuda), strict=True):
        assert found.device.type == "cuda"
        # A level more or less where a value lies between two.
        assert torch.allclose(found.cpu(), one, atol=1.01 / 255 / min(SPEC.std))
