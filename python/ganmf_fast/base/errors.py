"""The exceptions of the package, and the wording of messages."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from ganmf_fast.base.text import few, one_line, printable, shown


class _FoundError(ValueError):
    """What was found is not what it should be: the message holds ids, names and paths."""

    def __init__(self, message: object = "") -> None:
        super().__init__(printable(str(message), _MOST))


_MOST = 2000


class DataError(_FoundError):
    """A file or data set is missing, damaged or otherwise invalid.

    The command line ends with exit code 3 on it. Wrong arguments are plain ``ValueError`` or
    ``TypeError``.
    """


class TooLargeError(DataError, MemoryError):
    """A file is, or would become, larger than a limit or than the memory that is left."""


class ConflictError(_FoundError):
    """A folder or file holds results of another configuration."""


class WriteError(OSError):
    """A file or folder cannot be written; the message is a sentence that names it.

    What was there before is unchanged, and no part of the new content is left. `errno` and
    `filename` are those of the cause.
    """

    def __str__(self) -> str:
        """One sentence."""
        return f"{printable(str(self.filename))} cannot be written: {one_line(self.strerror)}"


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
            return f"{printable(key)} {shown(old)}, not {shown(new)}"
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
    folded = {text.casefold(): text for text in known}
    near = difflib.get_close_matches(str(name)[:80].casefold(), folded, n=1, cutoff=0.6)
    return f"; did you mean {quote}{printable(folded[near[0]])}{quote}?" if near else ""


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """Message about a name that is none of the known ones."""
    known = list(known)
    return f"there is no {kind} {shown(name)}{suggestion(name, known)} ({kind}s are {few(known)})"


def reason(error: Exception) -> str:
    """Message of an exception in one line, after its type if it is not one meant for users."""
    text = one_line(error)
    if text and isinstance(error, ImportError | ValueError | ArithmeticError | MemoryError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
