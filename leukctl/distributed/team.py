"""The processes that ``torchrun`` started, and the jobs that the first one gives out.

The store that torchrun keeps names the jobs; a group of processes is made for each and left at its
end, so that one that fails, on whichever process, leaves the others fit for the next.
"""

import contextlib
import importlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from leukctl import launch
from leukctl.distributed import collectives
from leukctl.distributed.collectives import LostError
from leukctl.errors import LeukctlError
from leukctl.launch import Launch, launched
from leukctl.runtime import torch

dist = torch.distributed
Follow = Callable[[Any], None]

# A process that is lost is noticed at once, and one that computes may take its time.
_PATIENCE = timedelta(days=30)
_END = "end"
_GRACE_S = 1.0
_POLL_S = 0.02
_WATCH_S = 0.5

_store: Any = None
_given_out = 0
_group_of: "_Group | None" = None


@dataclass(slots=True)
class _Group:
    """The group that this process is in, and how often its job was begun again in the middle."""

    own: Launch
    number: int
    device: str
    again: int = 0


@contextlib.contextmanager
def together(job: str, content: Any, device: str) -> Iterator[None]:
    """Have the processes that follow do ``job`` beside this one; alone, do nothing.

    Args:
        job: a name that :func:`serve` knows.
        content: what they need for it, as JSON has it.
        device: ``cpu`` or ``cuda``.

    Raises :class:`LeukctlError` with what another process failed of.
    """
    own = launched()
    if own is None:
        yield
        return
    global _given_out
    _given_out += 1
    store = _connected(own)
    store.set(_key(_given_out), json.dumps({"job": job, "device": device}))
    try:
        with _watching(_given_out, device), _group(own, _given_out, device):
            collectives.share_json(content)
            yield
    except LostError:
        raise LeukctlError(_reason(store, _given_out)) from None


def serve(jobs: Mapping[str, Follow]) -> None:
    """Follow the first process from job to job until it has no more.

    Args:
        jobs: name → what a process that follows does, given the content.
    """
    own = launched()
    if own is None:
        return
    store = _connected(own)
    number = 0
    while True:
        number += 1
        try:
            store.wait([_key(number)], _PATIENCE)
            called = store.get(_key(number)).decode()
        except RuntimeError:  # whoever kept the store has gone
            return
        if called == _END:
            return
        called = json.loads(called)
        _serve(own, store, number, jobs[called["job"]], called["device"])


def _serve(own: Launch, store: Any, number: int, follow: Follow, device: str) -> None:
    """Do a job; whatever it fails of is told to the first process, which says it."""
    try:
        with _group(own, number, device):
            try:
                follow(collectives.share_json())
            except LostError:
                pass
            except Exception as error:
                if os.environ.get("LEUKCTL_DEBUG", "0") not in ("", "0") or "--debug" in sys.argv:
                    sys.excepthook(type(error), error, error.__traceback__)
                # Before the group is left, which is when the others notice.
                store.set(_key(number, "failed"), _message(error))
    except RuntimeError:
        pass  # the group could not be made: the first process has left it already


@contextlib.contextmanager
def _watching(number: int, device: str) -> Iterator[None]:
    """End this process soon after another has failed of a job, where nothing else would."""
    if launch.end is None or not _waits_forever(device):
        yield
        return
    over = threading.Event()
    # A connection of its own: the other one may be waiting for an answer.
    threading.Thread(target=_watch, args=(_connection(False), number, over), daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _waits_forever(device: str) -> bool:
    """Tell whether a process that waits for another is never told that it has gone.

    Gloo tells the others at once when one has left; NCCL lets them wait, out of Python's reach.
    """
    return device == "cuda"


def _watch(store: Any, number: int, over: threading.Event) -> None:
    key = _key(number, "failed")
    with contextlib.suppress(RuntimeError):  # whoever kept the store has gone
        while not over.wait(_WATCH_S):
            # A moment, since the job may be failing here too, which is told in more words.
            if store.check([key]) and not over.wait(_GRACE_S) and launch.end is not None:
                launch.end(store.get(key).decode())
                return


def _message(error: Exception) -> str:
    if isinstance(error, (LeukctlError, OSError)):
        return str(error)
    return f"unforeseen {type(error).__name__}: {error}"


def dismiss() -> None:
    """Let the processes that follow end."""
    own = launched()
    if own is not None and own.leads:
        with contextlib.suppress(RuntimeError):
            _connected(own).set(_key(_given_out + 1), _END)


def _reason(store: Any, number: int) -> str:
    """Return why a job was lost."""
    key = _key(number, "failed")
    until = time.monotonic() + _GRACE_S
    with contextlib.suppress(SystemExit):  # torchrun ends whoever is left, and says not why
        # An interrupt that ended the others has time to come here too.
        while time.monotonic() < until:
            if store.check([key]):
                return store.get(key).decode()
            time.sleep(0.05)
    return (
        "one of the processes that torchrun started was lost, perhaps killed for want of memory; "
        "a smaller --batch-size, or fewer of them, may help"
    )


def _key(number: int, what: str = "job") -> str:
    return f"leukctl/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}/{number}/{what}"


def _connected(own: Launch) -> Any:
    """Return the store that all processes share."""
    global _store
    if _store is None:
        if own.size == own.local_size:  # nothing leaves the machine
            for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
                os.environ.setdefault(name, "lo0" if sys.platform == "darwin" else "lo")
        kept_by_torchrun = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == str(True)
        _store = _connection(own.leads and not kept_by_torchrun)
    return _store


def _connection(keeps: bool) -> Any:
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    return dist.TCPStore(address, port, is_master=keeps, wait_for_workers=False)


@contextlib.contextmanager
def _group(own: Launch, number: int, device: str) -> Iterator[None]:
    global _group_of
    if device == "cuda":
        torch.cuda.set_device(own.local_rank)
    _group_of = _Group(own, number, device)
    _join(_group_of)
    try:
        yield
    finally:
        _group_of = None
        if dist.is_initialized():
            dist.destroy_process_group()


def _join(group: _Group) -> None:
    # Its functions keep the group that there is when it is imported, which an optimizer does at the
    # latest, open for ever: whoever waits in it for one that has left would never be told.
    importlib.import_module("torch.distributed.nn.functional")
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if group.device == "cuda" else "gloo",
        store=dist.PrefixStore(_key(group.number, f"group/{group.again}"), _connected(group.own)),
        rank=group.own.rank,
        world_size=group.own.size,
        timeout=_PATIENCE,
    )


def can_meet_again() -> bool:
    """Tell whether the processes can leave what they are at in the middle, and meet again."""
    return _group_of is not None and not _waits_forever(_group_of.device)


def is_called_back() -> bool:
    """Tell whether another process has called this one back to where they meet again."""
    group = _group_of
    if group is None:
        return False
    with contextlib.suppress(RuntimeError):  # whoever kept the store has gone
        return _connected(group.own).check([_key(group.number, f"again/{group.again + 1}")])
    return False


def meet_again() -> None:
    """Call all processes back from what they are at, whose collectives fail by that, and meet them.

    Raises :class:`LostError` where one of them has failed or gone.
    """
    group = _group_of
    if group is None:
        return
    store = _connected(group.own)
    group.again += 1
    key = _key(group.number, f"again/{group.again}")
    store.add(key, 1)
    dist.destroy_process_group()  # after that, since it is what the others notice
    while store.add(key, 0) < group.own.size:
        if store.check([_key(group.number, "failed")]):
            raise LostError("another process has failed")
        time.sleep(_POLL_S)
    _join(group)
