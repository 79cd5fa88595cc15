"""Kernels for GPUs where torch has no operation that is both asynchronous and deterministic.

Rows of a batch are found by its number, which is in the GPU's memory: a captured step then serves
every batch. A batch ``b`` has the rows ``b * batch_size`` and following of arrays that hold the
nonzeros of a whole epoch; those of row ``r`` are numbered from ``starts[r]`` to ``starts[r + 1]``.
No sum depends on the order in which blocks of threads run.
Needs Triton, which comes with torch where it supports CUDA on Linux.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from ganmf_fast.gan.adam import BETAS, EPSILON

_BLOCK = 1024
# Parts of a row whose sampled products are computed side by side.
_PARTS = 8


@triton.jit
def _spmm(
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
    ENTRIES: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    bag = tl.program_id(0)
    columns = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    inside = columns < width
    place = tl.load(at) * bags + bag
    first = tl.load(starts + place)
    last = tl.load(starts + place + 1)
    total = tl.zeros([COLUMNS], matrix.dtype.element_ty)
    for start in range(first, last, ENTRIES):
        entries = start + tl.arange(0, ENTRIES)
        valid = entries < last
        rows = tl.load(members + entries, mask=valid, other=0).to(tl.int64)
        part = tl.load(
            matrix + rows[:, None] * matrix_stride + columns[None, :],
            mask=valid[:, None] & inside[None, :],
            other=0.0,
        )
        if WEIGHTED:
            part *= tl.load(values + entries, mask=valid, other=0.0)[:, None]
        total += tl.sum(part, axis=0)
    to = out + bag.to(tl.int64) * out_stride + columns
    total *= alpha
    if ADD:
        if last > first:
            tl.store(to, tl.load(to, mask=inside) + total, mask=inside)
    else:
        tl.store(to, total, mask=inside)


@triton.jit
def _scatter_rows(
    out,
    stride,
    starts,
    members,
    values,
    at,
    batch_size,
    WEIGHTED: tl.constexpr,
    ENTRIES: tl.constexpr,
):
    row = tl.program_id(0)
    place = tl.load(at) * batch_size + row
    last = tl.load(starts + place + 1)
    for start in range(tl.load(starts + place), last, ENTRIES):
        entries = start + tl.arange(0, ENTRIES)
        valid = entries < last
        columns = tl.load(members + entries, mask=valid, other=0)
        to = out + row.to(tl.int64) * stride + columns
        if WEIGHTED:
            tl.store(to, tl.load(values + entries, mask=valid, other=0.0), mask=valid)
        else:
            tl.store(to, tl.full([ENTRIES], 1.0, out.dtype.element_ty), mask=valid)


@triton.jit
def _emphasise(
    targets,
    targets_by_item,
    sums,
    hidden,
    hidden_stride,
    decoder,
    decoder_stride,
    width,
    starts,
    members,
    values,
    seen,
    places,
    weights,
    at,
    batch_size,
    WEIGHTED: tl.constexpr,
    BY_ITEM: tl.constexpr,
    ENTRIES: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    row = tl.program_id(0)
    place = tl.load(at) * batch_size + row
    first = tl.load(starts + place)
    last = tl.load(starts + place + 1)
    kind = hidden.dtype.element_ty
    squares = tl.zeros([ENTRIES], kind)
    lacking = tl.zeros([ENTRIES], kind)
    step = ENTRIES * tl.num_programs(1)
    for start in range(first + ENTRIES * tl.program_id(1), last, step):
        entries = start + tl.arange(0, ENTRIES)
        valid = entries < last
        items = tl.load(members + entries, mask=valid, other=0).to(tl.int64)
        made = tl.zeros([ENTRIES], kind)
        for column in range(0, width, COLUMNS):
            columns = column + tl.arange(0, COLUMNS)
            inside = columns < width
            left = tl.load(hidden + row * hidden_stride + columns, mask=inside, other=0.0)
            right = tl.load(
                decoder + items[:, None] * decoder_stride + columns[None, :],
                mask=valid[:, None] & inside[None, :],
                other=0.0,
            )
            made += tl.sum(left[None, :] * right, axis=1)
        value = 1.0
        if WEIGHTED:
            value = tl.load(values + entries, mask=valid, other=0.0)
        error = value - made
        kept = tl.load(seen + entries, mask=valid, other=0.0) != 0
        weight = tl.load(weights + kept.to(tl.int32))
        target = made + weight * error
        tl.store(targets + entries, target, mask=valid)
        if BY_ITEM:
            moved = tl.load(places + entries, mask=valid, other=0)
            tl.store(targets_by_item + moved, target, mask=valid)
        squares += tl.where(valid, target * target, 0.0)
        lacking += tl.where(valid, (weight - weight * weight) * error * error, 0.0)
    to = sums + 2 * (row * tl.num_programs(1) + tl.program_id(1))
    tl.store(to, tl.sum(squares, axis=0))
    tl.store(to + 1, tl.sum(lacking, axis=0))


@triton.jit
def _hinge_factors(squares, factors, sums, entries, m):
    real = tl.load(squares) / entries
    generated = tl.load(squares + 1) / entries
    hinge = m * real - generated
    is_active = (hinge > 0).to(real.dtype)
    tl.store(factors, 2 * (1 + m * is_active) / entries)
    tl.store(factors + 1, -2 * is_active / entries)
    loss = real + hinge * is_active
    # NaN is not greater than zero, but the loss must be NaN.
    loss += hinge - hinge
    tl.store(sums, tl.load(sums) + loss)
    tl.store(sums + 1, tl.load(sums + 1) + real)
    tl.store(sums + 2, tl.load(sums + 2) + generated)
    tl.store(sums + 3, tl.load(sums + 3) + is_active)


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
    partial_sums,
    COUNTED: tl.constexpr,
    BETA_1: tl.constexpr,
    BETA_2: tl.constexpr,
    EPS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    entries = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    valid = entries < n
    rate = tl.load(rates + tl.load(at))
    value = tl.load(values + entries, mask=valid, other=0.0)
    if COUNTED:
        partial = partial_sums + tl.program_id(0)
        tl.store(partial, tl.load(partial) + tl.sum(value * value, axis=0))
    gradient = tl.load(gradients + entries, mask=valid) + reg * value
    mean = tl.load(means + entries, mask=valid) * BETA_1 + gradient * (1 - BETA_1)
    square = tl.load(squares + entries, mask=valid) * BETA_2 + gradient * gradient * (1 - BETA_2)
    tl.store(means + entries, mean, mask=valid)
    tl.store(squares + entries, square, mask=valid)
    tl.store(values + entries, value - rate * mean / (tl.sqrt(square) + EPS), mask=valid)


def spmm(
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
    """``out[k] = alpha sum of values[c] matrix[members[c]]`` over the nonzeros c of row k.

    Parameters
    ----------
    out, matrix : Tensor
        Their columns side by side in memory.
    starts, members : int32 Tensor
        Where the nonzeros of each row begin, and their columns.
    values : Tensor or None
        Value of each nonzero; None for ones.
    at : int32 Tensor, shape (1,)
        Number of the batch.
    bags : int
        Rows of `starts` that belong to a whole batch; `out` may have fewer.
    add : bool
        Add to `out`; rows without nonzeros then do not change.
    at_once : int
        Nonzeros that are read together, a power of two: many where rows have many.
    """
    width = matrix.shape[1]
    columns = min(4096 // at_once, 128, triton.next_power_of_2(width))
    _spmm[(len(out), triton.cdiv(width, columns))](
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
        ENTRIES=at_once,
        COLUMNS=columns,
    )


def scatter_rows(
    out: Tensor,
    starts: Tensor,
    members: Tensor,
    values: Tensor | None,
    at: Tensor,
    batch_size: int,
) -> None:
    """Write the nonzeros of a batch to the dense rows of `out`; the other entries do not change."""
    _scatter_rows[(len(out),)](
        out,
        out.stride(0),
        starts,
        members,
        values,
        at,
        batch_size,
        WEIGHTED=values is not None,
        ENTRIES=128,
    )


def emphasise(
    targets: Tensor,
    targets_by_item: Tensor | None,
    hidden: Tensor,
    decoder: Tensor,
    starts: Tensor,
    members: Tensor,
    values: Tensor | None,
    seen: Tensor,
    places: Tensor | None,
    weights: Tensor,
    at: Tensor,
    batch_size: int,
) -> Tensor:
    """The targets t of :mod:`~ganmf_fast.gan.ganmf.exact` at the nonzeros of a batch.

    Parameters
    ----------
    targets : Tensor, shape (nonzeros,)
        Where they are written.
    targets_by_item : Tensor, shape (nonzeros,), or None
        Where they are written too, in another order.
    hidden, decoder : Tensor
        Z and W.
    starts, members, values
        The nonzeros of the epoch by row.
    seen : Tensor, shape (nonzeros,)
        Zero where a nonzero is hidden from the discriminator.
    places : int32 Tensor, shape (nonzeros,), or None
        Where each nonzero is in the other order.
    weights : Tensor, shape (2,)
        w of a nonzero that is hidden, and of one that is not.
    at, batch_size
        As in :func:`spmm`.

    Returns
    -------
    Tensor, shape (2,)
        Sums over the batch of ``t^2`` and of ``(w - w^2) (x - y)^2``.
    """
    width = hidden.shape[1]
    sums = hidden.new_empty(len(hidden) * _PARTS, 2)
    _emphasise[(len(hidden), _PARTS)](
        targets,
        targets_by_item,
        sums,
        hidden,
        hidden.stride(0),
        decoder,
        decoder.stride(0),
        width,
        starts,
        members,
        values,
        seen,
        places,
        weights,
        at,
        batch_size,
        WEIGHTED=values is not None,
        BY_ITEM=places is not None,
        ENTRIES=32,
        COLUMNS=min(64, triton.next_power_of_2(width)),
    )
    return sums.sum(dim=0)


def hinge_factors(squares: Tensor, sums: Tensor, entries: int, m: float) -> Tensor:
    """The factors of the gradients of L_D, from squared errors of real and generated profiles.

    Adds the loss without penalty, both energies and whether the hinge is active to `sums`.

    Returns
    -------
    Tensor, shape (2,)
        c and c_f of :mod:`~ganmf_fast.gan.ganmf.exact`.
    """
    factors = torch.empty_like(squares)
    _hinge_factors[(1,)](squares, factors, sums, float(entries), float(m))
    return factors


def n_partial_sums(values: Tensor) -> int:
    """Number of partial sums of the squares of `values` that :func:`adam` computes."""
    return int(triton.cdiv(values.numel(), _BLOCK))


def adam(
    values: Tensor,
    gradients: Tensor,
    means: Tensor,
    squares: Tensor,
    rates: Tensor,
    at: Tensor,
    reg: float,
    partial_sums: Tensor | None = None,
) -> None:
    """Update `values` as :mod:`~ganmf_fast.gan.adam` does, with ``reg values`` in the gradient.

    All contiguous. `rates` has ``lr sqrt(1 - b2^t) / (1 - b1^t)`` for each batch. The sum of the
    squares that the values had before is added to `partial_sums`, of which valid are
    `n_partial_sums`.
    """
    n = values.numel()
    _adam[(n_partial_sums(values),)](
        values,
        gradients,
        means,
        squares,
        rates,
        at,
        n,
        float(reg),
        partial_sums,
        COUNTED=partial_sums is not None,
        BETA_1=BETAS[0],
        BETA_2=BETAS[1],
        EPS=EPSILON,
        BLOCK=_BLOCK,
    )
