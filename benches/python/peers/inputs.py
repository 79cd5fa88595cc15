"""Inputs of the operations, made once and kept in a folder: every process reads the same."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from generate import LARGE, power_law_urm

Urm = Any
"""A scipy CSR matrix of float32 ones with int32 indices."""

SYNTHETIC = "synthetic-20m"
REQUESTS = "synthetic-30k-items"
"""A catalogue of 30,000 items, of which single users ask for lists."""

QUICK = "synthetic-1m"
"""A small matrix of the same kind, to see whether everything runs; it is in no report."""

_SIZES = {
    SYNTHETIC: LARGE,
    REQUESTS: (20_000, 30_000, 2_000_000),
    QUICK: (10_000, 5_000, 1_000_000),
}


class DataMissingError(Exception):
    """The published splits are not on this machine."""


def cache() -> Path:
    """Folder for inputs and answers, given by the runner."""
    folder = Path(os.environ["BENCH_PEERS_CACHE"])
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def data_dir() -> Path:
    """Folder with the published splits, found as the tests find it."""
    root = Path(__file__).resolve().parents[3]
    return Path(os.environ.get("GANMF_TEST_DATA", root.parent / "shared" / "data"))


def kept(name: str, make: Callable[[], Mapping[str, Any]]) -> dict[str, NDArray[Any]]:
    """Arrays by name, made by `make` unless an earlier process did."""
    path = cache() / f"{name}.npz"
    if not path.is_file():
        whole = path.with_suffix(".tmp.npz")
        np.savez(whole, **make())
        whole.replace(path)
    with np.load(path) as arrays:
        return {key: arrays[key] for key in arrays}


def to_arrays(X: Urm) -> dict[str, Any]:
    """A sparse matrix as arrays for `kept` and for answers."""
    X = sp.csr_matrix(X)
    X.sort_indices()
    return {"indptr": X.indptr, "indices": X.indices, "data": X.data, "shape": np.array(X.shape)}


def from_arrays(arrays: Mapping[str, Any], prefix: str = "") -> Urm:
    """Undo `to_arrays`."""
    data, indices, indptr = (arrays[prefix + part] for part in ("data", "indices", "indptr"))
    X: Any = sp.csr_matrix((data, indices, indptr), shape=tuple(arrays[prefix + "shape"]))
    X.has_canonical_format = True
    return X


def interactions(dataset: str) -> Urm:
    """The training matrix of a data set."""
    return from_arrays(kept(f"urm-{dataset}", lambda: to_arrays(_interactions(dataset))))


def _interactions(dataset: str) -> Urm:
    if dataset in _SIZES:
        return power_law_urm(*_SIZES[dataset])
    path = data_dir() / dataset / "train.npz"
    if not path.is_file():
        raise DataMissingError(f"{path} is absent (set GANMF_TEST_DATA)")
    X = sp.csr_matrix(sp.load_npz(path), dtype=np.float32)
    X.sum_duplicates()
    X.data[:] = 1
    return X
