"""Who interacted with what: a matrix together with the ids of its rows and columns."""

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from ganmf_fast._core import Csr
from ganmf_fast.base.errors import DataError
from ganmf_fast.base.urm import Duplicates, as_csr, csr_from_sparse, fingerprint, to_scipy
from ganmf_fast.data.columns import Place, numbers, parsed_ids, parsed_times, series, times
from ganmf_fast.data.frames import FrameType, columns_of, frame
from ganmf_fast.data.ids import IdIndex, encode, id_array, object_array
from ganmf_fast.data.readers import Column, Roles, Text, read_delimited, read_parquet
from ganmf_fast.data.streaming import stream

__all__ = ["Interactions", "frame"]


@dataclass(frozen=True, eq=False, repr=False)
class Interactions:
    """Interactions of users with items, validated once and never changed.

    Made by `from_frame`, `from_csv`, `from_parquet` or `from_matrix`.

    Attributes
    ----------
    csr : Csr
        The matrix that kernels read; rows are users, columns are items.
    user_ids, item_ids : array
        Ids of rows and columns; ascending, those of mixed types type by type, so that the order of
        lines in a file changes nothing; by first appearance only where a type knows no order.
    timestamps : array or None
        One per stored cell, in the order of ``csr.indices``; of a cell given more than once the
        earliest.
    frame_type : {"polars", "pandas", "pyarrow", "dict"}
        The kind of frame to answer in.
    name : str
        What reports call the data.
    simulated : bool
        Whether the data were generated instead of observed.
    """

    csr: Csr
    user_ids: NDArray[Any]
    item_ids: NDArray[Any]
    timestamps: NDArray[Any] | None = None
    frame_type: FrameType = "dict"
    name: str = "data"
    simulated: bool = False

    def __post_init__(self) -> None:
        """Check that the parts fit together and forbid writing to them."""
        expected = {
            "user_ids": self.csr.n_rows,
            "item_ids": self.csr.n_cols,
            "timestamps": self.csr.nnz,
        }
        for field, length in expected.items():
            array = getattr(self, field)
            if array is None:
                continue
            if array.shape != (length,):
                raise ValueError(f"{field} must have shape ({length},), not {array.shape}")
            view = array.view()
            view.flags.writeable = False
            object.__setattr__(self, field, view)

    @property
    def n_users(self) -> int:
        """Number of users (rows)."""
        return self.csr.n_rows

    @property
    def n_items(self) -> int:
        """Number of items (columns)."""
        return self.csr.n_cols

    @property
    def n_interactions(self) -> int:
        """Number of stored cells."""
        return self.csr.nnz

    @cached_property
    def urm(self) -> "sp.csr_array[np.float32]":
        """The matrix as a canonical scipy array of float32, shape (n_users, n_items)."""
        return to_scipy(self.csr)

    @cached_property
    def data_hash(self) -> str:
        """SHA-256 of the matrix (not of the ids)."""
        return fingerprint(self.csr)

    @cached_property
    def _users(self) -> IdIndex:
        return IdIndex(self.user_ids, "user")

    @cached_property
    def _items(self) -> IdIndex:
        return IdIndex(self.item_ids, "item")

    def user_index(self, ids: object) -> NDArray[np.int64]:
        """Rows of users.

        Parameters
        ----------
        ids : one id or a sequence of ids

        Returns
        -------
        int64 array of shape (n ids,)

        Raises
        ------
        ValueError
            If an id is unknown; the message names it.
        """
        return self._users.positions(ids)

    def item_index(self, ids: object) -> NDArray[np.int64]:
        """Columns of items; as `user_index`."""
        return self._items.positions(ids)

    def __repr__(self) -> str:
        """Name and sizes."""
        simulated = ", simulated" if self.simulated else ""
        return (
            f"Interactions({self.name!r}: {self.n_interactions:,} of {self.n_users:,} users "
            f"on {self.n_items:,} items{simulated})"
        )

    @classmethod
    def from_frame(
        cls,
        df: Any,
        user: str,
        item: str,
        rating: str | None = None,
        timestamp: str | None = None,
        duplicates: Duplicates | None = None,
    ) -> "Interactions":
        """From a polars or pandas frame, a pyarrow table, or a mapping of names to arrays.

        Parameters
        ----------
        df : frame
            One row per interaction.
        user, item : str
            Columns of ids: anything hashable.
        rating : str, optional
            Column of positive numbers; without it every interaction counts as one.
        timestamp : str, optional
            Column of numbers or dates.
        duplicates : {"error", "sum", "first"}, optional
            What to do with a user and item given more than once. By default "first" without
            `rating` (a repeated event is one interaction) and "error" with it. "sum" adds the
            ratings up, or counts the events. "first" keeps the earliest if there is a
            `timestamp`, else the first row.

        Returns
        -------
        Interactions
            It answers in the same type of frame.

        Raises
        ------
        TypeError
            If `df` is no such frame, or a column holds the wrong type.
        ValueError
            If a column does not exist, an id is missing, or a rating is not positive and finite;
            the message gives the row, numbered from 0.
        """
        roles = Roles(user, item, rating, timestamp)
        columns, frame_type = columns_of(df, roles.given())
        if len(columns["user"]) == 0:
            raise DataError("df holds no interactions")
        place: Place = "row {}".format
        cells = _Cells(
            series(columns["user"], user, place),
            series(columns["item"], item, place),
            None if rating is None else numbers(columns["rating"], rating, place),
            None if timestamp is None else times(columns["timestamp"], timestamp, place),
        )
        return _assembled(cells, place, duplicates, frame_type)

    @classmethod
    def from_csv(
        cls,
        path: str | Path,
        user: Column = 0,
        item: Column = 1,
        rating: Column | None = None,
        timestamp: Column | None = None,
        separator: str | None = None,
        header: bool | None = None,
        duplicates: Duplicates | None = None,
    ) -> "Interactions":
        """From a text file of one interaction a line (CSV, TSV, ``::``; also gzipped).

        Parameters
        ----------
        path : str or Path
            UTF-8 text. Ids that are all whole numbers become int64, other ids stay strings.
        user, item, rating, timestamp : str or int
            Column name, or position from 0. Timestamps are numbers or ISO 8601 dates.
        separator : str, optional
            By default the first of ``::``, tab, ``;``, ``,`` found in the first line.
        header : bool, optional
            By default true if a column is given by name; else if the first line holds no number
            but the second does, or a field of the first begins with "user" or "item".
        duplicates : {"error", "sum", "first"}, optional
            As for `from_frame`.

        Returns
        -------
        Interactions
            It answers in polars frames.

        Raises
        ------
        DataError
            If the file cannot be read or a line is broken; the message gives its number.
        ValueError
            If a column does not exist.
        """
        path = Path(path)
        return from_text(
            Text(path, str(path)),
            Roles(user, item, rating, timestamp),
            separator,
            header,
            duplicates,
            name=path.name.split(".")[0] or path.name,
        )

    @classmethod
    def from_parquet(
        cls,
        path: str | Path,
        user: Column = 0,
        item: Column = 1,
        rating: Column | None = None,
        timestamp: Column | None = None,
        duplicates: Duplicates | None = None,
    ) -> "Interactions":
        """From a parquet file; parameters as for `from_csv`, rows and messages as `from_frame`."""
        path = Path(path)
        table, names = read_parquet(path, Roles(user, item, rating, timestamp))
        data = cls.from_frame(
            table,
            names["user"],
            names["item"],
            names.get("rating"),
            names.get("timestamp"),
            duplicates,
        )
        return replace(data, name=path.stem)

    @classmethod
    def scan(
        cls,
        source: str | Path | list[str | Path],
        user: Column = 0,
        item: Column = 1,
        separator: str = ",",
        scratch: str | Path | None = None,
    ) -> "Interactions":
        """From parquet or CSV files that may be larger than memory, read in a stream.

        Every row is an interaction; one given more than once counts once. Memory holds the ids
        and the matrix, about 4 bytes an interaction, but never the rows of the files.

        Parameters
        ----------
        source : str, Path or list of these
            Parquet files, folders of them, or CSV files with a header.
        user, item : str or int
            Column name, or position from 0: whole numbers or text, none missing.
        separator : str, default ","
            Of CSV files.
        scratch : str or Path, optional
            Folder for a temporary file of at most 8 bytes a row; by default the system's.

        Returns
        -------
        Interactions
            It answers in polars frames.

        Raises
        ------
        DataError
            If a file cannot be read, or an id is missing or neither a whole number nor text.
        ValueError
            If a column does not exist.
        """
        csr, (users, items) = stream(source, user, item, separator, scratch)
        first = Path(source[0] if isinstance(source, list) else source)
        return cls(as_csr(csr), users, items, None, "polars", first.stem)

    @classmethod
    def from_matrix(
        cls,
        X: Any,
        user_ids: Any = None,
        item_ids: Any = None,
        duplicates: Literal["error", "sum", "first"] = "error",
        timestamps: Any = None,
    ) -> "Interactions":
        """From a scipy sparse matrix or a dense array; rows are users.

        Parameters
        ----------
        X : scipy sparse matrix or array, 2-D numpy array, or Csr
            Finite and non-negative. Zeros are no interactions.
        user_ids, item_ids : sequence, optional
            Distinct ids of rows and columns, kept in this order; by default 0, 1, 2, ...
        duplicates : {"error", "sum", "first"}, default "error"
            What to do with a cell that a sparse matrix stores more than once.
        timestamps : array, optional
            Numbers or dates, one per interaction, row by row in the order of columns.

        Returns
        -------
        Interactions
            It answers in dicts of arrays.

        Raises
        ------
        TypeError, ValueError
            As for `base.urm.as_csr`, or if ids are missing or not distinct, or there is not
            one timestamp per interaction.
        """
        _check_duplicates(duplicates)
        csr = as_csr(csr_from_sparse(X, "X", duplicates) if sp.issparse(X) else X)
        return cls(
            csr,
            _given_ids(user_ids, csr.n_rows, "user_ids"),
            _given_ids(item_ids, csr.n_cols, "item_ids"),
            None if timestamps is None else times(timestamps, "timestamps", "position {}".format),
        )


def from_text(
    text: Text,
    roles: Roles,
    separator: str | None = None,
    header: bool | None = None,
    duplicates: Duplicates | None = None,
    name: str = "data",
) -> Interactions:
    """Interactions from delimited text, on disk or in memory; see `Interactions.from_csv`."""
    table = read_delimited(text, roles, separator, header)
    lines = table["line"]

    def place(row: int) -> str:
        return f"{text.label}, line {lines[row]}"

    return _assembled(
        _Cells(
            parsed_ids(table["user"], place),
            parsed_ids(table["item"], place),
            None if roles.rating is None else numbers(table["rating"], "rating", place),
            None if roles.timestamp is None else parsed_times(table["timestamp"], place),
        ),
        place,
        duplicates,
        "polars",
        name,
    )


@dataclass(frozen=True)
class _Cells:
    """Checked columns of one length."""

    user: pl.Series
    item: pl.Series
    rating: NDArray[np.float32] | None
    timestamp: NDArray[Any] | None


def _assembled(
    cells: _Cells,
    place: Place,
    duplicates: Duplicates | None,
    frame_type: FrameType,
    name: str = "data",
) -> Interactions:
    lengths = [len(column) for column in vars(cells).values() if column is not None]
    if len(set(lengths)) > 1:
        raise ValueError(f"the columns must have one length, not {', '.join(map(str, lengths))}")
    if lengths[0] == 0:
        raise DataError(f"{name} holds no interactions")
    if duplicates is None:
        duplicates = "first" if cells.rating is None else "error"
    _check_duplicates(duplicates)
    rows, user_ids = encode(cells.user)
    cols, item_ids = encode(cells.item)
    values, timestamps = cells.rating, cells.timestamp
    if values is None and duplicates == "sum":
        values = np.ones(len(rows), dtype=np.float32)
    if duplicates == "error":
        _refuse_repeated(rows, cols, cells, place)
    if timestamps is not None:
        # Earliest first, so that "first" does not depend on the order of lines.
        order = np.lexsort((timestamps, cols, rows))
        rows, cols, timestamps = rows[order], cols[order], timestamps[order]
        values = None if values is None else values[order]
        fresh = np.concatenate(([True], (rows[1:] != rows[:-1]) | (cols[1:] != cols[:-1])))
        timestamps = timestamps[fresh]
    csr = Csr.from_coo(rows, cols, values, len(user_ids), len(item_ids), duplicates)
    return Interactions(as_csr(csr), user_ids, item_ids, timestamps, frame_type, name)


def _refuse_repeated(
    rows: NDArray[np.int32], cols: NDArray[np.int32], cells: _Cells, place: Place
) -> None:
    order = np.lexsort((cols, rows))
    r, c = rows[order], cols[order]
    again = np.flatnonzero((r[1:] == r[:-1]) & (c[1:] == c[:-1]))
    if len(again):
        # A stable order, so each entry comes after the one it repeats.
        at = int(order[again + 1].min())
        raise DataError(
            f"{place(at)}: user {cells.user[at]!r} and item {cells.item[at]!r} were given before; "
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
