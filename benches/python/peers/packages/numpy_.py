"""numpy: the BLAS product alone, as a yardstick for ranking from factors."""

from typing import Any

import numpy as np

from peers.job import Job
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
