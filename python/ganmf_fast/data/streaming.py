"""Interactions from files larger than memory, read in a stream, never held as a table.

Text passes once: Rust numbers the ids on the way (`readers.read_text`), into temporary files.
Parquet passes twice: polars collects the distinct ids, then replaces ids by int32 positions, into a
file likewise. Rust reads those positions twice, first counting interactions, then placing them.
Memory is bounded by the ids and the finished matrix: 4 bytes an interaction, 16 a user, and the
ids; 8 bytes a row on disk meanwhile. Ratings, times and repeated interactions other than "first"
need all rows at once, 8 bytes a value, as `Interactions.from_csv` does.
"""

import errno
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ganmf_fast._core import Csr, CsrBuilder
from ganmf_fast.base.errors import DataError, WriteError
from ganmf_fast.base.files import error_number
from ganmf_fast.base.progress import Report, reporter
from ganmf_fast.base.text import few, shown
from ganmf_fast.base.urm import as_csr
from ganmf_fast.data.builders import IdMatrix, Repeated, counted, from_log, from_table, use_polars
from ganmf_fast.data.columns import TEXT, is_numpy_integer
from ganmf_fast.data.ids import id_array, sorted_ids
from ganmf_fast.data.json_lines import read_json_lines
from ganmf_fast.data.parquet import (
    check_parquet,
    parquet_columns,
    parquet_reading,
    parquet_refused,
    scan_parquet,
)
from ganmf_fast.data.readers import Log, Options, Scratch, joined, read_text
from ganmf_fast.data.roles import Role, Roles
from ganmf_fast.data.sources import DataFile

Codes = tuple[NDArray[np.int32], NDArray[np.int32]]

_BATCH = 2**22
_ROLES: tuple[Role, ...] = ("user", "item")


def stream(
    paths: Sequence[Path],
    roles: Roles,
    options: Options,
    duplicates: Repeated | None,
    scratch: str | Path | None,
) -> IdMatrix:
    """The matrix with its ids; see `Interactions.scan`."""
    use_polars()
    if not paths:
        raise ValueError("source holds no path")
    label = few(paths, 3, longest=500)
    parquet = [path.is_dir() or DataFile(path, str(path)).format == "parquet" for path in paths]
    if any(parquet) and not all(parquet):
        raise DataError(f"{label}: parquet and text cannot be read together")
    with (
        reporter(f"{label}: reading") as report,
        tempfile.TemporaryDirectory(dir=scratch, prefix="ganmf-scan-") as folder,
    ):
        if all(parquet):
            with parquet_refused(label, paths):
                return _parquet(paths, roles, duplicates, Path(folder), label, report)
        logs = [
            _read(DataFile(path, str(path)), roles, options, Path(folder) / str(at), report)
            for at, path in enumerate(paths)
        ]
        log = joined(logs)
        if log.rating is not None or log.timestamp is not None or duplicates not in {None, "first"}:
            return from_log(log, duplicates, "polars")
        return _from_codes(log, report)


def scanned(
    path: Path, roles: Roles, options: Options, duplicates: Repeated | None = None
) -> IdMatrix:
    """One file or folder by `stream`, called as `builders.from_file` is."""
    return stream([path], roles, options, duplicates, None)


def _read(source: DataFile, roles: Roles, options: Options, folder: Path, report: Report) -> Log:
    if source.format == "json lines":
        return read_json_lines(source, roles, options)
    folder.mkdir()
    return read_text(source, roles, options, Scratch(folder), report)


def _from_codes(log: Log, report: Report) -> IdMatrix:
    """A matrix of ones, without all positions in memory at once."""
    columns = [sorted_ids(ids) for ids in (log.user, log.item)]
    n_rows = len(log.user.codes)

    def batches() -> Iterator[Codes]:
        for start in range(0, n_rows, _BATCH):
            stop = start + _BATCH
            yield tuple(
                position[np.asarray(ids.codes[start:stop])]
                for ids, (position, _) in zip((log.user, log.item), columns, strict=True)
            )  # type: ignore[misc]

    shape = (len(columns[0][1]), len(columns[1][1]))
    csr = as_csr(_built(batches, n_rows, shape, report))
    reading = None if log.reading is None else counted(log.reading, csr.nnz)
    return IdMatrix(csr, columns[0][1], columns[1][1], None, "polars", reading)


def _parquet(
    paths: Sequence[Path],
    roles: Roles,
    duplicates: Repeated | None,
    folder: Path,
    label: str,
    report: Report,
) -> IdMatrix:
    log = scan_parquet(paths)
    names = parquet_columns(log, roles, label)
    whole = len(names) > 2 or duplicates not in {None, "first"}
    check_parquet(log, paths, names, label, 24 if whole else 4)
    if whole:
        table = log.select(list(dict.fromkeys(names.values()))).collect()
        built = from_table(table, Roles(**names, weights=roles.weights), duplicates, label)
        return built._replace(
            reading=counted(parquet_reading(log, names, len(table)), built.csr.nnz)
        )
    schema = log.collect_schema()
    for name in names.values():
        if not (is_numpy_integer(schema[name]) or schema[name] in TEXT):
            raise DataError(
                f"{label}: ids are integers or text, but column {shown(name)} is {schema[name]}"
            )
    # Categories count as their names.
    as_text = log.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))
    ids_only = as_text.select(pl.col(names[role]).alias(role) for role in _ROLES)
    users, items = (_distinct(ids_only, role, label) for role in _ROLES)
    coded = folder / "codes.parquet"
    _encode(ids_only, users, items, coded)
    codes = pl.scan_parquet(coded)
    n_rows = codes.select(pl.len()).collect().item()

    def batches() -> Iterator[Codes]:
        for start in range(0, n_rows, _BATCH):
            batch = codes.slice(start, _BATCH).collect()
            yield tuple(batch[role].to_numpy() for role in _ROLES)  # type: ignore[misc]

    csr = as_csr(_built(batches, n_rows, (len(users), len(items)), report))
    reading = counted(parquet_reading(log, names, n_rows), csr.nnz)
    return IdMatrix(csr, id_array(users), id_array(items), None, "polars", reading)


def _distinct(log: pl.LazyFrame, role: str, label: str) -> pl.Series:
    """Distinct ids, ascending, so that the order of rows changes nothing."""
    ids = log.select(pl.col(role).unique()).collect(engine="streaming")[role]
    if ids.null_count() or (ids.dtype == pl.String and "" in ids):
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
    try:
        codes_only.sink_parquet(to, row_group_size=_BATCH, compression="lz4", statistics=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        number = error_number(error)
        if number in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise WriteError(number, os.strerror(number), str(to)) from None
        raise


def _built(batches: Any, n_rows: int, shape: tuple[int, int], report: Report) -> Csr:
    builder = CsrBuilder(*shape)
    done = 0
    for rows, _ in batches():
        builder.count(rows)
        done += len(rows)
        report(done, 2 * n_rows, "counting")
    for rows, cols in batches():
        builder.fill(rows, cols)
        done += len(rows)
        report(done, 2 * n_rows, "placing")
    return builder.finish()
