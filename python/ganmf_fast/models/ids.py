"""Ids of the users and items that a model was fitted on."""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganmf_fast._core import Csr
from ganmf_fast.base.checks import as_array, check_choice
from ganmf_fast.base.overlap import common_per_row
from ganmf_fast.base.text import shown
from ganmf_fast.base.urm import as_csr, row_of
from ganmf_fast.data.frames import FrameType
from ganmf_fast.data.ids import IdIndex, shown_id
from ganmf_fast.data.interactions import Interactions, interactions_of


class Skipped(NamedTuple):
    """How much of `Interactions` was left out because the model does not know its ids."""

    users: int = 0
    items: int = 0
    interactions: int = 0
    """Those of unknown users, and those with unknown items."""


class Aligned(NamedTuple):
    """A matrix over known users and items, and what was left out of it."""

    csr: Csr
    skipped: Skipped = Skipped()


# Kinds of arrays of ids that are text, and of whole numbers.
_TEXT, _WHOLE = "OUT", "iu"


class Ids:
    """Ids of rows and columns, and the type of frame that results come in.

    Parameters
    ----------
    users, items : array
        Ids in the order of rows and columns.
    frame_type : {"polars", "pandas", "pyarrow", "dict"}
    """

    def __init__(self, users: NDArray[Any], items: NDArray[Any], frame_type: FrameType) -> None:
        self.users = users
        self.items = items
        self.frame_type: FrameType = frame_type

    @classmethod
    def of(cls, X: object) -> "Ids | None":
        """Ids of `X`, if it has any."""
        data = interactions_of(X)
        return None if data is None else cls(data.user_ids, data.item_ids, data.frame_type)

    @cached_property
    def user_index(self) -> IdIndex:
        """Rows of user ids."""
        return IdIndex(self.users, "user")

    @cached_property
    def item_index(self) -> IdIndex:
        """Columns of item ids."""
        return IdIndex(self.items, "item")

    def aligned(self, data: Interactions, unknown: str = "error") -> Aligned:
        """Rows and columns of `data` in the order of these ids.

        Where one side's ids are text and the other's whole numbers, and `data` were read from a
        text file, both are compared as text: a file whose ids happen to be all digits holds the
        same ids as one in which some are not.

        Parameters
        ----------
        data : Interactions
        unknown : {"error", "skip"}, default "error"
            Treatment of users and items that are unknown here.

        Raises
        ------
        ValueError
            If a user or an item is unknown here.
        """
        if np.array_equal(data.user_ids, self.users) and np.array_equal(data.item_ids, self.items):
            return Aligned(data.csr)
        from_text = getattr(data, "reading", None) is not None
        row_of = aligned_positions(
            "user", self.user_index, self.users, data.user_ids, from_text, unknown
        )
        col_of = aligned_positions(
            "item", self.item_index, self.items, data.item_ids, from_text, unknown
        )
        csr = data.csr
        rows, cols = np.repeat(row_of, np.diff(csr.indptr)), col_of[csr.indices]
        values = csr.values
        known = (rows >= 0) & (cols >= 0)
        skipped = Skipped()
        if not known.all():
            skipped = Skipped(int((row_of < 0).sum()), int((col_of < 0).sum()), int((~known).sum()))
            rows, cols = rows[known], cols[known]
            values = None if values is None else values[known]
        shape = len(self.users), len(self.items)
        return Aligned(Csr.from_coo(rows, cols, values, *shape), skipped)


def aligned_positions(
    what: str, index: IdIndex, ids: NDArray[Any], given: NDArray[Any], from_text: bool, unknown: str
) -> NDArray[np.int32]:
    """Positions of `given` among `ids`, -1 for unknown ones, which may be refused."""
    if from_text and given.dtype.kind in _WHOLE and ids.dtype.kind in _TEXT:
        given = given.astype(np.str_)
    elif from_text and given.dtype.kind in _TEXT and ids.dtype.kind in _WHOLE:
        index = IdIndex(ids.astype(np.str_), what)
    return find(index, given, unknown).astype(np.int32)


def skips(unknown: object) -> bool:
    """Whether unknown ids are left out; refuses what is neither "error" nor "skip"."""
    return check_choice("unknown", unknown, ("error", "skip")) == "skip"


def find(
    index: IdIndex, wanted: object, unknown: str = "error", name: str | None = None
) -> NDArray[np.int64]:
    """Positions of ids: those of unknown ones are -1, or refused.

    Raises
    ------
    TypeError, ValueError
        If `wanted` are no ids, or one is unknown and `unknown` is "error"; with a `name` for
        messages, also if one is of another type than the ids.
    """
    return index.find(wanted, name) if skips(unknown) else index.positions(wanted)


def numbers(given: object, what: str, size: int, unknown: str = "error") -> NDArray[np.int64]:
    """Numbers of users or items, one or many of any integer type, within ``0..size``.

    Parameters
    ----------
    given : int, sequence or iterator of int
    what : str
        What messages call one of them.
    size : int
    unknown : {"error", "skip"}, default "error"
        Whether numbers out of range are refused, or become -1.

    Raises
    ------
    TypeError, ValueError
        If it is something else, such as a boolean mask or a set, which has no order.
    """
    # The usual cases first: a request for one user takes no longer than a tenth of a millisecond.
    if type(given) is int and 0 <= given < size:
        return np.array([given], dtype=np.int64)
    if type(given) is np.ndarray and given.ndim == 1 and given.dtype.kind in "iu" and given.size:
        return _within(given, what, size, unknown)
    if given is None:
        raise TypeError(f"{what}s must be integer numbers, not None")
    if isinstance(given, AbstractSet) and not hasattr(given, "mapping"):
        raise TypeError(f"{what}s must have an order, which a set has not: pass sorted({what}s)")
    if isinstance(given, Iterable) and not isinstance(given, Sequence):
        given = given if hasattr(given, "__array__") else list(given)
    array = as_array(f"{what}s", given)
    if array.ndim > 1:
        raise ValueError(f"{what}s must be one-dimensional, not of shape {array.shape}")
    if not array.size:
        return np.empty(0, dtype=np.int64)
    if array.dtype.kind == "b":
        raise TypeError(
            f"{what}s must be integer numbers, not a boolean mask: pass numpy.flatnonzero of it"
        )
    if array.dtype.kind not in "iu":
        raise TypeError(f"{what}s must be integer numbers, not {shown(given)}")
    return _within(np.atleast_1d(array), what, size, unknown)


def _within(array: NDArray[Any], what: str, size: int, unknown: str) -> NDArray[np.int64]:
    if array.min() >= 0 and array.max() < size:
        return array.astype(np.int64)
    bad = (array < 0) | (array >= size)
    if not skips(unknown):
        first = array[np.flatnonzero(bad)[0]]
        raise ValueError(f"{what} {first} does not exist: numbers go from 0 to {size - 1}")
    return np.where(bad, -1, array).astype(np.int64)


def matching(
    data: object,
    name: str,
    shape: tuple[int, int],
    ids: Ids | None = None,
    unknown: str = "error",
) -> Aligned:
    """`data` as a `Csr` over known users and items.

    Parameters
    ----------
    data : Interactions, Csr, scipy sparse matrix or array, or 2-D numpy array
    name : str
        What messages call it.
    shape : (int, int)
        Numbers of users and items.
    ids : Ids, optional
        Ids of rows and columns, by which `Interactions` are brought into order.
    unknown : {"error", "skip"}, default "error"
        Treatment of unknown ids of `Interactions`.

    Raises
    ------
    TypeError, ValueError
        If it is no matrix of interactions, has another shape, or holds unknown ids.
    """
    known = interactions_of(data)
    if known is not None and ids is not None:
        return ids.aligned(known, unknown)
    csr = as_csr(data, name)
    if (csr.n_rows, csr.n_cols) != shape:
        raise ValueError(
            f"{name} is {csr.n_rows} x {csr.n_cols} but the model knows {shape[0]} users and "
            f"{shape[1]} items"
        )
    return Aligned(csr)


def matching_csr(data: object, name: str, shape: tuple[int, int], ids: Ids | None = None) -> Csr:
    """The matrix alone of `matching`."""
    return matching(data, name, shape, ids).csr


def in_common(
    known: Csr, held_out: Csr, ids: Ids | None, name: str, which: str, way_out: str
) -> str:
    """What to say of held-out interactions that are known; empty if there are none.

    Parameters
    ----------
    known, held_out : Csr
        Of one shape.
    ids : Ids, optional
        Ids of rows and columns.
    name : str
        What messages call `held_out`.
    which, way_out : str
        What they say of the interactions of both, and what to do.

    Returns
    -------
    str
        Names a user and an item.
    """
    common = common_per_row(known, held_out)
    total = int(common.sum())
    if not total:
        return ""
    row = int(np.argmax(common > 0))
    col = int(np.intersect1d(row_of(known, row)[0], row_of(held_out, row)[0])[0])
    user, item = (row, col) if ids is None else (ids.users[row], ids.items[col])
    return (
        f"{name} holds {total:,} of its {held_out.nnz:,} interactions {which}, such as user "
        f"{shown_id(user)} and item {shown_id(item)}: {way_out}"
    )


def refuse_common(
    known: Csr, held_out: Csr, ids: Ids | None, name: str, which: str, way_out: str
) -> None:
    """Refuse held-out interactions that are known; see `in_common`.

    Raises
    ------
    ValueError
    """
    if said := in_common(known, held_out, ids, name, which, way_out):
        raise ValueError(said)
