"""Products of a sparse batch with dense matrices, differentiable, without a dense batch.

With X_b the rows of a batch and C another matrix with the nonzeros of X_b in number and place:

- :func:`times`: ``X_b M``;
- :func:`weighted`: ``C M``;
- :func:`sampled`: ``A B^T`` at the nonzeros of X_b.

Each is the derivative of another: of ``C M`` by C the sampled product of the gradient and M, of the
sampled product by A or B a product with the gradient in the place of C.
Cost: time and memory in proportion to the nonzeros times the columns of the dense matrix.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ganmf_fast.gan.batches import Batch


class _Times(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, batch: Batch, matrix: Tensor) -> Tensor:
        ctx.batch, ctx.shape = batch, matrix.shape
        return batch.times(matrix)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor]:
        out = grad.new_zeros(ctx.shape)
        ctx.batch.add_transposed(out, grad.contiguous(), 1.0)
        return None, out


class _Weighted(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, batch: Batch, entries: Tensor, matrix: Tensor) -> Tensor:
        ctx.batch = batch
        ctx.save_for_backward(entries, matrix)
        return batch.weighted(entries, matrix)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor | None, Tensor | None]:
        entries, matrix = ctx.saved_tensors
        grad = grad.contiguous()
        to_entries = ctx.batch.sampled(grad, matrix) if ctx.needs_input_grad[1] else None
        to_matrix = None
        if ctx.needs_input_grad[2]:
            to_matrix = ctx.batch.weighted_transposed(entries, grad, len(matrix))
        return None, to_entries, to_matrix


class _Sampled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, batch: Batch, left: Tensor, right: Tensor) -> Tensor:
        ctx.batch = batch
        ctx.save_for_backward(left, right)
        return batch.sampled(left, right)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor, Tensor]:
        left, right = ctx.saved_tensors
        to_left = ctx.batch.weighted(grad, right)
        return None, to_left, ctx.batch.weighted_transposed(grad, left, len(right))


class _MaskedSquares(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, profiles: Tensor, mask: Tensor) -> Tensor:
        masked = profiles * mask
        ctx.save_for_backward(masked)
        summed: Tensor = torch.linalg.vector_norm(masked, dim=1).square().sum()
        return summed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (masked,) = ctx.saved_tensors
        return masked * (2 * grad), None


def times(batch: Batch, matrix: Tensor) -> Tensor:
    """``X_b matrix``."""
    product: Tensor = _Times.apply(batch, matrix)
    return product


def weighted(batch: Batch, entries: Tensor, matrix: Tensor) -> Tensor:
    """``C matrix``, where C has the values `entries` at the nonzeros of the batch."""
    product: Tensor = _Weighted.apply(batch, entries, matrix)
    return product


def sampled(batch: Batch, left: Tensor, right: Tensor) -> Tensor:
    """``left right^T`` at the nonzeros of the batch, row by row."""
    entries: Tensor = _Sampled.apply(batch, left, right)
    return entries


def masked_squares(profiles: Tensor, mask: Tensor) -> Tensor:
    """Sum of squares of `profiles` where `mask`, all zeros and ones, has ones."""
    value: Tensor = _MaskedSquares.apply(profiles, mask)
    return value
