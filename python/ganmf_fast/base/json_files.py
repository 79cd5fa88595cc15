"""JSON from files that anyone may have written: typed, and bounded in size and depth."""

from pathlib import Path
from typing import TypeVar

import msgspec

from ganmf_fast.base.errors import DataError

__all__ = ["MAX_BYTES", "MAX_DEPTH", "decode", "read"]

T = TypeVar("T")

MAX_BYTES = 64 * 2**20
"""Default limit of a file's size."""

MAX_DEPTH = 64
"""Limit of arrays and objects inside each other."""


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
    try:
        with path.open("rb") as file:
            content = file.read(limit_bytes + 1)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
    return decode(content, str(path), kind, limit_bytes)


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
    if len(content) > limit_bytes:
        raise DataError(f"{name} is larger than {limit_bytes:,} bytes, the limit of such a file")
    try:
        value = msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{name} is damaged: {error}") from None
    if _is_deeper_than(MAX_DEPTH, value):
        raise DataError(f"{name} is damaged: it is nested deeper than {MAX_DEPTH} levels")
    return value


def _is_deeper_than(depth: int, value: object) -> bool:
    level = [value]
    for _ in range(depth):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return any(isinstance(inner, dict | list) for inner in level)
