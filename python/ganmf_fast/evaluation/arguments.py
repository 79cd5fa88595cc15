"""Checks of what a model is evaluated on, against what it was fitted on."""

import warnings
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ganmf_fast._core import Csr
from ganmf_fast.base.urm import rows_of
from ganmf_fast.models.base import Recommender
from ganmf_fast.scorers.lists import without_evidence

__all__ = ["cold_rows", "common_per_row", "refuse_overlap", "warn_of_other_train"]

# Cells of both matrices that are compared at a time.
_CHUNK = 2**22


def refuse_overlap(model: Recommender, test: Csr) -> None:
    """Refuse test interactions that the model was fitted on.

    Raises
    ------
    ValueError
        The message names a user and an item, and the way out.
    """
    common = common_per_row(model.urm_, test)
    total = int(common.sum())
    if not total:
        return
    row = int(np.argmax(common > 0))
    col = int(np.intersect1d(_row(model.urm_, row), _row(test, row))[0])
    ids = model.ids_
    user, item = (row, col) if ids is None else (ids.users[row], ids.items[col])
    raise ValueError(
        f"test holds {total:,} of its {test.nnz:,} interactions that {type(model).__name__} was "
        f"fitted on, such as user {_shown(user)} and item {_shown(item)}: fit the model on train "
        "alone, and pass train before test; allow_overlap=True evaluates nevertheless"
    )


def warn_of_other_train(model: Recommender, masked: Csr, rows: NDArray[np.int64]) -> None:
    """Say so if the profiles of `rows` in `masked` are not those that the model was fitted on.

    Values may differ: a mask has none.

    Warns
    -----
    UserWarning
        With the number of such users.
    """
    urm = model.urm_
    if masked is urm or (
        np.array_equal(masked.indptr, urm.indptr) and np.array_equal(masked.indices, urm.indices)
    ):
        return
    common = common_per_row(masked, urm)[rows]
    other = (common != np.diff(masked.indptr)[rows]) | (common != np.diff(urm.indptr)[rows])
    n_other = int(other.sum())
    if n_other:
        warnings.warn(
            f"train is not what {type(model).__name__} was fitted on for {n_other:,} of "
            f"{len(rows):,} users: lists come from what was fitted, without the items of train",
            UserWarning,
            stacklevel=3,
        )


def cold_rows(model: Recommender, masked: Csr, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those of `rows` that have interactions in `masked` but were fitted without any.

    Their lists need `fold_in`.

    Raises
    ------
    ValueError
        If no list is left because no user has an interaction anywhere, or if there are such users
        and the model has no `fold_in`.
    """
    unfitted = rows[without_evidence(model.scorer_, model.urm_, rows)]
    cold = unfitted[masked.indptr[unfitted] < masked.indptr[unfitted + 1]]
    name = type(model).__name__
    if len(unfitted) == len(rows) and not len(cold):
        raise ValueError(
            f"none of the {len(rows):,} users with test items has an interaction in what {name} "
            "was fitted on: pass their profiles as train, such as the `profile` of a ColdSplit"
        )
    if len(cold):
        try:
            model.scores_of_profiles(rows_of(masked, cold[:1]))
        except NotImplementedError:
            raise ValueError(
                f"{len(cold):,} of {len(rows):,} users have interactions in train but none in what "
                f"{name} was fitted on, and {name} has no fold_in: leave them out with `users`, or "
                "fit the model on train"
            ) from None
    return cold


def common_per_row(a: Csr, b: Csr) -> NDArray[np.int64]:
    """Number of interactions, row by row, that two matrices of one shape have in common."""
    counts = np.zeros(a.n_rows, dtype=np.int64)
    both = a.indptr + b.indptr
    start = 0
    while start < a.n_rows:
        end = int(np.searchsorted(both, both[start] + _CHUNK, side="right")) - 1
        end = min(max(end, start + 1), a.n_rows)
        product = _ones(a, start, end).multiply(_ones(b, start, end))
        counts[start:end] = np.diff(product.tocsr().indptr)
        start = end
    return counts


def _ones(csr: Csr, start: int, end: int) -> "sp.csr_array[np.bool_]":
    indptr = csr.indptr[start : end + 1]
    indices = csr.indices[indptr[0] : indptr[-1]]
    part = sp.csr_array(
        (np.ones(len(indices), dtype=bool), indices, indptr - indptr[0]),
        shape=(end - start, csr.n_cols),
    )
    part.has_canonical_format = True
    return part


def _row(csr: Csr, row: int) -> NDArray[np.int32]:
    return csr.indices[csr.indptr[row] : csr.indptr[row + 1]]


def _shown(value: Any) -> str:
    return repr(value.item() if isinstance(value, np.generic) else value)[:80]
