"""Ids of the users and items that a model was fitted on."""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganmf_fast._core import Csr
from ganmf_fast.base.urm import as_csr
from ganmf_fast.data.frames import FrameType
from ganmf_fast.data.ids import IdIndex
from ganmf_fast.data.interactions import Interactions, interactions_of

__all__ = ["Ids", "matching_csr"]


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

    def aligned(self, data: Interactions) -> Csr:
        """Rows and columns of `data` in the order of these ids.

        Raises
        ------
        ValueError
            If a user or an item is unknown here.
        """
        if np.array_equal(data.user_ids, self.users) and np.array_equal(data.item_ids, self.items):
            return data.csr
        rows = self.user_index.positions(data.user_ids).astype(np.int32)
        cols = self.item_index.positions(data.item_ids).astype(np.int32)
        return Csr.from_coo(
            np.repeat(rows, np.diff(data.csr.indptr)),
            cols[data.csr.indices],
            data.csr.values,
            len(self.users),
            len(self.items),
        )


def matching_csr(data: object, name: str, shape: tuple[int, int], ids: Ids | None = None) -> Csr:
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

    Raises
    ------
    TypeError, ValueError
        If it is no matrix of interactions, has another shape, or holds unknown ids.
    """
    known = interactions_of(data)
    if known is not None and ids is not None:
        return ids.aligned(known)
    csr = as_csr(data, name)
    if (csr.n_rows, csr.n_cols) != shape:
        raise ValueError(
            f"{name} is {csr.n_rows} x {csr.n_cols} but the model knows {shape[0]} users and "
            f"{shape[1]} items"
        )
    return csr
