"""Arrays of scorers: types, checks, and sparse matrices as named arrays."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ganmf_fast._core import Csr
from ganmf_fast.base.urm import read_only

Floats: TypeAlias = NDArray[np.float32]
Tensors: TypeAlias = dict[str, NDArray[Any]]


def csr_tensors(name: str, csr: Csr) -> Tensors:
    """Arrays of a `Csr`, named with the prefix `name`."""
    parts: Tensors = {
        f"{name}.indptr": csr.indptr,
        f"{name}.indices": csr.indices,
        f"{name}.n_cols": np.array([csr.n_cols], dtype=np.int64),
    }
    if csr.values is not None:
        parts[f"{name}.values"] = csr.values
    return parts


def csr_from_tensors(name: str, tensors: Mapping[str, NDArray[Any]]) -> Csr:
    """A validated `Csr` from the arrays of `csr_tensors`.

    Raises
    ------
    KeyError
        If an array is missing.
    TypeError, ValueError
        If the arrays are not those of a valid sparse matrix.
    """
    n_cols = tensors[f"{name}.n_cols"]
    if n_cols.shape != (1,) or n_cols.dtype != np.int64 or not 0 <= n_cols[0] < 2**31:
        raise ValueError(f"{name}.n_cols must be one int64 between 0 and 2147483647")
    return Csr(
        tensors[f"{name}.indptr"],
        tensors[f"{name}.indices"],
        tensors.get(f"{name}.values"),
        int(n_cols[0]),
    )


def scalar(name: str, tensors: Mapping[str, NDArray[Any]], dtype: type[np.generic]) -> Any:
    """The number in the array `name`, which must hold one of this type.

    Raises
    ------
    KeyError
        If the array is missing.
    ValueError
        If it holds something else.
    """
    array = tensors[name]
    if array.shape != (1,) or array.dtype != dtype:
        raise ValueError(f"{name} must be one {np.dtype(dtype)}")
    return array[0].item()


def check_array(name: str, array: NDArray[Any], ndim: int) -> None:
    """Accept only a contiguous, finite float32 array of `ndim` dimensions.

    Raises
    ------
    ValueError
        If it is another; the message names the array.
    """
    if array.ndim != ndim or array.dtype != np.float32 or not array.flags.c_contiguous:
        raise ValueError(
            f"{name} must be a contiguous float32 array of {ndim} dimensions, "
            f"not {array.dtype} of shape {array.shape}"
        )
    if not np.isfinite(array).all():
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name} holds {array[at]} at {at}")


def check_matrix(name: str, array: NDArray[Any]) -> None:
    """`check_array` with two dimensions."""
    check_array(name, array, 2)


def forbid_writing(scorer: Any) -> None:
    """Replace the arrays of a frozen dataclass, and those in its tuples, by read-only views."""
    for field in fields(scorer):
        value = getattr(scorer, field.name)
        if isinstance(value, np.ndarray):
            object.__setattr__(scorer, field.name, read_only(value))
        elif isinstance(value, tuple):
            object.__setattr__(scorer, field.name, tuple(map(read_only, value)))


def dense_float32(scores: Any) -> Floats:
    """A sparse or dense product as a contiguous float32 array."""
    array = scores.toarray() if hasattr(scores, "toarray") else scores
    return np.ascontiguousarray(array, dtype=np.float32)
