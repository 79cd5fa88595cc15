"""The exceptions of the package, and the wording of messages."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = [
    "ConflictError",
    "DataError",
    "TooLargeError",
    "difference",
    "reason",
    "suggestion",
    "unknown",
]


class DataError(ValueError):
    """A file or data set is missing, damaged or otherwise invalid.

    The command line ends with exit code 3 on it. Wrong arguments are plain ``ValueError`` or
    ``TypeError``.
    """


class TooLargeError(DataError, MemoryError):
    """A file is, or would become, larger than a limit or than the memory that is left."""


class ConflictError(ValueError):
    """A folder or file holds results of another configuration."""


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """Describe the first difference between two configurations.

    Returns
    -------
    str or None
        Such as ``"topk 100, not 50"``; None if they are equal.
    """
    for key in dict.fromkeys([*before, *now]):
        old, new = before.get(key), now.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            inner = difference(old, new)
            if inner is not None:
                return inner
        elif old != new:
            return f"{key} {old!r}, not {new!r}"
    return None


def suggestion(name: object, known: Iterable[str], quote: str = "'") -> str:
    """Text to append to a message about an unknown name.

    Parameters
    ----------
    name : object
    known : iterable of str
    quote : str, default "'"
        Quotation mark around the suggestion.

    Returns
    -------
    str
        Such as ``"; did you mean 'topk'?"``; empty if no known name is similar.
    """
    near = difflib.get_close_matches(str(name), list(known), n=1, cutoff=0.5)
    return f"; did you mean {quote}{near[0]}{quote}?" if near else ""


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """Message about a name that is none of the known ones."""
    known = list(known)
    return f"there is no {kind} {name!r}{suggestion(name, known)} ({kind}s are {', '.join(known)})"


def reason(error: Exception) -> str:
    """Message of an exception in one line, after its type if it is not one meant for users."""
    text = " ".join(str(error).split())
    if text and isinstance(error, ImportError | ValueError | ArithmeticError | MemoryError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
