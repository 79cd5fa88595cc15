"""irspack."""

from typing import Any

import numpy as np
import scipy.sparse as sp
from irspack.recommenders import (
    CosineKNNRecommender,
    P3alphaRecommender,
    RP3betaRecommender,
    SLIMRecommender,
)
from irspack.recommenders._ials_core import (
    IALSModelConfigBuilder,
    IALSSolverConfigBuilder,
    IALSTrainer,
    LossType,
    SolverType,
)
from irspack.utils import rowwise_train_test_split

from peers.inputs import Urm, to_arrays
from peers.job import Job
from peers.operations import graph
from peers.operations import slim as slim_operation
from peers.operations import split as split_operation
from peers.operations import wrmf as wrmf_operation


def item_knn(X: Urm) -> Job:
    X = X.astype(np.float64)

    def run() -> Any:
        model = CosineKNNRecommender(X, shrinkage=0.0, normalize=True, top_k=101, n_threads=1)
        return model.learn().W

    # Its 101 are kept per history item; cosine is symmetric, so these are the neighbours.
    return Job(run, lambda W: to_arrays(_by_target(W)))


def _by_target(W: Any) -> Any:
    """Rows are those that hold at most 101 entries."""
    W = sp.csr_matrix(W)
    return W if np.diff(W.indptr).max() <= 101 else W.T.tocsr()


def p3alpha(X: Urm) -> Job:
    X = X.astype(np.float64)
    return Job(lambda: P3alphaRecommender(X, top_k=101, n_threads=1).learn().W, _walk)


def rp3beta(X: Urm) -> Job:
    X = X.astype(np.float64)

    def run() -> Any:
        return RP3betaRecommender(X, beta=graph.BETA, top_k=101, n_threads=1).learn().W

    return Job(run, _walk)


def _walk(W: Any) -> dict[str, Any]:
    # Cut per column.
    return {f"{graph.TARGETS}_{key}": array for key, array in to_arrays(W.T).items()}


def slim(inputs: slim_operation.Inputs) -> Job:
    X = inputs.X.astype(np.float64)

    def run() -> Any:
        return (
            SLIMRecommender(
                X, alpha=inputs.alpha, l1_ratio=inputs.l1_ratio, n_iter=100, tol=1e-4, n_threads=1
            )
            .learn()
            .W
        )

    return Job(run, to_arrays)


def wrmf_cg(inputs: wrmf_operation.Inputs) -> Job:
    return _wrmf(inputs, "cg")


def wrmf_cholesky(inputs: wrmf_operation.Inputs) -> Job:
    return _wrmf(inputs, "cholesky")


def _wrmf(inputs: wrmf_operation.Inputs, solver: str) -> Job:
    # Confidence is alpha0 plus the value.
    values = inputs.X * np.float32(wrmf_operation.ALPHA)
    config = (
        IALSModelConfigBuilder()
        .set_K(wrmf_operation.FACTORS)
        .set_alpha0(1.0)
        .set_reg(wrmf_operation.REG)
        .set_nu(0.0)
        .set_init_stdev(0.1)
        .set_loss_type(LossType.ORIGINAL)
        .set_random_seed(0)
        .build()
    )
    how = (
        IALSSolverConfigBuilder()
        .set_n_threads(1)
        .set_solver_type(SolverType.CG if solver == "cg" else SolverType.CHOLESKY)
        .set_max_cg_steps(wrmf_operation.CG_STEPS)
        .build()
    )

    def run() -> Any:
        trainer = IALSTrainer(config, values)
        trainer.item = inputs.items
        trainer.step(how)
        return trainer

    return Job(run, lambda t: wrmf_operation.answer(inputs.X, t.user, t.item))


def split(X: Urm) -> Job:
    def run() -> Any:
        return rowwise_train_test_split(X, test_ratio=split_operation.TEST_SIZE, random_state=0)

    return Job(run, lambda sides: split_operation.answer(*sides))
