"""Profiles of people who were not fitted: what they may be given as, over the items of a model."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ganmf_fast._core import Csr
from ganmf_fast.base.text import shown
from ganmf_fast.base.urm import as_csr
from ganmf_fast.data.interactions import Interactions, interactions_of
from ganmf_fast.models.ids import Aligned, Ids, find, numbers, skips


class Profiles(NamedTuple):
    """Profiles over the items of a model."""

    rows: Csr
    names: NDArray[Any]
    """Ids of the people, or their numbers."""
    skipped: int = 0
    """Interactions with unknown items, which were left out."""


def read_profiles(
    given: object,
    n_items: int,
    ids: Ids | None,
    unknown: str = "error",
    name: str = "profiles",
) -> Profiles:
    """Profiles from a matrix, from Interactions or from the items of one person.

    Parameters
    ----------
    given : scipy sparse matrix or array, 2-D numpy array, Csr, Interactions, or sequence of items
    n_items : int
        Items of the model.
    ids : Ids, optional
        Ids of the model; `Interactions` are matched by those of the items, which without ids are
        their numbers.
    unknown : {"error", "skip"}, default "error"
        Treatment of items of Interactions or of a sequence that the model does not know.
    name : str, default "profiles"
        What messages call it.

    Raises
    ------
    TypeError, ValueError
        If it is something else, has another number of columns, or holds unknown items.
    """
    skips(unknown)
    # The usual case first: a request for one person takes no longer than a tenth of a millisecond.
    if ids is None and type(given) is list and len(given) < n_items:
        row = Csr.of_row(given, n_items)
        if row is not None:
            return Profiles(row, np.arange(1))
    data = interactions_of(given)
    if data is not None and ids is not None:
        # New people: all of theirs are known here.
        csr, skipped = Ids(data.user_ids, ids.items, "dict").aligned(data, unknown)
        return Profiles(csr, data.user_ids, skipped.interactions)
    if data is not None and not data.numbered:
        csr, skipped = _by_number(data, n_items, unknown, name)
        return Profiles(csr, np.arange(csr.n_rows), skipped.interactions)
    if data is not None or _is_matrix(given):
        rows = as_csr(given, name, allow_empty=True)
        if rows.n_cols != n_items:
            raise ValueError(
                f"{name} has {rows.n_cols} columns but the model knows {n_items} items"
            )
        return Profiles(rows, np.arange(rows.n_rows))
    places = _items(given, n_items, ids, unknown, name)
    known = places.astype(np.int32)
    known.sort()
    n_skipped = int(known.searchsorted(0))
    # As a rule they are distinct, and looking takes less time than np.unique.
    if n_skipped or not (known[1:] > known[:-1]).all():
        known = np.unique(known[n_skipped:])
    return Profiles(Csr(np.array([0, len(known)]), known, None, n_items), np.arange(1), n_skipped)


def _by_number(data: Interactions, n_items: int, unknown: str, name: str) -> Aligned:
    """Profiles whose items are numbers, as the model has no ids."""
    if data.item_ids.dtype.kind not in "iu":
        raise ValueError(
            f"{name} holds items such as {shown(data.item_ids[0])}, but the model was fitted "
            f"without ids, and calls its items by numbers from 0 to {n_items - 1}: fit it on "
            "Interactions, or give numbers"
        )
    # Refuses what is none of these numbers, unless that is to be left out.
    numbers(data.item_ids, "item", n_items, unknown)
    return Ids(data.user_ids, np.arange(n_items), "dict").aligned(data, unknown)


def _is_matrix(given: object) -> bool:
    """Whether it has rows, each of one person."""
    return (
        isinstance(given, Csr)
        or sp.issparse(given)
        or (isinstance(given, np.ndarray) and given.ndim != 1)
    )


def _items(
    given: object, n_items: int, ids: Ids | None, unknown: str, name: str
) -> NDArray[np.int64]:
    """Numbers of the items of one person, -1 for those that are skipped."""
    kinds = {*map(type, given)} if isinstance(given, list | tuple) else ()
    nested = any(issubclass(kind, Iterable) and not issubclass(kind, str | bytes) for kind in kinds)
    if given is None or nested or isinstance(given, Mapping):
        what = f"{type(given).__name__} of several" if nested else type(given).__name__
        raise TypeError(
            f"{name} must be a matrix, Interactions, or a list of the items of one person, not a "
            f"{what}"
        )
    if isinstance(given, Iterable) and not hasattr(given, "__len__"):
        given = list(given)
    if ids is not None:
        return find(ids.item_index, given, unknown, name)
    places = numbers(given, "item", n_items, unknown)
    if len(places) == n_items and len(np.unique(places)) < n_items:
        raise ValueError(
            f"{name} holds {n_items} numbers, some of them repeatedly: pass the numbers of the "
            "items of one person, or a row of a matrix as X[[row]]"
        )
    return places
