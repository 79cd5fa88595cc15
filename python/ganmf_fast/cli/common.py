"""Options that commands share, and how they speak."""

import importlib
import importlib.util
import json
import logging
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from cyclopts import Parameter
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table

from ganmf_fast.base import progress
from ganmf_fast.base.threads import set_num_threads
from ganmf_fast.models.registry import model_class

__all__ = [
    "Common",
    "begin",
    "load_torch_threads",
    "numbers",
    "print_json",
    "print_table",
    "printable",
    "say",
    "show",
]

T = TypeVar("T", int, float)

# Wide enough for the tables we print; a terminal's own width is used where there is one.
_WIDTH = 160


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Common:
    """Options of every command."""

    json: Annotated[bool, Parameter(help="Print one JSON document.", negative="")] = False
    quiet: Annotated[
        bool, Parameter(help="No progress and no messages but errors.", negative="")
    ] = False
    threads: Annotated[
        int | None, Parameter(help="Threads of Rust, BLAS and torch; all cores by default.")
    ] = None


def begin(common: Common) -> None:
    """Apply the options of every command."""
    progress.set_quiet(common.quiet)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("ganmf_fast")
    logger.handlers = [handler]
    logger.setLevel(logging.ERROR if common.quiet else logging.INFO)
    if common.threads is not None:
        try:
            set_num_threads(common.threads)
        except ValueError as error:
            raise ValueError(f"threads: {error}") from None


def load_torch_threads(common: Common, models: Iterable[str]) -> None:
    """Apply ``--threads`` to torch as well, if one of these models may use it."""
    if (
        common.threads is not None
        and any(model_class(name).iterative for name in models)
        and importlib.util.find_spec("torch") is not None
    ):
        importlib.import_module("torch")
        set_num_threads(common.threads)


def say(text: str) -> None:
    """Write a message to stderr, unless told to be quiet."""
    if not progress.is_quiet():
        Console(stderr=True, soft_wrap=True).print(text, markup=False, highlight=False)


def show(content: RenderableType) -> None:
    """Print a result to stdout, without line breaks of our own when it is not a terminal."""
    # What is shown may come from anyone: brackets are brackets.
    console = Console(markup=False, emoji=False)
    if not console.is_terminal:
        console = Console(width=_WIDTH, markup=False, emoji=False)
    console.print(printable(content) if isinstance(content, str) else content)


def printable(text: str) -> str:
    """A text without what would steer the terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a small table; numbers stand to the right."""
    rows = [list(row) for row in rows]
    table = Table(box=box.SIMPLE_HEAD)
    for place, column in enumerate(columns):
        numeric = all(isinstance(row[place], int | float | None) for row in rows)
        table.add_column(printable(column), justify="right" if numeric else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(_text(value) for value in row))
    if title:
        # Beside the table, which would break it into lines of its own width.
        show(title)
    show(table)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4f}"
    return "" if value is None else printable(str(value))


def print_json(content: Mapping[str, Any] | Sequence[Any]) -> None:
    """Print one JSON document to stdout."""
    sys.stdout.write(json.dumps(content, indent=1, default=str) + "\n")


def numbers(name: str, text: str, kind: type[T] = int) -> tuple[T, ...]:
    """Numbers separated by commas, whole ones by default.

    Raises
    ------
    ValueError
        If it is something else, or one is given twice; the message names the option.
    """
    try:
        found = tuple(kind(part) for part in text.split(","))
    except ValueError:
        numbers_ = "whole numbers" if kind is int else "numbers"
        raise ValueError(f"{name} must be {numbers_} separated by commas, not {text!r}") from None
    if len(set(found)) < len(found):
        raise ValueError(f"{name} holds a number twice: {text}")
    return found
