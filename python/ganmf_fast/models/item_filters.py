"""Items that a request for lists names: the same for all users, or those of each.

Lists of candidates and of items to leave out may be given as one list, as a matrix with one row for
each of the users, as a frame of pairs, or as a dict of users and their items. A frame or a dict may
name users who are not asked for, and one can serve for many requests.
"""

import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ganmf_fast._core import Csr
from ganmf_fast.base.sparse_cells import cells
from ganmf_fast.base.urm import rows_of
from ganmf_fast.data.frames import is_frame, pairs_of
from ganmf_fast.data.interactions import interactions_of
from ganmf_fast.models.ids import Ids, find, numbers

Items: TypeAlias = NDArray[np.int32] | Csr
"""Ascending item numbers for all users, or a row of them for each user of a request."""


class ItemFilters(NamedTuple):
    """What lists are chosen from, as `RankRequest` takes it."""

    candidates: Items | None = None
    excluded: Items | None = None

    def of(self, places: NDArray[np.int64]) -> "ItemFilters":
        """Those of some users of the request, by their places in it."""
        return ItemFilters(
            *(rows_of(items, places) if isinstance(items, Csr) else items for items in self)
        )


class Catalogue(NamedTuple):
    """Users and items that a model knows."""

    n_users: int
    n_items: int
    ids: Ids | None

    def users(
        self, given: Any, unknown: str = "error", name: str | None = None
    ) -> NDArray[np.int64]:
        """Rows of users; -1 for unknown ones where these are skipped.

        Ids of another type are refused where a `name` is given, which messages have.
        """
        if self.ids is not None:
            return find(self.ids.user_index, given, unknown, name)
        return numbers(given, "user", self.n_users, unknown)

    def items(
        self, given: Any, what: str, unknown: str = "error", name: str | None = None
    ) -> NDArray[np.int64]:
        """Columns of items, in the same way."""
        if self.ids is not None:
            return find(self.ids.item_index, given, unknown, name)
        return numbers(given, what, self.n_items, unknown)


def item_filters(
    candidates: Any,
    exclude_items: Any,
    rows: NDArray[np.int64],
    catalogue: Catalogue,
    unknown: str,
) -> ItemFilters:
    """The arguments `candidates` and `exclude_items` of a request for the users in `rows`.

    Raises
    ------
    TypeError, ValueError
        If they are in none of the known forms, hold unknown items or users, or leave no item.
    """
    allowed = excluded = None
    if candidates is not None:
        allowed = _items("candidates", candidates, rows, catalogue, unknown)
    if exclude_items is not None:
        # What is unknown is not recommended anyway.
        excluded = _items("exclude_items", exclude_items, rows, catalogue, "skip")
        if not _count(excluded):
            excluded = None
        elif isinstance(excluded, np.ndarray):
            left = catalogue.n_items - len(excluded)
            if isinstance(allowed, np.ndarray):
                allowed, excluded = np.setdiff1d(allowed, excluded, assume_unique=True), None
                left = len(allowed)
            if not left:
                raise ValueError("exclude_items leaves no item to recommend")
    return ItemFilters(allowed, excluded)


def _count(items: Items) -> int:
    return items.nnz if isinstance(items, Csr) else len(items)


def _items(
    name: str, given: Any, rows: NDArray[np.int64], catalogue: Catalogue, unknown: str
) -> Items:
    data = interactions_of(given)
    if data is not None and catalogue.ids is not None:
        # Any row does for an unknown user, whose list is emptied.
        aligned = catalogue.ids.aligned(data, unknown).csr
        if not aligned.nnz and data.reading is None:
            # Not one is known: perhaps since they are of another type.
            find(catalogue.ids.user_index, data.user_ids, "skip", name)
            find(catalogue.ids.item_index, data.item_ids, "skip", name)
        _check_known(name, data.csr.nnz, aligned.nnz)
        return rows_of(aligned, np.maximum(rows, 0))
    matrix = given.csr if data is not None else given
    if isinstance(matrix, Csr) or sp.issparse(matrix):
        found = _of_matrix(matrix, name, len(rows), catalogue.n_items)
        _check_known(name, found.nnz, found.nnz)
        return found
    if is_frame(given):
        pairs = pairs_of(given, name)
        users = catalogue.users(pairs[0], unknown, name)
        items = catalogue.items(pairs[1], _one(name), unknown, name)
        _check_known(name, len(users), int(((users >= 0) & (items >= 0)).sum()))
        return _rows_of_pairs(users, items, rows, catalogue.n_items)
    if isinstance(given, Mapping):
        each = [catalogue.items(items, _one(name), unknown, name) for items in given.values()]
        lengths = [len(items) for items in each]
        users = np.repeat(catalogue.users(list(given), unknown, name), lengths)
        items = np.concatenate(each) if each else np.empty(0, dtype=np.int64)
        _check_known(name, len(users), int(((users >= 0) & (items >= 0)).sum()))
        return _rows_of_pairs(users, items, rows, catalogue.n_items)
    if isinstance(given, np.ndarray) and given.ndim > 1:
        raise ValueError(
            f"{name} has shape {given.shape}: give one sequence for all users, or for each user a "
            "row of a sparse matrix, rows of a frame, or an entry of a dict"
        )
    items = catalogue.items(given, _one(name), unknown, name)
    known = items[items >= 0]
    _check_known(name, len(items), len(known))
    return np.unique(known).astype(np.int32)


def _check_known(name: str, n_given: int, n_known: int) -> None:
    """Warn of items to leave out of which none is known; of candidates that is an error.

    Those of other users than are asked for count: parts of a catalogue are asked for in turn.
    """
    if name == "candidates" and not n_known:
        raise ValueError("candidates is empty, or holds unknown items or users only")
    if name == "exclude_items" and n_given and not n_known:
        warnings.warn(
            f"{name} has no effect: of what it holds, {n_given:,} in all, nothing is known to the "
            "model",
            UserWarning,
            stacklevel=5,
        )


def _one(name: str) -> str:
    return "candidate" if name == "candidates" else "excluded item"


def _of_matrix(matrix: Any, name: str, n_users: int, n_items: int) -> Csr:
    shape = (matrix.n_rows, matrix.n_cols) if isinstance(matrix, Csr) else matrix.shape
    if shape != (n_users, n_items):
        raise ValueError(
            f"{name} is {' x '.join(map(str, shape))}, but there are {n_users} users asked for and "
            f"{n_items} items: a matrix has a row for each of these users, in their order"
        )
    if isinstance(matrix, Csr):
        return matrix
    found = cells(matrix, (n_users, n_items), name)
    held = found.values != 0
    return Csr.from_coo(found.rows[held], found.cols[held], None, n_users, n_items, "first")


def _rows_of_pairs(
    users: NDArray[np.int64], items: NDArray[np.int64], rows: NDArray[np.int64], n_items: int
) -> Csr:
    """A row for each of `rows` with the items that stand beside it; -1 is nobody and nothing."""
    wanted, place = np.unique(rows, return_inverse=True)
    at = np.minimum(np.searchsorted(wanted, users), len(wanted) - 1)
    kept = (items >= 0) & (users >= 0)
    if len(wanted):
        kept &= wanted[at] == users
    pairs = at[kept].astype(np.int32), items[kept].astype(np.int32)
    found = Csr.from_coo(*pairs, None, len(wanted), n_items, "first")
    return found if np.array_equal(wanted, rows) else rows_of(found, place)
