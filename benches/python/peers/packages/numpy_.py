"""numpy: the BLAS product alone as a yardstick for ranking from factors, or with a selection."""

from typing import Any

import numpy as np

from peers.job import Job
from peers.operations import one_user as one_user_operation
from peers.operations import rank_factors as factors_operation

BLOCK = 256


def rank_factors(inputs: factors_operation.Inputs) -> Job:
    P, Q = inputs.P, inputs.Q

    def run() -> Any:
        block = np.empty((BLOCK, len(Q)), np.float32)
        for start in range(0, len(P), BLOCK):
            users = P[start : start + BLOCK]
            np.matmul(users, Q.T, out=block[: len(users)])
        return block

    return Job(run, lambda _: {})


rank_trained_factors = rank_factors


def one_user_factors(inputs: one_user_operation.FactorInputs) -> Job:
    X, P, Q, n = inputs.X, inputs.P, inputs.Q, one_user_operation.N

    def recommend(user: int) -> Any:
        scores = Q @ P[user]
        scores[X.indices[X.indptr[user] : X.indptr[user + 1]]] = -np.inf
        best = np.argpartition(scores, -n)[-n:]
        return best[np.argsort(-scores[best])]

    return Job(one_user_operation.requests(inputs.users, recommend), one_user_operation.answer)
