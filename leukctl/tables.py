"""CSV tables as every command reads and writes them.

RFC 4180 with a header, UTF-8, ``\\n`` line ends. Columns that a command does not know pass through
untouched, and the order of rows and columns is kept. Bytes of file names that are not UTF-8
survive the round trip (Python's ``surrogateescape``).
"""

import contextlib
import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from leukctl import columns, files
from leukctl.errors import InputError
from leukctl.rows import Rows

if TYPE_CHECKING:
    from _csv import Writer

_CHUNK = 8192  # rows that are written at once


class Table:
    """Rows of text with named columns.

    Attributes:
        name: how errors call it, a file's name or "standard input".
        columns: the header, no name twice.
        rows: each as long as ``columns``.
        lines: the line of the file on which each row starts, for errors; empty when made here.
    """

    __slots__ = ("columns", "lines", "name", "rows")

    def __init__(
        self,
        name: str,
        columns: list[str],
        rows: Iterable[Sequence[str]] = (),
        lines: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.columns = columns
        self.lines = lines
        self.rows = Rows([[] for _ in columns])
        self.rows += rows

    @classmethod
    def of_columns(
        cls, name: str, cells: dict[str, list[str]], lines: Sequence[int] = ()
    ) -> "Table":
        """Return a table of these columns, which it keeps as its own."""
        table = cls(name, list(cells), lines=lines)
        table.rows = Rows(list(cells.values()))
        return table

    def __len__(self) -> int:
        return len(self.rows)

    def __contains__(self, column: str) -> bool:
        return column in self.columns

    def column(self, name: str, default: str | None = None) -> list[str]:
        """Return the cells of column ``name``; where it is missing, ``default`` for every row."""
        if name in self.columns:
            return self.rows.columns[self.columns.index(name)].copy()
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
        return columns.missing(name, self.columns, self.name)

    def error(self, index: int, column: str | None, what: str) -> InputError:
        """Return an error that names the line of row ``index`` and ``column``."""
        line = self.lines[index] if index < len(self.lines) else None
        return InputError(what, file=self.name, line=line, column=column)

    def with_columns(self, **values: Sequence[str]) -> "Table":
        """Return a table with these columns replaced where they stand or added at the end."""
        for name, cells in values.items():
            if len(cells) != len(self):
                raise ValueError(f"{len(cells)} cells of column {name} for {len(self)} rows")
        old = dict(zip(self.columns, self.rows.columns, strict=True))
        new = {name: list(cells) for name, cells in values.items()}
        made = Table.of_columns(self.name, old | new, self.lines)
        self.rows.lent = made.rows.lent = True
        return made

    def select(self, indices: Iterable[int]) -> "Table":
        """Return the rows at ``indices``, in that order; an index may come twice."""
        chosen = list(indices)
        lines = [self.lines[i] for i in chosen] if self.lines else []
        columns = [[cells[i] for i in chosen] for cells in self.rows.columns]
        made = dict(zip(self.columns, columns, strict=True))
        return Table.of_columns(self.name, made, lines)


def read(stream: Iterable[str], name: str) -> Table:
    """Read a whole CSV from its lines, such as a text stream opened with ``newline=""``.

    Raises :class:`InputError` for an empty file, a doubled or unnamed column, a row of another
    length than the header, or text that is no CSV.
    """
    found = columns.read(stream, name)
    return Table.of_columns(name, found.text, found.lines)


def read_path(path: Path) -> Table:
    """Read the CSV file ``path``; raises :class:`InputError` as :func:`read` does."""
    with opened(path) as stream:
        return read(stream, str(path))


@contextlib.contextmanager
def opened(path: Path) -> Iterator[IO[str]]:
    """Open the CSV file ``path`` to be read.

    Raises :class:`InputError` where it is missing or a folder.
    """
    try:
        stream = open(path, encoding="utf-8", errors="surrogateescape", newline="")  # noqa: SIM115
    except FileNotFoundError:
        raise InputError("no such file", file=path) from None
    except IsADirectoryError:
        raise InputError("a folder, where a CSV file was expected", file=path) from None
    with stream:
        yield stream


def write(table: Table, stream: IO[str]) -> None:
    """Write ``table`` as CSV, in the dialect of :func:`writer` and three times as fast."""
    writer(stream).writerow(table.columns)
    for start in range(0, len(table), _CHUNK):
        cells = [_quoted(column[start : start + _CHUNK]) for column in table.rows.columns]
        if len(cells) == 1:
            cells = [[cell or '""' for cell in cells[0]]]  # an empty line would be no row
        stream.write("\n".join([*map(",".join, zip(*cells, strict=True)), ""]))


def _quoted(cells: list[str]) -> list[str]:
    if not _needs_quotes("".join(cells)):
        return cells
    written = {
        cell: '"' + cell.replace('"', '""') + '"' if _needs_quotes(cell) else cell
        for cell in set(cells)
    }
    return [written[cell] for cell in cells]


def _needs_quotes(text: str) -> bool:
    return "," in text or '"' in text or "\n" in text or "\r" in text


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
