"""Several processes: whatever their number, the sampling, the losses and the answers of one.

One process follows this one through all tests, as those that torchrun starts follow the first.
"""

import json
import signal
import subprocess
import sys
import threading
import time
import types
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import partners
import pytest
from fakes import draw_squares
from several import MARK, arguments, followed, free_port, history

from leukctl import cli, distributed, files, launch, runs, runtime, tables
from leukctl.distributed import collectives, team
from leukctl.errors import InputError, LeukctlError
from leukctl.fusion.features import collect
from leukctl.fusion.sources import from_backbones
from leukctl.tensors import Reader
from leukctl.training import work
from leukctl.training.checkpoints import Checkpoint

pytestmark = pytest.mark.usefixtures("quick_runs")


MORE = ("--frozen-epochs", "1", "--augment", "mixup")


@pytest.fixture(scope="module")
def follower() -> Iterator["subprocess.Popen[bytes]"]:
    with pytest.MonkeyPatch.context() as patch, followed(patch) as process:
        yield process


@pytest.fixture
def two(follower: object, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv(MARK, "test")
    return monkeypatch


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """26 train images, which batches of 7 divide as little as two processes divide those."""
    folder = tmp_path_factory.mktemp("several")
    return draw_squares(folder, {"train": 13, "val": 5, "test": 3}, ("blue", "red"))


def test_nobody_follows_unless_torchrun_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "LOCAL_RANK"):
        monkeypatch.setenv(name, "1")
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, "4")
    monkeypatch.delenv(MARK, raising=False)
    assert launch.launched() is None
    monkeypatch.setenv(MARK, "none")
    assert launch.launched() == launch.Launch(1, 4, 1, 4)
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert launch.launched() is None


@pytest.mark.parametrize(("count", "size"), [(7, 2), (8, 3), (3, 3), (32, 5)])
def test_parts_of_a_batch_are_the_batch(
    monkeypatch: pytest.MonkeyPatch, count: int, size: int
) -> None:
    monkeypatch.setattr(collectives, "size", lambda: size)
    rows: list[int] = []
    weights = 0.0
    for rank in range(size):
        monkeypatch.setattr(collectives, "rank", lambda rank=rank: rank)
        part = distributed.part(count)
        own = list(range(count))[part.rows]
        assert part.weight == len(own) / count
        rows += own
        weights += part.weight
    assert rows == list(range(count))
    assert weights == pytest.approx(1)


def test_a_batch_smaller_than_the_processes_is_computed_by_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(collectives, "size", lambda: 4)
    monkeypatch.setattr(collectives, "rank", lambda: 2)
    part = distributed.part(3)
    assert part.whole
    assert part.weight == 0.25


def test_collectives_give_everyone_the_same(two: pytest.MonkeyPatch) -> None:
    with distributed.together("exchange", None, "cpu"):
        assert partners.exchange() == {
            "rows": [[], [[0.0, 1.0]]],
            "shapes": [(0, 3)],
            "texts": [[], ["é"]],
            "agree": [False, True],
            "dealt": [10, 21, 30],
        }


@pytest.mark.parametrize(("name", "images"), [("plain", 5), ("plain", 1), ("mobilenetv2_035", 5)])
def test_statistics_and_dropout_are_those_of_the_whole_batch(
    two: pytest.MonkeyPatch, name: str, images: int
) -> None:
    with distributed.together("step", {"name": name, "images": images}, "cpu"):
        learned, loss, answers = partners.step(name, images)
    alone, expected, expected_answers = partners.step(name, images)
    assert loss == pytest.approx(expected, rel=1e-9)
    assert answers == expected_answers
    assert partners.difference(learned, alone) < 1e-8


@pytest.mark.parametrize(
    "more",
    [
        ["--augment", "mixup", "--accumulate", "2", "--clip", "0.5", "--label-smoothing", "0.1"],
        ["--augment", "none", "--frozen-epochs", "2", "--hidden", "8", "--patience", "1"],
        ["--augment", "cutmix", "--frozen-epochs", "1", "--class-weights", "balanced"],
    ],
    ids=lambda more: more[1],
)
def test_two_processes_learn_as_one_does(
    manifest: Path, tmp_path: Path, two: pytest.MonkeyPatch, more: list[str]
) -> None:
    assert cli.main(arguments(manifest, tmp_path / "two", *more)) in (0, 1)
    two.delenv(MARK)
    assert cli.main(arguments(manifest, tmp_path / "one", *more)) in (0, 1)
    together, alone = history(tmp_path / "two"), history(tmp_path / "one")
    assert together.shape == alone.shape
    assert np.allclose(together, alone, rtol=2e-3, atol=1e-3)
    ours, theirs = (runs.read(tmp_path / name) for name in ("two", "one"))
    ours.files, ours.folder = theirs.files, theirs.folder
    assert ours == theirs


def test_weighted_rows_are_weighed_over_the_whole_batch(
    manifest: Path, tmp_path: Path, two: pytest.MonkeyPatch
) -> None:
    table = tables.read_path(manifest)
    cells = [str(1 + row % 5) for row in range(len(table))]
    tables.write_path(table.with_columns(weight=cells), tmp_path / "weighted.csv")
    for name in ("two", "one"):
        assert cli.main(arguments(tmp_path / "weighted.csv", tmp_path / name)) in (0, 1)
        two.delenv(MARK, raising=False)
    assert np.allclose(history(tmp_path / "two"), history(tmp_path / "one"), rtol=2e-3, atol=1e-3)


def test_images_that_do_not_fit_into_memory_are_read_where_they_are_needed(
    manifest: Path, tmp_path: Path, two: pytest.MonkeyPatch
) -> None:
    assert cli.main(arguments(manifest, tmp_path / "kept")) in (0, 1)
    # All processes do as the one with the least memory.
    two.setattr("leukctl.training.data._memory_bytes", lambda: 0)
    assert cli.main(arguments(manifest, tmp_path / "anew")) in (0, 1)
    assert (history(tmp_path / "kept") == history(tmp_path / "anew")).all()


@pytest.fixture(scope="module")
def uninterrupted(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """The history of one process."""
    run = tmp_path_factory.mktemp("alone") / "run"
    assert cli.main(arguments(manifest, run, *MORE)) in (0, 1)
    return history(run)


@pytest.mark.parametrize("first", [2, 1])
def test_a_training_goes_on_with_another_number_of_processes(
    manifest: Path,
    uninterrupted: np.ndarray,
    tmp_path: Path,
    two: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    first: int,
) -> None:
    run = tmp_path / "run"
    save = Checkpoint.save

    def interrupted(self: Checkpoint, state: object) -> None:
        save(self, state)  # type: ignore[arg-type]
        if len(self.record.epochs) == 2:
            raise KeyboardInterrupt

    if first == 1:
        two.delenv(MARK)
    with two.context() as patched:
        patched.setattr(Checkpoint, "save", interrupted)
        assert cli.main(arguments(manifest, run, *MORE)) == 130
    assert runs.interrupted(run) == 2
    assert capsys.readouterr().err.count("interrupted") == 1
    two.setenv(MARK, "test") if first == 1 else two.delenv(MARK)
    assert cli.main(["train", "--resume", str(run)]) in (0, 1)
    said = capsys.readouterr().err
    assert "2 processes of" in said
    assert np.allclose(history(run), uninterrupted, rtol=2e-3, atol=1e-3)


def test_a_training_is_not_begun_anew_where_its_checkpoint_is_missing(
    manifest: Path, tmp_path: Path, two: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, save, content = tmp_path / "run", Checkpoint.save, work._content

    def interrupt(self: Checkpoint, state: object) -> None:
        save(self, state)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoint, "save", interrupt)
        assert cli.main(arguments(manifest, run)) == 130
    kept = files.sha256(run / "checkpoint" / "state.json")
    elsewhere = tmp_path / "elsewhere"
    with pytest.MonkeyPatch.context() as patch:  # as on a machine of its own
        patch.setattr(work, "_content", lambda own: content(own) | {"folder": str(elsewhere)})
        assert cli.main(["train", "--resume", str(run), "-q"]) == 2
    (line,) = ours(capsys.readouterr().err)[-1:]
    assert f"{elsewhere / 'checkpoint'}: the state after 1 epoch is not on this machine" in line
    assert "several machines need a shared folder" in line
    assert files.sha256(run / "checkpoint" / "state.json") == kept


def test_what_one_process_fails_of_is_said_once_and_costs_the_others_nothing(
    manifest: Path, tmp_path: Path, two: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = draw_squares(tmp_path / "broken", {"train": 40, "val": 2}, ("blue", "red"))
    # The one that follows reads the second 32 images.
    (tmp_path / "broken" / "train" / "red-0.png").write_bytes(b"no image")
    run = tmp_path / "run"
    assert cli.main(arguments(broken, run)) == 2
    said = capsys.readouterr().err
    assert said.count("leukctl: error: ") == 1
    assert said.count("red-0.png") == 1
    assert not run.exists()
    assert cli.main(arguments(manifest, run, "--epochs", "1")) in (0, 1)


def test_two_processes_predict_the_same_file(
    manifest: Path,
    trained: Path,
    tmp_path: Path,
    two: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = tables.read_path(manifest)
    broken = [tmp_path / f"broken-{number}.png" for number in range(3)]
    for path in broken:
        path.write_bytes(b"no image")
    paths = table.column("path")
    # In the first batch, which one process has, and in the second, which the other has.
    paths[1], paths[6], paths[7] = map(str, broken)
    tables.write_path(table.with_columns(path=paths), tmp_path / "all.csv")
    given = ["predict", str(trained), str(tmp_path / "all.csv"), "--batch-size", "5", "--tta"]
    given += ["flips", "--device", "cpu", "-o"]
    assert cli.main([*given, str(tmp_path / "two.csv")]) == 1
    together = capsys.readouterr().err
    two.delenv(MARK)
    assert cli.main([*given, str(tmp_path / "one.csv")]) == 1
    assert capsys.readouterr().err == together
    for path in broken:
        assert together.count(path.name) == 1
    ours, theirs = (tables.read_path(tmp_path / f"{name}.csv") for name in ("two", "one"))
    assert ours.column("path") == theirs.column("path")
    assert ours.column("predicted") == theirs.column("predicted")
    assert np.allclose(
        np.array(ours.column("confidence"), float), np.array(theirs.column("confidence"), float)
    )


def test_two_processes_take_the_same_features(
    manifest: Path, tmp_path: Path, two: pytest.MonkeyPatch
) -> None:
    found = []
    for name in ("two", "one"):
        sources = from_backbones(["standard_cnn", "mobilenetv2_035"], [], False, 0, 32)
        paths = [Path(path) for path in tables.read_path(manifest).column("path")]
        compute = runtime.compute("cpu", "fp32")
        bank = collect(sources, paths, Reader(), compute, folder=tmp_path / name, batch_size=8)
        assert bank.computed == len(paths)
        found.append(bank.read())
        two.delenv(MARK, raising=False)
    assert np.allclose(*found, rtol=1e-4, atol=1e-5)


def test_two_processes_name_all_images_that_cannot_be_read_and_keep_the_rest(
    manifest: Path, tmp_path: Path, two: pytest.MonkeyPatch
) -> None:
    paths = [Path(path) for path in tables.read_path(manifest).column("path")]
    broken = [tmp_path / "cut.png", tmp_path / "also.png", tmp_path / "none.png"]
    for path, source in zip(broken, paths, strict=False):
        path.write_bytes(source.read_bytes()[:200])
    broken[2].unlink()
    given = [*paths[:3], broken[0], *paths[3:11], broken[1], broken[2], *paths[11:]]
    said: dict[str, str] = {}
    with pytest.raises(InputError, match=rf"3 of {len(given)} images cannot be read"):
        collect(
            from_backbones(["standard_cnn"], [], False, 0, 32),
            given,
            Reader(),
            runtime.compute("cpu", "fp32"),
            folder=tmp_path / "f",
            batch_size=4,
            on_reject=lambda path, reason: said.update({path.name: str(reason)}),
        )
    assert said == {
        "cut.png": "truncated",
        "also.png": "truncated",
        "none.png": "No such file or directory",
    }
    two.delenv(MARK, raising=False)
    sources = from_backbones(["standard_cnn"], [], False, 0, 32)
    compute = runtime.compute("cpu", "fp32")
    again = collect(sources, paths, Reader(), compute, folder=tmp_path / "f", batch_size=4)
    assert again.computed == 0


def test_a_process_that_is_killed_is_told_of() -> None:
    with pytest.MonkeyPatch.context() as patch, followed(patch) as process:
        patch.setenv(MARK, "test")
        # torchrun, too, notices, and ends this one before it has said why.
        ended = types.SimpleNamespace(monotonic=time.monotonic, sleep=lambda s: sys.exit(143))
        patch.setattr(team, "time", ended)
        with (
            pytest.raises(LeukctlError, match="lost, perhaps killed"),
            distributed.together("lose", None, "cpu"),
        ):
            distributed.all_agree(True)
        assert process.wait(30) == -signal.SIGKILL


def test_what_another_fails_of_in_its_first_job_is_noticed_at_once() -> None:
    def meet_twice() -> None:
        with distributed.together("fail later", None, "cpu"):
            distributed.all_agree(True)
            distributed.all_agree(True)

    with pytest.MonkeyPatch.context() as patch, followed(patch):
        patch.setenv(MARK, "test")
        started = time.monotonic()
        with pytest.raises(LeukctlError, match="there is no room"):
            meet_twice()
        assert time.monotonic() - started < team._PATIENCE.total_seconds() / 2


def test_what_another_fails_of_ends_one_that_waits_for_it_out_of_reach(
    two: pytest.MonkeyPatch,
) -> None:
    """NCCL is not here to wait for; the first process just does not come to see for itself."""
    told, ended = [], threading.Event()

    def end(reason: str) -> None:
        told.append(reason)
        ended.set()

    two.setattr(launch, "end", end)
    two.setattr(team, "_waits_forever", lambda device: True)
    with distributed.together("fail", None, "cpu"):
        assert ended.wait(60)
    assert told == ["there is no room"]
    told.clear()
    two.setattr(team, "_GRACE_S", 60.0)  # time enough to see for itself on a loaded machine
    with (
        pytest.raises(LeukctlError, match="there is no room"),
        distributed.together("fail", None, "cpu"),
    ):
        distributed.all_agree(True)  # which tells of it here too
    time.sleep(team._WATCH_S + 0.5)
    assert told == []
    with distributed.together("exchange", None, "cpu"):
        partners.exchange()


def test_the_first_process_ends_in_a_line_whatever_it_waits_for() -> None:
    code = (
        "import threading, time; from leukctl import launch; from leukctl.cli import following; "
        "following.lead(); threading.Thread(target=launch.end, args=['no room']).start(); "
        "time.sleep(60)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (2, "leukctl: error: no room\n")


def torchrun(*given: str) -> "subprocess.Popen[str]":
    line = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    line += ["--master-port", free_port(), "-m", "leukctl", *given]
    return subprocess.Popen(line, stderr=subprocess.PIPE, text=True)


def ours(said: str) -> list[str]:
    return [line for line in said.splitlines() if line.startswith("leukctl: error")]


@pytest.mark.slow
def test_torchrun_trains_and_an_interrupt_leaves_what_can_go_on(
    manifest: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    process = torchrun(*arguments(manifest, run, "--epochs", "1000", "--patience", "0"))
    state = run / "checkpoint" / "state.json"
    until = time.monotonic() + 60
    while not (state.exists() and json.loads(state.read_text())["epochs"]):
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert ours(said) == ["leukctl: error: interrupted"]
    assert "forcefully" not in said  # none had to be killed
    kept = runs.interrupted(run)
    assert kept >= 1
    assert json.loads(state.read_text())["compute"]["processes"] == 2
    again = torchrun(*arguments(manifest, run))
    _, said = again.communicate(timeout=60)
    assert len(ours(said)) == 1
    assert "--resume" in ours(said)[0]
    assert runs.interrupted(run) == kept
