"""Options that commands share, and how they speak."""

import importlib
import importlib.util
import json
import logging
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from cyclopts import Parameter
from rich import box
from rich.table import Table

from ganmf_fast.base import progress
from ganmf_fast.base.console import TextConsole
from ganmf_fast.base.text import is_number, is_whole, printable, shown
from ganmf_fast.base.threads import set_num_threads
from ganmf_fast.experiments.variants import ModelVariant

T = TypeVar("T", int, float)

# Wide enough for the tables we print; a terminal's own width is used where there is one.
_WIDTH = 160
# Characters of a message, more than those of any path.
_MOST = 5000


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
    handler.setFormatter(_MessageFormatter())
    logger = logging.getLogger("ganmf_fast")
    logger.handlers = [handler]
    logger.setLevel(logging.ERROR if common.quiet else logging.INFO)
    if common.threads is not None:
        try:
            set_num_threads(common.threads)
        except ValueError as error:
            raise ValueError(f"threads: {error}") from None


class _MessageFormatter(logging.Formatter):
    """The message alone, in one line."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(record.getMessage(), _MOST)


def load_torch_threads(common: Common, models: Iterable[ModelVariant]) -> None:
    """Apply ``--threads`` to torch as well, if one of these models may use it."""
    if (
        common.threads is not None
        and any(row.iterative for row in models)
        and importlib.util.find_spec("torch") is not None
    ):
        importlib.import_module("torch")
        set_num_threads(common.threads)


def say(text: str) -> None:
    """Write a message of one line to stderr, unless told to be quiet."""
    progress.line(text)


def show(content: str | Table) -> None:
    """Print a line or a table to stdout, without line breaks of our own off a terminal."""
    console = TextConsole()
    if not console.is_terminal:
        console = TextConsole(width=_WIDTH)
    if isinstance(content, str):
        console.print(printable(content, _MOST), soft_wrap=True)
    else:
        console.print(content)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a small table; numbers stand to the right."""
    rows = [list(row) for row in rows]
    table = Table(box=box.SIMPLE_HEAD)
    for place, column in enumerate(columns):
        numeric = all(isinstance(row[place], int | float | None) for row in rows)
        table.add_column(_text(column), justify="right" if numeric else "left", no_wrap=True)
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
    """Print one JSON document to stdout, in ASCII."""
    sys.stdout.write(json_text(content))


def json_text(content: Mapping[str, Any] | Sequence[Any]) -> str:
    """A JSON document, in ASCII; null for figures that are not defined or infinite."""
    text = json.dumps(_without_infinity(content), indent=1, default=str, allow_nan=False)
    # Delete is the one control character that JSON leaves as it is.
    return text.replace("\x7f", "\\u007f") + "\n"


def _without_infinity(content: Any) -> Any:
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, Mapping):
        return {key: _without_infinity(value) for key, value in content.items()}
    return [*map(_without_infinity, content)] if isinstance(content, list | tuple) else content


def numbers(name: str, text: str, kind: type[T] = int) -> tuple[T, ...]:
    """Numbers separated by commas, whole ones by default.

    Raises
    ------
    ValueError
        If it is something else, or one is given twice; the message names the option.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(map(is_whole if kind is int else is_number, parts)):
        numbers_ = "whole numbers" if kind is int else "numbers"
        raise ValueError(f"{name} must be {numbers_} separated by commas, not {shown(text)}")
    found = tuple(map(kind, parts))
    if len(set(found)) < len(found):
        raise ValueError(f"{name} holds a number twice: {shown(text)}")
    return found
