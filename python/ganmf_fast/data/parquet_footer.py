"""Footers of parquet files, checked before a library sizes its memory by what they say.

A footer is a Thrift struct in the compact protocol, at the end of the file. Lists and strings in it
say how many entries they hold, and readers make room for as many; here none may hold more than
there are bytes left for, and nothing else is asked of it.
Source: the specifications of Apache Parquet (file format) and Apache Thrift (compact protocol).
"""

from collections.abc import Iterable
from pathlib import Path

from ganmf_fast.base.errors import DataError

__all__ = ["check_footers"]

_MAGIC = b"PAR1"
_TAIL = 8
"""Bytes of the length of a footer, and of the magic word."""
_DEPTH = 16
"""Levels of a footer; the metadata of parquet have seven."""

_BOOLEANS, _BYTE, _VARINTS, _DOUBLE, _BINARY, _LISTS, _MAP, _STRUCT, _UUID = (
    *((1, 2), 3, (4, 5, 6), 7, 8, (9, 10), 11, 12, 13),
)


def check_footers(paths: Iterable[Path]) -> None:
    """Refuse what is no parquet file, and files whose footers claim more than they hold.

    Parameters
    ----------
    paths : iterable of Path
        Files, or folders of them.

    Raises
    ------
    DataError
        Naming the file.
    OSError
        If a file cannot be read.
    """
    for path in paths:
        for file in path.rglob("*.parquet") if path.is_dir() else (path,):
            try:
                _Walk(_footer(file)).value(_STRUCT, 0)
            except (ValueError, IndexError):
                raise DataError(
                    f"{file} is not a readable parquet file: its footer is damaged"
                ) from None


def _footer(file: Path) -> bytes:
    size = file.stat().st_size
    with file.open("rb") as opened:
        opened.seek(max(0, size - _TAIL))
        tail = opened.read(_TAIL)
        length = int.from_bytes(tail[:4], "little")
        if tail[4:] != _MAGIC or length > size - _TAIL - len(_MAGIC):
            raise ValueError
        opened.seek(size - _TAIL - length)
        return opened.read(length)


class _Walk:
    """A way through the values of a footer, whose end is never passed."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def value(self, kind: int, depth: int, *, within_list: bool = False) -> None:
        """Pass over a value."""
        if depth > _DEPTH:
            raise ValueError
        if kind in _VARINTS:
            self._varint()
        elif kind == _BINARY:
            self._skip(self._varint())
        elif kind == _STRUCT:
            while header := self._byte():
                if not header >> 4:
                    self._varint()  # the number of the field
                self.value(header & 15, depth + 1)
        elif kind in _LISTS:
            header = self._byte()
            n = header >> 4
            self._values([header & 15], self._varint() if n == 15 else n, depth)
        elif kind == _MAP:
            if n := self._varint():
                header = self._byte()
                self._values([header >> 4, header & 15], n, depth)
        elif kind in _BOOLEANS or kind == _BYTE:
            self._skip(1 if within_list or kind == _BYTE else 0)
        elif kind in (_DOUBLE, _UUID):
            self._skip(8 if kind == _DOUBLE else 16)
        else:
            raise ValueError

    def _values(self, kinds: list[int], n: int, depth: int) -> None:
        if n > len(self._content) - self._at:  # each takes a byte or more
            raise ValueError
        for _ in range(n):
            for kind in kinds:
                self.value(kind, depth + 1, within_list=True)

    def _byte(self) -> int:
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

    def _skip(self, n: int) -> None:
        if n > len(self._content) - self._at:
            raise ValueError
        self._at += n
