"""skrecsys. Models get the matrix that their `fit` makes of pairs of ids, which is not timed."""

from typing import Any

import numpy as np
import scipy.sparse as sp
from skrecsys import _core
from skrecsys.metrics import average_precision_at_k, ndcg_at_k
from skrecsys.recommendation import EASE, ItemKNNRecommender, RP3Beta, SLIMElasticNet

from peers.inputs import Urm, to_arrays
from peers.job import Job
from peers.operations import ease as ease_operation
from peers.operations import graph
from peers.operations import metrics as metrics_operation
from peers.operations import one_user as one_user_operation
from peers.operations import rank_factors as factors_operation
from peers.operations import rank_weights as rank_operation
from peers.operations import slim as slim_operation


def _matrix(X: Urm) -> Any:
    return sp.csr_array(
        (X.data.astype(np.float64), X.indices.astype(np.int64), X.indptr.astype(np.int64)),
        shape=X.shape,
    )


def _fitted(model: Any, X: Any) -> Any:
    model._fit(X)
    return model


def item_knn(X: Urm) -> Job:
    matrix = _matrix(X)
    return Job(
        lambda: _fitted(ItemKNNRecommender(n_neighbors=100, n_jobs=1), matrix),
        lambda model: to_arrays(model.similarity_),
    )


def p3alpha(X: Urm) -> Job:
    return _walk(X, 0.0)


def rp3beta(X: Urm) -> Job:
    return _walk(X, graph.BETA)


def _walk(X: Urm, beta: float) -> Job:
    matrix = _matrix(X)

    def answer(model: Any) -> dict[str, Any]:
        # Neighbours per target, cut per column like ours.
        W = to_arrays(model._neighbors_of_items())
        return {f"{graph.BOTH}_{key}": array for key, array in W.items()}

    return Job(
        lambda: _fitted(RP3Beta(n_neighbors=100, alpha=1.0, beta=beta, n_jobs=1), matrix), answer
    )


def slim(inputs: slim_operation.Inputs) -> Job:
    matrix = _matrix(inputs.X)
    model = SLIMElasticNet(
        alpha=inputs.alpha,
        l1_ratio=inputs.l1_ratio,
        n_neighbors=matrix.shape[1],
        positive=True,
        n_jobs=1,
    )
    return Job(lambda: _fitted(model, matrix), lambda m: to_arrays(m.similarity_))


def ease(X: Urm) -> Job:
    matrix = _matrix(X)
    return Job(
        lambda: _fitted(EASE(l2_reg=ease_operation.L2, n_jobs=1), matrix),
        lambda model: {"scores": X[: ease_operation.SCORED] @ model.similarity_},
    )


def rank_weights(inputs: rank_operation.Inputs) -> Job:
    X, W = _matrix(inputs.X), _matrix(inputs.W)
    rows = np.arange(X.shape[0])
    k = rank_operation.N
    seen = (X.indptr, X.indices, X.data)

    def run() -> Any:
        weights = (W.indptr, W.indices, W.data)
        return _core.recommend_from_similarity(*seen, rows, *weights, None, True, k, 1)

    def answer(lists: Any) -> dict[str, Any]:
        items, scores = lists
        return {"items": np.where(scores > 0, items, -1).astype(np.int32)}

    return Job(run, answer)


def rank_factors(inputs: factors_operation.Inputs) -> Job:
    P, Q = inputs.P.astype(np.float64), inputs.Q.astype(np.float64)
    X = _matrix(inputs.X)
    rows = np.arange(X.shape[0])
    k = factors_operation.N

    def run() -> Any:
        return _core.recommend_from_factors(P, Q, None, None, rows, X.indptr, X.indices, None, k, 1)

    return Job(run, lambda lists: {"items": lists[0].astype(np.int32)})


def one_user_weights(inputs: one_user_operation.WeightInputs) -> Job:
    X, W = _matrix(inputs.X), _matrix(inputs.W)
    seen, weights = (X.indptr, X.indices, X.data), (W.indptr, W.indices, W.data)

    def recommend(user: int) -> Any:
        items, scores = _core.recommend_from_similarity(
            *seen, np.array([user]), *weights, None, True, one_user_operation.N, 1
        )
        return items[scores > 0]

    return Job(one_user_operation.requests(inputs.users, recommend), one_user_operation.answer)


def one_user_factors(inputs: one_user_operation.FactorInputs) -> Job:
    P, Q = inputs.P.astype(np.float64), inputs.Q.astype(np.float64)
    X, n = _matrix(inputs.X), one_user_operation.N

    def recommend(user: int) -> Any:
        rows = np.array([user])
        args = (P, Q, None, None, rows, X.indptr, X.indices, None, n, 1)
        return _core.recommend_from_factors(*args)[0][0]

    return Job(one_user_operation.requests(inputs.users, recommend), one_user_operation.answer)


def metrics(inputs: metrics_operation.Inputs) -> Job:
    X = inputs.test
    relevant = [set(X.indices[a:b].tolist()) for a, b in zip(X.indptr, X.indptr[1:], strict=False)]

    def run() -> Any:
        k = metrics_operation.K
        ndcg = ndcg_at_k(relevant, inputs.items, k=k)
        return {"ndcg": ndcg, "map": average_precision_at_k(relevant, inputs.items, k=k)}

    return Job(run, lambda values: values)
