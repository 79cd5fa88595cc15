"""Features of items, such as genres or embeddings, over the items of a model."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ganmf_fast._core import Csr
from ganmf_fast.base.checks import as_array
from ganmf_fast.base.sparse_cells import cells
from ganmf_fast.base.text import shown
from ganmf_fast.base.urm import checked_shape, to_scipy
from ganmf_fast.data.ids import IdIndex
from ganmf_fast.data.interactions import Interactions, interactions_of
from ganmf_fast.models.ids import Ids, aligned_positions, find, numbers

_FORMS = (
    "a matrix of items x features, Interactions of items and features, or a mapping of items to "
    "lists of labels"
)


def read_item_features(given: object, n_items: int, ids: Ids | None) -> "sp.csr_array[np.float64]":
    """Features as a sparse matrix with a row for each item of a model.

    Parameters
    ----------
    given : scipy sparse matrix or array, 2-D numpy array, Csr, Interactions, or mapping
        A matrix has the items of the model as rows, in its order, and any features as columns.
        `Interactions` have items as users and labels as items, such as the rows (film, genre) of a
        frame; a mapping goes from an item to one label or several. Both are matched by id if the
        model has ids, else items are numbers. Items that the model does not know have no effect,
        and items that are not given have no feature.
    n_items : int
        Items of the model.
    ids : Ids or None
        Ids of the model.

    Returns
    -------
    csr_array of float64, shape (n_items, n_features)

    Raises
    ------
    TypeError, ValueError
        If it has another form or number of rows, holds what is not finite, or nothing of any item.
    """
    data = interactions_of(given)
    found: sp.csr_array[np.float64]
    if isinstance(given, Mapping):
        found = _of_labels(given, n_items, ids)
    elif data is not None and ids is not None:
        found = _of_interactions(data, ids)
    else:
        found = _of_matrix(given if data is None else data.csr)
    if found.shape[0] != n_items:
        raise ValueError(
            f"item_features has {found.shape[0]} rows but there are {n_items} items: give a row "
            "for each, or a mapping of items to labels"
        )
    found.sum_duplicates()
    found.eliminate_zeros()
    if not np.isfinite(found.data).all():
        raise ValueError("item_features holds NaN or infinity")
    if not found.nnz:
        raise ValueError("item_features says nothing about any of the items")
    return found


def _of_matrix(given: Any) -> "sp.csr_array[np.float64]":
    if isinstance(given, Csr):
        given = to_scipy(given)
    if isinstance(given, np.ndarray):
        given = as_array("item_features", given)
    is_dense = isinstance(given, np.ndarray) and np.ndim(given) == 2
    has_rows = bool(sp.issparse(given)) or is_dense
    if not has_rows:
        raise TypeError(f"item_features must be {_FORMS}, not {shown(given)}")
    if given.dtype.kind not in "biuf":
        raise TypeError(f"item_features must hold numbers, not {given.dtype}")
    if is_dense:
        return sp.csr_array(given, dtype=np.float64)
    shape = checked_shape(given, "item_features")
    rows, cols, values = cells(given, shape, "item_features")
    return sp.csr_array((values.astype(np.float64), (rows, cols)), shape=shape)


def _of_labels(
    given: Mapping[Any, Any], n_items: int, ids: Ids | None
) -> "sp.csr_array[np.float64]":
    keys = list(given)
    if ids is None:
        rows = numbers(keys, "item", n_items, "skip")
    else:
        rows = find(ids.item_index, keys, "skip") if keys else np.empty(0, dtype=np.int64)
    column_of: dict[Any, int] = {}
    at: list[int] = []
    columns: list[int] = []
    for row, key in zip(rows.tolist(), keys, strict=True):
        labels = given[key]
        if isinstance(labels, str) or not isinstance(labels, Iterable):
            labels = (labels,)
        if row < 0:
            continue
        try:
            distinct = dict.fromkeys(label for label in labels if label is not None)
        except TypeError:
            raise TypeError(
                f"item_features of item {shown(key)} must be a list of labels, not {shown(labels)}"
            ) from None
        for label in distinct:
            columns.append(column_of.setdefault(label, len(column_of)))
            at.append(row)
    shape = (n_items, max(len(column_of), 1))
    return sp.csr_array((np.ones(len(at)), (at, columns)), shape=shape)


def _of_interactions(data: Interactions, ids: Ids) -> "sp.csr_array[np.float64]":
    row_of: NDArray[np.int32] = aligned_positions(
        "item",
        IdIndex(ids.items, "item"),
        ids.items,
        data.user_ids,
        getattr(data, "reading", None) is not None,
        "skip",
    )
    coo = to_scipy(data.csr).tocoo()
    rows = row_of[coo.row]
    known = rows >= 0
    return sp.csr_array(
        (coo.data[known].astype(np.float64), (rows[known], coo.col[known])),
        shape=(len(ids.items), data.csr.n_cols),
    )


def directions(features: "sp.csr_array[np.float64]") -> "sp.csr_array[np.float64]":
    """Rows of length one, so that products are cosines; rows of zeros stay."""
    scaled = _with_largest_one(features)
    squares: NDArray[np.float64] = np.asarray(scaled.multiply(scaled).sum(axis=1)).ravel()
    return _scaled(scaled, np.sqrt(squares))


def distributions(features: "sp.csr_array[np.float64]") -> "sp.csr_array[np.float64]":
    """Rows that sum to one; rows of zeros stay.

    Raises
    ------
    ValueError
        If a feature is negative.
    """
    if (features.data < 0).any():
        raise ValueError(
            "item_features holds negative numbers, which are no fractions: calibration is over "
            "labels such as genres"
        )
    scaled = _with_largest_one(features)
    return _scaled(scaled, np.asarray(scaled.sum(axis=1)).ravel())


def _with_largest_one(features: "sp.csr_array[np.float64]") -> "sp.csr_array[np.float64]":
    """Rows whose largest entry is one in size: sums and squares of them are within double range."""
    return _scaled(features, abs(features).max(axis=1).toarray().ravel())


def _scaled(
    features: "sp.csr_array[np.float64]", lengths: NDArray[np.float64]
) -> "sp.csr_array[np.float64]":
    scaled = features.copy()
    lengths = np.where(lengths > 0, lengths, 1)
    scaled.data /= np.repeat(lengths, np.diff(scaled.indptr))
    return scaled
