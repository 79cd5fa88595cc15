"""Delimited text to columns, read in chunks; what every reader returns.

Ids become numbers by first appearance on the way, so that memory holds each distinct id once and
four bytes for each of its uses; these may be kept on disk (`Scratch`). `Log.place(row)` says where
a row stands, such as "ratings.csv, line 6".
"""

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ganmf_fast import _core
from ganmf_fast.base.checks import check_bool
from ganmf_fast.base.errors import DataError
from ganmf_fast.base.files import reserve, write_errors
from ganmf_fast.base.progress import Report
from ganmf_fast.base.text import shown
from ganmf_fast.base.unpacking import check_fits
from ganmf_fast.data.columns import Place, numbers, parsed_ids, weighted
from ganmf_fast.data.dialect import Dialect, find_dialect
from ganmf_fast.data.ids import CodedIds
from ganmf_fast.data.reading import Reading
from ganmf_fast.data.roles import Role, Roles
from ganmf_fast.data.sources import DataFile

_IDS: tuple[Role, Role] = ("user", "item")
_KINDS: dict[Role, str] = {"user": "id", "item": "id", "rating": "number", "timestamp": "time"}
MEMORY_STEP: Final = 1 << 26
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
    zoned: bool | None = None
    """Whether times name their zones; None if they are numbers, or if that is not known."""


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
        # Not by numpy, which does not say why a file is cut short; and no view of what is to be
        # written, which the traceback of a full disk would outlive.
        with write_errors(path):
            path.write_bytes(content.getvalue())
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
    check_bool("strip", options.strip)
    dialect = find_dialect(source, roles, *_dialect_options(options))
    columns = roles.resolve(dialect.names, dialect.width, source.label)
    scratch = scratch or Scratch()
    reader = _reader(dialect, columns, roles, strip=options.strip)
    with _placed(source):
        read, asked = 0, 0
        for chunk in source.chunks(options.encoding):
            reader.feed(chunk)
            _store(reader, columns, scratch)
            read += len(chunk)
            if scratch.size - asked > MEMORY_STEP:
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
    ids: dict[Role, pl.Series] = {
        role: pl.Series(role, reader.ids(list(columns).index(role)), dtype=pl.String)
        for role in _IDS
    }
    names = dialect.names
    header = None if names is None else {role: names[columns[role]] for role in _IDS}
    _refuse_joined_files(found, ids, header, place)
    if not dialect.certain:
        _refuse_enclosed(ids, dialect.quote or "off", place)
    _refuse_odd_line(found, ids, columns, dialect.header, place)
    users, items = (_text_ids(found[role], ids[role], place) for role in _IDS)
    return Log(
        users,
        items,
        _ratings(found, reader, list(columns), roles, place),
        found.get("timestamp"),
        place,
        _text_reading(source, dialect, columns, reader, options.encoding),
        reader.zoned,
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


DTYPES: Final = {"codes": "int32", "real": "float64", "whole": "int64", "moment": "datetime64[us]"}


def _store(
    reader: _core.DelimitedReader, columns: dict[Role, int], scratch: Scratch
) -> dict[Role, str]:
    """Move what was read to `scratch`; the types of the columns."""
    kinds: dict[Role, str] = {}
    for role, (kind, values) in zip(columns, reader.take(), strict=True):
        kinds[role] = DTYPES[kind]
        if len(values):
            scratch.append(role, values.view(DTYPES[kind]))
    return kinds


@contextmanager
def _placed(source: DataFile) -> Iterator[None]:
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
            hint = ': say quote="off" (--quote)'
            if "may belong" in message:
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


def _refuse_joined_files(
    found: dict[Role, NDArray[Any]],
    distinct: dict[Role, pl.Series],
    header: dict[Role, str] | None,
    place: Place,
) -> None:
    """Refuse a byte order mark or the header in the middle, as joined files have them."""
    for role, ids in distinct.items():
        marked = ids.str.starts_with("\ufeff").arg_true()
        if len(marked):
            row = int(np.flatnonzero(found[role] == marked[0])[0])
            raise DataError(
                f"{place(row)}: a byte order mark stands within the text, as where files are put "
                "one after another: give them one by one to Interactions.scan"
            )
    if header is None or any(ids.index_of(header[role]) is None for role, ids in distinct.items()):
        return
    again = np.logical_and(
        *(found[role] == ids.index_of(header[role]) for role, ids in distinct.items())
    )
    if again.any():
        raise DataError(
            f"{place(int(again.argmax()))}: the header stands there again, as where files are put "
            "one after another: remove that line, or give them one by one to Interactions.scan"
        )


def _refuse_enclosed(ids: dict[Role, pl.Series], quote: str, place: Place) -> None:
    """Refuse columns all in single quotes."""
    for role, column in ids.items():
        if (column.str.contains("(?s)^'.*'$")).all():
            raise DataError(
                f'{place(0)}: every {role} is in single quotes: say quote="\'" (--quote) if they '
                f"enclose it, or quote={shown(quote)} if they belong to it"
            )


def _refuse_odd_line(
    found: dict[Role, NDArray[Any]],
    ids: dict[Role, pl.Series],
    columns: dict[Role, int],
    header: bool,
    place: Place,
) -> None:
    """Refuse a comment or a line of sums, which would be a user of text among whole numbers."""
    text = {role: ~column.str.contains(r"^\s*-?\d+\s*$") for role, column in ids.items()}
    role, other = sorted(_IDS, key=columns.__getitem__)
    odd = ids[role].filter(text[role])
    if not 0 < len(odd) <= min(2, len(ids[role]) - 1):
        return
    rows = np.flatnonzero(found[role] == ids[role].index_of(odd[0]))
    row = int(rows[0])
    if row == 0 and not header:  # which the caller said
        return
    is_comment = columns[role] == 0 and bool(odd.str.starts_with("#").all())
    is_sum = bool(odd.str.to_lowercase().str.contains("total").any()) or (
        len(odd) == len(rows) == text[other].sum() == 1
        and bool(text[other][int(found[other][row])])
        and min(map(len, ids.values())) > _PADDED
    )
    if is_comment or is_sum:
        raise DataError(
            f"{place(row)}: {role} {shown(odd[0])} is text where all others are whole numbers, as "
            "in a comment or a line of sums: remove that line, or, if it is an id, read the text "
            "otherwise and use Interactions.from_frame"
        )


def _text_ids(codes: NDArray[np.int32], ids: pl.Series, place: Place) -> CodedIds:
    """Ids of a column of text, integers if all are whole numbers.

    A few numbers with blanks around them among many without are numbers; otherwise blanks belong to
    text, and a number with blanks may be either.
    """
    stripped = ids.str.strip_chars(" \t")
    padded = (stripped != ids) & stripped.str.contains(r"^[-+]?\d+(\.\d+)?$")
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
        f"{place(row)}: {ids.name} {shown(ids[first])} is a number with blanks around it: say "
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
        if role == "timestamp":
            _refuse_zones(logs)
        whole[role] = None if parts[0] is None else _in_one_type(parts, role, place(0))
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
        _joined_ids("user", logs),
        _joined_ids("item", logs),
        whole["rating"],
        whole["timestamp"],
        place,
        summed,
    )


def _refuse_zones(logs: Sequence[Log]) -> None:
    """Refuse times of a zone beside those of none, which may be hours apart."""
    first = {log.zoned: log.place(0) for log in reversed(logs) if log.zoned is not None}
    if len(first) > 1:
        raise DataError(
            f"timestamps name a time zone in one file ({first[True]}) and none in another "
            f"({first[False]}): give all with zones, or all without"
        )


def _in_one_type(parts: Sequence[NDArray[Any]], role: str, where: str) -> NDArray[Any]:
    """All parts of a column, refused where one has a type that would change others."""
    if len({part.dtype.kind == "M" for part in parts}) > 1:
        raise DataError(f"{where}: the {role}s of some files are dates, and of others numbers")
    whole = np.concatenate(parts)
    if not all(
        np.array_equal(part, part.astype(whole.dtype).astype(part.dtype))
        for part in parts
        if part.dtype != whole.dtype
    ):
        raise DataError(
            f"{where}: the {role}s of some files are whole numbers that would be rounded beside "
            "the fractions of others"
        )
    return whole


def _joined_ids(role: str, logs: Sequence[Log]) -> CodedIds:
    """Numbers into the distinct ids of all; ids that are text in one file are text in all."""
    columns: list[CodedIds] = [getattr(log, role) for log in logs]
    distinct = [ids.distinct for ids in columns]
    if len({ids.dtype for ids in distinct}) > 1:
        # In text a number is a text like others; JSON tells them apart.
        if any(log.reading is not None and log.reading.format != "text" for log in logs):
            raise DataError(
                f"{logs[0].place(0)}: the {role}s of some files are text, and of others numbers"
            )
        distinct = [ids.cast(pl.String) for ids in distinct]
    whole = pl.concat(distinct).unique(maintain_order=True)
    number = pl.int_range(len(whole), dtype=pl.Int32, eager=True)
    codes = [
        ids.replace_strict(whole, number, return_dtype=pl.Int32).to_numpy()[column.codes]
        for ids, column in zip(distinct, columns, strict=True)
    ]
    return CodedIds(np.concatenate(codes), whole)
