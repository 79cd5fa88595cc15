"""Interactions of users with items: a matrix with the ids of its rows and columns."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ganmf_fast._core import Csr
from ganmf_fast.base.urm import CsrView, Duplicates, as_csr, fingerprint, to_scipy
from ganmf_fast.data import builders
from ganmf_fast.data.frames import FrameType
from ganmf_fast.data.ids import IdIndex
from ganmf_fast.data.readers import Column, Roles, Text
from ganmf_fast.data.streaming import stream

if TYPE_CHECKING:
    import scipy.sparse as sp

__all__ = ["Interactions", "interactions_of"]


@dataclass(frozen=True, eq=False, repr=False)
class Interactions:
    """Interactions of users with items, validated once and never changed.

    Made by `from_frame`, `from_csv`, `from_parquet` or `from_matrix`.

    Attributes
    ----------
    csr : Csr
        The matrix that kernels read; rows are users, columns are items.
    user_ids, item_ids : array
        Ids of rows and columns: ascending, those of mixed types type by type, so that the order
        of lines in a file changes nothing; by first appearance if their type has no order.
    timestamps : array or None
        One per interaction, in the order of ``csr.indices``; of a repeated interaction the
        earliest.
    frame_type : {"polars", "pandas", "pyarrow", "dict"}
        Type of the frames that models return.
    name : str
        Name of the data in reports.
    simulated : bool
        Whether the data were generated instead of observed.
    numbered : bool
        Whether no ids were given, so that rows and columns are called by their numbers.
    """

    csr: Csr
    user_ids: NDArray[Any]
    item_ids: NDArray[Any]
    timestamps: NDArray[Any] | None = None
    frame_type: FrameType = "dict"
    name: str = "data"
    simulated: bool = False
    numbered: bool = False

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
        """Number of interactions."""
        return self.csr.nnz

    @cached_property
    def urm(self) -> "sp.csr_array[np.float32]":
        """The matrix as a canonical, read-only scipy array of float32, (n_users, n_items)."""
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
            Treatment of a user and item given more than once. By default "first" without
            `rating` (a repeated event is one interaction) and "error" with it. "sum" adds the
            ratings up, or counts the events. "first" keeps the earliest if there is a
            `timestamp`, else the first row.

        Returns
        -------
        Interactions
            Models fitted on it return the same type of frame.

        Raises
        ------
        TypeError
            If `df` is no such frame, or a column is of the wrong type.
        ValueError
            If a column does not exist, an id is missing, or a rating is not positive and finite;
            the message gives the row, numbered from 0.
        """
        return cls(*builders.from_frame(df, Roles(user, item, rating, timestamp), duplicates))

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
            Models fitted on it return polars frames.

        Raises
        ------
        DataError
            If the file cannot be read or a line is broken; the message gives its number.
        ValueError
            If a column does not exist.
        """
        path = Path(path)
        text, roles = Text(path, str(path)), Roles(user, item, rating, timestamp)
        built = builders.from_text(text, roles, separator, header, duplicates)
        return cls(*built, path.name.split(".")[0] or path.name)

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
        roles = Roles(user, item, rating, timestamp)
        return cls(*builders.from_parquet(path, roles, duplicates), path.stem)

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
            Models fitted on it return polars frames.

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
            Treatment of an entry that a sparse matrix stores more than once.
        timestamps : array, optional
            Numbers or dates, one per interaction, row by row in the order of columns.

        Returns
        -------
        Interactions
            Models fitted on it return dicts of arrays.

        Raises
        ------
        TypeError, ValueError
            As for `base.urm.as_csr`, or if ids are missing or not distinct, or there is not
            one timestamp per interaction.
        """
        built = builders.from_matrix(X, user_ids, item_ids, duplicates, timestamps)
        return cls(*built, numbered=user_ids is None and item_ids is None)


def interactions_of(X: object) -> Interactions | None:
    """The `Interactions` behind an argument: itself, or those that a matrix of `Splits` shows.

    Returns
    -------
    Interactions or None
        None if `X` is a matrix without ids.
    """
    found = X.owner if isinstance(X, CsrView) else X
    return found if isinstance(found, Interactions) else None
