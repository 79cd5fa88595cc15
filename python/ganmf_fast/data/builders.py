"""From frames, files and matrices to a matrix with the ids of its rows and columns.

A source is read (`readers`, `frames`), its columns are checked (`columns`), ids become positions
(`ids`), and these a matrix. The result holds the first arguments of `Interactions`.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from ganmf_fast._core import Csr
from ganmf_fast.base.errors import DataError
from ganmf_fast.base.urm import Duplicates, as_csr, csr_from_sparse
from ganmf_fast.data.columns import Place, numbers, parsed_ids, parsed_times, series, times
from ganmf_fast.data.frames import FrameType, columns_of
from ganmf_fast.data.ids import encode, id_array, object_array
from ganmf_fast.data.readers import Roles, Text, read_delimited, read_parquet

__all__ = ["IdMatrix", "from_frame", "from_matrix", "from_parquet", "from_text"]


class IdMatrix(NamedTuple):
    """A matrix, the ids of its rows and columns, and timestamps; fields as of `Interactions`."""

    csr: Csr
    user_ids: NDArray[Any]
    item_ids: NDArray[Any]
    timestamps: NDArray[Any] | None = None
    frame_type: FrameType = "dict"


def from_frame(df: Any, roles: Roles, duplicates: Duplicates | None = None) -> IdMatrix:
    """From a frame; see `Interactions.from_frame`."""
    columns, frame_type = columns_of(df, roles.given())
    if len(columns["user"]) == 0:
        raise DataError("df holds no interactions")
    place: Place = "row {}".format
    log = _Log(
        series(columns["user"], roles.user, place),
        series(columns["item"], roles.item, place),
        None if roles.rating is None else numbers(columns["rating"], roles.rating, place),
        None if roles.timestamp is None else times(columns["timestamp"], roles.timestamp, place),
    )
    return _assemble(log, place, duplicates, frame_type)


def from_text(
    text: Text,
    roles: Roles,
    separator: str | None = None,
    header: bool | None = None,
    duplicates: Duplicates | None = None,
) -> IdMatrix:
    """From delimited text, on disk or in memory; see `Interactions.from_csv`."""
    table = read_delimited(text, roles, separator, header)
    lines = table["line"]

    def place(row: int) -> str:
        return f"{text.label}, line {lines[row]}"

    log = _Log(
        parsed_ids(table["user"], place),
        parsed_ids(table["item"], place),
        None if roles.rating is None else numbers(table["rating"], "rating", place),
        None if roles.timestamp is None else parsed_times(table["timestamp"], place),
    )
    return _assemble(log, place, duplicates, "polars")


def from_parquet(path: Path, roles: Roles, duplicates: Duplicates | None = None) -> IdMatrix:
    """From a parquet file; see `Interactions.from_parquet`."""
    table, names = read_parquet(path, roles)
    return from_frame(table, Roles(**names), duplicates)


def from_matrix(
    X: Any, user_ids: Any, item_ids: Any, duplicates: Duplicates, timestamps: Any
) -> IdMatrix:
    """From a scipy sparse matrix or a dense array; see `Interactions.from_matrix`."""
    _check_duplicates(duplicates)
    choose = sp.issparse(X) and duplicates != "error"
    csr = as_csr(csr_from_sparse(X, "X", duplicates) if choose else X)
    return IdMatrix(
        csr,
        _given_ids(user_ids, csr.n_rows, "user_ids"),
        _given_ids(item_ids, csr.n_cols, "item_ids"),
        None if timestamps is None else times(timestamps, "timestamps", "position {}".format),
    )


@dataclass(frozen=True)
class _Log:
    """Checked columns of one length, one row per interaction."""

    user: pl.Series
    item: pl.Series
    rating: NDArray[np.float32] | None
    timestamp: NDArray[Any] | None


def _assemble(
    log: _Log, place: Place, duplicates: Duplicates | None, frame_type: FrameType
) -> IdMatrix:
    lengths = [len(column) for column in vars(log).values() if column is not None]
    if len(set(lengths)) > 1:
        raise ValueError(f"the columns must have one length, not {', '.join(map(str, lengths))}")
    if duplicates is None:
        duplicates = "first" if log.rating is None else "error"
    _check_duplicates(duplicates)
    rows, user_ids = encode(log.user)
    cols, item_ids = encode(log.item)
    values, timestamps = log.rating, log.timestamp
    if values is None and duplicates == "sum":
        values = np.ones(len(rows), dtype=np.float32)
    if duplicates == "error":
        _refuse_repeated(rows, cols, log, place)
    if timestamps is not None:
        # Earliest first, so that "first" does not depend on the order of lines.
        order = np.lexsort((timestamps, cols, rows))
        rows, cols, timestamps = rows[order], cols[order], timestamps[order]
        values = None if values is None else values[order]
        fresh = np.concatenate(([True], (rows[1:] != rows[:-1]) | (cols[1:] != cols[:-1])))
        timestamps = timestamps[fresh]
    csr = Csr.from_coo(rows, cols, values, len(user_ids), len(item_ids), duplicates)
    return IdMatrix(as_csr(csr), user_ids, item_ids, timestamps, frame_type)


def _refuse_repeated(
    rows: NDArray[np.int32], cols: NDArray[np.int32], log: _Log, place: Place
) -> None:
    order = np.lexsort((cols, rows))
    r, c = rows[order], cols[order]
    again = np.flatnonzero((r[1:] == r[:-1]) & (c[1:] == c[:-1]))
    if len(again):
        # A stable order, so each entry comes after the one it repeats.
        at = int(order[again + 1].min())
        raise DataError(
            f"{place(at)}: user {log.user[at]!r} and item {log.item[at]!r} were given before; "
            'choose duplicates="sum" or "first"'
        )


def _given_ids(ids: Any, n: int, name: str) -> NDArray[Any]:
    if ids is None:
        return np.arange(n, dtype=np.int64)
    column = series(ids, name, "position {}".format)
    if len(column) != n:
        raise ValueError(f"{name} must hold {n} ids, not {len(column)}")
    array = object_array(column.to_list()) if column.dtype == pl.Object else id_array(column)
    if len(encode(column)[1]) < n:
        repeated = next(v for v, k in Counter(array.tolist()).items() if k > 1)
        raise ValueError(f"{name} must be distinct, but {repeated!r} occurs more than once")
    return array


def _check_duplicates(duplicates: object) -> None:
    if duplicates not in get_args(Duplicates):
        raise ValueError(f'duplicates must be "error", "sum" or "first", not {duplicates!r}')
