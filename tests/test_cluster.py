"""``prep --scheduler`` on a real Dask cluster of two worker processes, and where there is none."""

import itertools
import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from pictures import write_bloodmnist
from PIL import Image

from leukctl import cluster
from leukctl.cli import main
from leukctl.errors import LeukctlError, UsageError

distributed = pytest.importorskip("distributed", reason="Dask is not installed")

Cluster = distributed.LocalCluster


def start(workers: int) -> Cluster:
    return Cluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        dashboard_address=":0",
        silence_logs=60,
    )


@pytest.fixture(scope="module", autouse=True)
def environment() -> Iterator[None]:
    """Leave the environment as it was: Dask sets OMP_NUM_THREADS=1 in it, for all tests to come."""
    with mock.patch.dict(os.environ):
        yield


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of two processes whose current directory is not that of the tests."""
    here = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("elsewhere"))
    try:
        with start(2) as running:
            os.chdir(here)
            yield running
    finally:
        os.chdir(here)


@pytest.fixture
def cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with 30 images with masks, one of them no image, and an archive."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    lines = ["path,label,mask"]
    for index in range(30):
        name = f"{index:02d}.png"
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), np.uint8)).save(tmp_path / name)
        Image.fromarray(rng.integers(0, 256, (40, 50), np.uint8)).save(tmp_path / f"mask-{name}")
        lines.append(f"{name},{'ab'[index % 2]},mask-{name}")
    (tmp_path / "17.png").write_bytes(b"no image")
    (tmp_path / "m.csv").write_text("\n".join(lines))
    write_bloodmnist(tmp_path / "bloodmnist.npz", 20)
    return tmp_path


def prep(*arguments: str) -> int:
    return main(
        ["prep", "m.csv", "bloodmnist.npz", "--steps", "denoise:median,resize:32", *arguments]
    )


def made(folder: Path) -> dict[str, bytes]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_a_cluster_makes_the_same_files_and_manifest(
    two: Cluster, cells: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prep("--images", "here", "--workers", "1", "-o", "here.csv") == 1
    alone = capsys.readouterr().err
    assert prep("--images", "there", "--scheduler", two.scheduler_address, "-o", "there.csv") == 1
    assert made(cells / "here") == made(cells / "there")
    assert len(made(cells / "there")) == 2 * 29 + 36 + 1
    manifest = (cells / "there.csv").read_text()
    assert manifest.replace("there/", "here/") == (cells / "here.csv").read_text()
    together = capsys.readouterr().err
    assert together.splitlines()[:-1] == alone.splitlines()[:-1]
    assert prep("--images", "there", "--scheduler", two.scheduler_address, "-o", "again.csv") == 1
    assert "65 images prepared, 65 of them before now; 1 rejected" in capsys.readouterr().err
    assert (cells / "again.csv").read_text() == manifest


def test_what_stands_in_the_way_is_told_as_it_is_here(
    two: Cluster, cells: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (cells / "img" / "images").mkdir(parents=True)
    Image.new("RGB", (3, 3)).save(cells / "img" / "images" / "05.png")
    assert prep("--images", "img", "--scheduler", two.scheduler_address, "-o", "o.csv") == 2
    (*_, line) = capsys.readouterr().err.splitlines()
    assert line.startswith("leukctl: error: img/images/05.png: stands where a prepared image goes")
    assert not (cells / "o.csv").exists()


def nap(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def refuse(number: int) -> int:
    raise UsageError(f"no {number}")


def test_results_come_in_order_from_both_and_few_jobs_are_taken_ahead(two: Cluster) -> None:
    jobs = itertools.count()
    with cluster.connected(two.scheduler_address, []) as run:
        results = run(str, jobs)
        assert list(itertools.islice(results, 50)) == [str(n) for n in range(50)]
        assert next(jobs) < 60
        results.close()
        assert len(set(run(nap, [0.2] * 8))) == 2


def test_an_error_of_a_job_comes_through(two: Cluster) -> None:
    with (
        cluster.connected(two.scheduler_address, []) as run,
        pytest.raises(UsageError, match="no 0"),
    ):
        list(run(refuse, range(3)))


def test_nothing_goes_on_when_the_results_are_not_wanted(two: Cluster) -> None:
    with cluster.connected(two.scheduler_address, []) as run:
        results = run(nap, itertools.repeat(0.3))
        next(results)
        results.close()
    with distributed.Client(two.scheduler_address, set_as_default=False) as client:
        deadline = time.monotonic() + 20
        while any(client.processing().values()):
            assert time.monotonic() < deadline
            time.sleep(0.1)


def die_once(flag: str) -> str:
    """Kill this worker, the first time."""
    if not os.path.exists(flag):
        Path(flag).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


def die(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_lost_worker_costs_nothing_and_jobs_that_kill_are_told_of(tmp_path: Path) -> None:
    with start(2) as running, cluster.connected(running.scheduler_address, []) as run:
        (tmp_path / "alive").touch()
        flags = [str(tmp_path / name) for name in ("alive", "dies", "alive")]
        assert list(run(die_once, flags)) == ["done"] * 3
        with pytest.raises(LeukctlError, match=r"Dask workers of .* died over the same images"):
            list(run(die, range(1)))


def test_workers_that_all_go_away_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_LOOK_S", 0.2)
    monkeypatch.setattr(cluster, "_WORKERS_S", 3)
    with start(1) as running, cluster.connected(running.scheduler_address, []) as run:
        threading.Timer(0.5, running.scale, [0]).start()
        with pytest.raises(LeukctlError, match="has lost all its workers"):
            list(run(nap, [30.0]))


def test_a_scheduler_without_workers_is_one_line(
    cells: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_WORKERS_S", 0.3)
    with start(0) as running:
        assert prep("--images", "i", "-q", "--scheduler", running.scheduler_address) == 2
    assert "has no workers (waited 0.3 s)" in capsys.readouterr().err


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of what takes connections and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"tcp://127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("tcp://127.0.0.1:9", "Timed out trying to connect"),
        ("silent", "no answer"),
        ("worker", "a Worker does"),
        ("node1", "missing port number"),
        ("", "missing port number"),
        ("ftp://node1:8786", "unknown address scheme"),
    ],
)
def test_where_no_scheduler_answers_is_one_line(
    two: Cluster,
    cells: Path,
    silent: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    address: str,
    reason: str,
) -> None:
    monkeypatch.setattr(cluster, "_CONNECT_S", 0.3)
    address = {"silent": silent, "worker": next(iter(two.scheduler_info["workers"]))}.get(
        address, address
    )
    assert prep("--images", "img", "-q", "-o", "o.csv", "--scheduler", address) == 2
    err = capfd.readouterr().err
    assert err.startswith(f"leukctl: error: no Dask scheduler answers at {address!r} (")
    assert reason in err
    assert err.count("\n") == 1
    assert [path.name for path in cells.glob("o.csv*")] == []


def test_without_dask_a_line_says_how_to_get_it(
    cells: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert prep("--images", "img", "-q", "--scheduler", "tcp://node1:8786") == 2
    err = capsys.readouterr().err
    assert "pip install 'leukctl[dask]'" in err
    assert err.count("\n") == 1


def test_workers_of_this_machine_and_of_a_cluster_are_not_mixed(
    cells: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address = "tcp://node1:8786"
    assert prep("--images", "img", "-q", "--workers", "2", "--scheduler", address) == 2
    assert "--workers is for this machine" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (({}, ["/data/img"]), "does not see /data/img"),
        (({"leukctl": "0"}, []), "has leukctl 0, and this is"),
        (ModuleNotFoundError("No module named 'leukctl'"), "cannot run leukctl .*No module"),
    ],
)
def test_a_worker_that_could_not_do_the_same_is_named(answer: object, message: str) -> None:
    with pytest.raises(LeukctlError, match=f"tcp://node2:1 {message}"):
        cluster._check_worker("tcp://node2:1", answer)


def hide(folder: str) -> None:
    """Let this worker see all but ``folder``, as where a disk is not mounted."""
    seen = os.path.isdir
    os.path.isdir = lambda path: path != folder and seen(path)  # type: ignore[assignment]


def test_every_folder_of_the_sources_must_be_seen_not_the_first_alone(
    cells: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for lab in ("lab1", "lab2"):
        (cells / lab).mkdir()
        shutil.copy(cells / "00.png", cells / lab)
    (cells / "m.csv").write_text("path,label\nlab1/00.png,a\nlab2/00.png,b\n")
    with start(1) as running:
        with distributed.Client(running.scheduler_address, set_as_default=False) as client:
            client.run(hide, str(cells / "lab2"))
        address = running.scheduler_address
        assert prep("--images", "img", "-q", "-o", "o.csv", "--scheduler", address) == 2
    err = capsys.readouterr().err
    assert f"does not see {cells / 'lab2'}; images and results must lie" in err
    assert err.count("\n") == 1
    assert not (cells / "o.csv").exists()


def test_folders_that_workers_do_not_see_are_named(two: Cluster, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    with (
        pytest.raises(LeukctlError, match=f"does not see {missing}"),
        cluster.connected(two.scheduler_address, [tmp_path, missing]),
    ):
        pass
