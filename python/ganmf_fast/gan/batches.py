"""Sparse minibatches on the device: rows of the interaction matrix in a given order."""

import math
from collections.abc import Iterator
from functools import cached_property

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import embedding_bag

from ganmf_fast._core import Csr


class Batch:
    """Some rows X_b of the interaction matrix, and their products with dense matrices.

    Parameters
    ----------
    users : int64 array
        The rows, each at most once.
    rows : csr_array, shape (len(users), n_items)
        What they hold.
    binary : bool
        Every stored value is one.
    device, dtype
        Where the products are computed, and in which precision.
    """

    def __init__(
        self,
        users: NDArray[np.int64],
        rows: sp.csr_array,
        binary: bool,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.users = torch.from_numpy(users).to(device)
        self.size = len(users)
        self.n_items = int(rows.shape[1])
        self.squares = float(np.square(rows.data, dtype=np.float64).sum())
        self._rows = rows
        self._binary = binary
        self._device = device
        self._dtype = dtype

    def _compressed(self, matrix: sp.csr_array | sp.csc_array) -> tuple[Tensor, Tensor, Tensor]:
        indices = torch.from_numpy(matrix.indices.astype(np.int64)).to(self._device)
        offsets = torch.from_numpy(matrix.indptr.astype(np.int64)).to(self._device)
        return indices, offsets, torch.from_numpy(matrix.data).to(self._device, self._dtype)

    @cached_property
    def _by_row(self) -> tuple[Tensor, Tensor, Tensor]:
        return self._compressed(self._rows)

    @cached_property
    def _by_item(self) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        """Items that occur in the batch, and the transpose without the others."""
        columns = self._rows.tocsc()
        items = np.flatnonzero(np.diff(columns.indptr))
        # Dropping empty columns leaves indices and data as they are.
        columns.indptr = np.append(columns.indptr[items], columns.indptr[-1])
        return torch.from_numpy(items).to(self._device), self._compressed(columns)

    def _gather(self, matrix: Tensor, parts: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        indices, offsets, values = parts
        return embedding_bag(
            indices,
            matrix,
            offsets,
            mode="sum",
            per_sample_weights=None if self._binary else values,
            include_last_offset=True,
        )

    def times(self, matrix: Tensor) -> Tensor:
        """``X_b matrix``, shape (size, columns of `matrix`)."""
        return self._gather(matrix, self._by_row)

    def add_transposed(self, out: Tensor, matrix: Tensor, alpha: float) -> None:
        """``out += alpha X_b^T matrix`` in place; items outside the batch are not touched."""
        items, parts = self._by_item
        if len(items):
            out.index_add_(0, items, self._gather(matrix, parts), alpha=alpha)

    def dense(self) -> Tensor:
        """X_b as a dense matrix."""
        return torch.from_numpy(self._rows.toarray()).to(self._device, self._dtype)


class Batches:
    """Cuts the rows of `urm` into batches of `batch_size`, the last one perhaps smaller."""

    def __init__(
        self, urm: Csr, batch_size: int, device: torch.device, dtype: torch.dtype = torch.float32
    ) -> None:
        values = np.ones(urm.nnz, np.float32) if urm.values is None else urm.values
        self._urm = sp.csr_array((values, urm.indices, urm.indptr), shape=(urm.n_rows, urm.n_cols))
        self._binary = urm.values is None
        self._batch_size = batch_size
        self._device = device
        self._dtype = dtype

    def __len__(self) -> int:
        return math.ceil(self._urm.shape[0] / self._batch_size)

    def ordered(self, order: NDArray[np.int64]) -> Iterator[Batch]:
        """Yield the batches of the rows in `order`."""
        for start in range(0, len(order), self._batch_size):
            users = order[start : start + self._batch_size]
            yield Batch(users, self._urm[users], self._binary, self._device, self._dtype)
