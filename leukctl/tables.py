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
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from leukctl import files
from leukctl.errors import InputError
from leukctl.rows import Rows

if TYPE_CHECKING:
    from _csv import Reader, Writer

_CHUNK = 8192  # rows that are written at once
_READ_CHUNK = 512  # rows that are turned into columns at once, few enough for the cache
_FEW_SHARED = 2**14  # distinct cells of a column up to which it may yet repeat itself
_MOST_SHARED = 2**17  # distinct cells of a column that are looked for again
_LINE_END = re.compile(r"\r\n|\r|\n")


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
        have = ", ".join(self.columns) or "nothing"
        if "\0" in have:  # an archive, an image, UTF-16
            have = "bytes of NUL, as in no CSV in UTF-8"
        return InputError(
            f"the column is missing (there are: {have})", file=self.name, line=1, column=name
        )

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
    return read_numbers(stream, name, lambda column: False)[0]


def read_numbers(
    stream: Iterable[str], name: str, is_number: Callable[[str], bool]
) -> tuple[Table, dict[str, "array[float]"]]:
    """Read a CSV as :func:`read` does, but columns of numbers apart and as numbers.

    They never are text in memory, which would take more time and room than all else.

    Args:
        is_number: tells of each column's name whether it holds numbers.

    Raises :class:`InputError` as :func:`read` does, and for a cell that is no number.
    """
    reader = csv.reader(_without_bom(stream), strict=True)
    try:
        columns = next(reader, [])
        _check_header(columns, name)
        with _no_garbage_collection():
            return _read_rows(reader, name, columns, [*map(is_number, columns)])
    except csv.Error as error:
        raise InputError(f"not CSV ({error})", file=name, line=reader.line_num) from None


def _read_rows(
    reader: "Reader", name: str, columns: list[str], numeric: list[bool]
) -> tuple[Table, dict[str, "array[float]"]]:
    text = [place for place, is_number in enumerate(numeric) if not is_number]
    cells: dict[int, list[str]] = {place: [] for place in text}
    known: dict[int, dict[str, str]] = {place: {} for place in text}
    numbers = {place: array("d") for place in range(len(columns)) if numeric[place]}
    lines = array("Q")  # a fifth of the room of a list
    start = reader.line_num + 1
    while rows := list(itertools.islice(reader, _READ_CHUNK)):
        starts: Sequence[int] = range(start, reader.line_num + 1)
        start = reader.line_num + 1
        if len(starts) != len(rows):
            starts = _starts(rows, starts[0])
        if not all(rows):  # empty lines
            starts = list(itertools.compress(starts, rows))
            rows = [row for row in rows if row]
        if {*map(len, rows)} - {len(columns)}:
            raise _wrong_length(rows, starts, name, len(columns))
        lines.extend(starts)
        most = min(_MOST_SHARED, max(_FEW_SHARED, len(lines) // 2))
        for place, new in enumerate(zip(*rows, strict=True)):
            if numeric[place]:
                numbers[place].extend(floats(new, name, columns[place], starts))
            else:
                # Equal cells share one string, where a column repeats itself.
                seen = known[place]
                cells[place] += map(seen.setdefault, new, new) if len(seen) < most else new
    table = Table.of_columns(name, {columns[place]: own for place, own in cells.items()}, lines)
    return table, {columns[place]: own for place, own in numbers.items()}


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
