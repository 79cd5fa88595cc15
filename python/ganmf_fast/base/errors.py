"""Exceptions that mean something to a caller beyond the built-in ones, and words for them."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["ConflictError", "DataError", "difference", "reason", "suggestion", "unknown"]


class DataError(ValueError):
    """A file or data set is missing, damaged or not what it should be.

    The command line ends with exit code 3 on it. Wrong arguments are plain ``ValueError`` or
    ``TypeError``.
    """


class ConflictError(ValueError):
    """A folder or file holds results of another configuration."""


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """The first difference between two configurations, in words, or None.

    Returns
    -------
    str or None
        Such as ``"topk 100, not 50"``.
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


def suggestion(name: str, known: Iterable[str]) -> str:
    """What to append to a message about an unknown name: the nearest known one, if any is near."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """What to say of a name that is none of the known ones."""
    known = list(known)
    return f"there is no {kind} {name!r}{suggestion(name, known)} ({kind}s are {', '.join(known)})"


def reason(error: Exception) -> str:
    """Why something failed, in one line; without the type where the text is meant for readers."""
    text = " ".join(str(error).split())
    if text and isinstance(error, ImportError | ValueError | ArithmeticError | MemoryError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
