"""Frames as files, in the format that the name ends in."""

import sys
from pathlib import Path
from typing import Any, Final

import polars as pl

from ganmf_fast.base.files import written_whole
from ganmf_fast.base.text import printable, shown
from ganmf_fast.cli.common import print_json, say
from ganmf_fast.data.frames import frame
from ganmf_fast.models.base import Recommender
from ganmf_fast.models.load import load

_SUFFIXES = (".csv", ".parquet", ".json")


def check_suffix(path: Path | None, *more: str) -> None:
    """Refuse, before any work, a file that could not be written.

    Raises
    ------
    ValueError
        If its ending is not known, or its folder does not exist.
    """
    if path is None:
        return
    if path.suffix not in (*_SUFFIXES, *more):
        known = ", ".join((*_SUFFIXES, *more))
        raise ValueError(f"output must end in {known}, not {shown(str(path), 400)}")
    if not path.parent.is_dir():
        raise ValueError(f"output is in {shown(str(path.parent), 400)}, which is no folder")


def load_model(path: Path) -> Recommender:
    """A fitted model whose frames are of polars, whatever library it was fitted with."""
    fitted = load(path)
    if fitted.ids_ is not None:
        fitted.ids_.frame_type = "polars"
    return fitted


def as_polars(table: pl.DataFrame | dict[str, Any]) -> pl.DataFrame:
    """A frame of what a model returns that `load_model` gave."""
    found: pl.DataFrame = frame(table, "polars") if isinstance(table, dict) else table
    return found


def show_frame(table: pl.DataFrame, output: Path | None, what: str, *, as_json: bool) -> None:
    """Write a frame to `output`, or to stdout as JSON or CSV; `what` are its rows."""
    if output is not None:
        write_frame(table, output)
        say(f"{len(table):,} {what} written to {output}")
    elif as_json:
        _refuse_infinity(table)
        print_json(table.to_dicts())
    else:
        # This is data: all text is quoted and none is altered, unless a terminal would obey it.
        text = table.write_csv(quote_style=_QUOTES)
        if sys.stdout.isatty():
            text = "\n".join(printable(line, None) for line in text.split("\n"))
        try:
            sys.stdout.write(text)
        except UnicodeEncodeError as error:
            raise RuntimeError(
                f"{error.object[error.start]!r} cannot be written in {error.encoding}, which the "
                "output is to be in: set PYTHONIOENCODING=utf-8, or name a file with --output"
            ) from None


def _refuse_infinity(table: pl.DataFrame) -> None:
    """An infinite id or score is no missing one, which null would make of it."""
    for column in table.select(pl.selectors.float()):
        if column.is_infinite().any():
            raise ValueError(
                f"column {shown(column.name)} holds infinite numbers, which JSON has not: write "
                "CSV or parquet, as --output FILE.csv does"
            )


def write_frame(table: pl.DataFrame, path: Path) -> None:
    """Write a frame as CSV, parquet or JSON, whole or not at all.

    Raises
    ------
    ValueError
        If a number is infinite, which JSON cannot hold.
    WriteError
        If the file cannot be written.
    """
    with written_whole(path) as part:
        try:
            if path.suffix == ".csv":
                table.write_csv(part, quote_style=_QUOTES)
            elif path.suffix == ".parquet":
                table.write_parquet(part)
            else:
                _refuse_infinity(table)
                table.write_json(part)
        except pl.exceptions.PolarsError as error:
            raise OSError(str(error)) from None


_QUOTES: Final = "non_numeric"
