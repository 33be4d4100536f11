"""Tables of text, such as CSV and TSV; each error names the line of the file."""

import csv
import math
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._errors import DataError, MgdWarning
from .._input import open_file, printable
from ._columns import Columns, inputs_and_targets
from ._source import Source, check_room

if TYPE_CHECKING:
    import pandas as pd

# The first of these that every line has equally often is the delimiter: with semicolons, commas are in the decimals.
_DELIMITERS = ("\t", ";", "|", ",")
_BLANKS = r"\s+"
# The lines and bytes that decide about delimiter, decimals and header.
_LINES, _BEGINNING = 100, 2**18
_DECIMAL_COMMA, _DECIMAL_POINT = re.compile(r"[+-]?\d+,\d+"), re.compile(r"[+-]?\d*\.\d+")
# A line that spreadsheets write above a table for their own use.
_SPREADSHEET = re.compile(r"sep=.", re.IGNORECASE)
# pandas takes about this many bytes for each byte of the file, text and numbers together.
_BYTES_EACH = 3
_LONGEST_SHOWN = 40


@dataclass(frozen=True)
class Dialect:
    """The format of a table.

    Attributes:
        delimiter: the text between two cells.
        decimal: "." or ",".
        names: the names of the columns, if a line of the file has them.
        header_line: the line of the header, counted from 1; 0 if there is none, or it is a comment.
        comments: lines that are comments.
        n_columns: number of cells in a line.
    """

    delimiter: str
    decimal: str
    names: tuple[str, ...] | None
    header_line: int
    comments: frozenset[int]
    n_columns: int


def read_text_table(
    path: Path, inputs: Columns | None = None, targets: Columns | None = None, header: bool | None = None
) -> Source:
    """Inputs and targets of a text table.

    Args:
        path: the file.
        inputs: the columns of inputs; by default all except the targets.
        targets: the columns of targets; by default the last one.
        header: whether the first line has the names of the columns; by default, whether none of its cells is a number.

    Raises:
        DataError: if the file cannot be read, is not a table, has a first line that may be a header or a sample, or has
            a cell that must be a finite number and is not (the message names its line and column).
        ValueError: if there is no such column.
    """
    cells = read_cells(path, header)
    dialect, frame = cells.dialect, cells.frame
    given, wanted = inputs_and_targets(inputs, targets, dialect.names, frame.shape[1])
    x = np.empty((len(frame), len(given)))
    for k, column in enumerate(given):
        x[:, k] = cells.numbers(column)
        if len(x) > 2 and (np.diff(x[:, k]) == 1).all():
            warnings.warn(
                f"{path}: {cells.name_of(column)} counts the samples, like an index: leave it out with inputs",
                MgdWarning,
                stacklevel=6,
            )
    names, outputs = (
        None if dialect.names is None else tuple(dialect.names[column] for column in of) for of in (given, wanted)
    )
    y = cells.labels(wanted[0]) if len(wanted) == 1 else np.stack([cells.numbers(column) for column in wanted], 1)
    return Source(x, y, (path,), names, outputs if len(wanted) > 1 else None, table=True)


def read_cells(path: Path, header: bool | None = None) -> "Cells":
    """The cells of a text table.

    Args:
        path: the file.
        header: as in `read_text_table`.

    Raises:
        DataError: if the file cannot be read, or is not a table.
    """
    dialect = _dialect(path, header)
    return Cells(path, dialect, _frame(path, dialect))


def _dialect(path: Path, header: bool | None) -> Dialect:
    """Raises: DataError: if the file is not text, or has no samples."""
    comments, lines, numbers, commented = set(), [], [], ""
    for number, line in enumerate(_lines(path), 1):
        if not lines and _SPREADSHEET.fullmatch(line.strip()):
            comments.add(number)
        elif line.lstrip().startswith("#"):
            comments.add(number)
            commented = line if not lines else commented
        elif line.strip() and len(lines) < _LINES:
            lines.append(line)
            numbers.append(number)
    if not lines:
        raise DataError(f"{path} is empty: it needs a line for each sample, with its inputs and its target")
    delimiter = _delimiter(lines)
    rows = [_split(line, delimiter) for line in lines]
    first, rest = rows[0], rows[1:]
    cells = [cell for row in rest or rows for cell in row]
    commas, points = (sum(1 for cell in cells if form.fullmatch(cell)) for form in (_DECIMAL_COMMA, _DECIMAL_POINT))
    decimal = "," if commas > points else "."
    if header is None:
        header = not any(_is_number(cell, decimal) for cell in first)
        if not header and (why := _may_be_names(first, rest, decimal)):
            raise DataError(
                f"{path}: line {numbers[0]} may be a header, because {why}: say header = true (--header) if it is one, "
                "or header = false (--no-header) if it is a sample"
            )
    names = tuple(first) if header else None
    if not header and commented:  # the header of numpy.savetxt is a comment
        above = _split(commented.lstrip().lstrip("#").strip(), delimiter)
        if len(above) == len(first) and not any(_is_number(cell, decimal) for cell in above):
            names = tuple(above)
    if header and not rest:
        raise DataError(f"{path} has a header and no samples: line {numbers[0]} is its only line")
    return Dialect(delimiter, decimal, names, numbers[0] if header else 0, frozenset(comments), len(first))


def _lines(path: Path) -> Iterator[str]:
    """Raises: DataError: if the file cannot be read or is not text."""
    try:
        with open_file(path) as file:
            beginning = file.read(_BEGINNING)
            if b"\0" in beginning:
                raise DataError(f"{path} is not text: give a table such as CSV, or a file .npz or .npy")
            file.seek(0)
            for number, line in enumerate(file, 1):
                try:
                    yield line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                except UnicodeDecodeError as error:
                    raise DataError(
                        f"{path}: line {number} is not UTF-8 text (byte 0x{line[error.start]:02X}): save it as UTF-8"
                    ) from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error


def _may_be_names(first: list[str], rest: list[list[str]], decimal: str) -> str:
    """Why a first line with numbers may have names all the same, such as wavelengths; empty if nothing says so."""
    whole = [str(n) for n in range(len(first) + 1)]
    if len(first) > 2 and first in (whole[:-1], whole[1:]) and any(decimal in cell for row in rest for cell in row):
        return "it counts the columns"
    for column, cell in enumerate(first):
        below = [row[column] for row in rest if column < len(row)]
        if _is_number(cell, decimal) or not cell or cell in below or any(_is_number(each, decimal) for each in below):
            continue
        if len(below) >= 2 * len(set(below)) >= 4:
            return f"no line below has {printable(cell)!r} in column {column + 1}, whose other texts repeat"
    return ""


def _delimiter(lines: Sequence[str]) -> str:
    """The first delimiter that all lines have equally often; otherwise the one for which most lines do."""
    best, most = _BLANKS if len(lines[0].split()) > 1 else ",", 0
    for delimiter in _DELIMITERS:
        counts = [len(_split(line, delimiter)) for line in lines]
        usual = max(set(counts), key=counts.count)
        if usual > 1 and counts.count(usual) == len(lines):
            return delimiter
        if usual > 1 and counts.count(usual) > max(most, len(lines) / 2):
            best, most = delimiter, counts.count(usual)
    return best


def _split(line: str, delimiter: str) -> list[str]:
    if delimiter == _BLANKS:
        return line.split()
    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])]


def _is_number(cell: str, decimal: str) -> bool:
    try:
        float(cell.replace(decimal, "."))
    except ValueError:
        return False
    return True


def _frame(path: Path, dialect: Dialect) -> "pd.DataFrame":
    """Raises: DataError: if lines have different numbers of cells, or the table does not fit in memory."""
    import pandas as pd

    check_room(_BYTES_EACH * path.stat().st_size, path)
    skipped = dialect.comments | ({dialect.header_line} if dialect.header_line else set())
    try:
        frame: Any = pd.read_csv(
            path,
            sep=dialect.delimiter,
            header=None,
            skiprows=sorted(number - 1 for number in skipped),
            decimal=dialect.decimal,
            keep_default_na=False,
            na_values=[""],
            encoding="utf-8-sig",
            index_col=False,
            low_memory=False,
            skipinitialspace=True,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        _check_lengths(path, dialect)
        raise DataError(f"{path} is not a table that can be read: {' '.join(str(error).split())}") from error
    if frame.shape[1] != dialect.n_columns or frame.iloc[:, -1].isna().any():
        _check_lengths(path, dialect)
    last_name = dialect.names[-1] if dialect.names else ""
    if frame.shape[1] > 1 and not last_name and frame.iloc[:, -1].isna().all():  # lines end with a delimiter
        frame = frame.iloc[:, :-1]
    return frame


def _records(path: Path, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """The cells of each sample, with the line of the file where it begins."""
    lines = enumerate(_lines(path), 1)
    kept = [0]

    def of_data() -> Iterator[str]:
        for number, line in lines:
            if number not in dialect.comments and number != dialect.header_line and line.strip():
                kept[0] = number
                yield line + "\n"

    if dialect.delimiter == _BLANKS:
        for line in of_data():
            yield kept[0], line.split()
        return
    reader, start = csv.reader(of_data(), delimiter=dialect.delimiter, skipinitialspace=True), 0
    for cells in reader:
        start = kept[0]
        yield start, cells


def _check_lengths(path: Path, dialect: Dialect) -> None:
    """Raises: DataError: if a line has another number of cells than the first."""
    for line, cells in _records(path, dialect):
        if len(cells) != dialect.n_columns:
            raise DataError(
                f"{path}: line {line} has {len(cells)} values, and the lines before it have {dialect.n_columns}: "
                "correct it or leave it out"
            )


@dataclass(frozen=True)
class Cells:
    """The cells of a table, by column."""

    path: Path
    dialect: Dialect
    frame: "pd.DataFrame"

    def numbers(self, column: int) -> np.ndarray:
        """The numbers of a column.

        Raises:
            DataError: if a cell is not a finite number.
        """
        import pandas as pd

        cells: Any = self.frame.iloc[:, column]
        values = cells
        if not pd.api.types.is_numeric_dtype(cells.dtype):
            values = self._as_numbers(cells)
            if values.isna().all() and not cells.isna().all():
                raise DataError(
                    f"{self.path}: {self.name_of(column)} is text ({self._shown(0, column)} in line {self._line(0)}), "
                    "and inputs must be numbers: leave it out with inputs, or replace it by numbers"
                )
        numbers = values.to_numpy(np.float64)
        wrong = ~np.isfinite(numbers)
        if wrong.any():
            row, n = int(wrong.argmax()), int(wrong.sum())
            empty = bool(cells.isna().iloc[row])
            fault = "is empty" if empty else f"is {self._shown(row, column)}, and must be a finite number"
            more = "" if n == 1 else f" ({n} of {len(numbers)} samples have such a cell)"
            raise DataError(
                f"{self.path}: line {self._line(row)}, {self.name_of(column)} {fault}{more}: correct these lines or "
                "leave them out"
            )
        return numbers

    def labels(self, column: int) -> np.ndarray:
        """The targets of a column: numbers, or text if they are not numbers.

        Raises:
            DataError: if a cell is empty, or all cells except one are numbers.
        """
        import pandas as pd

        cells: Any = self.frame.iloc[:, column]
        if pd.api.types.is_bool_dtype(cells.dtype):
            return cells.astype(str).to_numpy(np.str_)
        if pd.api.types.is_numeric_dtype(cells.dtype):
            return cells.to_numpy() if cells.dtype.kind in "iu" else self.numbers(column)
        if cells.isna().any():
            row = int(cells.isna().to_numpy().argmax())
            raise DataError(
                f"{self.path}: line {self._line(row)}, {self.name_of(column)} is empty, and is the target: correct "
                "this line or leave it out"
            )
        text = cells.astype(str).str.strip()
        no_numbers = self._as_numbers(text).isna().to_numpy()
        if no_numbers.sum() == 1 and len(text) > 2:
            row = int(no_numbers.argmax())
            hint = " (header = true if it is a header)" if row == 0 and not self.dialect.header_line else ""
            raise DataError(
                f"{self.path}: line {self._line(row)}, {self.name_of(column)} is {self._shown(row, column)}, and all "
                f"other targets are numbers{hint}: correct this line or leave it out"
            )
        return text.to_numpy(np.str_) if no_numbers.any() else self.numbers(column)

    def _as_numbers(self, cells: Any) -> Any:
        """The numbers in cells that pandas has left as text; NaN for a cell that is not a number."""
        import pandas as pd

        written = cells.astype("object").map(lambda cell: str(cell).strip().replace(self.dialect.decimal, "."))
        return pd.to_numeric(written.where(cells.notna(), None), errors="coerce")

    def _shown(self, row: int, column: int) -> str:
        cell: Any = self.frame.iloc[row, column]
        if isinstance(cell, float) and not math.isfinite(cell):
            return str(cell)
        text = printable(str(cell))
        return repr(text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…")

    def name_of(self, column: int) -> str:
        """The name of a column in messages."""
        names = self.dialect.names
        return f"column {printable(names[column])!r}" if names and names[column] else f"column {column + 1}"

    def _line(self, row: int) -> int:
        return next(islice(_records(self.path, self.dialect), row, None), (0, []))[0]
