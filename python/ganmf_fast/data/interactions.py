"""Interactions of users with items: a matrix with the ids of its rows and columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ganmf_fast._core import Csr
from ganmf_fast.base.checks import check_path, check_real
from ganmf_fast.base.notebook import html_table
from ganmf_fast.base.text import few, shown
from ganmf_fast.base.urm import as_csr, fingerprint, to_scipy
from ganmf_fast.data import builders
from ganmf_fast.data.builders import Repeated
from ganmf_fast.data.frames import FrameType, frame
from ganmf_fast.data.ids import IdIndex
from ganmf_fast.data.moments import moment
from ganmf_fast.data.readers import Options
from ganmf_fast.data.reading import Reading
from ganmf_fast.data.roles import Column, ColumnOrFalse, Roles
from ganmf_fast.data.sources import DataFile, name_of
from ganmf_fast.data.streaming import stream

if TYPE_CHECKING:
    import scipy.sparse as sp


@dataclass(frozen=True, eq=False, repr=False)
class Interactions:
    """Interactions of users with items, validated once and never changed.

    Made by `from_frame`, `from_csv`, `from_parquet` or `from_matrix`.

    Attributes
    ----------
    csr : Csr
        The matrix that kernels read; rows are users, columns are items.
    user_ids, item_ids : array
        Ids of rows and columns: ascending, so that the order of lines in a file changes nothing,
        or in the order that was given with a matrix. Text is an object array of str.
    timestamps : array or None
        One per interaction, in the order of ``csr.indices``; of a repeated interaction the
        earliest.
    frame_type : {"polars", "pandas", "pyarrow", "dict"}
        Type of the frames that models return.
    reading : Reading or None
        How a file was read, and what of it was left out; None for frames and matrices.
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
    reading: Reading | None = None
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

    def __len__(self) -> int:
        """Number of interactions."""
        return self.csr.nnz

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of users and items."""
        return self.csr.n_rows, self.csr.n_cols

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

    def to_frame(self, frame_type: FrameType | None = None) -> Any:
        """One row per interaction: user, item, and rating and timestamp where there are any.

        Parameters
        ----------
        frame_type : {"polars", "pandas", "pyarrow", "dict"}, optional
            By default that of the data.
        """
        rows = np.repeat(np.arange(self.n_users), np.diff(self.csr.indptr))
        columns = {"user": self.user_ids[rows], "item": self.item_ids[self.csr.indices]}
        if self.csr.values is not None:
            columns["rating"] = self.csr.values
        if self.timestamps is not None:
            columns["timestamp"] = self.timestamps
        return frame(columns, frame_type or self.frame_type)

    def filter(
        self,
        users: Any = None,
        items: Any = None,
        since: Any = None,
        until: Any = None,
        min_rating: float | None = None,
    ) -> "Interactions":
        """Only some interactions; users and items without any left are dropped.

        Parameters
        ----------
        users, items : sequence of ids, optional
            The ones to keep.
        since, until : number, or date, datetime or ISO 8601 text, optional
            Times from `since` on and before `until`, of the kind of `timestamps`: numbers, or
            dates. These are in UTC where the data had time zones; those of a zone are converted,
            those without are taken as they are.
        min_rating : float, optional
            Ratings of at least this; without ratings every interaction counts as one.

        Raises
        ------
        TypeError
            If a time is not of the kind of `timestamps`, or `min_rating` is no number.
        ValueError
            If an id is unknown, a time is missing (NaN, NaT), times are asked for and there are
            none, or nothing is left.
        """
        rows = np.repeat(np.arange(self.n_users), np.diff(self.csr.indptr))
        kept = np.ones(len(rows), dtype=bool)
        if users is not None:
            kept &= np.isin(rows, self.user_index(users))
        if items is not None:
            kept &= np.isin(self.csr.indices, self.item_index(items))
        if since is not None or until is not None:
            if self.timestamps is None:
                raise ValueError("since and until need timestamps, which these data have not")
            times = self.timestamps
            kept &= True if since is None else times >= moment("since", since, times)
            kept &= True if until is None else times < moment("until", until, times)
        values = self.csr.values
        if min_rating is not None:
            least = check_real("min_rating", min_rating)
            kept &= (np.ones(1) if values is None else values) >= least
        if not kept.any():
            raise ValueError("no interaction is left")
        left_users, user_codes = np.unique(rows[kept], return_inverse=True)
        left_items, item_codes = np.unique(self.csr.indices[kept], return_inverse=True)
        csr = Csr.from_coo(
            user_codes.astype(np.int32),
            item_codes.astype(np.int32),
            None if values is None else values[kept],
            len(left_users),
            len(left_items),
        )
        return replace(
            self,
            csr=as_csr(csr),
            user_ids=self.user_ids[left_users],
            item_ids=self.item_ids[left_items],
            timestamps=None if self.timestamps is None else self.timestamps[kept],
            numbered=False,
        )

    def weighted_by_age(self, half_life: float, now: Any = None) -> "Interactions":
        """Values halved for every `half_life` of age.

        Parameters
        ----------
        half_life : float
            In the unit of `timestamps`; in days if these are dates.
        now : number, or date, datetime or ISO 8601 text, optional
            Time from which age counts, as `since` of `filter`; by default the latest timestamp.

        Raises
        ------
        TypeError
            If `now` is not of the kind of `timestamps`, or `half_life` is no number.
        ValueError
            If there are no timestamps, `half_life` is not positive, or `now` is not finite.
        """
        check_real("half_life", half_life, above=0.0)
        if self.timestamps is None:
            raise ValueError("half_life needs timestamps, which these data have not")
        latest = self.timestamps.max()
        if now is not None:
            latest = np.asarray(moment("now", now, self.timestamps))
            if latest.dtype.kind == "f":
                check_real("now", float(latest))
        age: NDArray[Any] = latest - self.timestamps
        if age.dtype.kind == "m":
            age = age / np.timedelta64(1, "D")
        weight = np.exp2(-np.maximum(age.astype(np.float64), 0.0) / half_life)
        values = weight if self.csr.values is None else weight * self.csr.values
        # A weight is never zero, which would be no interaction.
        smallest = np.finfo(np.float32).tiny
        single = np.maximum(values, smallest).astype(np.float32)
        csr = Csr(self.csr.indptr, self.csr.indices, single, self.csr.n_cols)
        return replace(self, csr=as_csr(csr))

    def __repr__(self) -> str:
        """Name and sizes."""
        simulated = ", simulated" if self.simulated else ""
        return (
            f"Interactions({shown(self.name)}: {self.n_interactions:,} of {self.n_users:,} users "
            f"on {self.n_items:,} items{simulated})"
        )

    def _repr_html_(self) -> str:
        """What notebooks show: sizes, lengths of profiles, the period, and some ids."""
        lengths = np.diff(self.csr.indptr)
        rows: list[tuple[object, ...]] = [
            ("users", self.n_users),
            ("items", self.n_items),
            ("interactions", self.n_interactions),
            ("density", f"{self.n_interactions / max(self.n_users * self.n_items, 1):.4%}"),
            (
                "interactions of a user",
                f"{lengths.min():,} to {lengths.max():,}, median {np.median(lengths):g}",
            ),
        ]
        if self.timestamps is not None and len(self.timestamps):
            rows.append(("period", f"{self.timestamps.min()} to {self.timestamps.max()}"))
        if not self.numbered:
            rows.append(("first users", few(self.user_ids[:5])))
            rows.append(("first items", few(self.item_ids[:5])))
        notes = ["simulated, not observed"] if self.simulated else []
        return html_table(f"Interactions {self.name}", (), rows, notes)

    @classmethod
    def from_frame(
        cls,
        df: Any,
        user: str,
        item: str,
        rating: str | None = None,
        timestamp: str | None = None,
        duplicates: Repeated | None = None,
        weights: Mapping[str, float] | None = None,
    ) -> "Interactions":
        """From a frame, or a mapping of names to arrays.

        Parameters
        ----------
        df : polars, pandas or pyarrow frame, whatever offers the Arrow stream interface, or dict
            One row per interaction.
        user, item : str
            Columns of ids, each of one type: integers, text, dates, floats or booleans. Categories
            count as their names.
        rating : str, optional
            Column of positive numbers; without it every interaction counts as one.
        timestamp : str, optional
            Column of numbers or dates.
        duplicates : {"error", "sum", "first", "last", "max", "mean"}, optional
            Treatment of a user and item given more than once. By default "first" without
            `rating` (a repeated event is one interaction) and "error" with it. "sum", "max" and
            "mean" are of the ratings, or of ones. "first" and "last" keep the earliest and the
            latest if there is a `timestamp`, else the first and the last row.
        weights : mapping of str to float, optional
            Weight of each value of `rating`, such as of types of events: ``weights={"view": 1,
            "buy": 5}`` with ``rating="event"``.

        Returns
        -------
        Interactions
            Models fitted on it return the same type of frame.

        Raises
        ------
        TypeError
            If `df` is no such frame, or a column is of the wrong type or of several.
        ValueError
            If a column does not exist, an id is missing, or a rating is not positive and finite;
            the message gives the row, numbered from 0.
        """
        return cls(
            *builders.from_frame(df, Roles(user, item, rating, timestamp, weights), duplicates)
        )

    @classmethod
    def from_csv(
        cls,
        path: str | Path,
        user: Column | None = None,
        item: Column | None = None,
        rating: ColumnOrFalse | None = None,
        timestamp: ColumnOrFalse | None = None,
        separator: str | None = None,
        header: bool | None = None,
        quote: str | None = "auto",
        encoding: str = "utf-8",
        strip: bool = False,
        duplicates: Repeated | None = None,
        weights: Mapping[str, float] | None = None,
    ) -> "Interactions":
        """From a text file of one interaction a line: CSV, TSV, ``::``, RecBole, JSON lines.

        Nothing is guessed in silence: what cannot be told for certain is refused in a sentence that
        names the argument which settles it. `reading` says how the file was read.

        Parameters
        ----------
        path : str or Path
            Text, compressed or not (gzip, bzip2, xz, zstandard, zip; by its content). Ids that are
            all whole numbers become integers, others stay text, exactly as written.
        user, item : str or int, optional
            Column name, or position from 0. By default the columns with well-known names
            (``data/column_names.toml``), or, without a header, the first two.
        rating, timestamp : str, int or False, optional
            Likewise; found by name if neither `user` nor `item` is given, and never read if False.
            Timestamps are numbers or ISO 8601 dates, these to the microsecond: what is beyond the
            sixth digit of a second is cut.
        separator : str, optional
            By default the one of ``::``, tab, ``;``, ``,`` and ``|`` that cuts all of many lines
            into equally many fields.
        header : bool, optional
            Whether the first line names the columns. By default it does if a column is given by
            name, or if it holds well-known names of users and items; it does not if it has
            numbers where all other lines have.
        quote : str or None, default "auto"
            Character that encloses fields, as in RFC 4180; "off" or None for none. "auto" is ``"``
            between commas or semicolons, and none otherwise, unless that would be ambiguous.
        encoding : str, default "utf-8"
        strip : bool, default False
            Drop blanks around fields that are not quoted. By default they belong to the field, as
            in RFC 4180, and a number with blanks around it is refused.
        duplicates, weights
            As for `from_frame`.

        Returns
        -------
        Interactions
            Models fitted on it return polars frames.

        Raises
        ------
        DataError
            If the file cannot be read, a line is broken, or the separator or the header cannot be
            told; the message gives the line.
        ValueError
            If a column does not exist, or cannot be told.
        """
        path = check_path("path", path)
        roles = Roles(user, item, rating, timestamp, weights)
        options = Options(separator, header, quote, encoding, strip)
        built = builders.from_text(DataFile(path, str(path)), roles, options, duplicates)
        return cls(*built, name=name_of(path))

    @classmethod
    def from_parquet(
        cls,
        path: str | Path,
        user: Column | None = None,
        item: Column | None = None,
        rating: ColumnOrFalse | None = None,
        timestamp: ColumnOrFalse | None = None,
        duplicates: Repeated | None = None,
        weights: Mapping[str, float] | None = None,
    ) -> "Interactions":
        """From a parquet file, or a folder of them.

        Parameters as for `from_csv`, rows and messages as for `from_frame`.
        """
        path = check_path("path", path)
        roles = Roles(user, item, rating, timestamp, weights)
        return cls(*builders.from_parquet(path, roles, duplicates), name=name_of(path))

    @classmethod
    def from_file(
        cls,
        path: str | Path,
        roles: Roles | None = None,
        options: Options | None = None,
        duplicates: Repeated | None = None,
    ) -> "Interactions":
        """From a file of any kind, told by its content: text, JSON lines or parquet."""
        path = check_path("path", path)
        built = builders.from_file(path, roles or Roles(), options or Options(), duplicates)
        return cls(*built, name=name_of(path))

    @classmethod
    def scan(
        cls,
        source: str | Path | Sequence[str | Path],
        user: Column | None = None,
        item: Column | None = None,
        rating: ColumnOrFalse | None = None,
        timestamp: ColumnOrFalse | None = None,
        separator: str | None = None,
        header: bool | None = None,
        quote: str | None = "auto",
        encoding: str = "utf-8",
        strip: bool = False,
        duplicates: Repeated | None = None,
        weights: Mapping[str, float] | None = None,
        scratch: str | Path | None = None,
    ) -> "Interactions":
        """From files that may be larger than memory, read in a stream.

        The result is that of `from_csv` and `from_parquet`. Memory holds the ids and the matrix,
        about 4 bytes an interaction, but never the rows of the files; ratings, timestamps and
        `duplicates` other than "first" need 8 bytes a row more.

        Parameters
        ----------
        source : str, Path or sequence of these
            Parquet files, folders of them, or text files.
        user, item, rating, timestamp, duplicates, weights
            As for `from_csv`.
        separator, header, quote, encoding, strip
            Likewise.
        scratch : str or Path, optional
            Folder for temporary files of at most 8 bytes a row and column; by default the system's.

        Returns
        -------
        Interactions
            Models fitted on it return polars frames.

        Raises
        ------
        DataError, ValueError
            As for `from_csv`.
        """
        each = source if isinstance(source, list | tuple) else [source]
        paths = [check_path("source", path) for path in each]
        roles = Roles(user, item, rating, timestamp, weights)
        options = Options(separator, header, quote, encoding, strip)
        built = stream(paths, roles, options, duplicates, scratch)
        return cls(*built, name=name_of(paths[0]))

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
    found = X if isinstance(X, Interactions) else getattr(X, "owner", None)
    return found if isinstance(found, Interactions) else None
