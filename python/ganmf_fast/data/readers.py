"""From files to columns: delimited text, JSON lines and parquet, each read in chunks.

Ids become numbers by first appearance on the way, so that memory holds each distinct id once and
four bytes for each of its uses; these may be kept on disk (`Scratch`). `Log.place(row)` says where
a row stands, such as "ratings.csv, line 6".
"""

import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ganmf_fast import _core
from ganmf_fast.base.errors import DataError, WriteError
from ganmf_fast.base.files import reserve, write_errors
from ganmf_fast.base.progress import Report
from ganmf_fast.base.text import printable, shown
from ganmf_fast.base.unpacking import RATIO, check_fits, check_unpacked, most_unpacked
from ganmf_fast.data.columns import Place, numbers, parsed_ids, series, times, weighted
from ganmf_fast.data.dialect import Dialect, find_dialect
from ganmf_fast.data.ids import CodedIds
from ganmf_fast.data.reading import Reading
from ganmf_fast.data.roles import Role, Roles
from ganmf_fast.data.sources import DataFile

__all__ = [
    "Log",
    "Options",
    "Scratch",
    "check_parquet",
    "joined",
    "parquet_columns",
    "parquet_reading",
    "parquet_refused",
    "read_json_lines",
    "read_parquet",
    "read_text",
]

_KINDS: dict[Role, str] = {"user": "id", "item": "id", "rating": "number", "timestamp": "time"}
_LINE_LIMIT = 1 << 26
_MEMORY_STEP = 1 << 26
"""Bytes of columns after which memory is looked at again."""


class Options(NamedTuple):
    """How text is to be read; see `Interactions.from_csv`."""

    separator: str | None = None
    header: bool | None = None
    quote: str | None = "auto"
    encoding: str = "utf-8"
    strip: bool = False


@dataclass(frozen=True)
class Log:
    """Checked columns of one length, one row per interaction."""

    user: CodedIds
    item: CodedIds
    rating: NDArray[np.float32] | None
    timestamp: NDArray[Any] | None
    place: Place
    reading: Reading | None = None


@dataclass
class Scratch:
    """Parts of columns, in memory or in files of a folder.

    Parameters
    ----------
    folder : Path, optional
        Files of at most eight bytes a value and column; memory if None.
    """

    folder: Path | None = None
    size: int = 0
    """Bytes in memory."""
    _parts: dict[str, list[NDArray[Any]]] = field(default_factory=dict)

    def append(self, name: str, values: NDArray[Any]) -> None:
        """Append a part of a column."""
        parts = self._parts.setdefault(name, [])
        if self.folder is None or not len(values):
            self.size += values.nbytes
            parts.append(values)
            return
        path = self.folder / f"{name}-{len(parts)}.npy"
        content = io.BytesIO()
        np.save(content, values)
        # Not by numpy, which does not say why a file is cut short.
        with write_errors(path):
            path.write_bytes(content.getbuffer())
        parts.append(np.load(path, mmap_mode="r"))

    def column(self, name: str, dtype: Any) -> NDArray[Any]:
        """The whole column; on disk if the parts are."""
        parts = self._parts.pop(name, [])
        length = sum(map(len, parts))
        if self.folder is None:
            return np.concatenate(parts, dtype=dtype) if parts else np.empty(0, dtype)
        path = self.folder / f"{name}.npy"
        with write_errors(path):
            whole = np.lib.format.open_memmap(path, "w+", dtype, (length,))
        reserve(path)
        at = 0
        for part in parts:
            whole[at : at + len(part)] = part
            at += len(part)
        return whole


def read_text(
    source: DataFile,
    roles: Roles,
    options: Options,
    scratch: Scratch | None = None,
    report: Report | None = None,
) -> Log:
    """Read delimited text.

    Raises
    ------
    DataError
        If the text cannot be read, its dialect cannot be told, or a record is broken; the message
        gives the line.
    ValueError
        If a column does not exist or is not certain.
    """
    dialect = find_dialect(source, roles, *_dialect_options(options))
    columns = roles.resolve(dialect.names, dialect.width, source.label)
    scratch = scratch or Scratch()
    reader = _reader(dialect, columns, roles, strip=options.strip)
    with _placed(source, dialect):
        read, asked = 0, 0
        for chunk in source.chunks(options.encoding):
            reader.feed(chunk)
            _store(reader, columns, scratch)
            read += len(chunk)
            if scratch.size - asked > _MEMORY_STEP:
                asked = scratch.size
                what = f"{source.label}, of {reader.rows:,} records so far,"
                # To join the parts, and to put them in order.
                check_fits(2 * asked, what, "read it with Interactions.scan")
            if report is not None:
                report(read, source.size or 0, "reading")
        reader.finish()
        kinds = _store(reader, columns, scratch)
    if not reader.rows:
        raise DataError(f"{source.label} holds no interactions")

    def place(row: int) -> str:
        return f"{source.label}, line {reader.lines_of([row])[0]}"

    # A number and a date cannot be mixed, so that all parts are of the last one's kind.
    found = {role: scratch.column(role, kinds[role]) for role in columns}
    users = _text_ids("user", found["user"], reader.ids(0), place)
    items = _text_ids("item", found["item"], reader.ids(1), place)
    return Log(
        users,
        items,
        _ratings(found, reader, list(columns), roles, place),
        found.get("timestamp"),
        place,
        _text_reading(source, dialect, columns, reader, options.encoding),
    )


def _dialect_options(options: Options) -> tuple[str, str | None, bool | None, str | None]:
    return options.encoding, options.separator, options.header, options.quote


def _reader(
    dialect: Dialect, columns: dict[Role, int], roles: Roles, *, strip: bool
) -> _core.DelimitedReader:
    kinds = _KINDS if roles.weights is None else {**_KINDS, "rating": "id"}
    return _core.DelimitedReader(
        dialect.separator.encode(),
        dialect.quoting,
        ord(dialect.quote or '"'),
        dialect.width,
        [(position, role, kinds[role]) for role, position in columns.items()],
        dialect.header,
        strip,
    )


_DTYPES = {"codes": "int32", "real": "float64", "whole": "int64", "moment": "datetime64[us]"}


def _store(
    reader: _core.DelimitedReader, columns: dict[Role, int], scratch: Scratch
) -> dict[Role, str]:
    """Move what was read to `scratch`; the types of the columns."""
    kinds: dict[Role, str] = {}
    for role, (kind, values) in zip(columns, reader.take(), strict=True):
        kinds[role] = _DTYPES[kind]
        if len(values):
            scratch.append(role, values.view(_DTYPES[kind]))
    return kinds


@contextmanager
def _placed(source: DataFile, dialect: Dialect) -> Iterator[None]:
    """Say in errors of the reader which file, and what settles an odd quote."""
    try:
        yield
    except ValueError as error:
        if isinstance(error, DataError):
            raise
        message = str(error)
        hint = ""
        if "UTF-8" in message:
            hint = ': say encoding="latin-1", or what it is'
        elif "quote" in message:
            other = '"off"' if dialect.quote else "'\"'"
            hint = f": say quote={other} (--quote)"
            if dialect.quoting == "auto":
                hint = ': say quote="off" or quote=\'"\' (--quote)'
        raise DataError(f"{source.label}, {message}{hint}") from None


def _ratings(
    found: dict[Role, NDArray[Any]],
    reader: _core.DelimitedReader,
    columns: Sequence[Role],
    roles: Roles,
    place: Place,
) -> NDArray[np.float32] | None:
    if "rating" not in found:
        return None
    if roles.weights is None:
        return numbers(found["rating"], "rating", place)
    names = pl.Series("rating", reader.ids(columns.index("rating")), dtype=pl.String)
    return weighted(names.gather(found["rating"]), roles.weights, "rating", place)


_PADDED = 100
"""A column of this many whole numbers for each that has blanks around it is a column of numbers."""


def _text_ids(role: str, codes: NDArray[np.int32], distinct: list[str], place: Place) -> CodedIds:
    """Ids of a column of text, integers if all are whole numbers.

    A few numbers with blanks around them among many without are numbers; otherwise blanks belong to
    text, and a number with blanks may be either.
    """
    ids = pl.Series(role, distinct, dtype=pl.String)
    stripped = ids.str.strip_chars(" \t")
    padded = (stripped != ids) & stripped.str.contains(r"^\d+$")
    if not padded.any():
        return CodedIds(codes, parsed_ids(ids, place))
    numbers = parsed_ids(stripped, place)
    if numbers.dtype.is_integer() and _PADDED * padded.sum() <= len(ids):
        unique = numbers.unique(maintain_order=True)
        number = pl.int_range(len(unique), dtype=pl.Int32, eager=True)
        return CodedIds(numbers.replace_strict(unique, number).to_numpy()[codes], unique)
    first = int(padded.arg_max() or 0)
    row = int(np.flatnonzero(codes == first)[0])
    raise DataError(
        f"{place(row)}: {role} {shown(ids[first])} is a number with blanks around it: say "
        "strip=True (--strip)"
    )


def _text_reading(
    source: DataFile,
    dialect: Dialect,
    columns: dict[Role, int],
    reader: _core.DelimitedReader,
    encoding: str,
) -> Reading:
    names = dialect.names or tuple(str(at) for at in range(dialect.width))
    left_out = {"blank": reader.blank} if reader.blank else {}
    return Reading(
        format="text",
        columns={role: names[at] for role, at in columns.items()},
        unread=tuple(name for at, name in enumerate(names) if at not in columns.values()),
        lines=reader.lines,
        records=reader.rows,
        left_out=left_out,
        header=dialect.header,
        compression=source.compression,
        encoding=encoding,
        separator=dialect.separator,
        quote=dialect.quote,
    )


def joined(logs: Sequence[Log]) -> Log:
    """Several files one after another.

    Raises
    ------
    DataError
        If some have ratings or times and others have not.
    """
    if len(logs) == 1:
        return logs[0]
    starts = np.cumsum([0, *(len(log.user.codes) for log in logs)])

    def place(row: int) -> str:
        at = int(np.searchsorted(starts, row, side="right")) - 1
        return logs[at].place(row - int(starts[at]))

    whole: dict[str, Any] = {}
    for role in ("rating", "timestamp"):
        parts = [getattr(log, role) for log in logs]
        if len({part is None for part in parts}) > 1:
            raise DataError(f"{place(0)}: some of the files have a {role} and others have not")
        whole[role] = None if parts[0] is None else np.concatenate(parts)
    readings = [log.reading for log in logs if log.reading is not None]
    left_out: Counter[str] = Counter()
    for reading in readings:
        left_out.update(reading.left_out)
    summed = replace(
        readings[0],
        lines=sum(reading.lines for reading in readings),
        records=sum(reading.records for reading in readings),
        left_out=dict(left_out),
    )
    return Log(
        _joined_ids([log.user for log in logs]),
        _joined_ids([log.item for log in logs]),
        whole["rating"],
        whole["timestamp"],
        place,
        summed,
    )


def _joined_ids(columns: Sequence[CodedIds]) -> CodedIds:
    """Numbers into the distinct ids of all; ids that are text in one file are text in all."""
    distinct = [ids.distinct for ids in columns]
    if len({ids.dtype for ids in distinct}) > 1:
        distinct = [ids.cast(pl.String) for ids in distinct]
    whole = pl.concat(distinct).unique(maintain_order=True)
    number = pl.int_range(len(whole), dtype=pl.Int32, eager=True)
    codes = [
        ids.replace_strict(whole, number, return_dtype=pl.Int32).to_numpy()[column.codes]
        for ids, column in zip(distinct, columns, strict=True)
    ]
    return CodedIds(np.concatenate(codes), whole)


class _Interner:
    """Numbers of ids by first appearance; ids are all text or all integers."""

    def __init__(self, role: str) -> None:
        self._role = role
        self._numbers: dict[Any, int] = {}

    def __call__(self, value: Any, where: Callable[[], str]) -> int:
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise DataError(
                f"{where()}: {self._role} {shown(value)} is neither text nor an integer"
            )
        if isinstance(value, int) and not -(2**63) <= value < 2**64:
            raise DataError(f"{where()}: {self._role} {shown(value)} is beyond 64 bits: give text")
        if isinstance(value, str) and not value.isascii() and _has_surrogate(value):
            raise DataError(f"{where()}: {self._role} {shown(value)} is not Unicode text")
        number = self._numbers.get(value)
        if number is None:
            known = next(iter(self._numbers), value)
            if type(known) is not type(value):
                raise DataError(
                    f"{where()}: {self._role} {shown(value)} is {_kind(value)}, but those before, "
                    f"such as {shown(known)}, are {_kind(known)}"
                )
            number = self._numbers[value] = len(self._numbers)
        return number

    def distinct(self) -> pl.Series:
        """The ids by their numbers."""
        return _series_of(list(self._numbers))


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _kind(value: object) -> str:
    return "text" if isinstance(value, str) else "an integer"


def _series_of(values: list[Any]) -> pl.Series:
    if values and isinstance(values[0], int):
        if min(values) < 0 and max(values) >= 2**63:
            raise DataError(
                f"ids from {min(values)} to {max(values)} have no type of 64 bits in common: give "
                "them as text"
            )
        return pl.Series(values, dtype=pl.Int64 if max(values) < 2**63 else pl.UInt64, strict=True)
    return pl.Series(values, dtype=pl.String)


def read_json_lines(source: DataFile, roles: Roles, options: Options) -> Log:
    """Read one JSON object a line, whose names are the columns.

    Raises
    ------
    DataError
        If a line is not an object of these names; the message gives the line.
    ValueError
        If a column does not exist or is not certain.
    """
    both: tuple[Role, Role] = ("user", "item")
    interners = {role: _Interner(role) for role in both}
    parts: dict[Role, list[Any]] = {}
    columns: dict[Role, int] = {}
    names: tuple[str, ...] = ()
    rows: list[int] = []
    line = blank = 0
    for line, text in enumerate(_lines(source, options.encoding), 1):
        if not text.strip():
            blank += 1
            continue
        where = f"{source.label}, line {line}".format
        record = _record(text, where())
        if not columns:
            names = tuple(record)
            columns = roles.resolve(names, len(names), source.label)
            parts = {role: [] for role in columns}
        for role, at in columns.items():
            value = record.get(names[at])
            if value is None:
                raise DataError(f"{where()}: {role} is missing")
            parts[role].append(interners[role](value, where) if role in interners else value)
        rows.append(line)
        if len(rows) % (_MEMORY_STEP >> 6) == 0:
            what = f"{source.label}, of {len(rows):,} records so far,"
            check_fits(32 * len(rows) * len(columns), what, "write it as parquet or CSV")
    if not rows:
        raise DataError(f"{source.label} holds no interactions")

    def place(row: int) -> str:
        return f"{source.label}, line {rows[row]}"

    ids = {
        role: CodedIds(np.array(parts[role], dtype=np.int32), interner.distinct())
        for role, interner in interners.items()
    }
    rating = timestamp = None
    try:
        if "rating" in parts and roles.weights is None:
            rating = numbers(parts["rating"], "rating", place)
        elif "rating" in parts and roles.weights is not None:
            rating = weighted(parts["rating"], roles.weights, "rating", place)
        if "timestamp" in parts:
            timestamp = _json_times(parts["timestamp"], place)
    except TypeError as error:
        named = str(error).startswith(source.label)
        raise DataError(str(error) if named else f"{source.label}: {error}") from None
    return Log(
        ids["user"],
        ids["item"],
        rating,
        timestamp,
        place,
        Reading(
            format="json lines",
            columns={role: names[at] for role, at in columns.items()},
            unread=tuple(name for at, name in enumerate(names) if at not in columns.values()),
            lines=line,
            records=len(rows),
            left_out={"blank": blank} if blank else {},
            header=False,
            compression=source.compression,
            encoding=options.encoding,
        ),
    )


def _json_times(values: Sequence[Any], place: Place) -> NDArray[Any]:
    column = series(values, "timestamp", place)
    if column.dtype == pl.String:
        broken = column.str.contains("[\n\r]")
        if broken.any():
            row = int(broken.arg_max() or 0)
            raise DataError(f"{place(row)}: timestamp {shown(column[row])} is of several lines")
        reader = _core.DelimitedReader(
            b"\x1f", "off", 0, 1, [(0, "timestamp", "time")], False, False
        )
        try:
            reader.feed("".join(f"{value}\n" for value in column).encode())
        except ValueError as error:
            raise DataError(f"{place(reader.rows)}: {str(error).partition(': ')[2]}") from None
        [(kind, parsed)] = reader.take()
        return parsed.view(_DTYPES[kind])
    return times(column, "timestamp", place)


def _lines(source: DataFile, encoding: str) -> Iterator[bytes]:
    rest = b""
    for chunk in source.chunks(encoding):
        *whole, rest = (rest + chunk).split(b"\n")
        if len(rest) > _LINE_LIMIT:
            raise DataError(f"{source.label}: a line of more than {_LINE_LIMIT >> 20} MiB")
        yield from whole
    if rest:
        yield rest


def _record(text: bytes, where: str) -> dict[str, Any]:
    try:
        record = json.loads(text, object_pairs_hook=_without_repetition)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not a JSON object: {error}") from None
    if not isinstance(record, dict):
        raise DataError(f"{where}: not a JSON object")
    return record


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        raise ValueError("a name stands twice")
    return record


def read_parquet(path: Path, roles: Roles) -> tuple[pl.DataFrame, dict[Role, str], Reading]:
    """Read the columns of `roles` of a parquet file, or of a folder of them.

    Returns
    -------
    frame : polars.DataFrame
    names : dict of role to column name
    reading : Reading

    Raises
    ------
    DataError
        If the file is missing or no parquet file.
    ValueError
        If a column does not exist or is not certain.
    """
    with parquet_refused(path):
        if not path.is_dir():
            path.open("rb").close()
        log = pl.scan_parquet(path)
        names = parquet_columns(log, roles, str(path))
        check_parquet(log, [path], names, str(path), 24)
        frame = log.select(list(dict.fromkeys(names.values()))).collect()
    return frame, names, parquet_reading(log, names, len(frame))


def check_parquet(
    log: pl.LazyFrame, paths: Sequence[Path], names: dict[Role, str], label: str, held: int
) -> None:
    """Refuse parquet whose rows are too many: for its size, or for memory.

    Parameters
    ----------
    log : polars.LazyFrame
    paths : sequence of Path
        Its files, or folders of them.
    names : dict of role to column name
    label : str
    held : int
        Bytes of memory for each value.

    Raises
    ------
    TooLargeError
    """
    rows = log.select(pl.len()).collect().item()
    files = [f for path in paths for f in (path.rglob("*.parquet") if path.is_dir() else [path])]
    packed = sum(file.stat().st_size for file in files)
    check_unpacked(8 * rows * len(names), packed, label, most_unpacked(packed, RATIO))
    what = f"{label}, of {rows:,} rows,"
    check_fits(held * rows * len(names), what, "read it with Interactions.scan, or parts of it")


def parquet_columns(log: pl.LazyFrame, roles: Roles, label: str) -> dict[Role, str]:
    """Names of the columns of `roles`."""
    names = log.collect_schema().names()
    found = roles.resolve(names, len(names), printable(label))
    return {role: names[at] for role, at in found.items()}


def parquet_reading(log: pl.LazyFrame, names: dict[Role, str], rows: int) -> Reading:
    """How parquet files were read."""
    unread = tuple(name for name in log.collect_schema().names() if name not in names.values())
    columns = {str(role): name for role, name in names.items()}
    return Reading("parquet", columns, unread, rows, rows)


@contextmanager
def parquet_refused(path: object) -> Iterator[None]:
    """Name the file in errors of reading parquet."""
    try:
        with ExitStack():
            yield
    except WriteError:  # of a scan's own files
        raise
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise DataError(f"{path} is not a readable parquet file: {first}") from None
