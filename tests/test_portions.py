"""Where a batch is too large for the memory, smaller parts of it give the same answers."""

import os
import re
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from leukctl import cli, inference, predictions, runs, runtime
from leukctl.backbones import create, origin_of
from leukctl.errors import LeukctlError, is_out_of_memory
from leukctl.inference import FeatureExtractor
from leukctl.portions import Portion
from leukctl.runtime import torch

CPU_TEXT = (
    "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: "
    "you tried to allocate 1 bytes. Error code 12 (Cannot allocate memory)"
)


def limited(
    forward: Callable[[torch.Tensor], torch.Tensor], most: int, error: Exception
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return ``forward`` for a machine that has room for ``most`` images."""

    def there_is_room(x: torch.Tensor) -> torch.Tensor:
        if len(x) > most:
            raise error
        return forward(x)

    return there_is_room


def test_what_torch_says_without_memory_is_known() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate"))
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("could not create a primitive"))
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_parts_cover_a_batch_and_are_alike() -> None:
    portion = Portion()
    assert portion.cuts(33) == [slice(0, 33)]
    portion.size = 16
    assert [part.stop - part.start for part in portion.cuts(33)] == [11, 11, 11]
    assert [part.stop - part.start for part in portion.cuts(16)] == [16]
    assert [i for part in portion.cuts(33) for i in range(33)[part]] == list(range(33))


def test_the_size_is_halved_until_it_fits_and_stays_so() -> None:
    told: list[int] = []
    portion = Portion(told.append)
    seen: list[int] = []

    def work(x: list[int]) -> int:
        seen.append(len(x))
        if len(x) > 5:
            raise MemoryError
        return sum(x)

    assert sum(portion.each(work, list(range(33)))) == sum(range(33))
    assert told == [17, 9, 5]
    assert max(seen[3:]) <= 5
    seen.clear()
    assert sum(portion.each(work, list(range(12)))) == sum(range(12))
    assert seen == [4, 4, 4]
    assert told == [17, 9, 5]


def test_one_image_that_is_too_much_ends_it() -> None:
    def work(x: list[int]) -> None:
        raise MemoryError

    with pytest.raises(LeukctlError, match="out of memory with one image at a time"):
        Portion().each(work, [1, 2, 3])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc and uses glibc")
def test_memory_that_a_failed_pass_leaves_behind_goes_back_to_the_system() -> None:
    """oneDNN asks the system itself, and found nothing while glibc kept all of it."""

    def resident_mib() -> int:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") >> 20

    def work(x: list[int]) -> int:
        if len(x) == 1:
            return resident_mib()
        held = [torch.ones(1 << 20) for _ in range(100)]  # 400 MiB
        assert resident_mib() >= before + 300
        raise MemoryError(len(held))

    before = resident_mib()
    assert max(Portion().each(work, [1, 2])) < before + 200


def test_what_may_be_something_else_than_memory_is_told() -> None:
    def work(x: list[int]) -> None:
        raise RuntimeError("could not create a primitive")

    with pytest.raises(LeukctlError, match=r"\(oneDNN: could not create a primitive\)"):
        Portion().each(work, [1, 2, 3])


def test_another_error_is_no_reason_to_try_again() -> None:
    seen = []

    def work(x: list[int]) -> None:
        seen.append(len(x))
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes"):
        Portion().each(work, [1, 2, 3])
    assert seen == [3]


def test_features_are_those_of_the_whole_batch() -> None:
    torch.manual_seed(0)
    backbone, spec = create("standard_cnn", origin_of("standard_cnn", None, False), 32)
    images = list(np.random.default_rng(0).integers(0, 255, (9, 32, 32, 3), np.uint8))
    compute = runtime.compute("cpu", "fp32", 1)
    extract = FeatureExtractor(backbone, spec, compute)
    whole = extract(images)
    backbone.forward = limited(backbone.forward, 3, RuntimeError(CPU_TEXT))
    np.testing.assert_allclose(extract(images), whole, rtol=0, atol=1e-6)
    assert extract.portion.size == 3


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Returns what makes the networks of runs take no more images than it is told."""
    load = inference._load_into

    def limit(most: int) -> None:
        def loads(network: torch.nn.Module, *given: object) -> None:
            load(network, *given)  # type: ignore[arg-type]
            network.forward = limited(network.forward, most, RuntimeError(CPU_TEXT))  # type: ignore[method-assign]

        monkeypatch.setattr(inference, "_load_into", loads)

    return limit


def test_predict_says_so_once_and_answers_alike(
    trained: Path,
    squares: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    little_memory: Callable[[int], None],
) -> None:
    little_memory(10)
    told = tmp_path / "told.csv"
    assert cli.main(["predict", str(trained), str(squares), "-o", str(told)]) == 0
    said = capsys.readouterr().err
    assert re.findall("out of memory: .*", said) == [
        "out of memory: 16 images at a time from here on",
        "out of memory: 8 images at a time from here on",
    ]
    found, expected = predictions.read_path(told), runs.read_predictions(trained)
    np.testing.assert_allclose(found.probabilities, expected.probabilities, rtol=0, atol=1e-6)


def test_predict_that_cannot_take_one_image_says_so_in_one_line(
    trained: Path,
    squares: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    little_memory: Callable[[int], None],
) -> None:
    little_memory(0)
    output = tmp_path / "none.csv"
    assert cli.main(["predict", str(trained), str(squares), "-q", "-o", str(output)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert "out of memory with one image at a time" in said[0]
    assert not output.exists()


def test_batches_of_several_threads_take_turns_before_one_is_halved() -> None:
    sizes: list[int] = []
    portion = Portion(sizes.append)
    both, lock = threading.Barrier(2, timeout=10), threading.Lock()
    calls = inside = 0

    def work(parts: list[slice]) -> int:
        nonlocal calls, inside
        with lock:
            calls += 1
            inside += 1
            is_first = calls <= 2
        try:
            if is_first:  # the two have no room beside each other
                both.wait()
                raise MemoryError
            assert inside == 1
            if parts[0].stop > 4:  # and one alone has none for 8
                raise MemoryError
            return parts[-1].stop
        finally:
            with lock:
                inside -= 1

    with ThreadPoolExecutor(2) as pool:
        found = [*pool.map(lambda _: portion.attempt(8, work), range(4))]
    assert found == [8] * 4
    assert sizes == [4]
