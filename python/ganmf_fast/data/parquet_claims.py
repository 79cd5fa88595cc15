"""What parquet files claim, checked before a library sizes its memory by it.

The footer of a file, and the header of each page, are Thrift structs in the compact protocol. Lists
and strings in them say how many entries they hold, and readers make room for as many; so they do
for the values and the bytes of columns and pages. Here no list or string may hold more than there
are bytes left for, no page may reach beyond its column, no size may be negative, and what the pages
unpack to is bounded as that of any file.
Source: the specifications of Apache Parquet (file format) and Apache Thrift (compact protocol).
"""

import mmap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ganmf_fast.base.errors import DataError
from ganmf_fast.base.unpacking import RATIO, check_unpacked, most_unpacked

_MAGIC = b"PAR1"
_TAIL = 8
"""Bytes of the length of a footer, and of the magic word."""
_DEPTH = 16
"""Levels of a footer; the metadata of parquet have seven."""

_BOOLEANS, _BYTE, _VARINTS, _DOUBLE, _BINARY, _LISTS, _MAP, _STRUCT, _UUID = (
    *((1, 2), 3, (4, 5, 6), 7, 8, (9, 10), 11, 12, 13),
)

_Fields = Mapping[int, Any]
"""Fields to be read, by their numbers, with the fields in them; what is a number has none."""

_N_VALUES, _PACKED, _DATA, _DICTIONARY = 5, 7, 9, 11
_NUMBER: _Fields = {}
_COLUMN: _Fields = dict.fromkeys((_N_VALUES, _PACKED, _DATA, _DICTIONARY), _NUMBER)
_FOOTER: _Fields = {4: {1: {3: _COLUMN}}}
"""Groups of rows, their columns, and the metadata of these."""
_DATA_PAGES, _DICTIONARY_PAGE = (5, 8), 7
_COUNTED: _Fields = {1: _NUMBER}
_PAGE: _Fields = {
    2: _NUMBER,
    3: _NUMBER,
    **dict.fromkeys((*_DATA_PAGES, _DICTIONARY_PAGE), _COUNTED),
}
"""Bytes unpacked and packed, and the number of values of each kind of page."""


def parquet_files(path: Path) -> list[Path]:
    """The file itself, or those of a folder but for hidden and temporary ones, as Spark's are.

    Raises
    ------
    DataError
        If a folder holds none.
    """
    if not path.is_dir():
        return [path]
    found = [
        file
        for file in sorted(path.rglob("*.parquet"))
        if not any(part.startswith((".", "_")) for part in file.relative_to(path).parts)
    ]
    if not found:
        raise DataError(f"{path} holds no .parquet file")
    return found


def check_claims(paths: Iterable[Path]) -> None:
    """Refuse what is no parquet file, and files that claim more than they hold.

    Parameters
    ----------
    paths : iterable of Path
        Files, or folders of them.

    Raises
    ------
    DataError
        Naming the file.
    TooLargeError
        If the pages unpack to more than they may.
    OSError
        If a file cannot be read.
    """
    for path in paths:
        for file in parquet_files(path):
            size = file.stat().st_size
            try:
                unpacked = sum(_unpacked(file, size))
            except (ValueError, IndexError):
                raise DataError(
                    f"{file} is not a readable parquet file: its footer or a page is damaged"
                ) from None
            check_unpacked(unpacked, size, str(file), most_unpacked(size, RATIO))


def _unpacked(file: Path, size: int) -> Iterator[int]:
    """Bytes of each page, unpacked."""
    if size < 2 * _TAIL:
        raise ValueError
    with (
        file.open("rb") as opened,
        mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        end = size - _TAIL
        length = int.from_bytes(content[end : end + 4], "little")
        if content[end + 4 :] != _MAGIC or length > end - len(_MAGIC):
            raise ValueError
        footer = _Walk(content, end - length, end).struct(_FOOTER)
        for group in _entries(footer, 4):
            for column in _entries(group, 1):
                if 3 in column:  # else its metadata are elsewhere, or encrypted: polars refuses it
                    yield from _pages(content, end - length, column[3])


def _pages(content: mmap.mmap, end: int, column: dict[int, Any]) -> Iterator[int]:
    """Bytes of each page of a column, unpacked."""
    at, n_values = _number(column, _DATA), _number(column, _N_VALUES)
    if column.get(_DICTIONARY):
        at = min(at, _number(column, _DICTIONARY))
    end = min(end, at + _number(column, _PACKED))
    seen = 0
    while seen < n_values:
        walk = _Walk(content, at, end)
        page = walk.struct(_PAGE)
        unpacked = _number(page, 2)
        at = walk.skipped(_number(page, 3))
        for kind in _DATA_PAGES:
            if kind in page:
                seen += _number(page[kind], 1)
        if seen > n_values:
            raise ValueError
        # Each entry of a dictionary takes a byte or more.
        if _DICTIONARY_PAGE in page and _number(page[_DICTIONARY_PAGE], 1) > unpacked:
            raise ValueError
        yield unpacked


def _entries(struct: dict[int, Any], field: int) -> list[Any]:
    found = struct.get(field, [])
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise ValueError
    return found


def _number(struct: Any, field: int) -> int:
    """A field that is a number, and not negative."""
    found = struct.get(field) if isinstance(struct, dict) else None
    if not isinstance(found, int) or found < 0:
        raise ValueError
    return found


class _Walk:
    """A way through values from one place to another, whose end is never passed."""

    def __init__(self, content: mmap.mmap, at: int, end: int) -> None:
        self._content, self._at, self._end = content, at, end

    def struct(self, wanted: _Fields, depth: int = 0) -> dict[int, Any]:
        """Pass over a struct, and return the fields that are wanted."""
        found: dict[int, Any] = {}
        field = 0
        while header := self._byte():
            field = field + (header >> 4) if header >> 4 else self._integer()
            within = wanted.get(field)
            value = self._value(header & 15, within, depth + 1)
            if within is not None:
                found[field] = value
        return found

    def skipped(self, n: int) -> int:
        """Pass over bytes, and return the place behind them."""
        if n > self._end - self._at:
            raise ValueError
        self._at += n
        return self._at

    def _value(
        self, kind: int, wanted: _Fields | None, depth: int, *, within_list: bool = False
    ) -> Any:
        """Pass over a value, and return it if it is a number, a struct or a list, and wanted."""
        if depth > _DEPTH:
            raise ValueError
        if kind in _VARINTS:
            return self._integer()
        if kind == _STRUCT:
            return self.struct(wanted or {}, depth)
        if kind in _LISTS:
            header = self._byte()
            n = header >> 4
            return self._values([header & 15], self._varint() if n == 15 else n, wanted, depth)
        if kind == _MAP:
            if n := self._varint():
                header = self._byte()
                self._values([header >> 4, header & 15], n, None, depth)
        elif kind == _BINARY:
            self.skipped(self._varint())
        elif kind in _BOOLEANS or kind == _BYTE:
            self.skipped(1 if within_list or kind == _BYTE else 0)
        elif kind in (_DOUBLE, _UUID):
            self.skipped(8 if kind == _DOUBLE else 16)
        else:
            raise ValueError
        return None

    def _values(self, kinds: list[int], n: int, wanted: _Fields | None, depth: int) -> list[Any]:
        if n > self._end - self._at:  # each takes a byte or more
            raise ValueError
        found = []
        for _ in range(n):
            for kind in kinds:
                value = self._value(kind, wanted, depth + 1, within_list=True)
                if wanted is not None:
                    found.append(value)
        return found

    def _byte(self) -> int:
        if not 0 <= self._at < self._end:
            raise ValueError
        self._at += 1
        return self._content[self._at - 1]

    def _varint(self) -> int:
        found = shift = 0
        while (part := self._byte()) > 127:
            found |= (part & 127) << shift
            shift += 7
            if shift > 63:
                raise ValueError
        return found | part << shift

    def _integer(self) -> int:
        """A number whose sign is its last bit."""
        found = self._varint()
        return -(found >> 1) - 1 if found & 1 else found >> 1
