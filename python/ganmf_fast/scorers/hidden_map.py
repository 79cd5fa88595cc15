"""Factors of new users that are the hidden layer of an autoencoder."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganmf_fast import _core
from ganmf_fast._core import Csr
from ganmf_fast.base.text import shown
from ganmf_fast.scorers.activations import ACTIVATIONS, layers_from, layers_to
from ganmf_fast.scorers.profile_maps import ProfileMap
from ganmf_fast.scorers.tensors import (
    Floats,
    Tensors,
    check_array,
    check_matrix,
    forbid_writing,
)


@dataclass(frozen=True, eq=False)
class HiddenMap(ProfileMap):
    """Factors ``h(sum of the rows of the profile's items + b)``, and a one.

    Parameters
    ----------
    inputs : float32 array, shape (n_items, k)
    bias : float32 array, shape (k,)
    activation : str
        A key of `ACTIVATIONS`.
    """

    inputs: Floats
    bias: Floats
    activation: str

    def __post_init__(self) -> None:
        """Check types, shapes and values."""
        check_matrix("inputs", self.inputs)
        check_array("bias", self.bias, 1)
        if self.inputs.shape[1] != len(self.bias):
            raise ValueError(
                f"inputs has {self.inputs.shape[1]} columns but bias {len(self.bias)} entries"
            )
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"there is no activation {shown(self.activation)}")
        forbid_writing(self)

    @property
    def shape(self) -> tuple[int, int]:
        """See `ProfileMap.shape`."""
        return len(self.inputs), len(self.bias) + 1

    def factors(self, profiles: Csr) -> Floats:
        """See `ProfileMap.factors`."""
        ones = Csr(profiles.indptr, profiles.indices, None, profiles.n_cols)
        found = np.ones((profiles.n_rows, len(self.bias) + 1), np.float32)
        found[:, :-1] = ACTIVATIONS[self.activation](
            _core.sparse_product(ones, self.inputs, self.bias)
        )
        return found

    def tensors(self) -> Tensors:
        """See `ProfileMap.tensors`."""
        return {"inputs": self.inputs, **layers_to((), (self.bias,), self.activation)}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> "HiddenMap":
        """As of a scorer."""
        _, (bias,), activation = layers_from(tensors)
        return cls(tensors["inputs"], bias, activation)
