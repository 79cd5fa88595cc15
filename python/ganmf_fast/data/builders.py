"""From frames, files and matrices to a matrix with the ids of its rows and columns.

A source is read (`readers`, `frames`), its columns are checked (`columns`), ids become positions
(`ids`), and these a matrix. The result holds the first arguments of `Interactions`.
"""

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from ganmf_fast._core import Csr, cell_order
from ganmf_fast.base.checks import check_choice
from ganmf_fast.base.errors import DataError
from ganmf_fast.base.progress import reporter
from ganmf_fast.base.text import shown
from ganmf_fast.base.urm import Duplicates, as_csr, csr_from_sparse
from ganmf_fast.data.columns import Place, numbers, read_ids, times, weighted
from ganmf_fast.data.frames import FrameType, columns_of
from ganmf_fast.data.ids import encode, id_array, sorted_ids
from ganmf_fast.data.json_lines import read_json_lines
from ganmf_fast.data.parquet import read_parquet
from ganmf_fast.data.readers import Log, Options, Scratch, read_text
from ganmf_fast.data.reading import Reading
from ganmf_fast.data.roles import Roles
from ganmf_fast.data.sources import DataFile

Repeated = Literal["error", "sum", "first", "last", "max", "mean"]


_polars = {"used": False, "lost": False}
"""Whether this process, or the one it was forked from, has used the threads of polars."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _polars.update(lost=_polars["used"]))


def use_polars() -> None:
    """Refuse to wait for ever for threads that did not survive a fork.

    Raises
    ------
    RuntimeError
        In a forked process whose parent has read data.
    """
    if _polars["lost"]:
        raise RuntimeError(
            "the threads that read data did not survive the fork of this process: start processes "
            'with multiprocessing.get_context("spawn"), or read the data before the fork'
        )
    _polars["used"] = True


class IdMatrix(NamedTuple):
    """A matrix, the ids of its rows and columns, and timestamps; fields as of `Interactions`."""

    csr: Csr
    user_ids: NDArray[Any]
    item_ids: NDArray[Any]
    timestamps: NDArray[Any] | None = None
    frame_type: FrameType = "dict"
    reading: Reading | None = None


def from_frame(
    df: Any, roles: Roles, duplicates: Repeated | None = None, label: str | None = None
) -> IdMatrix:
    """From a frame, by default the argument `df`; see `Interactions.from_frame`."""
    use_polars()
    for role in ("user", "item"):
        if role not in roles.given():
            given = getattr(roles, role)
            raise TypeError(f"{role} must be the name of a column of df, not {shown(given)}")
    columns, frame_type = columns_of(df, roles.given())
    for name, column in zip(roles.given().values(), columns.values(), strict=True):
        if not hasattr(column, "__len__"):
            raise TypeError(
                f"df: column {shown(name)} must be an array or a list, not {shown(column)}"
            )
    if len(columns["user"]) == 0:
        raise DataError(f"{label or 'df'} holds no interactions")

    def place(row: int) -> str:
        return f"row {row}" if label is None else f"{label}, row {row}"

    log = Log(
        encode(read_ids(columns["user"], roles.user, place)),
        encode(read_ids(columns["item"], roles.item, place)),
        _ratings(columns.get("rating"), roles, place),
        times(columns["timestamp"], roles.timestamp, place) if "timestamp" in columns else None,
        place,
    )
    return from_log(log, duplicates, frame_type)


def from_table(
    table: pl.DataFrame, roles: Roles, duplicates: Repeated | None, label: str
) -> IdMatrix:
    """From the frame of a file, whose types are its content."""
    try:
        return from_frame(table, roles, duplicates, label)
    except TypeError as error:
        if not str(error).startswith("column"):
            raise
        raise DataError(f"{label}: {error}") from None


def _ratings(column: Any, roles: Roles, place: Place) -> NDArray[np.float32] | None:
    name = roles.rating or None
    if roles.weights is None:
        return None if column is None else numbers(column, name, place)
    if column is None:
        raise ValueError("df: weights needs rating=, the column whose values have them")
    return weighted(column, roles.weights, name, place)


def from_text(
    source: DataFile, roles: Roles, options: Options, duplicates: Repeated | None = None
) -> IdMatrix:
    """From delimited text or JSON lines; see `Interactions.from_csv`."""
    use_polars()
    match source.format:
        case "parquet":
            raise DataError(f"{source.label} is a parquet file: use Interactions.from_parquet")
        case "json lines":
            log = read_json_lines(source, roles, options)
        case _:
            with reporter(f"{source.label}: reading") as report:
                log = read_text(source, roles, options, Scratch(), report)
    return from_log(log, duplicates, "polars")


def from_file(
    path: Path, roles: Roles, options: Options, duplicates: Repeated | None = None
) -> IdMatrix:
    """From a file of any kind, told by its content, or a folder of parquet files."""
    source = DataFile(path, str(path))
    if path.is_dir() or source.format == "parquet":
        return from_parquet(path, roles, duplicates)
    return from_text(source, roles, options, duplicates)


def from_parquet(path: Path, roles: Roles, duplicates: Repeated | None = None) -> IdMatrix:
    """From a parquet file or a folder of them; see `Interactions.from_parquet`."""
    use_polars()
    table, names, reading = read_parquet(path, roles)
    built = from_table(table, Roles(**names, weights=roles.weights), duplicates, str(path))
    return built._replace(reading=counted(reading, built.csr.nnz))


def from_matrix(
    X: Any, user_ids: Any, item_ids: Any, duplicates: Duplicates, timestamps: Any
) -> IdMatrix:
    """From a scipy sparse matrix or a dense array; see `Interactions.from_matrix`."""
    if duplicates not in get_args(Duplicates):
        raise ValueError(f'duplicates must be "error", "sum" or "first", not {shown(duplicates)}')
    choose = sp.issparse(X) and duplicates != "error"
    csr = as_csr(csr_from_sparse(X, "X", duplicates) if choose else X)
    return IdMatrix(
        csr,
        _given_ids(user_ids, csr.n_rows, "user_ids"),
        _given_ids(item_ids, csr.n_cols, "item_ids"),
        None
        if timestamps is None
        else times(timestamps, "timestamps", "position {}".format).copy(),
    )


def from_log(log: Log, duplicates: Repeated | None, frame_type: FrameType) -> IdMatrix:
    """From checked columns."""
    columns = (log.user.codes, log.item.codes, log.rating, log.timestamp)
    lengths = {len(column) for column in columns if column is not None}
    if len(lengths) > 1:
        listed = ", ".join(str(len(column)) for column in columns if column is not None)
        raise ValueError(f"the columns must have one length, not {listed}")
    if duplicates is None:
        duplicates = "first" if log.rating is None else "error"
    check_choice("duplicates", duplicates, get_args(Repeated))
    position, user_ids = sorted_ids(log.user)
    rows = position[log.user.codes]
    position, item_ids = sorted_ids(log.item)
    cols = position[log.item.codes]
    if duplicates == "error":
        _refuse_repeated(rows, cols, len(user_ids), log)
    values, timestamps = log.rating, log.timestamp
    if values is None and duplicates in {"sum", "max", "mean"}:
        values = np.ones(len(rows), dtype=np.float32)
    if timestamps is not None or duplicates in {"last", "max", "mean"}:
        order = cell_order(
            len(user_ids), rows, cols, None if timestamps is None else _ascending(timestamps)
        )
        rows, cols, values, timestamps = _merged(order, rows, cols, values, timestamps, duplicates)
    kept: Duplicates = "sum" if duplicates == "sum" else "first"
    csr = as_csr(Csr.from_coo(rows, cols, values, len(user_ids), len(item_ids), kept))
    reading = None if log.reading is None else counted(log.reading, csr.nnz)
    return IdMatrix(csr, user_ids, item_ids, timestamps, frame_type, reading)


def _ascending(times: NDArray[Any]) -> NDArray[np.int64]:
    """Whole numbers in the order of times."""
    if times.dtype.kind == "f":
        # The bits of a number from zero up ascend with it, those of one below descend.
        bits = (times.astype(np.float64) + 0.0).view(np.int64)
        return bits ^ ((bits >> 63) & np.int64(2**63 - 1))
    if times.dtype == np.uint64:
        return (times ^ np.uint64(2**63)).view(np.int64)
    return times.astype(np.int64, copy=False)


def _merged(
    order: NDArray[np.int64],
    rows: NDArray[np.int32],
    cols: NDArray[np.int32],
    values: NDArray[np.float32] | None,
    timestamps: NDArray[Any] | None,
    duplicates: Repeated,
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32] | None, NDArray[Any] | None]:
    """Repeated interactions next to each other, earliest first, and one of each but for "sum"."""
    rows, cols = rows[order], cols[order]
    values = None if values is None else values[order]
    new = np.concatenate(([True], (rows[1:] != rows[:-1]) | (cols[1:] != cols[:-1])))
    first = np.flatnonzero(new)
    last = np.append(first[1:], len(rows)) - 1
    if timestamps is not None:
        timestamps = timestamps[order][last if duplicates == "last" else first]
    if duplicates in {"error", "first", "sum"}:
        # In this order, the matrix keeps the earliest, or adds all up.
        return rows, cols, values, timestamps
    if values is not None:
        if duplicates == "last":
            values = values[last]
        elif duplicates == "max":
            values = np.maximum.reduceat(values, first)
        else:
            sums = np.add.reduceat(values.astype(np.float64), first)
            values = (sums / (last - first + 1)).astype(np.float32)
    return rows[first], cols[first], values, timestamps


def counted(reading: Reading, interactions: int) -> Reading:
    """The reading, with the records that repeat an interaction."""
    repeated = reading.records - interactions
    left_out = dict(reading.left_out) | ({"repeated": repeated} if repeated else {})
    return replace(reading, left_out=left_out)


def _refuse_repeated(
    rows: NDArray[np.int32], cols: NDArray[np.int32], n_users: int, log: Log
) -> None:
    order = cell_order(n_users, rows, cols)
    r, c = rows[order], cols[order]
    again = np.flatnonzero((r[1:] == r[:-1]) & (c[1:] == c[:-1]))
    if len(again):
        # A stable order, so each entry comes after the one it repeats.
        at = int(order[again + 1].min())
        user, item = (ids.distinct[int(ids.codes[at])] for ids in (log.user, log.item))
        raise DataError(
            f"{log.place(at)}: user {shown(user)} and item {shown(item)} were given before; "
            'choose duplicates="sum", "first", "last", "max" or "mean"'
        )


def _given_ids(ids: Any, n: int, name: str) -> NDArray[Any]:
    if ids is None:
        return np.arange(n, dtype=np.int64)
    column = read_ids(ids, name, "position {}".format)
    if len(column) != n:
        raise ValueError(f"{name} must hold {n} ids, not {len(column)}")
    # A copy: a series of numbers may share the memory of the array it was made of.
    array = id_array(column).copy()
    if len(encode(column).distinct) < n:
        repeated = next(v for v, k in Counter(array.tolist()).items() if k > 1)
        raise ValueError(f"{name} must be distinct, but {shown(repeated)} occurs more than once")
    return array
