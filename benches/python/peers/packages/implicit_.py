"""implicit."""

from types import SimpleNamespace
from typing import Any

import numpy as np
from implicit._nearest_neighbours import NearestNeighboursScorer
from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.topk import topk
from implicit.evaluation import ranking_metrics_at_k
from implicit.nearest_neighbours import CosineRecommender, ItemItemRecommender

from peers.inputs import Urm, to_arrays
from peers.job import Job
from peers.operations import metrics as metrics_operation
from peers.operations import one_user as one_user_operation
from peers.operations import rank_factors as factors_operation
from peers.operations import rank_weights as rank_operation
from peers.operations import wrmf as wrmf_operation


def item_knn(X: Urm) -> Job:
    def run() -> Any:
        model = CosineRecommender(K=101, num_threads=1)
        model.fit(X, show_progress=False)
        return model.similarity

    return Job(run, to_arrays)


def wrmf_cg(inputs: wrmf_operation.Inputs) -> Job:
    return _wrmf(inputs, "cg")


def wrmf_cholesky(inputs: wrmf_operation.Inputs) -> Job:
    return _wrmf(inputs, "cholesky")


def _wrmf(inputs: wrmf_operation.Inputs, solver: str) -> Job:
    # Its values are the confidences themselves.
    confidences = inputs.X * np.float32(1 + wrmf_operation.ALPHA)

    def run() -> Any:
        model = AlternatingLeastSquares(
            factors=wrmf_operation.FACTORS,
            regularization=wrmf_operation.REG,
            use_cg=solver == "cg",
            iterations=1,
            num_threads=1,
            random_state=0,
        )
        model.item_factors = inputs.items.copy()
        model.fit(confidences, show_progress=False)
        return model

    return Job(run, lambda m: wrmf_operation.answer(inputs.X, m.user_factors, m.item_factors))


def rank_weights(inputs: rank_operation.Inputs) -> Job:
    model = _item_item(inputs.W)
    X = inputs.X.astype(np.float64)
    users = np.arange(X.shape[0])

    def answer(lists: Any) -> dict[str, Any]:
        items, scores = lists
        return {"items": np.where(scores > 0, items, -1).astype(np.int32)}

    return Job(lambda: model.recommend(users, X, N=rank_operation.N), answer)


def _item_item(W: Urm) -> Any:
    model = ItemItemRecommender(K=100, num_threads=1)
    model.similarity = W.astype(np.float64)
    model.scorer = NearestNeighboursScorer(model.similarity)
    return model


def rank_factors(inputs: factors_operation.Inputs) -> Job:
    def run() -> Any:
        k = factors_operation.N
        return topk(inputs.Q, inputs.P, k, filter_query_items=inputs.X, num_threads=1)

    return Job(run, lambda lists: {"items": lists[0].astype(np.int32)})


rank_trained_factors = rank_factors


def one_user_weights(inputs: one_user_operation.WeightInputs) -> Job:
    model = _item_item(inputs.W)
    X = inputs.X.astype(np.float64)

    def recommend(user: int) -> Any:
        items, scores = model.recommend(user, X[user], N=one_user_operation.N)
        return items[scores > 0]

    return Job(one_user_operation.requests(inputs.users, recommend), one_user_operation.answer)


def one_user_factors(inputs: one_user_operation.FactorInputs) -> Job:
    model = AlternatingLeastSquares(factors=inputs.P.shape[1], num_threads=1)
    model.user_factors, model.item_factors = inputs.P, inputs.Q

    def recommend(user: int) -> Any:
        return model.recommend(user, inputs.X[user], N=one_user_operation.N)[0]

    return Job(one_user_operation.requests(inputs.users, recommend), one_user_operation.answer)


def metrics(inputs: metrics_operation.Inputs) -> Job:
    # The evaluator asks a model for lists; this one has them already.
    lists = inputs.items
    model = SimpleNamespace(recommend=lambda users, _profiles, N, **_: (lists[users, :N], None))

    def run() -> Any:
        return ranking_metrics_at_k(
            model,
            inputs.train,
            inputs.test,
            K=metrics_operation.K,
            show_progress=False,
            num_threads=1,
        )

    return Job(run, lambda values: {"ndcg": values["ndcg"], "map": values["map"]})
