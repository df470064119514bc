"""CSV text → columns, of text or of numbers.

RFC 4180 with a header. Numbers never are text in memory, which would take more time and room than
all else.
"""

import contextlib
import csv
import gc
import itertools
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leukctl.errors import InputError

if TYPE_CHECKING:
    from _csv import Reader

_CHUNK = 512  # rows that are turned into columns at once, few enough for the cache
_FEW_SHARED = 2**14  # distinct cells of a column up to which it may yet repeat itself
_MOST_SHARED = 2**17  # distinct cells of a column that are looked for again
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(slots=True)
class Columns:
    """What was read.

    Attributes:
        header: the names of all columns, no name twice.
        text, numbers: the columns that were asked for as such.
        lines: the line of the file on which each row starts.
    """

    header: list[str]
    text: dict[str, list[str]]
    numbers: dict[str, "array[float]"]
    lines: "array[int]"


def read(
    stream: Iterable[str],
    name: str,
    kind: Callable[[str], type[str] | type[float] | None] = lambda column: str,
    require: Sequence[str] = (),
) -> Columns:
    """Read a whole CSV from its lines, such as a text stream opened with ``newline=""``.

    Args:
        name: what errors call it.
        kind: tells of each column's name what its cells become: text, numbers, or nothing where
            the column is not wanted.
        require: columns that must be there.

    Raises :class:`InputError` for an empty file, a doubled, unnamed or missing column, a row of
    another length than the header, a cell that is no number, or text that is no CSV.
    """
    reader = csv.reader(_without_bom(stream), strict=True)
    try:
        header = next(reader, [])
        _check_header(header, name)
        for column in require:
            if column not in header:
                raise missing(column, header, name)
        with _no_garbage_collection():
            return _read_rows(reader, name, header, kind)
    except csv.Error as error:
        raise InputError(f"not CSV ({error})", file=name, line=reader.line_num) from None


def missing(column: str, header: Sequence[str], name: str) -> InputError:
    """Return the error for a column that the file ``name`` with this header lacks."""
    have = ", ".join(header) or "nothing"
    if "\0" in have:  # an archive, an image, UTF-16
        have = "bytes of NUL, as in no CSV in UTF-8"
    return InputError(
        f"the column is missing (there are: {have})", file=name, line=1, column=column
    )


def floats(
    cells: Sequence[str], name: str, column: str, lines: Sequence[int] = ()
) -> "array[float]":
    """Return ``cells`` as numbers; raises :class:`InputError` naming the first that is none."""
    try:
        return array("d", map(float, cells))
    except ValueError:
        index = next(i for i, cell in enumerate(cells) if not _is_number(cell))
        line = lines[index] if index < len(lines) else None
        raise InputError("not a number", file=name, line=line, column=column) from None


def _read_rows(
    reader: "Reader",
    name: str,
    header: list[str],
    kind: Callable[[str], type[str] | type[float] | None],
) -> Columns:
    kinds = {column: kind(column) for column in header}
    text: dict[str, list[str]] = {column: [] for column in header if kinds[column] is str}
    numbers = {column: array("d") for column in header if kinds[column] is float}
    known: dict[str, dict[str, str]] = {column: {} for column in text}
    lines = array("Q")  # a fifth of the room of a list
    for rows, starts in _chunks(reader, name, len(header)):
        lines.extend(starts)
        most = min(_MOST_SHARED, max(_FEW_SHARED, len(lines) // 2))
        for column, cells in zip(header, zip(*rows, strict=True), strict=True):
            if column in text:
                # Equal cells share one string, where a column repeats itself.
                seen = known[column]
                text[column] += map(seen.setdefault, cells, cells) if len(seen) < most else cells
            elif column in numbers:
                numbers[column].extend(floats(cells, name, column, starts))
    return Columns(header, text, numbers, lines)


def _chunks(
    reader: "Reader", name: str, width: int
) -> Iterator[tuple[list[list[str]], Sequence[int]]]:
    """Yield some rows, never none, and the lines on which they start."""
    start = reader.line_num + 1
    while rows := list(itertools.islice(reader, _CHUNK)):
        starts: Sequence[int] = range(start, reader.line_num + 1)
        start = reader.line_num + 1
        if len(starts) != len(rows):
            starts = _starts(rows, starts[0])
        if not all(rows):  # empty lines
            starts = list(itertools.compress(starts, rows))
            rows = [row for row in rows if row]
        if {*map(len, rows)} - {width}:
            raise _wrong_length(rows, starts, name, width)
        if rows:
            yield rows, starts


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _starts(rows: list[list[str]], first: int) -> list[int]:
    """Return the line on which each row starts, the first on ``first``."""
    heights = (1 + sum(len(_LINE_END.findall(cell)) for cell in row) for row in rows)
    return list(itertools.accumulate(heights, initial=first))[:-1]


def _wrong_length(
    rows: list[list[str]], starts: Sequence[int], name: str, width: int
) -> InputError:
    line, found = next(
        (line, len(row)) for line, row in zip(starts, rows, strict=True) if len(row) != width
    )
    return InputError(f"{found} cells where the header has {width}", file=name, line=line)


def _without_bom(stream: Iterable[str]) -> Iterator[str]:
    lines = iter(stream)
    return itertools.chain([next(lines, "").removeprefix("\ufeff")], lines)


@contextlib.contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Keep Python from looking through a million rows again and again while they are made."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def _check_header(columns: list[str], name: str) -> None:
    if not columns:
        raise InputError("empty, where a CSV header was expected", file=name)
    for index, column in enumerate(columns):
        if not column:
            raise InputError(f"column {index + 1} has no name", file=name, line=1)
        if column in columns[:index]:
            raise InputError("the column stands there twice", file=name, line=1, column=column)
