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
    def forward(ctx: Any, hidden: Tensor, kernel: Tensor, bias: Tensor, mask: Tensor) -> Tensor:
        made = torch.addmm(bias, hidden, kernel.T).mul_(mask)
        ctx.save_for_backward(hidden, kernel, made)
        summed: Tensor = torch.linalg.vector_norm(made, dim=1).square().sum()
        return summed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        hidden, kernel, made = ctx.saved_tensors
        # Small factors go to the small sides.
        scaled = 2 * grad * hidden
        to_hidden = (made @ kernel).mul_(2 * grad)
        return to_hidden, made.T @ scaled, made.sum(dim=0).mul_(2 * grad), None


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


def masked_squares(hidden: Tensor, kernel: Tensor, bias: Tensor, mask: Tensor) -> Tensor:
    """Sum of squares of ``hidden kernel^T + bias`` where `mask`, all zeros and ones, has ones."""
    value: Tensor = _MaskedSquares.apply(hidden, kernel, bias, mask)
    return value
