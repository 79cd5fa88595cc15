"""Ids and positions in the matrix: encoding a column, looking ids up.

Ids are all integers, all text, or all of another type that polars orders (real numbers, dates), and
get positions in ascending order, so that the order of lines in a file changes nothing. Text is kept
as Python strings, each as long as it is: a numpy array of fixed width would give every id the
length of the longest, and lose trailing zero characters.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ganmf_fast.base.checks import as_array
from ganmf_fast.base.text import shown
from ganmf_fast.data.columns import is_numpy_integer


class CodedIds(NamedTuple):
    """A column of ids: numbers into the distinct ids, in any order."""

    codes: NDArray[np.int32]
    distinct: pl.Series


def encode(column: pl.Series) -> CodedIds:
    """Number the distinct ids of a column without nulls, ascending."""
    if column.dtype in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    distinct = column.unique().sort()
    codes = column.replace_strict(
        distinct, pl.int_range(len(distinct), dtype=pl.Int32, eager=True), return_dtype=pl.Int32
    )
    return CodedIds(codes.to_numpy(), distinct)


def sorted_ids(ids: CodedIds) -> tuple[NDArray[np.int32], NDArray[Any]]:
    """Position of each number in the ascending distinct ids, and these."""
    order = ids.distinct.arg_sort().to_numpy()
    position = np.empty(len(order), dtype=np.int32)
    position[order] = np.arange(len(order), dtype=np.int32)
    return position, id_array(ids.distinct.gather(order))


def id_array(distinct: pl.Series) -> NDArray[Any]:
    """Numpy array of ids: numbers and dates as they are, text as an object array of str."""
    if distinct.dtype in (pl.String, pl.Categorical, pl.Enum):
        return object_array(distinct.cast(pl.String).to_list())
    return distinct.to_numpy()


def object_array(values: Sequence[Any]) -> NDArray[Any]:
    """One-dimensional object array."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def listed(given: Any, what: str, *, mask: bool = True) -> NDArray[Any] | list[Any]:
    """One id or several, as an array or a list.

    Parameters
    ----------
    given : id, sequence or iterator of ids
    what : str
        What messages call one of them.
    mask : bool, default True
        Whether booleans are a mask, which is refused, and no ids.

    Raises
    ------
    TypeError
        If `given` has no order (a set), is a boolean mask or None.
    ValueError
        If it is not one-dimensional.
    """
    # The keys of a dict are a set, but one with an order.
    if isinstance(given, AbstractSet) and not hasattr(given, "mapping"):
        raise TypeError(f"{what}s must have an order, which a set has not: pass sorted({what}s)")
    if given is None:
        raise TypeError(f"{what}s must be ids, not None")
    if hasattr(given, "to_numpy"):
        given = _of_series(given)
    if isinstance(given, np.ndarray):
        given = as_array(f"{what}s", given)
        values: NDArray[Any] | list[Any] = np.atleast_1d(given)
        if given.ndim > 1:
            raise ValueError(f"{what}s must be one-dimensional, not of shape {given.shape}")
        if given.dtype == object:
            values = list(values)
    elif isinstance(given, str | bytes) or not isinstance(given, Iterable):
        values = [given]
    else:
        values = list(given)
    if mask and (values.dtype == bool if isinstance(values, np.ndarray) else _all_bool(values)):
        raise TypeError(
            f"{what}s must be {what}s, not a boolean mask: pass numpy.flatnonzero of it, or ids"
        )
    return values


def _of_series(given: Any) -> Any:
    """A column of polars, pandas or pyarrow as an array, or as a list of integers and None.

    Numpy makes floating point of integers beside missing ones, and merges large ones.
    """
    package = type(given).__module__.partition(".")[0]
    if package == "pyarrow":
        try:
            given = pl.Series(given)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
            return given.to_pylist()
    if isinstance(given, pl.Series):
        of_numpy = is_numpy_integer(given.dtype) and not given.null_count()
        return given.to_numpy() if of_numpy or not given.dtype.is_integer() else given.to_list()
    kind = getattr(getattr(given, "dtype", None), "kind", "")
    return list(given) if kind in {"i", "u"} and given.hasnans else given.to_numpy()


def _all_bool(values: Sequence[Any]) -> bool:
    return len(values) > 0 and all(isinstance(value, bool | np.bool_) for value in values)


_TIMES: dict[str, tuple[type, Any]] = {
    "M": (dt.date, np.datetime64),
    "m": (dt.timedelta, np.timedelta64),
}


def _time(value: Any, kind: str) -> Any:
    """A date, time or duration of Python or pandas as numpy has it; NaT if it is none.

    One with a time zone equals none without, and ids have none.
    """
    of_python, of_numpy = _TIMES[kind]
    if isinstance(value, of_python) and getattr(value, "tzinfo", None) is None:
        # Those of pandas have nanoseconds.
        return value.asm8 if hasattr(value, "asm8") else of_numpy(value)
    return value if isinstance(value, of_numpy) else of_numpy("NaT")


def shown_id(value: Any) -> str:
    """An id in messages: numpy's as those of Python, times as they are written."""
    if isinstance(value, np.datetime64 | np.timedelta64 | dt.date | dt.timedelta):
        return str(value)
    return shown(value.item() if isinstance(value, np.generic) else value)


class IdIndex:
    """Looks up positions of ids.

    Parameters
    ----------
    ids : array of distinct ids
    what : str
        "user" or "item", for messages.
    """

    def __init__(self, ids: NDArray[Any], what: str) -> None:
        self.ids = ids
        self._what = what

    @cached_property
    def _sorter(self) -> NDArray[np.int64]:
        return np.argsort(self.ids, kind="stable")

    @cached_property
    def _position(self) -> dict[Any, int]:
        return {value: at for at, value in enumerate(self.ids.tolist())}

    @property
    def is_text(self) -> bool:
        """Whether the ids are text."""
        return self._kind in "OU"

    @property
    def example(self) -> str:
        """An id, for messages."""
        return shown_id(self.ids[0])

    def positions(self, wanted: Any) -> NDArray[np.int64]:
        """Positions of `wanted` (one id or several).

        Raises
        ------
        TypeError
            If `wanted` has no order or is a boolean mask.
        ValueError
            If an id is unknown; the message names it.
        """
        values = self._listed(wanted)
        found = self._find(values)
        unknown = np.flatnonzero(found < 0)
        if len(unknown):
            value = values[unknown[0]]
            raise ValueError(
                f"{self._what} {shown_id(value)} is unknown; there are {len(self.ids)} "
                f"{self._what}s with ids such as {self.example}"
            )
        return found

    def find(self, wanted: Any, name: str | None = None) -> NDArray[np.int64]:
        """Positions of `wanted`, -1 for unknown ids.

        Parameters
        ----------
        wanted : id, sequence or iterator of ids
        name : str, optional
            What messages call it, if what can be none of these ids is refused: what is of another
            type, or missing.

        Raises
        ------
        TypeError
            If `wanted` has no order, is a boolean mask, or is refused.
        """
        values = self._listed(wanted)
        if name is not None and not self._are_plain(values):
            for value in values:
                if not self._may_be(value):
                    raise TypeError(
                        f"{name} must hold ids of {self._what}s, such as {self.example}, not "
                        f"{shown_id(value)}"
                    )
        return self._find(values)

    def _are_plain(self, values: NDArray[Any] | list[Any]) -> bool:
        """Whether all are numbers, as the ids are, without looking at each."""
        numeric = isinstance(values, np.ndarray) and values.dtype.kind in "iu"
        return not len(self.ids) or (numeric and self._kind in "iuf")

    @property
    def _kind(self) -> str:
        return self.ids.dtype.kind

    def _listed(self, wanted: Any) -> NDArray[Any] | list[Any]:
        return listed(wanted, self._what, mask=self._kind != "b")

    def _may_be(self, value: Any) -> bool:
        """Whether a value is of the type of the ids."""
        if self.is_text:
            return isinstance(value, str)
        if self._kind in "iuf":
            if isinstance(value, bool | np.bool_):
                return False
            if isinstance(value, int | np.integer):
                return True
            real = isinstance(value, float | np.floating)
            return real and (value.is_integer() if self._kind in "iu" else not np.isnan(value))
        if self._kind in _TIMES:
            return not np.isnat(_time(value, self._kind))
        return isinstance(value, bool | np.bool_)

    def _find(self, values: NDArray[Any] | list[Any]) -> NDArray[np.int64]:
        if not len(values) or not len(self.ids):
            return np.full(len(values), -1, dtype=np.int64)
        if self.is_text:
            # An id of another type than str is unknown, whatever it compares equal to.
            texts = values.tolist() if isinstance(values, np.ndarray) else values
            get = self._position.get
            return np.fromiter(
                (get(value, -1) if isinstance(value, str) else -1 for value in texts),
                dtype=np.int64,
                count=len(texts),
            )
        return self._search(values)

    def _search(self, values: NDArray[Any] | list[Any]) -> NDArray[np.int64]:
        ids = self.ids
        numeric = ids.dtype.kind in "iuf"
        if isinstance(values, list):
            plain = all(type(v) is int and -(2**63) <= v < 2**63 for v in values)
            if numeric and not plain:
                return self._compare(values)
            if len(values) == 1 and ids.dtype == np.int64:
                # A request for one user waits for this: two calls of numpy in place of fifteen.
                slot = ids.searchsorted(values[0], sorter=self._sorter)
                at = self._sorter.item(min(slot, len(ids) - 1))
                return np.array([at if ids.item(at) == values[0] else -1], dtype=np.int64)
            # As integers: numpy would make floating point of large ones beside small ones.
            if plain:
                values = np.array(values, dtype=np.int64)
            elif self._kind in _TIMES:
                values = np.array([_time(value, self._kind) for value in values])
            else:
                values = as_array(f"{self._what}s", values)
        if values.dtype.kind != ids.dtype.kind and not (numeric and values.dtype.kind in "iuf"):
            return np.full(len(values), -1, dtype=np.int64)
        with np.errstate(invalid="ignore"):
            # In the ids' own type, so that no id beyond 2**53 is rounded to its neighbour.
            cast = values.astype(ids.dtype)
        slot = np.searchsorted(ids, cast, sorter=self._sorter)
        position = self._sorter[np.minimum(slot, len(ids) - 1)]
        same = (ids[position] == cast) & (cast == values)
        if numeric:
            # A cast between signed and unsigned integers may wrap around.
            same &= (cast < 0) == (values < 0)
        return np.where(same, position, -1).astype(np.int64, copy=False)

    def _compare(self, values: list[Any]) -> NDArray[np.int64]:
        """Positions of numbers by Python's comparison, which rounds nothing."""
        get = self._position.get
        number = (int, float, np.number)
        found = (
            get(value, -1) if isinstance(value, number) and not isinstance(value, bool) else -1
            for value in values
        )
        return np.fromiter(found, dtype=np.int64, count=len(values))
