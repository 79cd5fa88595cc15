"""Dense products, by the faster of the two libraries that torch has for processors.

``torch.mm`` in single precision is MKL's, which takes twice as long as oneDNN on processors of AMD
and a fifth less on those of Intel (``pytest benches/python/bench_gans.py -k dense_product``).
oneDNN's is no public function of torch; where it is not faster or does not exist, as on a GPU or in
double precision, the products are torch's own.
Both give the same bits for any number of threads; oneDNN only while it does not split the sums
between them, as it does where they are long, so these are computed in pieces here.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ganmf_fast.base.hardware import processor

_ONEDNN: Any = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
_OWN = _ONEDNN is None or "Intel" in processor()
# Terms of a sum up to which no number of threads makes oneDNN split it; measured up to 64 threads.
_TERMS = 2**14


def product(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    """``left right + bias``, of which no gradient is needed."""
    if _onednn_is_better(left, right):
        return by_onednn(left, right, bias)
    return left @ right if bias is None else torch.addmm(bias, left, right)


def add_product(out: Tensor, left: Tensor, right: Tensor, alpha: float = 1.0) -> Tensor:
    """``out += alpha left right``, in place."""
    if _onednn_is_better(left, right):
        return out.add_(by_onednn(left, right), alpha=alpha)
    return out.addmm_(left, right, alpha=alpha)


def by_onednn(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    """``left right + bias`` of matrices in single precision that are not empty."""
    n_terms = left.shape[1]
    first = min(n_terms, _TERMS)
    out: Tensor = _ONEDNN(left[:, :first], right[:first].T, bias, "none", [], "")
    for start in range(first, n_terms, _TERMS):
        piece = slice(start, start + _TERMS)
        out += _ONEDNN(left[:, piece], right[piece].T, None, "none", [], "")
    return out


def _onednn_is_better(left: Tensor, right: Tensor) -> bool:
    single = left.device.type == "cpu" and left.dtype == torch.float32
    return single and not _OWN and 0 not in (*left.shape, *right.shape)


def _as_in(memory_of: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """``left right`` with rows or columns side by side in memory, as they are in `memory_of`."""
    if memory_of.is_contiguous():
        return product(left, right)
    return product(right.T, left.T).T


class _Affine(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(inputs, kernel)
        return product(inputs, kernel.T, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        inputs, kernel = ctx.saved_tensors
        to_inputs, to_kernel, to_bias = ctx.needs_input_grad
        return (
            _as_in(inputs, grad, kernel) if to_inputs else None,
            _as_in(kernel, grad.T, inputs) if to_kernel else None,
            grad.sum(dim=0) if to_bias else None,
        )


def affine(inputs: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """``inputs kernel^T + bias``, differentiable once."""
    out: Tensor = _Affine.apply(inputs, kernel, bias)
    return out
