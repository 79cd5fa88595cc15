"""ganmf-fast."""

from typing import Any

import numpy as np
import scipy.sparse as sp

import ganmf_fast as gf
from ganmf_fast._core import RankRequest
from ganmf_fast.base.urm import as_csr
from ganmf_fast.scorers.factors import Factors
from ganmf_fast.scorers.weights import ItemWeights
from peers.inputs import Urm, to_arrays
from peers.job import Job, UnavailableError
from peers.operations import ease as ease_operation
from peers.operations import graph
from peers.operations import metrics as metrics_operation
from peers.operations import one_user as one_user_operation
from peers.operations import rank_factors as factors_operation
from peers.operations import rank_weights as rank_operation
from peers.operations import slim as slim_operation
from peers.operations import split as split_operation
from peers.operations import tuning as tuning_operation
from peers.operations import wrmf as wrmf_operation

gf.set_num_threads(1)


def _load() -> None:
    """Import what the library imports late, as the other packages do when they are imported."""
    tiny = sp.csr_array(np.eye(3, dtype=np.float32))
    model = gf.ItemKNN(topk=1).fit(tiny)
    others = sp.csr_array(np.roll(np.eye(3, dtype=np.float32), 1, axis=1))
    gf.evaluate(model, tiny, others, cutoffs=(1,))
    gf.EASE().fit(tiny)


_load()


def _public(name: str) -> Any:
    """Something of the public face that a version may not have yet."""
    found: Any = gf
    for part in name.split("."):
        found = getattr(found, part, None)
        if found is None:
            raise UnavailableError(f"gf.{name} is not in this version")
    return found


def item_knn(X: Urm) -> Job:
    csr = as_csr(X)
    return Job(
        lambda: gf.ItemKNN(topk=100).fit(csr), lambda model: to_arrays(model.item_weights_.T)
    )


def p3alpha(X: Urm) -> Job:
    return _walk(gf.P3alpha, X, {})


def rp3beta(X: Urm) -> Job:
    return _walk(_public("RP3beta"), X, {"beta": graph.BETA})


def _walk(model: Any, X: Urm, penalty: dict[str, float]) -> Job:
    csr = as_csr(X)

    def answer(fitted: Any) -> dict[str, Any]:
        plain = model(topk=100, **penalty, normalize_similarity=False, prune_columns=False)
        kinds = {
            graph.ROWS: to_arrays(plain.fit(csr).item_weights_),
            graph.BOTH: to_arrays(fitted.item_weights_.T),
        }
        return {f"{kind}_{key}": a for kind, arrays in kinds.items() for key, a in arrays.items()}

    return Job(lambda: model(topk=100, **penalty).fit(csr), answer)


def slim(inputs: slim_operation.Inputs) -> Job:
    csr = as_csr(inputs.X)
    model = _public("SLIMElasticNet")(
        topk=inputs.X.shape[1], alpha=inputs.alpha, l1_ratio=inputs.l1_ratio, positive_only=True
    )
    return Job(lambda: model.fit(csr), lambda fitted: to_arrays(fitted.item_weights_))


def ease(X: Urm) -> Job:
    csr = as_csr(X)
    users = range(ease_operation.SCORED)
    return Job(
        lambda: gf.EASE(l2=ease_operation.L2).fit(csr),
        lambda model: {"scores": model.score_users(users)},
    )


def wrmf_cg(inputs: wrmf_operation.Inputs) -> Job:
    return _wrmf(inputs, "cg")


def wrmf_cholesky(inputs: wrmf_operation.Inputs) -> Job:
    return _wrmf(inputs, "cholesky")


def _wrmf(inputs: wrmf_operation.Inputs, solver: str) -> Job:
    csr = as_csr(inputs.X)
    model = _public("WRMF")(
        num_factors=wrmf_operation.FACTORS,
        alpha=wrmf_operation.ALPHA,
        reg=wrmf_operation.REG,
        epochs=1,
        solver=solver,
    )
    return Job(
        lambda: model.fit(csr),
        lambda m: wrmf_operation.answer(inputs.X, m.user_factors_, m.item_factors_),
    )


def tuning(X: Urm) -> Job:
    shared = getattr(gf, "Cooccurrence", None)
    rng = np.random.default_rng(0)
    settings = [
        {"similarity": s, "topk": int(rng.integers(5, 1000)), "shrink": int(rng.integers(0, 1000))}
        for s in tuning_operation.SIMILARITIES
        for _ in range(tuning_operation.SETTINGS)
    ]
    for setting in settings:
        if setting["similarity"] in {"cosine", "asymmetric", "euclidean"}:
            setting["normalize"] = bool(rng.integers(2))
    if "similarity" not in gf.ItemKNN().get_params():
        raise UnavailableError("ItemKNN has one similarity in this version")
    csr = as_csr(X)

    def run() -> int:
        data = csr if shared is None else shared(csr)
        for setting in settings:
            gf.ItemKNN(**setting).fit(data)
        return len(settings)

    note = "" if shared is None else "co-occurrences computed once and shared"
    return Job(run, lambda fits: {"fits": fits}, note)


def split(X: Urm) -> Job:
    holdout = _public("split.holdout")
    csr = as_csr(X)
    return Job(
        lambda: holdout(csr, test_size=split_operation.TEST_SIZE, per_user=True, seed=0),
        lambda s: split_operation.answer(s.train, s.test),
    )


def rank_weights(inputs: rank_operation.Inputs) -> Job:
    X, scorer = as_csr(inputs.X), ItemWeights(as_csr(inputs.W))
    request = RankRequest(np.arange(X.n_rows), rank_operation.N, X)
    return Job(
        lambda: scorer.rank(X, request),
        lambda lists: {"items": lists[0]},
    )


def rank_factors(inputs: factors_operation.Inputs) -> Job:
    X, scorer = as_csr(inputs.X), Factors(inputs.P, inputs.Q)
    request = RankRequest(np.arange(X.n_rows), rank_operation.N, X)
    return Job(
        lambda: scorer.rank(X, request),
        lambda lists: {"items": lists[0]},
    )


rank_trained_factors = rank_factors


def one_user_weights(inputs: one_user_operation.WeightInputs) -> Job:
    return _one_user(gf.ItemKNN(), inputs, ItemWeights(as_csr(inputs.W)))


def one_user_factors(inputs: one_user_operation.FactorInputs) -> Job:
    return _one_user(gf.WRMF(), inputs, Factors(inputs.P, inputs.Q))


def _one_user(model: Any, inputs: Any, scorer: Any) -> Job:
    fitted = type(model).from_parts(model.get_params(), as_csr(inputs.X), scorer, None)
    n = one_user_operation.N
    return Job(
        one_user_operation.requests(
            inputs.users, lambda user: fitted.recommend(user, n=n).items[0]
        ),
        one_user_operation.answer,
    )


def metrics(inputs: metrics_operation.Inputs) -> Job:
    return _metrics(inputs, ("ndcg", "map"))


def all_metrics(inputs: metrics_operation.Inputs) -> Job:
    return _metrics(inputs, None)


def _metrics(inputs: metrics_operation.Inputs, names: tuple[str, ...] | None) -> Job:
    test = gf.Interactions.from_matrix(inputs.test)
    k = metrics_operation.K
    return Job(
        lambda: gf.evaluate_lists(inputs.items, test, cutoffs=(k,), metrics=names),
        lambda e: {"ndcg": e["ndcg", k], "map": e["map", k]},
    )
