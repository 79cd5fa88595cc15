"""Parquet to columns, by polars."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from ganmf_fast.base.errors import DataError, WriteError
from ganmf_fast.base.text import printable
from ganmf_fast.base.unpacking import RATIO, check_fits, check_unpacked, most_unpacked
from ganmf_fast.data.parquet_claims import check_claims, parquet_files
from ganmf_fast.data.reading import Reading
from ganmf_fast.data.roles import Role, Roles


def read_parquet(path: Path, roles: Roles) -> tuple[pl.DataFrame, dict[Role, str], Reading]:
    """Read the columns of `roles` of a parquet file, or of a folder of them.

    Returns
    -------
    frame : polars.DataFrame
    names : dict of role to column name
    reading : Reading

    Raises
    ------
    DataError
        If the file is missing or no parquet file.
    ValueError
        If a column does not exist or is not certain.
    """
    with parquet_refused(path, [path]):
        log = scan_parquet([path])
        names = parquet_columns(log, roles, str(path))
        check_parquet(log, [path], names, str(path), 24)
        frame = log.select(list(dict.fromkeys(names.values()))).collect()
    return frame, names, parquet_reading(log, names, len(frame))


def scan_parquet(paths: Iterable[Path]) -> pl.LazyFrame:
    """The rows of files and of folders of files, of what stands in the files alone.

    No part of a path is a pattern, or a column as in Hive's ``user=1/``: a column of the files
    would be overwritten, and text such as "007" become a number.
    """
    files = [file for path in paths for file in parquet_files(path)]
    return pl.scan_parquet(files, glob=False, hive_partitioning=False)


def check_parquet(
    log: pl.LazyFrame, paths: Sequence[Path], names: dict[Role, str], label: str, held: int
) -> None:
    """Refuse parquet whose rows are too many: for its size, or for memory.

    Parameters
    ----------
    log : polars.LazyFrame
    paths : sequence of Path
        Its files, or folders of them.
    names : dict of role to column name
    label : str
    held : int
        Bytes of memory for each value.

    Raises
    ------
    TooLargeError
    """
    rows = log.select(pl.len()).collect().item()
    packed = sum(file.stat().st_size for path in paths for file in parquet_files(path))
    check_unpacked(8 * rows * len(names), packed, label, most_unpacked(packed, RATIO))
    what = f"{label}, of {rows:,} rows,"
    check_fits(held * rows * len(names), what, "read it with Interactions.scan, or parts of it")


def parquet_columns(log: pl.LazyFrame, roles: Roles, label: str) -> dict[Role, str]:
    """Names of the columns of `roles`."""
    names = log.collect_schema().names()
    found = roles.resolve(names, len(names), printable(label))
    return {role: names[at] for role, at in found.items()}


def parquet_reading(log: pl.LazyFrame, names: dict[Role, str], rows: int) -> Reading:
    """How parquet files were read."""
    unread = tuple(name for name in log.collect_schema().names() if name not in names.values())
    columns = {str(role): name for role, name in names.items()}
    return Reading("parquet", columns, unread, rows, rows)


@contextmanager
def parquet_refused(label: object, paths: Iterable[Path]) -> Iterator[None]:
    """Check what files or folders claim, and call what cannot be read by `label`."""
    try:
        check_claims(paths)
        yield
    except WriteError:  # of a scan's own files
        raise
    except OSError as error:
        raise DataError(f"{label} cannot be read: {error.strerror or error}") from None
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise DataError(f"{label} is not a readable parquet file: {first}") from None
