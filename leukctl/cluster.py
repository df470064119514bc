"""Many small jobs on a Dask cluster, with results in order and bounded memory.

Dask (extra ``leukctl[dask]``) carries jobs and results; the files that they name are read and
written by its workers, which therefore must see them under the same paths. A job whose worker is
lost is run again by another one.
"""

import asyncio
import contextlib
import functools
import logging
import os
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leukctl import processes, versions
from leukctl.errors import LeukctlError

if TYPE_CHECKING:
    from distributed import Client, Future

_CONNECT_S = 10
_WORKERS_S = 30
_LOOK_S = 2.0
_COUNT_S = 10.0
_AHEAD = 2  # jobs waiting for each thread of the cluster


@contextlib.contextmanager
def connected(address: str, folders: Sequence[Path]) -> Iterator[processes.Runner]:
    """Connect to the scheduler at ``address``; the block gets what runs jobs on its workers.

    Args:
        folders: absolute; what every worker must see.

    Raises:
        LeukctlError: Dask is not installed, no scheduler answers, it has no workers, or a worker
            has another leukctl or does not see the folders; and, while jobs run, the scheduler or
            all workers went away, or a job lost worker after worker.
    """
    try:
        import distributed
    except ImportError as error:
        raise LeukctlError(
            f"--scheduler needs Dask, which is not installed ({error}): pip install 'leukctl[dask]'"
        ) from None
    # It would tell of every broken connection in lines of its own.
    logging.getLogger("distributed").setLevel(logging.CRITICAL + 1)
    try:
        asyncio.run(_knock(address))
        client = distributed.Client(address, timeout=_CONNECT_S, set_as_default=False)
    except Exception as error:  # whatever answers there, and however it does
        raise LeukctlError(
            f"no Dask scheduler answers at {address!r} ({_line(error)}); "
            "an address is like tcp://node1:8786"
        ) from None
    try:
        _check_workers(client, address, folders)
        yield functools.partial(_in_order, client, address)
    finally:
        client.close(timeout=_CONNECT_S)


async def _knock(address: str) -> None:
    """Raise an exception where nothing answers as a scheduler does.

    A Client would wait for a greeting without end, and its remains for twenty seconds more.
    """
    from distributed import Security
    from distributed.comm import connect

    async def ask() -> Any:
        comm = await connect(
            address, timeout=_CONNECT_S, **Security().get_connection_args("client")
        )
        await comm.write({"op": "identity", "reply": True})
        answer = await comm.read()
        await comm.close()
        return answer

    answer = await asyncio.wait_for(ask(), 2 * _CONNECT_S)
    if answer.get("type") != "Scheduler":
        raise ValueError(f"a {answer.get('type')} does")


def _check_workers(client: "Client", address: str, folders: Sequence[Path]) -> None:
    try:
        client.wait_for_workers(1, timeout=_WORKERS_S)
    except TimeoutError:
        raise LeukctlError(
            f"the Dask scheduler at {address} has no workers (waited {_WORKERS_S} s)"
        ) from None
    try:
        found = client.run(_look, [os.fspath(folder) for folder in folders], on_error="return")
    except Exception as error:  # whatever the cluster's own code raises
        raise LeukctlError(
            f"the Dask workers of {address} do not answer ({_line(error)})"
        ) from None
    for worker, answer in found.items():
        _check_worker(worker, answer)


def _check_worker(worker: str, answer: Any) -> None:
    if isinstance(answer, BaseException):
        raise LeukctlError(f"the Dask worker {worker} cannot run leukctl ({_line(answer)})")
    found, missing = answer
    if missing:
        raise LeukctlError(
            f"the Dask worker {worker} does not see {missing[0]}; images and results must lie "
            "where every worker sees them under the same path"
        )
    for name, own in versions.of_pictures().items():
        if found.get(name) != own:
            raise LeukctlError(
                f"the Dask worker {worker} has {name} {found.get(name)}, and this is {own}; the "
                "same bytes need the same versions"
            )


def _look(folders: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Return the versions that a worker has, and which folders it does not see."""
    return versions.of_pictures(), [folder for folder in folders if not os.path.isdir(folder)]


def _in_order(
    client: "Client",
    address: str,
    work: Any,
    jobs: Iterable[Any],
) -> Generator[Any, None, None]:
    """Yield ``work(job)`` for every job, in order; see :func:`leukctl.processes.in_order`."""
    waiting: deque[Future] = deque()
    ahead, counted = _ahead(client), time.monotonic()
    try:
        for job in jobs:
            waiting.append(client.submit(_settled, work, job, pure=False))
            if len(waiting) > ahead:
                yield _result(client, address, waiting.popleft())
            if time.monotonic() - counted > _COUNT_S:  # clusters grow and shrink
                ahead, counted = _ahead(client), time.monotonic()
        while waiting:
            yield _result(client, address, waiting.popleft())
    finally:
        client.cancel(list(waiting), force=True)


def _ahead(client: "Client") -> int:
    return _AHEAD * max(1, sum(client.nthreads().values()))


def _settled(work: Any, job: Any) -> Any:
    processes.settle()
    return work(job)


def _result(client: "Client", address: str, future: "Future") -> Any:
    from distributed import CancelledError, KilledWorker

    alone = 0.0
    try:
        while True:
            started = time.monotonic()
            try:
                return future.result(timeout=_LOOK_S)
            except TimeoutError:
                if future.done():  # the job's own
                    raise
            alone = 0.0 if client.nthreads() else alone + time.monotonic() - started
            if alone > _WORKERS_S:
                raise LeukctlError(f"the Dask scheduler at {address} has lost all its workers")
    except KilledWorker as error:
        raise LeukctlError(
            f"{error.allowed_failures + 1} Dask workers of {address} died over the same images, "
            "perhaps for want of memory"
        ) from None
    except (CancelledError, OSError) as error:
        if isinstance(error, OSError) and client.status == "running":
            raise
        raise LeukctlError(f"the Dask scheduler at {address} went away") from None


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or "no answer"
