"""Frames as files, in the format that the name ends in."""

from pathlib import Path
from typing import Final

import polars as pl

from ganmf_fast.base.files import written_whole

__all__ = ["check_suffix", "csv_text", "write_frame"]

_SUFFIXES = (".csv", ".parquet", ".json")


def check_suffix(path: Path | None) -> None:
    """Refuse, before any work, a file that could not be written.

    Raises
    ------
    ValueError
        If its ending is not known, or its folder does not exist.
    """
    if path is None:
        return
    if path.suffix not in _SUFFIXES:
        raise ValueError(f"output must end in {', '.join(_SUFFIXES)}, not {str(path)!r:.400}")
    if not path.parent.is_dir():
        raise ValueError(f"output is in {str(path.parent)!r:.400}, which is no folder")


def write_frame(table: pl.DataFrame, path: Path) -> None:
    """Write a frame as CSV, parquet or JSON, whole or not at all.

    Raises
    ------
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
                table.write_json(part)
        except pl.exceptions.PolarsError as error:
            raise OSError(str(error)) from None


def csv_text(table: pl.DataFrame) -> str:
    """A frame as CSV: all text is quoted and none is altered, so that ids are read back as such."""
    return table.write_csv(quote_style=_QUOTES)


_QUOTES: Final = "non_numeric"
