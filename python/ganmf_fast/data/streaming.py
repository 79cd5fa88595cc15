"""Interactions from files larger than memory, read in a stream, never held as a table.

Three steps, each bounded by the ids and the finished matrix, not by the rows of the file: polars
collects the distinct ids; polars replaces ids by int32 positions, into a file beside the others;
Rust reads those twice, first counting interactions, then placing them. Cost: two readings of the
file, 8 bytes a row on disk meanwhile; memory 4 bytes an interaction, 16 a user, and the ids.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ganmf_fast._core import Csr, CsrBuilder
from ganmf_fast.base.errors import DataError
from ganmf_fast.base.progress import Report, reporter
from ganmf_fast.data.ids import id_array
from ganmf_fast.data.readers import Column, column_name

__all__ = ["stream"]

Codes = tuple[NDArray[np.int32], NDArray[np.int32]]

_BATCH = 2**22
_ROLES = ("user", "item")


def stream(
    source: str | Path | list[str | Path],
    user: Column,
    item: Column,
    separator: str,
    scratch: str | Path | None,
) -> tuple[Csr, tuple[NDArray[np.generic], NDArray[np.generic]]]:
    """The matrix, and the ids of its rows and columns; see `Interactions.scan`."""
    label = str(source)
    try:
        log = _opened(source, user, item, separator, label)
        with (
            reporter(f"{label}: ids, codes, rows") as report,
            tempfile.TemporaryDirectory(dir=scratch, prefix="ganmf-scan-") as folder,
        ):
            users, items = (_distinct(log, role, label) for role in _ROLES)
            coded = Path(folder) / "codes.parquet"
            _encode(log, users, items, coded)
            csr = _built(coded, (len(users), len(items)), report)
    except OSError as error:
        raise DataError(f"{label} cannot be read: {error.strerror or error}") from None
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{label} cannot be read: {str(error).splitlines()[0]}") from None
    return csr, (id_array(users), id_array(items))


def _opened(
    source: str | Path | list[str | Path], user: Column, item: Column, separator: str, label: str
) -> pl.LazyFrame:
    """The two columns of ids, called user and item."""
    paths = [Path(path) for path in source] if isinstance(source, list) else [Path(source)]
    if not paths:
        raise ValueError("source holds no path")
    parquet = all(path.is_dir() or path.suffix == ".parquet" for path in paths)
    log = pl.scan_parquet(paths) if parquet else pl.scan_csv(paths, separator=separator)
    schema = log.collect_schema()
    names = [column_name(column, schema.names(), label) for column in (user, item)]
    for name in names:
        if not (schema[name].is_integer() or schema[name] == pl.String):
            raise DataError(
                f"{label}: ids are whole numbers or text, but column {name!r} is {schema[name]}"
            )
    return log.select(pl.col(name).alias(role) for name, role in zip(names, _ROLES, strict=True))


def _distinct(log: pl.LazyFrame, role: str, label: str) -> pl.Series:
    """Distinct ids, ascending, so that the order of rows changes nothing."""
    ids = log.select(pl.col(role).unique()).collect(engine="streaming")[role]
    if ids.null_count():
        raise DataError(f"{label}: an id in the column of {role}s is missing")
    if ids.is_empty():
        raise DataError(f"{label} holds no interactions")
    if len(ids) > 2**31 - 1:
        raise DataError(f"{label} holds {len(ids)} {role}s; at most 2^31 - 1 are possible")
    return ids.sort()


def _encode(log: pl.LazyFrame, users: pl.Series, items: pl.Series, to: Path) -> None:
    """Write the positions of all ids."""
    for role, ids in zip(_ROLES, (users, items), strict=True):
        codes = pl.LazyFrame(
            {role: ids, f"{role}_code": pl.int_range(len(ids), dtype=pl.Int32, eager=True)}
        )
        log = log.join(codes, on=role, how="inner")
    codes_only = log.select(pl.col(f"{role}_code").alias(role) for role in _ROLES)
    codes_only.sink_parquet(to, row_group_size=_BATCH, compression="lz4", statistics=False)


def _built(coded: Path, shape: tuple[int, int], report: Report) -> Csr:
    table = pl.scan_parquet(coded)
    n_rows = table.select(pl.len()).collect().item()
    builder = CsrBuilder(*shape)
    done = 0
    for rows, _ in _batches(table, n_rows):
        builder.count(rows)
        done += len(rows)
        report(done, 2 * n_rows, "counting")
    for rows, cols in _batches(table, n_rows):
        builder.fill(rows, cols)
        done += len(rows)
        report(done, 2 * n_rows, "placing")
    return builder.finish()


def _batches(table: pl.LazyFrame, n_rows: int) -> Iterator[Codes]:
    for start in range(0, n_rows, _BATCH):
        batch = table.slice(start, _BATCH).collect()
        yield tuple(batch[role].to_numpy() for role in _ROLES)  # type: ignore[misc]
