"""What can go wrong, and the exit status it ends with.

Every error that a user can cause is a :class:`LeukctlError` whose message is one line: what, where
(file, line, column, image) and what to do. The command line turns it into that line and a status.
"""

from enum import IntEnum


class ExitStatus(IntEnum):
    """How a command ends."""

    DONE = 0
    FOUND = 1  # done, and something was found: a metric below its bar, an input rejected
    FAILED = 2  # could not be done
    INTERRUPTED = 130


class LeukctlError(Exception):
    """Something that could not be done; ends with status 2."""

    exit_status = ExitStatus.FAILED


class UsageError(LeukctlError):
    """Options or arguments that do not fit together or cannot be read."""


class InputError(LeukctlError):
    """A file that is missing, unreadable or inconsistent.

    >>> str(InputError("unknown split 'tset'", file="all.csv", line=3, column="split"))
    "all.csv, line 3, column split: unknown split 'tset'"
    """

    def __init__(
        self,
        what: str,
        *,
        file: object = None,
        line: int | None = None,
        column: str | None = None,
    ) -> None:
        places = [
            *([str(file)] if file is not None else []),
            *([f"line {line}"] if line is not None else []),
            *([f"column {column}"] if column is not None else []),
        ]
        super().__init__(f"{', '.join(places)}: {what}" if places else what)


class ImageError(LeukctlError):
    """An image that cannot be used; the message is the reason alone, without the file's name."""


class WeightsError(LeukctlError):
    """Weights that are missing, refused or do not fit the network."""


class DeviceError(LeukctlError):
    """A device that was asked for and is not there."""


_NO_MEMORY = ("can't allocate memory", "out of memory")
ONEDNN = ("could not create a primitive", "could not execute a primitive")


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether Python, torch's allocator for CPUs, oneDNN, or a GPU had no memory left.

    Looks at names and texts, so that it can be asked without torch. What oneDNN says may have
    another cause, which it keeps to itself.
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    said = str(error).lower() if isinstance(error, RuntimeError) else ""
    return any(words in said for words in (*_NO_MEMORY, *ONEDNN))
