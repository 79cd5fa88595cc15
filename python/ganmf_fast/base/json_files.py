"""JSON from files that anyone may have written, bounded in size and depth.

`read` and `decode` make types of it, and refuse NaN and infinity, which are no JSON. `parse` gives
plain values, refuses an object that holds a name twice, and reads NaN and infinity: Python writes
them, and folders of runs hold them.
"""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ganmf_fast.base.errors import DataError, TooLargeError
from ganmf_fast.base.text import one_line, printable, shown

T = TypeVar("T")

MAX_BYTES = 64 * 2**20
"""Default limit of a file's size."""

MAX_DEPTH = 64
"""Limit of arrays and objects inside each other."""

_TOO_DEEP = f"it is nested deeper than {MAX_DEPTH} levels"
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def contents(path: Path, limit_bytes: int = MAX_BYTES) -> bytes:
    """The bytes of a file of a reasonable size.

    Raises
    ------
    DataError
        If it cannot be read, or is larger than `limit_bytes`; one sentence names the file.
    """
    try:
        with path.open("rb") as file:
            # In pieces: a read of the whole limit takes that much memory, however small the file.
            content = bytearray()
            while len(content) <= limit_bytes and (piece := file.read(_PIECE)):
                content += piece
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
    _refuse_larger(content, str(path), limit_bytes)
    return bytes(content)


_PIECE = 1 << 20


def read(path: Path, kind: type[T], limit_bytes: int = MAX_BYTES) -> T:
    """Read a JSON file as a type.

    Parameters
    ----------
    path : Path
    kind : type
        Anything that msgspec decodes to: a ``msgspec.Struct``, a dataclass, ``dict[str, float]``.
    limit_bytes : int, default 64 MiB
        Largest size of a file that is read.

    Returns
    -------
    An instance of `kind`.

    Raises
    ------
    DataError
        If the file is missing, larger than `limit_bytes`, nested deeper than 64 levels, not JSON
        (NaN and infinity are not), or of another type; one sentence names the file and what is
        wrong.
    """
    return decode(contents(path, limit_bytes), str(path), kind, limit_bytes)


def decode(content: bytes, name: str, kind: type[T], limit_bytes: int = MAX_BYTES) -> T:
    """Decode JSON as a type; see `read`.

    Parameters
    ----------
    content : bytes
    name : str
        What messages call it.
    kind, limit_bytes
        As for `read`.
    """
    _refuse_larger(content, name, limit_bytes)
    try:
        value = msgspec.json.decode(content, type=kind)
        refuse_deeper(value)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise DataError(f"{name} is damaged: {printable(str(error))}") from None
    return value


def parse(content: str | bytes, limit_bytes: int = MAX_BYTES) -> Any:
    """Plain values of JSON, NaN and infinity among them.

    Parameters
    ----------
    content : str or bytes
    limit_bytes : int, default 64 MiB

    Raises
    ------
    ValueError
        If it is larger, nested deeper than 64 levels, not JSON in UTF-8, or holds a name twice in
        one object; the message is a phrase.
    """
    if len(content) > limit_bytes:
        raise ValueError(f"it is larger than {limit_bytes:,} bytes")
    try:
        text = content if isinstance(content, str) else content.decode()
        value = json.loads(text, object_pairs_hook=_distinct)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    except ValueError as error:
        raise ValueError(f"it is not JSON: {one_line(error, 200)}") from None
    refuse_deeper(value)
    return value


def typed(value: object, kind: type[T]) -> T:
    """Values of `parse` as a type that msgspec converts to.

    Raises
    ------
    ValueError
        If they are of another one; the message is a phrase.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise ValueError(f"{one_line(error, 200)}") from None


def refuse_deeper(value: object) -> None:
    """Refuse lists and mappings inside each other that what walks through them could not bear.

    Raises
    ------
    ValueError
        If there are more than 64 levels; the message is a phrase.
    """
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    if any(isinstance(inner, dict | list) for inner in level):
        raise ValueError(_TOO_DEEP)


def _refuse_larger(content: bytes | bytearray, name: str, limit_bytes: int) -> None:
    if len(content) > limit_bytes:
        raise TooLargeError(
            f"{name} is larger than {limit_bytes:,} bytes, the limit of such a file"
        )


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names differ; otherwise readers would not agree on what it says."""
    found = dict(pairs)
    if len(found) < len(pairs):
        [[twice, _]] = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"the name {shown(twice)} stands twice")
    return found
