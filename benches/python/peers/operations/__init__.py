"""The operations by name, in the order of the report."""

from peers.operations import (
    ease,
    graph,
    item_knn,
    metrics,
    one_user,
    rank_factors,
    rank_weights,
    slim,
    split,
    tuning,
    wrmf,
)
from peers.operations.base import Operation

OPERATIONS: dict[str, Operation] = {
    operation.name: operation
    for operation in (
        item_knn.OPERATION,
        graph.P3ALPHA,
        graph.RP3BETA,
        slim.OPERATION,
        ease.OPERATION,
        wrmf.CG,
        wrmf.CHOLESKY,
        tuning.OPERATION,
        split.OPERATION,
        rank_weights.OPERATION,
        rank_factors.RANDOM,
        rank_factors.TRAINED,
        one_user.WEIGHTS,
        one_user.FACTORS,
        metrics.TWO,
        metrics.ALL,
    )
}
