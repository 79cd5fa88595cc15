# Kernels of ganmf_fast, written in Rust (crate ganmf-core); the docstrings are in the binary.

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypedDict, final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "AdversarialMf",
    "BprMf",
    "BprRule",
    "Cdae",
    "Csr",
    "CsrBuilder",
    "DelimitedReader",
    "FactorIndex",
    "GraphGan",
    "PairCounts",
    "ProductIndex",
    "RankRequest",
    "SlimBpr",
    "available_memory",
    "bootstrap_means",
    "bpr_fold_in",
    "cell_order",
    "demo_urm",
    "dense_product",
    "divide_cells",
    "draw_items",
    "fit_ease_dual",
    "fit_ease_primal",
    "fit_knn",
    "fit_p3alpha",
    "fit_slim_elastic_net",
    "get_num_threads",
    "ials_half_step",
    "ials_loss",
    "k_core",
    "knn_of_new",
    "looks_ahead",
    "mask_unobserved",
    "measure_lists",
    "metric_names",
    "paper_protocol",
    "part_cells",
    "popularity_order",
    "random_scores",
    "rank_popularity",
    "rank_random",
    "rank_scores",
    "set_num_threads",
    "slim_elastic_net_bytes",
    "sparse_product",
    "split_cold_users",
    "split_cut_at",
    "split_cut_for",
    "split_holdout",
    "split_k_fold",
    "split_latest",
    "split_leave_k_out",
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
    def of_row(cols: list[int], n_cols: int) -> Csr | None: ...
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

@final
class CsrBuilder:
    def __new__(cls, n_rows: int, n_cols: int) -> CsrBuilder: ...
    def count(self, rows: NDArray[np.int32]) -> None: ...
    def fill(self, rows: NDArray[np.int32], cols: NDArray[np.int32]) -> None: ...
    def finish(self) -> Csr: ...

# Positions by row, column and key, equal ones in their order
def cell_order(
    n_rows: int,
    rows: NDArray[np.int32],
    cols: NDArray[np.int32],
    keys: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]: ...
def set_num_threads(n: int) -> None: ...
def get_num_threads() -> int: ...

# bytes that the limits of the system, the control group and the process leave; 2**64 - 1: unknown
def available_memory() -> int: ...

# splits -----------------------------------------------------------------------------------------
# (train, test, train_small, validation, early_stop, rows of `urm` kept, columns of `urm` kept)
def paper_protocol(
    urm: Csr, seed: int
) -> tuple[Csr, Csr, Csr, Csr, Csr, NDArray[np.int64], NDArray[np.int64]]: ...

# Labels: uint8, one a cell, naming the part it belongs to; a size is a share if it is a float.
def split_holdout(urm: Csr, test_size: float, per_user: bool, seed: int) -> NDArray[np.uint8]: ...
def split_leave_k_out(urm: Csr, k: int, seed: int) -> NDArray[np.uint8]: ...
def split_k_fold(urm: Csr, n_splits: int, per_user: bool, seed: int) -> NDArray[np.uint8]: ...

# `times` int64, one a cell
def split_latest(urm: Csr, times: NDArray[np.int64], test_size: float) -> NDArray[np.uint8]: ...
def split_cut_for(times: NDArray[np.int64], test_size: float) -> int: ...
def split_cut_at(urm: Csr, times: NDArray[np.int64], cut: int) -> NDArray[np.uint8]: ...

# labels 0 for who stays, 1 for profiles, 2 for targets; rows of the users held out
def split_cold_users(
    urm: Csr, n_users: float, target_size: float, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]: ...

# matrix, rows and columns kept, and 1 for each cell kept
def k_core(
    urm: Csr, of_user: int, of_item: int
) -> tuple[Csr, NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]: ...
def divide_cells(urm: Csr, labels: NDArray[np.uint8], n_parts: int) -> list[Csr]: ...

# (cells of other labels, cells of `label`)
def part_cells(urm: Csr, labels: NDArray[np.uint8], label: int) -> tuple[Csr, Csr]: ...

# (cells of label 1 older than a cell of label 0 of the same user, cells of label 1)
def looks_ahead(
    urm: Csr, labels: NDArray[np.uint8], times: NDArray[np.int64]
) -> tuple[int, int]: ...

# simulated data ---------------------------------------------------------------------------------
# 2000 users and 3000 items by default
def demo_urm(seed: int, n_users: int | None = None, n_items: int | None = None) -> Csr: ...

# products: each row has the same bits whatever the others are -------------------------------------
def dense_product(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]: ...

# left @ right + bias
def sparse_product(
    left: Csr, right: NDArray[np.float32], bias: NDArray[np.float32]
) -> NDArray[np.float32]: ...

# models -----------------------------------------------------------------------------------------
class _KnnParams(TypedDict):
    topk: int
    shrink: float
    similarity: str
    normalize: bool
    asymmetric_alpha: float
    tversky_alpha: float
    tversky_beta: float
    normalize_avg_row: bool
    similarity_from_distance_mode: str

# Neighbours between the columns of `urm`, n_cols x n_cols: row j holds those of target j, or with
# by_target=False column j does, which are item weights W (score = x W).
def fit_knn(
    urm: Csr,
    params: _KnnParams,
    by_target: bool,
    weighting: str | None = None,
    report: _Report | None = None,
    as_published: bool = False,
) -> Csr: ...

# Neighbours, among the columns of `urm`, of new columns, each a row of `targets` over its rows.
def knn_of_new(
    urm: Csr,
    targets: Csr,
    params: _KnnParams,
    weighting: str | None = None,
    report: _Report | None = None,
) -> Csr: ...

# Counts of common rows of all pairs of columns, from which `fit_knn` without values can be made.
@final
class PairCounts:
    def __new__(cls, urm: Csr, report: _Report | None = None) -> PairCounts: ...
    @staticmethod
    def bytes_needed(urm: Csr) -> int: ...
    def fit_knn(
        self, params: _KnnParams, by_target: bool, report: _Report | None = None
    ) -> Csr: ...

# item weights W, n_items x n_items, rows are the history items
def fit_p3alpha(
    urm: Csr,
    topk: int,
    alpha: float,
    beta: float,
    normalize_similarity: bool,
    prune_columns: bool,
    report: _Report | None = None,
    as_published: bool = False,
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
def fit_ease_primal(
    urm: Csr, l2: float, max_diagonal: float = 0.0, report: _Report | None = None
) -> NDArray[np.float32]: ...
def fit_ease_dual(
    urm: Csr, l2: float, report: _Report | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]: ...

# sampling: a set or a draw is decided by (seed, stream, row) --------------------------------------
def mask_unobserved(
    urm: Csr,
    rows: NDArray[np.int64],
    ratio: float,
    seed: int,
    stream: int,
    out: NDArray[np.float32],
    keep_observed: bool = False,
    weights: NDArray[np.float32] | None = None,
) -> None: ...
def draw_items(
    weights: NDArray[np.float32],
    rows: NDArray[np.int64],
    counts: NDArray[np.int64],
    seed: int,
    stream: int,
) -> NDArray[np.int32]: ...

# factors of the rows of `rows`, float32 (n_rows, k), given those of its columns; `start` is where
# conjugate gradient sets out; `epsilon` None: linear confidences; `cg_steps` None: exact solver
def ials_half_step(
    rows: Csr,
    fixed: NDArray[np.float32],
    start: NDArray[np.float32] | None,
    alpha: float,
    epsilon: float | None,
    reg: float,
    reg_exponent: float,
    cg_steps: int | None,
    report: _Report | None = None,
) -> NDArray[np.float32]: ...

# the objective that the half-steps minimise; `items` is the transpose of `users`
def ials_loss(
    users: Csr,
    items: Csr,
    user_factors: NDArray[np.float32],
    item_factors: NDArray[np.float32],
    alpha: float,
    epsilon: float | None,
    reg: float,
    reg_exponent: float,
) -> float: ...

@final
class AdversarialMf:
    def __new__(
        cls,
        urm: Csr,
        d: tuple[int, float, float, int, float, bool, bool, bool],
        g: tuple[int, float, float, float | None],
        in_order: bool,
        seed: int,
        factors: tuple[
            NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]
        ],
        negatives: NDArray[np.int32],
        finished: int,
    ) -> AdversarialMf: ...
    def run(self, report: _Report | None = None) -> tuple[float, float]: ...
    def state(self) -> tuple[list[NDArray[np.float32]], NDArray[np.int32]]: ...

@final
class GraphGan:
    def __new__(
        cls,
        adjacency: Csr,
        d: tuple[int, float, float],
        g: tuple[int, float, float],
        samples: int,
        batch_size: int,
        published: bool,
        seed: int,
        tables: list[NDArray[np.float32]],
        removed: NDArray[np.uint8],
        finished: tuple[int, int, int],
    ) -> GraphGan: ...
    def run(self, report: _Report | None = None) -> tuple[float, float]: ...
    def state(
        self,
    ) -> tuple[list[NDArray[np.float32]], NDArray[np.uint8], tuple[int, int, int]]: ...
    def draws(self) -> list[tuple[int, int]]: ...

@final
class Cdae:
    def __new__(
        cls,
        urm: Csr,
        activation: str,
        loss: str,
        dropout: float,
        scaled: bool,
        negatives: int,
        reg: float,
        learning_rate: float,
        beta: float,
        tied: bool,
        user_factors: bool,
        batch_size: int,
        seed: int,
        weights: list[NDArray[np.float32]],
        squares: list[NDArray[np.float32]] | None,
        epoch: int,
    ) -> Cdae: ...
    def run(self, report: _Report | None = None) -> float: ...
    def state(self) -> list[list[NDArray[np.float32]]]: ...
    def hidden(self) -> NDArray[np.float32]: ...
    def draws(self) -> list[list[list[int]]]: ...

@final
class SlimBpr:
    def __new__(
        cls,
        urm: Csr,
        symmetric: bool,
        sgd: str,
        lambda_i: float,
        lambda_j: float,
        learning_rate: float,
        published_quirks: bool,
        seed: int,
        max_bytes: int | None = None,
    ) -> SlimBpr: ...
    def run(self, samples: int, report: _Report | None = None) -> None: ...
    def weights(self, topk: int, report: _Report | None = None) -> Csr: ...
    def draws(self, first: int, samples: int) -> list[NDArray[np.int32]]: ...
    @staticmethod
    def dense_bytes(n_items: int, symmetric: bool) -> int: ...

@final
class BprRule:
    def __new__(
        cls,
        rule: str,
        learning_rate: float,
        reg: float,
        candidates: int,
        seed: int,
        batch_size: int = 1,
        in_order: bool = False,
        drop_last: bool = False,
        adversary: tuple[float, float] | None = None,
    ) -> BprRule: ...

@final
class BprMf:
    def __new__(
        cls,
        urm: Csr,
        rule: BprRule,
        users: NDArray[np.float32],
        items: NDArray[np.float32],
        squares: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None,
        epoch: int | None = None,
    ) -> BprMf: ...
    def run(self, report: _Report | None = None) -> float: ...
    def state(self) -> list[NDArray[np.float32]]: ...
    def draws(self) -> list[NDArray[np.int32]]: ...

def bpr_fold_in(
    profiles: Csr,
    rule: BprRule,
    items: NDArray[np.float32],
    constant: float,
    epochs: int,
    report: _Report | None = None,
) -> NDArray[np.float32]: ...

# ranking: (items int32 (len(users), n), scores float32 likewise); -1 / -inf pad -------------------
# `users` are rows of `left`, `user_factors` and `seen`; items ascend and are the same for all,
# or each of `users` has a row of a Csr.
_Items: TypeAlias = NDArray[np.int32] | Csr

@final
class RankRequest:
    def __new__(
        cls,
        users: NDArray[np.int64],
        n: int,
        seen: Csr | None = None,
        candidates: _Items | None = None,
        excluded: _Items | None = None,
    ) -> RankRequest: ...
    def part(self, start: int, end: int) -> RankRequest: ...
    @property
    def users(self) -> NDArray[np.int64]: ...
    @property
    def n(self) -> int: ...
    @property
    def seen(self) -> Csr | None: ...
    @property
    def candidates(self) -> _Items | None: ...
    @property
    def excluded(self) -> _Items | None: ...

_Lists: TypeAlias = tuple[NDArray[np.int32], NDArray[np.float32]]

# What requests share is made when it is first needed, and kept.
# row u of `left` times `right`: profiles and item weights, or user neighbours and profiles
@final
class ProductIndex:
    def __new__(cls, right: Csr) -> ProductIndex: ...
    def rank(self, left: Csr, request: RankRequest, report: _Report | None = None) -> _Lists: ...

# row u of `user_factors` belongs to user u, or with `by_position` row r to users[r]
@final
class FactorIndex:
    def __new__(cls, item_factors: NDArray[np.float32]) -> FactorIndex: ...
    def rank(
        self,
        user_factors: NDArray[np.float32],
        request: RankRequest,
        report: _Report | None = None,
        by_position: bool = False,
    ) -> _Lists: ...

# all items, best first
def popularity_order(item_scores: NDArray[np.float32]) -> NDArray[np.int32]: ...
def rank_popularity(
    item_scores: NDArray[np.float32],
    order: NDArray[np.int32],
    request: RankRequest,
    report: _Report | None = None,
) -> _Lists: ...

# a pure function of (seed, user, item)
def rank_random(
    seed: int, n_users: int, n_items: int, request: RankRequest, report: _Report | None = None
) -> _Lists: ...
def random_scores(seed: int, users: NDArray[np.int64], n_items: int) -> NDArray[np.float32]: ...

# row r of `scores` belongs to users[r]; `as_published` orders equal scores as published lists do
def rank_scores(
    scores: NDArray[np.float32],
    request: RankRequest,
    report: _Report | None = None,
    as_published: bool = False,
) -> _Lists: ...

# metrics ----------------------------------------------------------------------------------------
# Names of the metrics that every list has a value of; the last two need `train`.
def metric_names() -> list[str]: ...

# (sums over lists in multiples of 2^-80 by metric and cutoff; if `keep`, values float64 (metric,
# cutoff, list); if `count`, int64 (cutoff, item): how often each item is listed; lists that hold an
# item).
# Row l of `items` belongs to users[l], a row of `test`, which must hold at least one item.
def measure_lists(
    items: NDArray[np.int32],
    test: Csr,
    users: NDArray[np.int64],
    cutoffs: list[int],
    names: list[str],
    train: Csr | None = None,
    keep: bool = True,
    count: bool = True,
    report: _Report | None = None,
) -> tuple[list[list[int]], NDArray[np.float64] | None, NDArray[np.int64] | None, int]: ...

# statistics -------------------------------------------------------------------------------------
# float64 (rows of `values`, resamples): means over one and the same draw of columns a resample
def bootstrap_means(
    values: NDArray[np.float64], n_resamples: int, seed: int
) -> NDArray[np.float64]: ...

# delimited text -----------------------------------------------------------------------------------
@final
class DelimitedReader:
    def __new__(
        cls,
        separator: bytes,
        quoting: str,
        quote: int,
        width: int,
        columns: list[tuple[int, str, str]],
        header: bool,
        strip: bool,
    ) -> DelimitedReader: ...
    def feed(self, chunk: bytes) -> None: ...
    def finish(self) -> None: ...
    def take(self) -> list[tuple[str, NDArray[Any]]]: ...
    def ids(self, column: int) -> list[str]: ...
    def lines_of(self, rows: list[int]) -> NDArray[np.uint64]: ...
    @property
    def zoned(self) -> bool | None: ...
    @property
    def rows(self) -> int: ...
    @property
    def blank(self) -> int: ...
    @property
    def lines(self) -> int: ...
