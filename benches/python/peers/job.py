"""What an adapter hands to the worker: work to time, and how to read its result."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Answer = Mapping[str, Any]
"""Arrays by name, comparable between packages."""


class UnavailableError(Exception):
    """The package does not do this; the message says why, in the words of the report."""


@dataclass(frozen=True)
class Job:
    """One operation of one package, its input ready in the form the package works on.

    Attributes
    ----------
    run : callable
        What is timed. Its result goes to `answer`.
    answer : callable
        Turns the result into arrays that the operation can compare; not timed.
    note : str
        What a reader of the figure should know.
    """

    run: Callable[[], Any]
    answer: Callable[[Any], Answer]
    note: str = ""
