"""Sparse minibatches on the device: rows of the interaction matrix in a given order."""

import math
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import embedding_bag

from ganmf_fast._core import Csr


class Whole(NamedTuple):
    """The batch that a rank has a part of."""

    rows: int
    nonzeros: int
    before: int
    """Nonzeros in the rows before the part."""


class Batch:
    """Some rows X_b of the interaction matrix, and their products with dense matrices.

    Parameters
    ----------
    users : int64 array
        The rows, each at most once.
    rows : csr_array, shape (len(users), n_items)
        Their interactions.
    binary : bool
        Every stored value is one.
    device, dtype
        Where the products are computed, and in which precision.
    whole : Whole, optional
        What this is a part of; by default itself.

    Attributes
    ----------
    kept : bool Tensor or None
        After dropout, which nonzeros of the batch of before are left.
    """

    def __init__(
        self,
        users: NDArray[np.int64],
        rows: sp.csr_array,
        binary: bool,
        device: torch.device,
        dtype: torch.dtype,
        whole: Whole | None = None,
    ) -> None:
        self.numbers = users
        self.users = torch.from_numpy(users).to(device)
        self.size = len(users)
        self.n_items = int(rows.shape[1])
        self.whole = whole or Whole(self.size, rows.nnz, 0)
        self.squares = float(np.square(rows.data, dtype=np.float64).sum())
        self.kept: Tensor | None = None
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
    def _by_item(self) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor], Tensor]:
        """Items that occur in the batch, the transpose without the others, and its order."""
        places = sp.csr_array(
            (np.arange(self._rows.nnz), self._rows.indices, self._rows.indptr), self._rows.shape
        )
        columns = places.tocsc()
        order = columns.data
        columns.data = self._rows.data[order]
        items = np.flatnonzero(np.diff(columns.indptr))
        # Dropping empty columns leaves indices and data as they are.
        columns.indptr = np.append(columns.indptr[items], columns.indptr[-1])
        to_device = [torch.from_numpy(a).to(self._device) for a in (items, order)]
        return to_device[0], self._compressed(columns), to_device[1]

    @staticmethod
    def _gather(matrix: Tensor, indices: Tensor, offsets: Tensor, weights: Tensor | None) -> Tensor:
        return embedding_bag(
            indices,
            matrix,
            offsets,
            mode="sum",
            per_sample_weights=weights,
            include_last_offset=True,
        )

    @property
    def items(self) -> Tensor:
        """Column of each nonzero, row by row."""
        return self._by_row[0]

    @cached_property
    def row_numbers(self) -> Tensor:
        """Place in the batch of each nonzero's row."""
        rows = np.repeat(np.arange(self.size), np.diff(self._rows.indptr))
        return torch.from_numpy(rows).to(self._device)

    @property
    def values(self) -> Tensor:
        """Value of each nonzero, row by row."""
        return self._by_row[2]

    def times(self, matrix: Tensor) -> Tensor:
        """``X_b matrix``, shape (size, columns of `matrix`)."""
        indices, offsets, values = self._by_row
        return self._gather(matrix, indices, offsets, None if self._binary else values)

    def add_transposed(
        self, out: Tensor, matrix: Tensor, alpha: float, entries: Tensor | None = None
    ) -> None:
        """``out += alpha X_b^T matrix`` in place; items outside the batch do not change.

        With `entries` these take the place of the nonzeros.
        """
        items, (indices, offsets, values), order = self._by_item
        if len(items):
            weights = None if self._binary else values
            if entries is not None:
                weights = entries[order]
            out.index_add_(0, items, self._gather(matrix, indices, offsets, weights), alpha=alpha)

    def weighted(self, entries: Tensor, matrix: Tensor) -> Tensor:
        """``C matrix`` for the matrix C that has `entries` where X_b has its nonzeros."""
        indices, offsets, _ = self._by_row
        return self._gather(matrix, indices, offsets, entries)

    def weighted_transposed(self, entries: Tensor, matrix: Tensor, n_rows: int) -> Tensor:
        """``C^T matrix``, shape (n_rows, columns of `matrix`)."""
        out = matrix.new_zeros(n_rows, matrix.shape[1])
        self.add_transposed(out, matrix, 1.0, entries)
        return out

    def sampled(self, left: Tensor, right: Tensor) -> Tensor:
        """``left right^T`` at the nonzeros of X_b."""
        indices, offsets, values = self._by_row
        # It is the gradient of a weighted sum of rows with respect to the weights, which torch
        # computes without gathering the rows.
        with torch.enable_grad():
            ones = torch.ones_like(values).requires_grad_()
            summed = self._gather(right.detach(), indices, offsets, ones)
            (entries,) = torch.autograd.grad(summed, ones, left.detach())
        return entries

    def part(self, rows: slice) -> "Batch":
        """Some consecutive rows, as a part of this batch."""
        first, last, _ = rows.indices(self.size)
        whole = Whole(self.size, self._rows.nnz, int(self._rows.indptr[first]))
        part = self._rows[first:last]
        return Batch(self.numbers[rows], part, self._binary, self._device, self._dtype, whole)

    def dropped(self, fraction: float, rng: torch.Generator) -> "Batch":
        """The batch without a random `fraction` of its nonzeros; the others are scaled up.

        The numbers drawn are those of the whole batch.
        """
        drawn = torch.rand(self.whole.nonzeros, generator=rng).numpy()
        stay = drawn[self.whole.before : self.whole.before + self._rows.nnz] >= fraction
        rows = self._rows.copy()
        rows.data = np.where(stay, rows.data / np.float32(1 - fraction), np.float32(0))
        rows.eliminate_zeros()
        seen = Batch(self.numbers, rows, False, self._device, self._dtype, self.whole)
        seen.kept = torch.from_numpy(stay).to(self._device)
        return seen

    def dense(self) -> Tensor:
        """X_b as a dense matrix."""
        return torch.from_numpy(self._rows.toarray()).to(self._device, self._dtype)


class Batches:
    """Splits the rows of `urm` into batches of `batch_size`; the last one may be smaller."""

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
            yield self.whole(users)

    def whole(self, rows: NDArray[np.int64]) -> Batch:
        """One batch of `rows`, however many."""
        return Batch(rows, self._urm[rows], self._binary, self._device, self._dtype)
