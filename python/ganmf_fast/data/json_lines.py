"""JSON lines to columns: one object a line, whose names are the columns."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ganmf_fast import _core
from ganmf_fast.base.errors import DataError
from ganmf_fast.base.text import shown
from ganmf_fast.base.unpacking import check_fits
from ganmf_fast.data.columns import Place, numbers, series, times, weighted
from ganmf_fast.data.ids import CodedIds
from ganmf_fast.data.readers import DTYPES, MEMORY_STEP, Log, Options
from ganmf_fast.data.reading import Reading
from ganmf_fast.data.roles import Role, Roles
from ganmf_fast.data.sources import DataFile

_LINE_LIMIT = 1 << 26


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
        if value == "":
            raise DataError(f"{where()}: {self._role} is missing")
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

    def distinct(self, label: str) -> pl.Series:
        """The ids by their numbers."""
        return _series_of(list(self._numbers), f"{label}: {self._role} ids")


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _kind(value: object) -> str:
    return "text" if isinstance(value, str) else "an integer"


def _series_of(values: list[Any], what: str) -> pl.Series:
    if values and isinstance(values[0], int):
        if min(values) < 0 and max(values) >= 2**63:
            raise DataError(
                f"{what} from {min(values)} to {max(values)} have no type of 64 bits in common: "
                "give them as text"
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
    known: frozenset[str] = frozenset()
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
            known = frozenset(record)
        elif not known.issuperset(record):
            names = (*names, *(name for name in record if name not in known))
            _refuse_late(roles.resolve(names, len(names), source.label), columns, names, where())
            known = known.union(record)
        for role, at in columns.items():
            value = record.get(names[at])
            if value is None:
                raise DataError(f"{where()}: {role} is missing")
            parts[role].append(interners[role](value, where) if role in interners else value)
        rows.append(line)
        if len(rows) % (MEMORY_STEP >> 6) == 0:
            what = f"{source.label}, of {len(rows):,} records so far,"
            check_fits(32 * len(rows) * len(columns), what, "write it as parquet or CSV")
    if not rows:
        raise DataError(f"{source.label} holds no interactions")

    def place(row: int) -> str:
        return f"{source.label}, line {rows[row]}"

    ids = {
        role: CodedIds(np.array(parts[role], dtype=np.int32), interner.distinct(source.label))
        for role, interner in interners.items()
    }
    rating = timestamp = zoned = None
    try:
        if "rating" in parts and roles.weights is None:
            rating = numbers(parts["rating"], "rating", place)
        elif "rating" in parts and roles.weights is not None:
            rating = weighted(parts["rating"], roles.weights, "rating", place)
        if "timestamp" in parts:
            timestamp, zoned = _json_times(parts["timestamp"], place)
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
        zoned,
    )


def _refuse_late(
    found: Mapping[Role, int], columns: Mapping[Role, int], names: Sequence[str], where: str
) -> None:
    """Refuse a column that only later lines have, if it would have been read."""
    late = [role for role, at in found.items() if columns.get(role) != at]
    if late:
        raise DataError(
            f"{where}: {shown(names[found[late[0]]])} is named like a {late[0]}, which the first "
            f"line lacks: say {late[0]}=, or {late[0]}=False to leave it out"
        )


def _json_times(values: Sequence[Any], place: Place) -> tuple[NDArray[Any], bool | None]:
    """Times, and whether they name their zones; None if they are numbers."""
    column = series(_as_floats(values, place), "timestamp", place)
    if column.dtype == pl.String:
        blank = column.str.strip_chars() == ""
        if blank.any():
            raise DataError(f"{place(int(blank.arg_max() or 0))}: timestamp is missing")
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
        return parsed.view(DTYPES[kind]), reader.zoned
    return times(column, "timestamp", place), None


def _as_floats(values: Sequence[Any], place: Place) -> Sequence[Any]:
    """Whole numbers beside fractions as floating point, which must not round them."""
    if {type(value) for value in values} != {int, float}:
        return values
    rounded = next((row for row, value in enumerate(values) if float(value) != value), None)
    if rounded is not None:
        raise DataError(
            f"{place(rounded)}: timestamp {shown(values[rounded])} would be rounded beside "
            "fractions: give all as whole numbers"
        )
    return [float(value) for value in values]


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
    # Of such bytes Python would guess another encoding.
    if b"\0" in text:
        raise DataError(f"{where}: a NUL byte, as where a crash left zeros in place of text")
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
