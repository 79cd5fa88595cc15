"""Autoencoders: multilayer perceptrons from profiles to scores, as CFGAN and CAAE train them.

Hidden layers are computed for a block of users at once. The output layer is linear: scores are
inner products of the last hidden layer with item kernels, which are ranked in Rust without a
users x items matrix. torch is not needed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ganmf_fast import _core
from ganmf_fast._core import Csr, FactorIndex, RankRequest
from ganmf_fast.base.progress import Report
from ganmf_fast.base.text import shown
from ganmf_fast.base.threads import one_blas_thread
from ganmf_fast.base.urm import to_scipy
from ganmf_fast.scorers.activations import ACTIVATIONS, layers_from, layers_to
from ganmf_fast.scorers.base import Lists, Scorer
from ganmf_fast.scorers.similar import FactorCosines
from ganmf_fast.scorers.tensors import (
    Floats,
    Tensors,
    check_array,
    check_matrix,
    dense_float32,
    forbid_writing,
    scalar,
)

# Users whose hidden layers are in memory at once.
_BLOCK = 4096


@dataclass(frozen=True, eq=False)
class Autoencoder(Scorer):
    """Scores of a profile x: ``a(... a(x first + b_0) inner_1 + b_1 ...) output^T + output_bias``.

    Parameters
    ----------
    first : float32 array, shape (n_items, nodes)
    inner : tuple of float32 arrays, shape (nodes, nodes)
    biases : tuple of float32 arrays, shape (nodes,), one more than `inner` has
    output : float32 array, shape (n_items, nodes)
    output_bias : float32 array, shape (n_items,)
    activation : str
        Of the hidden layers, a key of `ACTIVATIONS`.
    block : int, default 0
        If not 0, user u has the scores of user ``u % block``: the published results of CAAE were
        computed so, with blocks of 1000.
    """

    kind: ClassVar[str] = "autoencoder"
    first: Floats
    inner: tuple[Floats, ...]
    biases: tuple[Floats, ...]
    output: Floats
    output_bias: Floats
    activation: str
    block: int = 0

    def __post_init__(self) -> None:
        """Check types, shapes and values."""
        check_matrix("first", self.first)
        check_matrix("output", self.output)
        check_array("output_bias", self.output_bias, 1)
        nodes = self.first.shape[1]
        for kernel in self.inner:
            check_matrix("inner", kernel)
        for bias in self.biases:
            check_array("biases", bias, 1)
        if (
            self.output.shape != self.first.shape
            or len(self.output_bias) != len(self.output)
            or any(kernel.shape != (nodes, nodes) for kernel in self.inner)
            or any(len(bias) != nodes for bias in self.biases)
            or len(self.biases) != len(self.inner) + 1
        ):
            raise ValueError("the layers of the autoencoder do not fit together")
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"there is no activation {shown(self.activation)}")
        if self.block < 0:
            raise ValueError(f"block must be at least 0, not {self.block}")
        forbid_writing(self)

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.output)

    def hidden(self, profiles: Any) -> Floats:
        """Last hidden layer of sparse rows, and a column of ones for the bias of the output."""
        act = ACTIVATIONS[self.activation]
        layer = act(dense_float32(profiles @ self.first) + self.biases[0])
        for kernel, bias in zip(self.inner, self.biases[1:], strict=True):
            layer = act(_core.dense_product(layer, kernel) + bias)
        ones = np.ones((len(layer), 1), np.float32)
        return np.concatenate([layer, ones], axis=1, dtype=np.float32)

    @cached_property
    def output_rows(self) -> Floats:
        """Kernel and bias of each item."""
        return np.concatenate([self.output, self.output_bias[:, None]], axis=1)

    def _sources(self, users: NDArray[np.int64]) -> NDArray[np.int64]:
        return users % self.block if self.block else users

    def rank(self, profiles: Csr, request: RankRequest, report: Report | None = None) -> Lists:
        """See `Scorer.rank`."""
        rows = to_scipy(profiles)
        users = request.users
        items = np.empty((len(users), request.n), dtype=np.int32)
        scores = np.empty((len(users), request.n), dtype=np.float32)
        for start in range(0, len(users), _BLOCK):
            block = users[start : start + _BLOCK]
            layer = self.hidden(rows[self._sources(block)])
            done = slice(start, start + len(block))
            items[done], scores[done] = self._index.rank(
                layer, request.part(start, start + _BLOCK), by_position=True
            )
            if report is not None:
                report(start + len(block), len(users))
        return items, scores

    @cached_property
    def _index(self) -> FactorIndex:
        return FactorIndex(self.output_rows)

    def scores(self, profiles: Csr, users: NDArray[np.int64]) -> Floats:
        """See `Scorer.scores`."""
        layer = self.hidden(to_scipy(profiles)[self._sources(users)])
        with one_blas_thread():
            return dense_float32(layer @ self.output_rows.T)

    def of_profiles(self, profiles: Csr) -> "Autoencoder":
        """See `Scorer.of_profiles`: each has its own scores, whatever the `block`."""
        return replace(self, block=0) if self.block else self

    def similar_items(self, profiles: Csr, items: NDArray[np.int64], n: int) -> Lists:
        """Cosine between the items' output kernels."""
        return self._item_cosines.lists(items, n)

    def similar_users(self, profiles: Csr, users: NDArray[np.int64], n: int) -> Lists:
        """Cosine between the users' last hidden layers."""
        return self._user_cosines(profiles).lists(users, n)

    @cached_property
    def _item_cosines(self) -> FactorCosines:
        return FactorCosines(self.output)

    @cached_property
    def _user_cosines(self) -> Callable[[Csr], FactorCosines]:
        @lru_cache(maxsize=1)
        def cosines(profiles: Csr) -> FactorCosines:
            sources = self._sources(np.arange(profiles.n_rows))
            return FactorCosines(self.hidden(to_scipy(profiles)[sources])[:, :-1])

        return cosines

    def tensors(self) -> Tensors:
        """See `Scorer.tensors`."""
        return {
            "first": self.first,
            **layers_to(self.inner, self.biases, self.activation),
            "output": self.output,
            "output_bias": self.output_bias,
            "block": np.array([self.block]),
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> "Autoencoder":
        """See `Scorer.from_tensors`."""
        inner, biases, activation = layers_from(tensors)
        return cls(
            tensors["first"],
            inner,
            biases,
            tensors["output"],
            tensors["output_bias"],
            activation,
            scalar("block", tensors, np.int64),
        )
