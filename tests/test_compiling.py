"""``--compile``: the same training through compiled features, or a refusal."""

import copy
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import partners
import pytest
from several import MARK, followed, history

from leukctl import cli, distributed, files, runs, runtime
from leukctl.backbones import relu6, standard_cnn
from leukctl.cli import training_runs
from leukctl.runtime import torch
from leukctl.training import Options, memory
from leukctl.training.checkpoints import Checkpoint

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_runs", "cheap")]
SAME = ("model.safetensors", "history.csv", "predictions.csv", "run.json")
BF16 = len(runtime.precisions(torch.device("cpu"))) > 1


@pytest.fixture(scope="module")
def cheap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Two narrow blocks instead of four; what is compiled is kept for all tests, and for no more.

    The compiler works in this process, and not in as many as there are processors, which all would
    import torch first.
    """
    from torch._inductor import config

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.mktemp("compiled")))
        patch.setenv("TORCHINDUCTOR_COMPILE_THREADS", "1")
        patch.setattr(config, "compile_threads", 1)  # torch may have read the variable by now
        patch.setattr(standard_cnn, "CHANNELS", partners.NARROW)
        yield


def arguments(manifest: Path, run: Path, *more: str) -> list[str]:
    """Return a line that learns from 24 images, by 13 and 11: what is compiled serves both.

    Of two processes each then has between 5 and 7, and never as many as the other.
    """
    given = ["train", str(manifest), "--backbone", "standard_cnn", "--input-size", "32"]
    given += ["--epochs", "2", "--batch-size", "13", "--augment", "mixup", "--accumulate", "2"]
    given += ["--optimizer", "sgd", "--lr", "0.02", "--device", "cpu"]
    return [*given, "-o", str(run), *more]


def test_relu6_is_compiled_whole_and_learns_alike() -> None:
    torch.manual_seed(0)
    plain = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), relu6.ReLU6(), torch.nn.Conv2d(4, 2, 3)
    )
    compiled, images = copy.deepcopy(plain), 4 * torch.randn(3, 3, 9, 9)
    plain(images).square().sum().backward()
    torch.compile(compiled, fullgraph=True)(images).square().sum().backward()
    for one, other in zip(plain.parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(not BF16, reason="no bf16 here")
def test_a_training_may_be_compiled_in_bf16(squares: Path, tmp_path: Path) -> None:
    for name, more in (("plain", ()), ("compiled", ("--compile",))):
        given = arguments(squares, tmp_path / name, "--precision", "bf16", *more)
        assert cli.main(given) in (0, 1)
    compiled, plain = (history(tmp_path / name)[:, 1] for name in ("compiled", "plain"))
    np.testing.assert_allclose(compiled, plain, rtol=0, atol=0.05)


def test_a_compiled_training_is_the_other_but_for_rounding_and_resumes_to_the_bit(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, whole, cut = (tmp_path / name / "run" for name in ("plain", "whole", "cut"))
    # The last of 24 images in batches of 7 are 3, for which the compiler makes something else.
    more = ("--precision", "fp32", "--frozen-epochs", "1", "--batch-size", "7")
    assert cli.main(arguments(squares, plain, *more)) in (0, 1)
    assert cli.main(arguments(squares, whole, "--compile", *more)) in (0, 1)
    np.testing.assert_allclose(history(whole)[:, 1], history(plain)[:, 1], rtol=0, atol=1e-4)
    assert runs.read(whole).options["compile"] is True
    assert runs.read(plain).options["compile"] is False
    save = Checkpoint.save

    def interrupt(self: Checkpoint, state: object) -> None:
        save(self, state)  # type: ignore[arg-type]
        if len(self.record.epochs) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Checkpoint, "save", interrupt)
        assert cli.main(arguments(squares, cut, "--compile", *more)) == 130
    assert cli.main(["train", "--resume", str(cut)]) in (0, 1)
    for name in SAME:
        assert files.sha256(cut / name) == files.sha256(whole / name)


def test_a_compiled_training_that_ran_out_of_memory_resumes_to_the_bit(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is compiled for a whole batch, which no resumed training sees, serves no part of one."""
    whole, cut = tmp_path / "whole" / "run", tmp_path / "cut" / "run"
    save, compile, checked = Checkpoint.save, torch.compile, memory.checked
    firsts: list[int] = []

    def compiler(graph: torch.fx.GraphModule, examples: list[Any]) -> Callable[..., Any]:
        images = [x for x in examples if isinstance(x, torch.Tensor) and x.shape[1:] == (3, 32, 32)]
        firsts.extend(len(image) for image in images)
        return graph.forward

    def small(forward: Callable[[], torch.Tensor]) -> torch.Tensor:
        if len(found := checked(forward)) > 7:
            raise MemoryError
        return found

    def interrupt(self: Checkpoint, state: object) -> None:
        save(self, state)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "compile", lambda f, **_: compile(f, backend=compiler))
    monkeypatch.setattr(memory, "checked", small)
    more = ("--compile", "--precision", "fp32")
    assert cli.main(arguments(squares, whole, *more)) in (0, 1)
    assert firsts == [13, 6]
    with monkeypatch.context() as patched:
        patched.setattr(Checkpoint, "save", interrupt)
        assert cli.main(arguments(squares, cut, *more)) == 130
    firsts.clear()
    assert cli.main(["train", "--resume", str(cut)]) in (0, 1)
    assert firsts == [6]
    for name in SAME:
        assert files.sha256(cut / name) == files.sha256(whole / name)


def test_two_processes_learn_through_compiled_features_as_one_does_without(
    squares: Path, tmp_path: Path
) -> None:
    """The parts are of unequal sizes, and BatchNorm's statistics those of the whole batch."""
    more = ("--precision", "fp32")
    with pytest.MonkeyPatch.context() as patch, followed(patch):
        patch.setenv(MARK, "test")
        with distributed.together("narrow", None, "cpu"):
            pass
        assert cli.main(arguments(squares, tmp_path / "two", "--compile", *more)) in (0, 1)
    assert cli.main(arguments(squares, tmp_path / "one", *more)) in (0, 1)
    found, expected = history(tmp_path / "two"), history(tmp_path / "one")
    np.testing.assert_allclose(found[:, :2], expected[:, :2], rtol=2e-3, atol=1e-3)


def test_without_a_compiler_training_ends_before_it_begins(
    squares: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from torch._inductor import config

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    torch.compiler.reset()
    with config.patch({"cpp.cxx": (None, "no-such-compiler"), "fx_graph_cache": False}):
        assert cli.main(arguments(squares, tmp_path / "run", "--compile", "-q")) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert "--compile: " in said
    assert "no-such-compiler" in said
    assert not (tmp_path / "run").exists()


def test_a_backbone_that_cannot_be_compiled_whole_is_refused(
    squares: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    own = standard_cnn.StandardCnn.forward_features

    def broken(self: standard_cnn.StandardCnn, x: torch.Tensor) -> torch.Tensor:
        if float(x.sum()) > 1e9:  # a decision that no graph can hold
            return x
        return own(self, x)

    monkeypatch.setattr(standard_cnn.StandardCnn, "forward_features", broken)
    assert cli.main(arguments(squares, tmp_path / "run", "--compile", "-q")) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("leukctl: error: --compile: ")
    assert not (tmp_path / "run").exists()


def test_a_batch_that_batchnorm_cannot_take_is_blamed_on_the_batch(
    squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["train", str(squares), "--backbone", "test_resnet", "--input-size", "32"]
    given += ["--epochs", "1", "--batch-size", "1", "--device", "cpu", "--compile", "-q"]
    assert cli.main([*given, "-o", str(tmp_path / "run")]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert "a larger --batch-size" in said


def test_runs_of_before_there_was_compile_were_not_compiled(tmp_path: Path) -> None:
    job = types.SimpleNamespace(folder=tmp_path)
    found = Options("standard_cnn").kept()
    del found["compile"]
    training_runs._check_same(job, Options("standard_cnn").kept(), found)  # type: ignore[arg-type]
    with pytest.raises(Exception, match="compile False, not True"):
        training_runs._check_same(job, Options("standard_cnn", compile=True).kept(), found)  # type: ignore[arg-type]
