"""Columns of interactions from delimited text and parquet files, read by polars.

Every field is read as text first and converted here, so that a broken line is reported with its
number. Cost: O(file) time; memory only for the wanted columns (for the two-character separator
``::``, the lines).
"""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import polars as pl

from ganmf_fast.base.errors import DataError

Column = str | int
# Bytes that are not UTF-8 come out as this character, to be found with their line.
_UNDECODABLE = "\ufffd"
_SEPARATORS = ("::", "\t", ";", ",")


@dataclass(frozen=True)
class Roles:
    """Which column holds what: a name, a position from 0, or None where there is none."""

    user: Column
    item: Column
    rating: Column | None = None
    timestamp: Column | None = None

    def given(self) -> dict[str, Column]:
        """Roles that have a column."""
        return {role: column for role, column in vars(self).items() if column is not None}


@dataclass(frozen=True)
class Text:
    """Delimited text: a path, or bytes already in memory, and what messages call it."""

    source: Path | bytes
    label: str

    @contextmanager
    def open(self) -> Iterator[TextIO]:
        """Read the text line by line."""
        if isinstance(self.source, bytes):
            with io.TextIOWrapper(
                io.BytesIO(self.source), encoding="utf-8-sig", errors="replace", newline=""
            ) as text:
                yield text
        elif self.source.suffix == ".gz":
            with gzip.open(
                self.source, "rt", encoding="utf-8-sig", errors="replace", newline=""
            ) as text:
                yield text
        else:
            with self.source.open("rt", encoding="utf-8-sig", errors="replace", newline="") as text:
                yield text


@dataclass(frozen=True)
class Layout:
    """How a text file is cut into fields."""

    separator: str
    first: list[str]
    header: bool

    @property
    def width(self) -> int:
        """Fields per line."""
        return len(self.first)


def read_delimited(
    text: Text, roles: Roles, separator: str | None = None, header: bool | None = None
) -> pl.DataFrame:
    """Read the columns of `roles` as stripped strings.

    Parameters
    ----------
    text : Text
    roles : Roles
    separator : str, optional
        Guessed from the first line if not given: ``::``, tab, ``;`` or ``,``, in this order.
    header : bool, optional
        Whether the first line names the columns; guessed if not given.

    Returns
    -------
    polars.DataFrame
        String columns named by role, empty fields null, and ``line``, numbered from 1.

    Raises
    ------
    DataError
        If the file is missing, empty, not UTF-8, or a line has another number of fields than the
        first; the message gives the line.
    ValueError
        If a column does not exist, or the separator is unusable.
    """
    try:
        layout = _layout(text, roles, separator, header)
        places = {
            role: _place(column, layout, text.label) for role, column in roles.given().items()
        }
        read = _split_lines if len(layout.separator) > 1 else _read_fields
        table = read(text, layout, places)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{text.label} cannot be read: {reason}") from None
    if layout.header:
        table = table.filter(pl.col("line") > 1)
    empty = pl.all_horizontal(pl.exclude("line").is_null())
    table = table.filter(~empty)
    if table.is_empty():
        raise DataError(f"{text.label} holds no interactions")
    return table


def read_parquet(path: Path, roles: Roles) -> tuple[pl.DataFrame, dict[str, str]]:
    """Read the columns of `roles` of a parquet file, and their names by role.

    Raises
    ------
    DataError
        If the file is missing or no parquet file.
    ValueError
        If a column does not exist.
    """
    try:
        path.open("rb").close()
        names = list(pl.read_parquet_schema(path))
        wanted = {role: column_name(c, names, str(path)) for role, c in roles.given().items()}
        return pl.read_parquet(path, columns=list(dict.fromkeys(wanted.values()))), wanted
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path} is not a readable parquet file: {_first_line(error)}") from None


def column_name(column: Column, names: list[str], label: str) -> str:
    """Name of a column given by name or position, which must exist."""
    if isinstance(column, int):
        if not 0 <= column < len(names):
            raise ValueError(
                f"{label} has no column {column}; it has {len(names)}, numbered from 0"
            )
        return names[column]
    if column not in names:
        raise ValueError(
            f"{label} has no column {column!r}; its columns are {', '.join(map(str, names))}"
        )
    return column


def _layout(text: Text, roles: Roles, separator: str | None, header: bool | None) -> Layout:
    with text.open() as lines:
        head = [next(lines, "").rstrip("\r\n") for _ in range(2)]
    if not head[0].strip():
        raise DataError(f"{text.label} is empty or begins with an empty line")
    if separator is None:
        separator = next((s for s in _SEPARATORS if s in head[0]), None)
        if separator is None:
            raise DataError(
                f"{text.label}, line 1: none of the separators '::', tab, ';' and ',' is in "
                f"{head[0][:80]!r}"
            )
    elif not separator or (len(separator) == 1 and separator in '"\r\n'):
        raise ValueError(f"separator must be one or more characters to split at, not {separator!r}")
    fields = [_fields(line, separator) for line in head if line]
    if header is None:
        header = _looks_like_header(fields, roles)
    return Layout(separator, fields[0], header)


def _fields(line: str, separator: str) -> list[str]:
    if len(separator) > 1:
        return [field.strip() for field in line.split(separator)]
    return [field.strip() for field in next(csv.reader([line], delimiter=separator))]


def _looks_like_header(fields: list[list[str]], roles: Roles) -> bool:
    if any(isinstance(column, str) for column in roles.given().values()):
        return True
    if any(_is_number(field) for field in fields[0]):
        return False
    second = fields[1] if len(fields) > 1 else []
    named = any(field.lower().startswith(("user", "item")) for field in fields[0])
    return named or any(_is_number(field) for field in second)


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _place(column: Column, layout: Layout, label: str) -> int:
    names = layout.first if layout.header else [str(i) for i in range(layout.width)]
    if isinstance(column, str) and not layout.header:
        raise ValueError(f"{label} has no header, so the column {column!r} needs its position")
    return (
        names.index(column_name(column, names, label))
        if isinstance(column, str)
        else _checked(column, layout, label)
    )


def _checked(column: int, layout: Layout, label: str) -> int:
    if not 0 <= column < layout.width:
        raise ValueError(
            f"{label} has no column {column}; line 1 has {layout.width} fields, numbered from 0"
        )
    return column


def _read_fields(text: Text, layout: Layout, places: dict[str, int]) -> pl.DataFrame:
    names = [f"c{i}" for i in range(layout.width)]
    # The last column tells short lines, which polars fills up with nulls.
    needed = sorted({*places.values(), layout.width - 1})
    try:
        table = pl.read_csv(
            text.source,
            has_header=False,
            separator=layout.separator,
            schema=dict.fromkeys(names, pl.String),
            columns=needed,
        )
    except pl.exceptions.PolarsError as error:
        _raise_first_ragged_line(text, layout, strict=True)
        raise DataError(f"{text.label} cannot be read: {_first_line(error)}") from None
    if not table.filter(pl.last().is_null() & ~pl.all_horizontal(pl.all().is_null())).is_empty():
        _raise_first_ragged_line(text, layout, strict=False)
    return table.select(
        pl.int_range(1, pl.len() + 1, dtype=pl.UInt32).alias("line"),
        *(_cleaned(pl.col(names[place])).alias(role) for role, place in places.items()),
    )


def _split_lines(text: Text, layout: Layout, places: dict[str, int]) -> pl.DataFrame:
    try:
        lines = pl.read_csv(
            text.source,
            has_header=False,
            # A control character that text does not hold: each line becomes one field.
            separator="\x01",
            quote_char=None,
            schema={"text": pl.String},
        ).with_columns(pl.int_range(1, pl.len() + 1, dtype=pl.UInt32).alias("line"))
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{text.label} cannot be read: {_first_line(error)}") from None
    lines = lines.drop_nulls("text")
    widths = lines["text"].str.count_matches(layout.separator, literal=True) + 1
    ragged = (widths != layout.width).arg_max()
    if ragged is not None and widths[ragged] != layout.width:
        raise _ragged(text, lines["line"][ragged], widths[ragged], layout.width)
    parts = pl.col("text").str.split_exact(layout.separator, layout.width - 1).struct
    return lines.select(
        "line",
        *(_cleaned(parts.field(f"field_{place}")).alias(role) for role, place in places.items()),
    )


def _cleaned(field: pl.Expr) -> pl.Expr:
    stripped = field.str.strip_chars()
    return pl.when(stripped != "").then(stripped)


def _raise_first_ragged_line(text: Text, layout: Layout, *, strict: bool) -> None:
    """Read the file field by field; only called after an error."""
    with text.open() as lines:
        reader = csv.reader(lines, delimiter=layout.separator, strict=strict)
        start = 1
        try:
            for fields in reader:
                if fields and len(fields) != layout.width:
                    raise _ragged(text, start, len(fields), layout.width)
                if any(_UNDECODABLE in field for field in fields):
                    raise DataError(f"{text.label}, line {start}: this is not UTF-8 text")
                start = reader.line_num + 1
        except csv.Error as error:
            raise DataError(f"{text.label}, line {start}: {error}") from None


def _ragged(text: Text, line: int, found: int, expected: int) -> DataError:
    fields = "field" if found == 1 else "fields"
    return DataError(f"{text.label}, line {line}: {found} {fields}, but line 1 has {expected}")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
