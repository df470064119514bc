"""Images and labels in an archive of MedMNIST (``.npz``), an image at a time.

The members are ``{train,val,test}_images.npy``, uint8 (N, S, S, 3), and ``…_labels.npy``, whole
numbers (N, 1); Yang et al., Scientific Data 10 (2023) 41. Members are read as streams, so that no
more than one image is in memory, and arrays of objects are refused, so that nothing is unpickled.
"""

import contextlib
import math
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO

import numpy as np

from leukctl import catalog, images
from leukctl.errors import InputError

_DAMAGES = (
    *(zipfile.BadZipFile, zlib.error, EOFError, ValueError),
    *(NotImplementedError, RuntimeError),  # a compression that is not known; a password
)


def read_labels(path: str, classes: int) -> dict[str, list[int]]:
    """Return the label of every image, from 0 to ``classes`` - 1, for each split.

    Raises :class:`InputError` for what is no such archive, and for images and labels that do not
    fit each other.
    """
    found = {}
    for split in catalog.SPLITS:
        with _opened(path, f"{split}_images") as (_, shape, dtype):
            count = _check_images(path, f"{split}_images", shape, dtype)
        name = f"{split}_labels"
        with _opened(path, name) as (stream, shape, dtype):
            if shape != (count, 1) or dtype.kind not in "iu":
                raise _wrong(path, name, shape, dtype, f"whole numbers ({count}, 1)")
            codes = np.frombuffer(_take(path, stream, count * dtype.itemsize), dtype)
        if count and not 0 <= codes.min() <= codes.max() < classes:
            raise InputError(
                f"{name} holds {codes.min()} to {codes.max()}, where 0 to {classes - 1} are known",
                file=path,
            )
        found[split] = codes.tolist()
    return found


def read_images(path: str) -> Iterator[tuple[str, images.Rgb]]:
    """Yield ``SPLIT/INDEX`` and the uint8 RGB (S, S, 3) of every image, in order.

    Raises :class:`InputError` as :func:`read_labels` does, and for a damaged archive.
    """
    for split in catalog.SPLITS:
        with _opened(path, f"{split}_images") as (stream, shape, dtype):
            count = _check_images(path, f"{split}_images", shape, dtype)
            for index in range(count):
                data = _take(path, stream, math.prod(shape[1:]))
                yield f"{split}/{index}", np.frombuffer(data, np.uint8).reshape(shape[1:])


@contextlib.contextmanager
def _opened(
    path: str, name: str
) -> Iterator[tuple[IO[bytes], tuple[int, ...], "np.dtype[np.generic]"]]:
    """Open an array of the archive behind its header."""
    with contextlib.ExitStack() as stack:
        try:
            archive = stack.enter_context(zipfile.ZipFile(path))
            member = archive.getinfo(f"{name}.npy")
            stream = stack.enter_context(archive.open(member))
        except KeyError:
            there = ", ".join(sorted(archive.namelist())[:8]) or "nothing"
            raise InputError(f"no array {name} in it (there are: {there})", file=path) from None
        except _DAMAGES as error:
            raise _damaged(path, error) from None
        shape, by_columns, dtype = _read_header(path, stream)
        if dtype.hasobject:
            raise InputError(f"{name} holds Python objects, which are never loaded", file=path)
        size = math.prod(shape) * dtype.itemsize
        if by_columns or member.file_size - stream.tell() != size:
            raise InputError(f"{name} is damaged, or stored by columns", file=path)
        yield stream, shape, dtype


def _read_header(
    path: str, stream: IO[bytes]
) -> tuple[tuple[int, ...], bool, "np.dtype[np.generic]"]:
    try:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            return np.lib.format.read_array_header_1_0(stream)
        return np.lib.format.read_array_header_2_0(stream)
    except _DAMAGES as error:
        raise _damaged(path, error) from None


def _check_images(
    path: str, name: str, shape: tuple[int, ...], dtype: "np.dtype[np.generic]"
) -> int:
    fits = len(shape) == 4 and shape[1] == shape[2] and shape[3] == 3 and dtype == np.uint8
    if not fits or not 0 < shape[1] * shape[2] <= images.MAX_PIXELS:
        raise _wrong(path, name, shape, dtype, "uint8 (N, S, S, 3)")
    return shape[0]


def _take(path: str, stream: IO[bytes], size: int) -> bytes:
    try:
        data = stream.read(size)
    except _DAMAGES as error:
        raise _damaged(path, error) from None
    if len(data) != size:
        raise InputError("truncated", file=path)
    return data


def _damaged(path: str, error: Exception) -> InputError:
    return InputError(f"no .npz archive, or a damaged one ({error})", file=path)


def _wrong(
    path: str, name: str, shape: tuple[int, ...], dtype: "np.dtype[np.generic]", wanted: str
) -> InputError:
    return InputError(f"{name} is {dtype} {shape}, where {wanted} was expected", file=path)
