"""``--precision auto``: the clock decides, by a clear margin, once, and changes nothing else."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import draw_squares
from safetensors.torch import load_file

from leukctl import checkpoints, cli, files, runs, runtime
from leukctl.backbones import Network, create, origin_of
from leukctl.runtime import Compute, torch
from leukctl.training import Options, timing
from leukctl.training.checkpoints import Checkpoint

CPU = Compute(torch.device("cpu"), "fp32", 2, auto=True)
BOTH = ("fp32", "bf16")


class Machine:
    """A clock that only steps move, each by the next of its seconds."""

    def __init__(self, **seconds: list[float]) -> None:
        self.now = 100.0
        self.left = {name: list(values) for name, values in seconds.items()}

    def step(self, name: str) -> None:
        self.now += self.left[name].pop(0)

    def clock(self) -> float:
        return self.now


def test_the_least_of_the_steps_after_the_first_counts() -> None:
    machine = Machine(fp32=[0.1, 3, 2, 9], bf16=[50, 1, 7, 4])
    assert timing.paired(machine.step, BOTH, machine.clock) == {"fp32": 2, "bf16": 1}
    assert machine.left == {"fp32": [], "bf16": []}


@pytest.mark.parametrize(
    ("fp32", "bf16", "default", "chosen"),
    [
        (1.19, 1.0, "fp32", "fp32"),
        (1.25, 1.0, "fp32", "bf16"),
        (1.0, 3.0, "fp32", "fp32"),
        (1.0, 1.19, "bf16", "bf16"),
        (1.0, 1.25, "bf16", "fp32"),
    ],
)
def test_another_precision_must_be_clearly_faster(
    fp32: float, bf16: float, default: str, chosen: str
) -> None:
    assert timing.choose({"fp32": fp32, "bf16": bf16}, default) == chosen


def test_the_stage_with_most_steps_through_the_network_is_timed() -> None:
    options = Options("standard_cnn", frozen_epochs=4, epochs=3, batch_size=8)
    stage, count = timing.steps(options, 33)
    assert (stage.name, count) == ("frozen", 20)
    # Without augmentation a frozen backbone is passed once, and not learned through at all.
    stage, count = timing.steps(replace(options, augment="none"), 33)
    assert (stage.name, count) == ("finetune", 15)


@pytest.mark.skipif(len(runtime.precisions(CPU.device)) < 2, reason="no bf16 in this CPU")
def test_few_steps_or_a_named_precision_are_not_timed() -> None:
    assert timing.is_timed(CPU, 100)
    assert not timing.is_timed(CPU, 99)
    assert not timing.is_timed(replace(CPU, auto=False), 1000)


def test_a_timing_on_a_machine_of_many_gpus_warns_of_none(
    monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    backbone, spec = create("standard_cnn", origin_of("standard_cnn", None, False), 32)
    network = Network(backbone, 2, {"hidden": 0, "dropout": 0.5}, (32, 32))
    (stage,) = Options("standard_cnn", frozen_epochs=0, epochs=1).stages()
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    timing.measure(network, stage, np.zeros((4, 32, 32, 3), np.uint8), spec, CPU)
    assert [str(warning.message) for warning in recwarn] == []


def test_a_timing_leaves_the_network_and_all_randomness_alone() -> None:
    torch.manual_seed(1)
    backbone, spec = create("standard_cnn", origin_of("standard_cnn", None, False), 32)
    network = Network(backbone, 2, {"hidden": 0, "dropout": 0.5}, (32, 32))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    pixels = np.random.default_rng(0).integers(0, 255, (4, 32, 32, 3), np.uint8)
    expected = torch.random.get_rng_state()
    for stage in Options("standard_cnn", frozen_epochs=1, epochs=1).stages():
        found = timing.measure(network, stage, pixels, spec, CPU)
        assert set(found.seconds) == {*runtime.precisions(CPU.device)}
        assert min(found.seconds.values()) > 0
    assert torch.equal(torch.random.get_rng_state(), expected)
    assert all(tensor.grad is None for tensor in network.parameters())
    assert all(torch.equal(before[k], v) for k, v in network.state_dict().items())


def arguments(manifest: Path, run: Path, *more: str) -> list[str]:
    given = ["train", str(manifest), "--backbone", "standard_cnn", "--input-size", "32"]
    return [*given, "--epochs", "4", "--batch-size", "8", "--device", "cpu", "-o", str(run), *more]


@pytest.fixture
def finds_bf16(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Lets every timing find bf16 faster; returns a list with an entry for each timing."""
    asked: list[int] = []

    def measure(*given: object) -> timing.Timing:
        asked.append(1)
        return timing.Timing({"fp32": 2.0, "bf16": 1.0}, "bf16")

    monkeypatch.setattr(timing, "LEAST_STEPS", 1)
    monkeypatch.setattr(timing, "measure", measure)
    monkeypatch.setattr(runtime, "precisions", lambda on: BOTH)
    return asked


def test_the_choice_is_said_kept_and_not_made_again(
    squares: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    finds_bf16: list[int],
) -> None:
    whole, cut = tmp_path / "a" / "run", tmp_path / "b" / "run"
    assert cli.main(arguments(squares, whole)) in (0, 1)
    said = capsys.readouterr().err.splitlines()
    assert "--precision auto: a step takes fp32 2 s, bf16 1 s; bf16 it is" in said
    assert runs.read(whole).options["precision"] == "bf16"
    save = Checkpoint.save

    def interrupt(self: Checkpoint, state: object) -> None:
        save(self, state)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Checkpoint, "save", interrupt)
        assert cli.main(arguments(squares, cut)) == 130
    assert len(finds_bf16) == 2
    assert cli.main(["train", "--resume", str(cut), "-q"]) in (0, 1)
    assert len(finds_bf16) == 2
    for name in ("run.json", "model.safetensors", "history.csv", "predictions.csv"):
        assert files.sha256(cut / name) == files.sha256(whole / name)
    record = checkpoints.read(cut)
    assert record is not None
    assert record.compute["precision"] == "bf16"


def test_bf16_is_what_is_learned_in_and_the_answers_are_those_of_predict(
    squares: Path, tmp_path: Path, finds_bf16: list[int]
) -> None:
    auto, named = tmp_path / "auto", tmp_path / "named"
    assert cli.main(arguments(squares, auto)) in (0, 1)
    assert cli.main(arguments(squares, named, "--precision", "bf16")) in (0, 1)
    assert len(finds_bf16) == 1
    ours, theirs = (load_file(run / "model.safetensors") for run in (auto, named))
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())
    again = tmp_path / "again.csv"
    assert cli.main(["predict", str(auto), str(squares), "--device", "cpu", "-o", str(again)]) == 0
    from leukctl import predictions

    kept, now = runs.read_predictions(auto), predictions.read_path(again)
    assert np.abs(kept.probabilities - now.probabilities).max() < 1e-6
    bf16 = runs.read_predictions(named)
    assert np.abs(kept.probabilities - bf16.probabilities).max() > 1e-6


def test_a_finished_run_is_left_alone_whatever_auto_would_choose_now(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], finds_bf16: list[int]
) -> None:
    manifest = draw_squares(tmp_path, {"train": 4, "val": 2, "test": 2}, ("blue", "red"))
    grid = arguments(manifest, tmp_path / "runs", "--optimizer", "adam,sgd", "--epochs", "1")
    assert cli.main(grid) in (0, 1)
    assert cli.main(grid) in (0, 1)
    assert len(finds_bf16) == 2
    assert capsys.readouterr().err.count("done already") == 2
    assert cli.main([*grid, "--precision", "fp32"]) == 2
    assert "was trained with precision bf16, not fp32" in capsys.readouterr().err
