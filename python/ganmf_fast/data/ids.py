"""Ids and positions in the matrix: encoding a column, looking ids up.

Sortable ids get positions in ascending order, so that the order of lines in a file changes
nothing. Ids of mixed types are ordered type by type, by the names of the types; only ids
of a type without order are numbered by first appearance.
"""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

# Kinds of numpy arrays that `numpy.searchsorted` orders by value.
_ORDERED = "biufUM"


def encode(column: pl.Series) -> tuple[NDArray[np.int32], NDArray[Any]]:
    """Number the distinct ids of a column.

    Parameters
    ----------
    column : polars.Series
        Without nulls.

    Returns
    -------
    codes : int32 array, one position per entry
    ids : array of the distinct ids, so that ``ids[codes]`` is the column

    Raises
    ------
    TypeError
        If an id is not hashable.
    """
    if column.dtype == pl.Object:
        return _encode_objects(column.to_list())
    if column.dtype in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    distinct = column.unique().sort()
    codes = column.replace_strict(
        distinct, pl.int_range(len(distinct), dtype=pl.Int32, eager=True), return_dtype=pl.Int32
    )
    return codes.to_numpy(), id_array(distinct)


def id_array(distinct: pl.Series) -> NDArray[Any]:
    """Numpy array of ids: numbers and dates as they are, strings of fixed width."""
    if distinct.dtype == pl.String:
        return np.array(distinct.to_list(), dtype=np.str_)
    return distinct.to_numpy()


def _encode_objects(values: list[Any]) -> tuple[NDArray[np.int32], NDArray[Any]]:
    for row, value in enumerate(values):
        if not isinstance(value, Hashable):
            raise TypeError(f"the id {value!r} at row {row} is not hashable")
    distinct: list[Any] = list(dict.fromkeys(values))
    try:
        distinct.sort()
    except TypeError:
        # No common order, and a failed sort may have moved entries.
        distinct = _by_type(list(dict.fromkeys(values)))
    ids = object_array(distinct)
    position = {value: at for at, value in enumerate(distinct)}
    return np.fromiter((position[v] for v in values), dtype=np.int32, count=len(values)), ids


def _by_type(distinct: list[Any]) -> list[Any]:
    kinds: dict[str, list[Any]] = {}
    for value in distinct:
        # Numbers of all types have an order in common, and equal ones are one id.
        kind = "number" if isinstance(value, int | float) else type(value).__qualname__
        kinds.setdefault(kind, []).append(value)
    ordered = []
    for kind in sorted(kinds):
        try:
            ordered += sorted(kinds[kind])
        except TypeError:
            ordered += kinds[kind]
    return ordered


def object_array(values: Sequence[Any]) -> NDArray[Any]:
    """One-dimensional object array, also of tuples, which numpy would unpack."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


class IdIndex:
    """Looks up positions of ids.

    Parameters
    ----------
    ids : array of distinct ids
    what : str
        "user" or "item", for messages.
    """

    def __init__(self, ids: NDArray[Any], what: str) -> None:
        self._ids = ids
        self._what = what
        self._ordered = ids.dtype.kind in _ORDERED
        if self._ordered:
            self._sorter = np.argsort(ids, kind="stable")
        else:
            self._position = {value: at for at, value in enumerate(ids.tolist())}

    def positions(self, wanted: Any) -> NDArray[np.int64]:
        """Positions of `wanted` (one id or a sequence of ids).

        Raises
        ------
        ValueError
            If an id is unknown; the message names it.
        """
        return self._search(wanted) if self._ordered else self._look_up(wanted)

    def _look_up(self, wanted: Any) -> NDArray[np.int64]:
        single = isinstance(wanted, str | tuple) or not hasattr(wanted, "__iter__")
        values: list[Any] = [wanted] if single else list(wanted)
        found = np.empty(len(values), dtype=np.int64)
        for at, value in enumerate(values):
            position = self._position.get(value) if isinstance(value, Hashable) else None
            if position is None:
                raise self._unknown(value)
            found[at] = position
        return found

    def _search(self, wanted: Any) -> NDArray[np.int64]:
        given = np.atleast_1d(np.asarray(wanted))
        if given.ndim != 1:
            raise ValueError(f"{self._what}s must be one-dimensional, not of shape {given.shape}")
        if not len(given):
            return np.empty(0, dtype=np.int64)
        if given.dtype == object:
            # Frames hand strings over as objects.
            given = np.array(given.tolist())
        ids = self._ids
        numeric = "biuf"
        if given.dtype.kind != ids.dtype.kind and not (
            given.dtype.kind in numeric and ids.dtype.kind in numeric
        ):
            raise self._unknown(given[0].item())
        with np.errstate(invalid="ignore"):
            # In the ids' own type, so that no id beyond 2**53 is rounded to its neighbour.
            cast = given.astype(ids.dtype)
        slot = np.searchsorted(ids, cast, sorter=self._sorter)
        position = self._sorter[np.minimum(slot, len(ids) - 1)]
        unknown = (cast != given) | (ids[position] != cast)
        if unknown.any():
            raise self._unknown(given[unknown][0].item())
        return position.astype(np.int64, copy=False)

    def _unknown(self, value: object) -> ValueError:
        example = self._ids[0].item() if self._ordered else self._ids[0]
        return ValueError(
            f"{self._what} {value!r} is unknown; there are {len(self._ids)} {self._what}s with "
            f"ids such as {example!r}"
        )
