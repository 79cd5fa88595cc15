"""similaripy."""

from typing import Any

import similaripy

from peers.inputs import Urm, to_arrays
from peers.job import Job
from peers.operations import graph
from peers.operations import rank_weights as rank_operation

_ONE = {"num_threads": 1, "verbose": False, "format_output": "csr"}


def item_knn(X: Urm) -> Job:
    items = X.T.tocsr()
    return Job(lambda: similaripy.cosine(items, k=101, **_ONE), to_arrays)


def p3alpha(X: Urm) -> Job:
    items = X.T.tocsr()
    return Job(lambda: similaripy.p3alpha(items, alpha=1.0, k=101, **_ONE), _walk)


def rp3beta(X: Urm) -> Job:
    items = X.T.tocsr()
    return Job(lambda: similaripy.rp3beta(items, alpha=1.0, beta=graph.BETA, k=101, **_ONE), _walk)


def _walk(S: Any) -> dict[str, Any]:
    return {f"{graph.ROWS}_{key}": array for key, array in to_arrays(S).items()}


def rank_weights(inputs: rank_operation.Inputs) -> Job:
    k = rank_operation.N

    def run() -> Any:
        return similaripy.dot_product(inputs.X, inputs.W, k=k, filter_cols=inputs.X, **_ONE)

    return Job(run, lambda scores: {"items": rank_operation.lists_of(scores)})
