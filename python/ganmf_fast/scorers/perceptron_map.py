"""Factors of new users by the loss of binGANMF's generator, with its discriminator fixed.

Objective: with the logit D and the last hidden layer h of a perceptron over profiles, the factors p
of a profile x minimise ``L(p) = BCE(D(Q p), label) + a / H |h(x) - h(Q p)|^2 + penalty / 2 |p|^2``.
The first layer is linear in its input, so that Q enters as one matrix of the size of the layer.
Method: Levenberg and Marquardt's damped Gauss-Newton steps, each of which lowers the loss, from the
mean of the fitted factors. It ends at a minimum; where activations bend, there may be others.
Source: D. Marquardt, "An algorithm for least-squares estimation of nonlinear parameters", 1963.
Cost: some tens of steps of ``O(nodes K^2 + K^3)`` for each profile, in double precision.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganmf_fast import _core
from ganmf_fast._core import Csr
from ganmf_fast.base.text import shown
from ganmf_fast.base.threads import one_blas_thread
from ganmf_fast.scorers.activations import ACTIVATIONS, SLOPES, layers_from, layers_to, sigmoid
from ganmf_fast.scorers.profile_maps import ProfileMap
from ganmf_fast.scorers.tensors import (
    Floats,
    Tensors,
    check_array,
    check_matrix,
    forbid_writing,
    scalar,
)

Doubles = NDArray[np.float64]

# Profiles whose derivatives are in memory at once.
_BLOCK = 256
_STEPS = 200
# A step that lowers the loss by a smaller fraction is the last one.
_ENOUGH = 1e-12
_SMALLEST, _LARGEST, _FIRST = 1e-12, 1e12, 1e-3
# Where the loss bends less, no damping is left, and it is flat.
_FLAT = np.finfo(np.float64).tiny / _SMALLEST


@dataclass(frozen=True, eq=False)
class PerceptronMap(ProfileMap):
    """Factors with the least loss, see the module.

    Parameters
    ----------
    first : float32 array, shape (n_items, nodes)
        Kernel of the first layer.
    mixed : float32 array, shape (nodes, k)
        Its transpose times the item factors.
    inner : tuple of float32 arrays, shape (nodes, nodes)
    biases : tuple of float32 arrays, shape (nodes,), one more than `inner` has
    output : float32 array, shape (nodes,)
    start : float32 array, shape (k,)
        Factors that the steps start from.
    output_bias, features, label, penalty : float
        Bias of the logit, a, the label of generated profiles, and the weight of ``|p|^2 / 2``.
    activation : str
        A key of `ACTIVATIONS`.
    """

    first: Floats
    mixed: Floats
    inner: tuple[Floats, ...]
    biases: tuple[Floats, ...]
    output: Floats
    start: Floats
    output_bias: float
    features: float
    label: float
    penalty: float
    activation: str

    def __post_init__(self) -> None:
        """Check types, shapes and values."""
        check_matrix("first", self.first)
        check_matrix("mixed", self.mixed)
        check_array("output", self.output, 1)
        check_array("start", self.start, 1)
        nodes = self.first.shape[1]
        for kernel in self.inner:
            check_matrix("inner", kernel)
        for bias in self.biases:
            check_array("biases", bias, 1)
        if (
            self.mixed.shape != (nodes, len(self.start))
            or len(self.output) != nodes
            or any(kernel.shape != (nodes, nodes) for kernel in self.inner)
            or any(len(bias) != nodes for bias in self.biases)
            or len(self.biases) != len(self.inner) + 1
        ):
            raise ValueError("the layers of the discriminator do not fit together")
        numbers = self.output_bias, self.features, self.label, self.penalty
        if not np.isfinite(numbers).all() or min(self.features, self.penalty) < 0:
            raise ValueError("the numbers of the loss must be finite, and weights not negative")
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"there is no activation {shown(self.activation)}")
        forbid_writing(self)

    @property
    def shape(self) -> tuple[int, int]:
        """See `ProfileMap.shape`."""
        return len(self.first), len(self.start)

    def factors(self, profiles: Csr) -> Floats:
        """See `ProfileMap.factors`."""
        products = _core.sparse_product(profiles, self.first, np.zeros_like(self.biases[0]))
        found = np.empty((len(products), len(self.start)), dtype=np.float32)
        with one_blas_thread():
            for at in range(0, len(products), _BLOCK):
                block = products[at : at + _BLOCK].astype(np.float64)
                found[at : at + _BLOCK] = self._descended(block)
        return found

    def _descended(self, products: Doubles) -> Doubles:
        """Factors of least loss, for the first layer's products with some profiles."""
        target, _ = self._hidden(products)
        p = np.tile(self.start.astype(np.float64), (len(products), 1))
        now = self._at(p, target)
        damping = np.full(len(p), _FIRST)
        going = np.arange(len(p))
        for _ in range(_STEPS):
            # Where all units are off, the factors change nothing, and stay.
            bend = np.einsum("nkk->nk", now.curvature[going]).mean(axis=1)
            going, bend = going[bend > _FLAT], bend[bend > _FLAT]
            if not len(going):
                break
            part = now.of(going)
            scale = damping[going] * bend
            damped = part.curvature + scale[:, None, None] * np.eye(p.shape[1])
            step = np.linalg.solve(damped, part.slope[:, :, None])[:, :, 0]
            tried = self._at(p[going] - step, target[going])
            better = tried.loss < part.loss
            factor = np.where(better, 0.2, 5.0)
            damping[going] = np.clip(damping[going] * factor, _SMALLEST, _LARGEST)
            p[going[better]] -= step[better]
            now.put(going[better], tried.of(better))
            gain = part.loss - tried.loss
            done = np.where(better, gain <= _ENOUGH * part.loss, damping[going] >= _LARGEST)
            going = going[~done]
        return p

    def _at(self, p: Doubles, target: Doubles) -> "_Losses":
        """Loss, slope and Gauss-Newton curvature at factors p, one row each."""
        hidden, slopes = self._hidden(_each(self.mixed, p))
        # Derivatives of the layers by p, one matrix for each row.
        J = slopes[0][:, :, None] * self.mixed.astype(np.float64)
        for kernel, slope in zip(self.inner, slopes[1:], strict=True):
            J = slope[:, :, None] * np.matmul(kernel.T.astype(np.float64), J)
        output = self.output.astype(np.float64)
        logit = (hidden * output).sum(axis=1) + self.output_bias
        score = sigmoid(logit)
        difference = hidden - target
        weight = self.features / len(output)
        loss = (
            np.logaddexp(0, logit)
            - self.label * logit
            + weight * (difference**2).sum(axis=1)
            + self.penalty / 2 * (p**2).sum(axis=1)
        )
        by_hidden = (score - self.label)[:, None] * output + 2 * weight * difference
        slope = np.matmul(by_hidden[:, None, :], J)[:, 0] + self.penalty * p
        of_logit = np.matmul(output[None, None, :], J)
        curvature = 2 * weight * np.matmul(J.transpose(0, 2, 1), J)
        curvature += (score * (1 - score))[:, None, None] * of_logit * of_logit.transpose(0, 2, 1)
        curvature += self.penalty * np.eye(p.shape[1])
        return _Losses(loss, slope, curvature)

    def _hidden(self, products: Doubles) -> tuple[Doubles, list[Doubles]]:
        """Last hidden layer, and the slopes of all, from the products with the first kernel."""
        act, slope_of = ACTIVATIONS[self.activation], SLOPES[self.activation]
        layer: Any = act(products + self.biases[0])
        slopes: list[Any] = [slope_of(layer)]
        for kernel, bias in zip(self.inner, self.biases[1:], strict=True):
            layer = act(_each(kernel.T, layer) + bias)
            slopes.append(slope_of(layer))
        return layer, slopes

    def tensors(self) -> Tensors:
        """See `ProfileMap.tensors`."""
        return {
            "first": self.first,
            "mixed": self.mixed,
            **layers_to(self.inner, self.biases, self.activation),
            "output": self.output,
            "start": self.start,
            "output_bias": np.array([self.output_bias]),
            "features": np.array([self.features]),
            "label": np.array([self.label]),
            "penalty": np.array([self.penalty]),
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> "PerceptronMap":
        """As of a scorer."""
        inner, biases, activation = layers_from(tensors)
        return cls(
            tensors["first"],
            tensors["mixed"],
            inner,
            biases,
            tensors["output"],
            tensors["start"],
            scalar("output_bias", tensors, np.float64),
            scalar("features", tensors, np.float64),
            scalar("label", tensors, np.float64),
            scalar("penalty", tensors, np.float64),
            activation,
        )


class _Losses(NamedTuple):
    loss: Doubles
    slope: Doubles
    curvature: Doubles

    def of(self, rows: Any) -> "_Losses":
        return _Losses(*(array[rows] for array in self))

    def put(self, rows: Any, others: "_Losses") -> None:
        for array, other in zip(self, others, strict=True):
            array[rows] = other


def _each(matrix: Floats, rows: Doubles) -> Doubles:
    """`matrix` times each row, on its own: to the same bits whatever the other rows are."""
    product: Doubles = np.matmul(matrix.astype(np.float64), rows[:, :, None])[:, :, 0]
    return product
