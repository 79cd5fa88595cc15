"""lenskit."""

from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from lenskit import recommend, topn_pipeline
from lenskit.data import from_interactions_df
from lenskit.knn import EASEScorer, ItemKNNScorer, SLIMScorer
from lenskit.training import TrainingOptions

from peers.inputs import Urm, to_arrays
from peers.job import Job
from peers.operations import ease as ease_operation
from peers.operations import one_user as one_user_operation
from peers.operations import slim as slim_operation

torch.set_num_threads(1)


def _dataset(X: Urm) -> Any:
    users = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    return from_interactions_df(pd.DataFrame({"user_id": users, "item_id": X.indices}))


def _trained(scorer: Any, data: Any) -> Any:
    scorer.train(data, TrainingOptions(device="cpu"))
    return scorer


def _all_items(model: Any, W: Any, n_items: int) -> Any:
    """A matrix over the items that lenskit saw as one over all items."""
    ids = np.asarray(model.items.ids())
    W = sp.coo_matrix(W)
    return sp.csr_matrix((W.data, (ids[W.row], ids[W.col])), shape=(n_items, n_items))


def item_knn(X: Urm) -> Job:
    data = _dataset(X)

    def answer(model: Any) -> dict[str, Any]:
        return to_arrays(_all_items(model, model.sim_matrix.to_scipy(), X.shape[1]))

    return Job(lambda: _trained(ItemKNNScorer(save_nbrs=100, feedback="implicit"), data), answer)


def slim(inputs: slim_operation.Inputs) -> Job:
    data = _dataset(inputs.X)
    l1, l2 = inputs.sums

    def answer(model: Any) -> dict[str, Any]:
        return to_arrays(_all_items(model, model.weights, inputs.X.shape[1]))

    return Job(lambda: _trained(SLIMScorer(l1_reg=l1, l2_reg=l2), data), answer)


def ease(X: Urm) -> Job:
    data = _dataset(X)

    def answer(model: Any) -> dict[str, Any]:
        scores = np.zeros((ease_operation.SCORED, X.shape[1]), np.float32)
        ids = np.asarray(model.items.ids())
        scores[:, ids] = X[: ease_operation.SCORED][:, ids] @ model.weights
        return {"scores": scores}

    return Job(lambda: _trained(EASEScorer(regularization=ease_operation.L2), data), answer)


def one_user_weights(inputs: one_user_operation.WeightInputs) -> Job:
    scorer = ItemKNNScorer(save_nbrs=100, max_nbrs=inputs.X.shape[1], feedback="implicit")
    pipeline = topn_pipeline(scorer, n=one_user_operation.N)
    pipeline.train(_dataset(inputs.X), TrainingOptions(device="cpu"))
    return Job(
        one_user_operation.requests(inputs.users, lambda user: recommend(pipeline, user).ids()),
        one_user_operation.answer,
    )
