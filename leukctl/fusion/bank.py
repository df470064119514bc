"""The features of some images, wherever on the disk they are."""

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from leukctl.errors import InputError
from leukctl.fusion.cache import Floats, Store

_ROWS = 4096


@dataclass(slots=True)
class Times:
    """What became of the time; for several threads.

    Attributes:
        read_s: reading and preparing images, in seconds of all threads.
        network_s: in which some batch was in the backbones.
    """

    read_s: float = 0.0
    network_s: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _inside: int = 0
    _since: float = 0.0

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Count the time of this context as reading."""
        started = time.perf_counter()
        try:
            yield
        finally:
            with self._lock:
                self.read_s += time.perf_counter() - started

    @contextlib.contextmanager
    def in_network(self) -> Iterator[None]:
        """Count the time of this context, and of others that overlap it, once."""
        with self._lock:
            if not self._inside:
                self._since = time.perf_counter()
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if not self._inside:
                    self.network_s += time.perf_counter() - self._since


@dataclass(slots=True)
class Bank:
    """Where the features of some images are.

    Attributes:
        paths: of N images.
        digests: of their bytes.
        stores: one for each backbone.
        computed: how many images went through the backbones; the others were there.
        times: what that took.
    """

    paths: list[Path]
    digests: list[str]
    stores: list[Store]
    computed: int = 0
    times: "Times" = field(default_factory=lambda: Times())

    @property
    def widths(self) -> list[int]:
        """The number of features of each backbone."""
        return [store.width for store in self.stores]

    def read(self) -> Floats:
        """Return the features side by side, float32 (N, D1 + D2 + …)."""
        found = np.empty((len(self.paths), sum(self.widths)), np.float32)
        for first, rows in self.chunks():
            found[first : first + len(rows)] = rows
        return found

    def chunks(self) -> Iterator[tuple[int, Floats]]:
        """Yield the features side by side by some thousands of rows, each with its first row.

        Raises :class:`InputError` for features that are no finite numbers, naming the image.
        """
        for first in range(0, len(self.paths), _ROWS):
            rows = slice(first, first + _ROWS)
            parts = [store.read(self.digests[rows]) for store in self.stores]
            for values, store in zip(parts, self.stores, strict=True):
                _check_finite(values, self.paths[rows], store)
            yield first, np.concatenate(parts, axis=1)


def _check_finite(values: Floats, paths: Sequence[Path], store: Store) -> None:
    wrong = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(wrong):
        raise InputError(
            f"the features of {store.about['name']} are no finite numbers; its weights may be "
            "damaged, or --precision fp32 may help",
            file=paths[int(wrong[0])],
        )
