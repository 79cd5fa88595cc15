"""ranx: metrics of runs, compiled by numba on the first call."""

from typing import Any

import numpy as np
from ranx import Qrels, Run, evaluate

from peers.job import Job
from peers.operations import metrics as metrics_operation


def metrics(inputs: metrics_operation.Inputs) -> Job:
    X = inputs.test
    k = metrics_operation.K
    relevant = {
        str(u): dict.fromkeys(map(str, X.indices[X.indptr[u] : X.indptr[u + 1]]), 1)
        for u in range(X.shape[0])
    }
    values = np.arange(k, 0, -1, dtype=float).tolist()
    lists = {
        str(u): dict(zip(map(str, row), values, strict=True)) for u, row in enumerate(inputs.items)
    }
    qrels, run = Qrels(relevant), Run(lists)
    names = [f"ndcg@{k}", f"map@{k}"]
    evaluate(qrels, run, names, threads=1)

    def answer(results: Any) -> dict[str, float]:
        # Its MAP divides by the number of relevant items, however short the list.
        return {"ndcg": float(results[names[0]])}

    return Job(lambda: evaluate(qrels, run, names, threads=1), answer)
