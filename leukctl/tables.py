"""CSV tables as every command reads and writes them.

RFC 4180 with a header, UTF-8, ``\\n`` line ends. Columns that a command does not know pass through
untouched, and the order of rows and columns is kept. Bytes of file names that are not UTF-8
survive the round trip (Python's ``surrogateescape``).
"""

import contextlib
import csv
import gc
import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from leukctl import files
from leukctl.errors import InputError

if TYPE_CHECKING:
    from _csv import Writer


@dataclass(slots=True)
class Table:
    """Rows of text with named columns.

    Attributes:
        name: how errors call it, a file's name or "standard input".
        columns: the header, no name twice.
        rows: each as long as ``columns``.
        lines: the line of the file on which each row starts, for errors; empty when made here.
    """

    name: str
    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rows)

    def __contains__(self, column: str) -> bool:
        return column in self.columns

    def column(self, name: str, default: str | None = None) -> list[str]:
        """Return the cells of column ``name``; where it is missing, ``default`` for every row."""
        if name in self.columns:
            index = self.columns.index(name)
            return [row[index] for row in self.rows]
        if default is None:
            raise self.missing(name)
        return [default] * len(self.rows)

    def require(self, *names: str) -> None:
        """Raise :class:`InputError` for the first of ``names`` that is no column."""
        for name in names:
            if name not in self.columns:
                raise self.missing(name)

    def missing(self, name: str) -> InputError:
        """Return the error for a missing column."""
        have = ", ".join(self.columns) or "nothing"
        return InputError(
            f"the column is missing (there are: {have})", file=self.name, line=1, column=name
        )

    def error(self, index: int, column: str | None, what: str) -> InputError:
        """Return an error that names the line of row ``index`` and ``column``."""
        line = self.lines[index] if index < len(self.lines) else None
        return InputError(what, file=self.name, line=line, column=column)

    def with_columns(self, **values: Sequence[str]) -> "Table":
        """Return a table with these columns replaced where they stand or added at the end."""
        columns = [*self.columns, *(name for name in values if name not in self.columns)]
        places = {columns.index(name): cells for name, cells in values.items()}
        padding = [""] * (len(columns) - len(self.columns))
        rows = [row + padding for row in self.rows]
        for place, cells in places.items():
            for row, cell in zip(rows, cells, strict=True):
                row[place] = cell
        return Table(self.name, columns, rows, list(self.lines))

    def select(self, indices: Iterable[int]) -> "Table":
        """Return the rows at ``indices``, in that order; an index may come twice."""
        chosen = list(indices)
        lines = [self.lines[i] for i in chosen] if self.lines else []
        return Table(self.name, self.columns, [self.rows[i] for i in chosen], lines)


def read(stream: IO[str], name: str) -> Table:
    """Read a whole CSV from a text stream opened with ``newline=""``.

    Raises :class:`InputError` for an empty file, a doubled or unnamed column, a row of another
    length than the header, or text that is no CSV.
    """
    reader = csv.reader(_without_bom(stream), strict=True)
    columns: list[str] = []
    try:
        columns = next(reader, [])
        _check_header(columns, name)
        rows: list[list[str]] = []
        lines: list[int] = []
        start = reader.line_num + 1
        with _no_garbage_collection():
            for row in reader:
                if row:
                    if len(row) != len(columns):
                        raise InputError(
                            f"{len(row)} cells where the header has {len(columns)}",
                            file=name,
                            line=start,
                        )
                    rows.append(row)
                    lines.append(start)
                start = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"not CSV ({error})", file=name, line=reader.line_num) from None
    return Table(name, columns, rows, lines)


def read_path(path: Path) -> Table:
    """Read the CSV file ``path``; raises :class:`InputError` as :func:`read` does."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as stream:
            return read(stream, str(path))
    except FileNotFoundError:
        raise InputError("no such file", file=path) from None
    except IsADirectoryError:
        raise InputError("a folder, where a CSV file was expected", file=path) from None


def write(table: Table, stream: IO[str]) -> None:
    """Write ``table`` as CSV."""
    rows = writer(stream)
    rows.writerow(table.columns)
    rows.writerows(table.rows)


def writer(stream: IO[str]) -> "Writer":
    """Return a ``csv.writer`` of the dialect that all commands write."""
    # Told "\n", the csv module would leave a "\r" in a cell unquoted, and not read it back.
    return csv.writer(_NewlineOnly(stream), lineterminator="\r\n")


class _NewlineOnly:
    """Takes whole rows that end in ``\\r\\n`` and writes them with ``\\n``."""

    def __init__(self, stream: IO[str]) -> None:
        self.write_text = stream.write

    def write(self, row: str) -> int:
        return self.write_text(row[:-2] + "\n")


def write_path(table: Table, path: Path) -> None:
    """Write ``table`` to ``path`` atomically."""
    with files.atomic_writer(path) as stream:
        write(table, stream)


def to_text(table: Table) -> str:
    """Return ``table`` as CSV text."""
    stream = io.StringIO()
    write(table, stream)
    return stream.getvalue()


def _without_bom(stream: IO[str]) -> Iterable[str]:
    return itertools.chain([stream.readline().removeprefix("\ufeff")], stream)


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
