# Kernels of ganmf_fast, written in Rust (crate ganmf-core); the docstrings are in the binary.

from collections.abc import Callable, Sequence
from typing import TypeAlias, final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Csr",
    "demo_urm",
    "fit_ease_dual",
    "fit_ease_primal",
    "fit_item_knn_cosine",
    "fit_p3alpha",
    "fit_slim_elastic_net",
    "get_num_threads",
    "item_counts",
    "list_metrics",
    "metric_names",
    "paper_protocol",
    "rank_factors",
    "rank_item_weights",
    "rank_popularity",
    "rank_scores",
    "set_num_threads",
    "slim_elastic_net_bytes",
]

_Report: TypeAlias = Callable[[int, int], object]

@final
class Csr:
    def __new__(
        cls,
        indptr: NDArray[np.int64],
        indices: NDArray[np.int32],
        values: NDArray[np.float32] | None,
        n_cols: int,
    ) -> Csr: ...
    @staticmethod
    def from_coo(
        rows: NDArray[np.int32],
        cols: NDArray[np.int32],
        values: NDArray[np.float32] | None,
        n_rows: int,
        n_cols: int,
        duplicates: str = "error",
    ) -> Csr: ...
    def check_non_negative(self) -> None: ...
    def transpose(self) -> Csr: ...
    @property
    def n_rows(self) -> int: ...
    @property
    def n_cols(self) -> int: ...
    @property
    def nnz(self) -> int: ...
    @property
    def indptr(self) -> NDArray[np.int64]: ...
    @property
    def indices(self) -> NDArray[np.int32]: ...
    @property
    def values(self) -> NDArray[np.float32] | None: ...

def set_num_threads(n: int) -> None: ...
def get_num_threads() -> int: ...

# splits -----------------------------------------------------------------------------------------
# (train, test, train_small, validation, early_stop, rows of `urm` kept, columns of `urm` kept)
def paper_protocol(
    urm: Csr, seed: int
) -> tuple[Csr, Csr, Csr, Csr, Csr, NDArray[np.int64], NDArray[np.int64]]: ...

# simulated data ---------------------------------------------------------------------------------
def demo_urm(seed: int, n_users: int = 2000, n_items: int = 3000) -> Csr: ...

# models: both return item weights W, n_items x n_items, rows are the history items (score = x W) --
def fit_item_knn_cosine(
    urm: Csr, topk: int, shrink: float, normalize: bool, report: _Report | None = None
) -> Csr: ...
def fit_p3alpha(
    urm: Csr,
    topk: int,
    alpha: float,
    beta: float,
    normalize_similarity: bool,
    prune_columns: bool,
    report: _Report | None = None,
) -> Csr: ...
def fit_slim_elastic_net(
    urm: Csr,
    penalties: Sequence[tuple[float, float]],
    topk: int,
    positive_only: bool,
    tol: float,
    max_iter: int,
    report: _Report | None = None,
) -> list[tuple[Csr, int]]: ...
def slim_elastic_net_bytes(urm: Csr) -> int: ...
def fit_ease_primal(urm: Csr, l2: float, report: _Report | None = None) -> NDArray[np.float32]: ...
def fit_ease_dual(
    urm: Csr, l2: float, report: _Report | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]: ...

# ranking: (items int32 (len(users), n), scores float32 likewise); -1 / -inf pad -------------------
# `users` are rows of `profiles`, `user_factors` and `seen`; `candidates` are items, ascending.
def rank_item_weights(
    weights: Csr,
    profiles: Csr,
    users: NDArray[np.int64],
    n: int,
    seen: Csr | None = None,
    candidates: NDArray[np.int32] | None = None,
    report: _Report | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]: ...
def rank_factors(
    user_factors: NDArray[np.float32],
    item_factors: NDArray[np.float32],
    users: NDArray[np.int64],
    n: int,
    seen: Csr | None = None,
    candidates: NDArray[np.int32] | None = None,
    report: _Report | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]: ...
def rank_popularity(
    item_scores: NDArray[np.float32],
    users: NDArray[np.int64],
    n: int,
    seen: Csr | None = None,
    candidates: NDArray[np.int32] | None = None,
    report: _Report | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]: ...

# row r of `scores` belongs to users[r]; `as_published` orders equal scores as the published lists do
def rank_scores(
    scores: NDArray[np.float32],
    users: NDArray[np.int64],
    n: int,
    seen: Csr | None = None,
    candidates: NDArray[np.int32] | None = None,
    report: _Report | None = None,
    as_published: bool = False,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]: ...

# metrics ----------------------------------------------------------------------------------------
# Names of the per-user metrics, in the order of the first axis of `list_metrics`.
def metric_names() -> list[str]: ...

# float64 (metric, cutoff, list): every metric of every list; row l of `items` belongs to users[l],
# a row of `test`, which must hold at least one item. `items` int32, padded with -1 at the end.
def list_metrics(
    items: NDArray[np.int32],
    test: Csr,
    users: NDArray[np.int64],
    cutoffs: list[int],
    report: _Report | None = None,
) -> NDArray[np.float64]: ...

# int64 (cutoff, item): how often each item stands in the first `cutoff` places of a list
def item_counts(
    items: NDArray[np.int32], n_items: int, cutoffs: list[int]
) -> NDArray[np.int64]: ...
