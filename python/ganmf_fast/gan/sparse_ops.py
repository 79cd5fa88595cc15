"""Products of a sparse batch with dense matrices, differentiable, without a dense batch.

With X_b the rows of a batch and C a matrix that has numbers of its own where X_b has cells:

- :func:`times`: ``X_b M``;
- :func:`weighted`: ``C M``;
- :func:`sampled`: ``(A B^T)`` at the cells of X_b.

Each is the derivative of another: of ``C M`` by C the sampled product of the gradient and M, of the
sampled product by A or B a product with the gradient in the place of C.
Cost: time and memory in proportion to the cells times the columns of the dense matrix.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ganmf_fast.gan.batches import Batch

__all__ = ["masked_squares", "sampled", "times", "weighted"]


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
    def forward(ctx: Any, batch: Batch, cells: Tensor, matrix: Tensor) -> Tensor:
        ctx.batch = batch
        ctx.save_for_backward(cells, matrix)
        return batch.weighted(cells, matrix)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor | None, Tensor | None]:
        cells, matrix = ctx.saved_tensors
        grad = grad.contiguous()
        to_cells = ctx.batch.sampled(grad, matrix) if ctx.needs_input_grad[1] else None
        to_matrix = None
        if ctx.needs_input_grad[2]:
            to_matrix = ctx.batch.weighted_transposed(cells, grad, len(matrix))
        return None, to_cells, to_matrix


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
    def forward(ctx: Any, made: Tensor, mask: Tensor) -> Tensor:
        masked = made * mask
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


def weighted(batch: Batch, cells: Tensor, matrix: Tensor) -> Tensor:
    """``C matrix``, where C has `cells` at the places of the batch's values."""
    product: Tensor = _Weighted.apply(batch, cells, matrix)
    return product


def sampled(batch: Batch, left: Tensor, right: Tensor) -> Tensor:
    """``left right^T`` at the cells of the batch, row by row."""
    cells: Tensor = _Sampled.apply(batch, left, right)
    return cells


def masked_squares(made: Tensor, mask: Tensor) -> Tensor:
    """Sum of squares of `made` where `mask`, all zeros and ones, has ones."""
    value: Tensor = _MaskedSquares.apply(made, mask)
    return value
