"""Frames as files, in the format that the name ends in."""

from pathlib import Path

import polars as pl

__all__ = ["check_suffix", "write_frame"]

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
        raise ValueError(f"output must end in {known}, not {str(path)!r}")
    if not path.parent.is_dir():
        raise ValueError(f"output is in {str(path.parent)!r}, which is no folder")


def write_frame(table: pl.DataFrame, path: Path) -> None:
    """Write a frame as CSV, parquet or JSON."""
    if path.suffix == ".csv":
        table.write_csv(path)
    elif path.suffix == ".parquet":
        table.write_parquet(path)
    else:
        table.write_json(path)
