"""Kernels for GPUs, of what torch has no operation that waits for nothing and repeats to the bit.

Rows of a batch are found by its number, which lies in the GPU's memory: a recorded step then serves
every batch. A batch ``b`` has the rows ``b * batch_size`` and following of arrays that hold the
cells of a whole epoch; the cells of row ``r`` are numbered from ``starts[r]`` to ``starts[r + 1]``.
No sum depends on which block of threads comes first.
Needs Triton, which torch brings where it supports CUDA on Linux.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from ganmf_fast.gan.adam import BETAS, EPSILON

__all__ = ["adam", "judge", "n_shares", "spread", "sums_of_rows"]

_BLOCK = 1024


@triton.jit
def _sums_of_rows(
    out,
    out_stride,
    matrix,
    matrix_stride,
    width,
    starts,
    members,
    values,
    at,
    bags,
    alpha,
    WEIGHTED: tl.constexpr,
    ADD: tl.constexpr,
    CELLS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    bag = tl.program_id(0)
    columns = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    inside = columns < width
    place = tl.load(at) * bags + bag
    first = tl.load(starts + place)
    last = tl.load(starts + place + 1)
    total = tl.zeros([COLUMNS], matrix.dtype.element_ty)
    for start in range(first, last, CELLS):
        cells = start + tl.arange(0, CELLS)
        there = cells < last
        rows = tl.load(members + cells, mask=there, other=0).to(tl.int64)
        part = tl.load(
            matrix + rows[:, None] * matrix_stride + columns[None, :],
            mask=there[:, None] & inside[None, :],
            other=0.0,
        )
        if WEIGHTED:
            part *= tl.load(values + cells, mask=there, other=0.0)[:, None]
        total += tl.sum(part, axis=0)
    to = out + bag.to(tl.int64) * out_stride + columns
    total *= alpha
    if ADD:
        if last > first:
            tl.store(to, tl.load(to, mask=inside) + total, mask=inside)
    else:
        tl.store(to, total, mask=inside)


@triton.jit
def _spread(
    out,
    stride,
    starts,
    members,
    values,
    at,
    batch_size,
    WEIGHTED: tl.constexpr,
    CELLS: tl.constexpr,
):
    row = tl.program_id(0)
    place = tl.load(at) * batch_size + row
    last = tl.load(starts + place + 1)
    for start in range(tl.load(starts + place), last, CELLS):
        cells = start + tl.arange(0, CELLS)
        there = cells < last
        columns = tl.load(members + cells, mask=there, other=0)
        to = out + row.to(tl.int64) * stride + columns
        if WEIGHTED:
            tl.store(to, tl.load(values + cells, mask=there, other=0.0), mask=there)
        else:
            tl.store(to, tl.full([CELLS], 1.0, out.dtype.element_ty), mask=there)


@triton.jit
def _judge(squares, coefficients, sums, cells, m):
    real = tl.load(squares) / cells
    made = tl.load(squares + 1) / cells
    hinge = m * real - made
    is_open = (hinge > 0).to(real.dtype)
    tl.store(coefficients, 2 * (1 + m * is_open) / cells)
    tl.store(coefficients + 1, -2 * is_open / cells)
    loss = real + hinge * is_open
    # NaN is not greater than zero, but it must be seen.
    loss += hinge - hinge
    tl.store(sums, tl.load(sums) + loss)
    tl.store(sums + 1, tl.load(sums + 1) + real)
    tl.store(sums + 2, tl.load(sums + 2) + made)
    tl.store(sums + 3, tl.load(sums + 3) + is_open)


@triton.jit
def _adam(
    values,
    gradients,
    means,
    squares,
    rates,
    at,
    n,
    reg,
    shares,
    COUNTED: tl.constexpr,
    BETA_1: tl.constexpr,
    BETA_2: tl.constexpr,
    EPS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    cells = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    there = cells < n
    rate = tl.load(rates + tl.load(at))
    value = tl.load(values + cells, mask=there, other=0.0)
    if COUNTED:
        share = shares + tl.program_id(0)
        tl.store(share, tl.load(share) + tl.sum(value * value, axis=0))
    gradient = tl.load(gradients + cells, mask=there) + reg * value
    mean = tl.load(means + cells, mask=there) * BETA_1 + gradient * (1 - BETA_1)
    square = tl.load(squares + cells, mask=there) * BETA_2 + gradient * gradient * (1 - BETA_2)
    tl.store(means + cells, mean, mask=there)
    tl.store(squares + cells, square, mask=there)
    tl.store(values + cells, value - rate * mean / (tl.sqrt(square) + EPS), mask=there)


def sums_of_rows(
    out: Tensor,
    matrix: Tensor,
    starts: Tensor,
    members: Tensor,
    values: Tensor | None,
    at: Tensor,
    bags: int,
    alpha: float = 1.0,
    add: bool = False,
    at_once: int = 16,
) -> None:
    """``out[k] = alpha sum of values[c] matrix[members[c]]`` over the cells c of row k of a batch.

    Parameters
    ----------
    out, matrix : Tensor
        Their columns side by side in memory.
    starts, members : int32 Tensor
        Where the cells of each row begin, and what they hold.
    values : Tensor or None
        Value of each cell; None for ones.
    at : int32 Tensor, shape (1,)
        Number of the batch.
    bags : int
        Rows of `starts` that belong to a whole batch; `out` may have fewer.
    add : bool
        Add to what `out` has; rows without cells are then not touched.
    at_once : int
        Cells that are read together, a power of two: many where rows have many.
    """
    width = matrix.shape[1]
    columns = min(4096 // at_once, 128, triton.next_power_of_2(width))
    _sums_of_rows[(len(out), triton.cdiv(width, columns))](
        out,
        out.stride(0),
        matrix,
        matrix.stride(0),
        width,
        starts,
        members,
        values,
        at,
        bags,
        alpha,
        WEIGHTED=values is not None,
        ADD=add,
        CELLS=at_once,
        COLUMNS=columns,
    )


def spread(
    out: Tensor,
    starts: Tensor,
    members: Tensor,
    values: Tensor | None,
    at: Tensor,
    batch_size: int,
) -> None:
    """Write the cells of a batch to the dense rows of `out`; the other places stay as they are."""
    _spread[(len(out),)](
        out,
        out.stride(0),
        starts,
        members,
        values,
        at,
        batch_size,
        WEIGHTED=values is not None,
        CELLS=128,
    )


def judge(squares: Tensor, sums: Tensor, cells: int, m: float) -> Tensor:
    """The factors of the gradients of L_D, from squared errors of real and of made profiles.

    Adds the loss without penalty, both energies and whether the hinge is open to `sums`.

    Returns
    -------
    Tensor, shape (2,)
        c and c_f of :mod:`~ganmf_fast.gan.ganmf.exact`.
    """
    coefficients = torch.empty_like(squares)
    _judge[(1,)](squares, coefficients, sums, float(cells), float(m))
    return coefficients


def n_shares(values: Tensor) -> int:
    """Into how many shares :func:`adam` sums the squares of `values`."""
    return int(triton.cdiv(values.numel(), _BLOCK))


def adam(
    values: Tensor,
    gradients: Tensor,
    means: Tensor,
    squares: Tensor,
    rates: Tensor,
    at: Tensor,
    reg: float,
    shares: Tensor | None = None,
) -> None:
    """Move `values` by the formula of :mod:`~ganmf_fast.gan.adam`, ``reg values`` in the gradient.

    All contiguous. `rates` has ``lr sqrt(1 - b2^t) / (1 - b1^t)`` for each batch. The sum of the
    squares that the values had before is added to `shares`, of which there are `n_shares`.
    """
    n = values.numel()
    _adam[(n_shares(values),)](
        values,
        gradients,
        means,
        squares,
        rates,
        at,
        n,
        float(reg),
        shares,
        COUNTED=shares is not None,
        BETA_1=BETAS[0],
        BETA_2=BETAS[1],
        EPS=EPSILON,
        BLOCK=_BLOCK,
    )
