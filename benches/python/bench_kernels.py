"""The kernels as a user meets them: through Python, on the simulated data set."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

import ganmf_fast as gf
from ganmf_fast.models.base import Recommender

Measure = Callable[[Callable[[], object], int, str], Any]

N = 20
CUTOFFS = (5, 20)
MODELS = {
    "ItemKNN": gf.ItemKNN(topk=100),
    "P3alpha": gf.P3alpha(topk=100),
    "PureSVD": gf.PureSVD(num_factors=50),
    "Random": gf.Random(),
}


@pytest.fixture(scope="module", params=MODELS)
def fitted(request: pytest.FixtureRequest, splits: gf.Splits) -> Recommender:
    return MODELS[request.param].fit(splits.train)


def test_split(measure: Measure) -> None:
    data = gf.datasets.load("demo")
    result = measure(lambda: gf.split.paper_protocol(data, seed=1337), data.urm.nnz, "interactions")
    assert result.train.nnz + result.test.nnz == data.urm.nnz


RULES = {
    "holdout": gf.split.holdout,
    "holdout of all": lambda data: gf.split.holdout(data, per_user=False),
    "leave_k_out": gf.split.leave_k_out,
    "k_fold": lambda data: gf.split.k_fold(data)[0],
    "cold_users": gf.split.cold_users,
}


@pytest.mark.parametrize("rule", RULES)
def test_split_rules(measure: Measure, rule: str) -> None:
    data = gf.datasets.load("demo")
    result = measure(lambda: RULES[rule](data), data.n_interactions, "interactions")
    assert result.test.nnz > 0


def test_fit_item_knn(measure: Measure, splits: gf.Splits) -> None:
    train = splits.train
    model = measure(lambda: gf.ItemKNN(topk=100).fit(train), train.nnz, "interactions")
    assert model.item_weights_.nnz > 0


def test_count_co_occurrences(measure: Measure, splits: gf.Splits) -> None:
    train = splits.train
    counts = measure(lambda: gf.Cooccurrence(train), train.nnz, "interactions")
    assert counts.of == "items"


@pytest.mark.parametrize("similarity", ["cosine", "jaccard", "euclidean"])
def test_fit_from_shared_counts(measure: Measure, splits: gf.Splits, similarity: str) -> None:
    counts = gf.Cooccurrence(splits.train)
    pairs = splits.train.shape[1] ** 2
    model = gf.ItemKNN(topk=100, similarity=similarity)
    measure(lambda: model.fit(counts), pairs, "pairs")
    assert model.item_weights_.nnz > 0


def test_fit_user_knn(measure: Measure, splits: gf.Splits) -> None:
    train = splits.train
    model = measure(lambda: gf.UserKNN(topk=100).fit(train), train.nnz, "interactions")
    assert model.n_users_ == train.shape[0]


@pytest.mark.parametrize(
    "model", [gf.P3alpha(topk=100), gf.RP3beta(topk=100)], ids=["P3alpha", "RP3beta"]
)
def test_fit_walks(measure: Measure, splits: gf.Splits, model: gf.P3alpha | gf.RP3beta) -> None:
    train = splits.train
    measure(lambda: model.fit(train), train.nnz, "interactions")
    assert model.item_weights_.nnz > 0


@pytest.mark.parametrize("solver", ["cg", "cholesky"])
def test_fit_wrmf(measure: Measure, splits: gf.Splits, solver: str) -> None:
    train = splits.train
    model = gf.WRMF(num_factors=64, epochs=1, solver=solver)
    measure(lambda: model.fit(train), train.nnz, "interactions")
    assert model.item_factors_.shape == (train.shape[1], 64)


def test_fit_slim_bpr(measure: Measure, splits: gf.Splits) -> None:
    train = splits.train
    model = measure(lambda: gf.SLIMBPR(epochs=1).fit(train), train.nnz, "samples")
    assert model.item_weights_.nnz > 0


def test_rank(measure: Measure, fitted: Recommender) -> None:
    users = range(fitted.n_users_)
    result = measure(lambda: fitted.recommend(users, n=N), fitted.n_users_, "users")
    assert result.items.shape == (fitted.n_users_, N)


def test_rank_one_user(measure: Measure, fitted: Recommender) -> None:
    result = measure(lambda: fitted.recommend(7, n=N), 1, "users")
    assert result.items.shape == (1, N)


def test_rank_one_user_by_id(measure: Measure, splits: gf.Splits) -> None:
    ids = [
        [f"{kind}{i}" for i in range(n)] for kind, n in zip("ui", splits.train.shape, strict=True)
    ]
    data = gf.Interactions.from_matrix(splits.train, *ids)
    model = gf.ItemKNN(topk=100).fit(data)
    assert len(measure(lambda: model.recommend(["u7"], n=N), 1, "users")["item"]) == N


def test_metrics(measure: Measure, splits: gf.Splits) -> None:
    n_users = splits.test.shape[0]
    model = gf.TopPopular().fit(splits.train)
    items = model.recommend(range(n_users), n=N).items
    result = measure(
        lambda: gf.evaluate_lists(items, splits.test, cutoffs=CUTOFFS), n_users, "users"
    )
    assert 0 < result["map", 5] < 1


def test_ndcg_and_map_of_many_lists(measure: Measure) -> None:
    """As many lists as MovieLens 20M has users, each with 29 test items."""
    n_users, n_items, rng = 138_493, 26_744, np.random.default_rng(0)
    lists = (rng.integers(0, n_items, (n_users, 1)) + np.arange(0, 20 * 7, 7)) % n_items
    cols = (rng.integers(0, n_items, (n_users, 1)) + np.arange(0, 29 * 5, 5)) % n_items
    rows = np.repeat(np.arange(n_users), cols.shape[1])
    test = gf.Interactions.from_matrix(
        sp.csr_array((np.ones(cols.size), (rows, cols.ravel())), (n_users, n_items))
    )
    lists = lists.astype(np.int32)
    measure(
        lambda: gf.evaluate_lists(lists, test, cutoffs=20, metrics=["ndcg", "map"]),
        n_users,
        "users",
    )


def test_compare(measure: Measure, splits: gf.Splits) -> None:
    models = [gf.TopPopular().fit(splits.train), gf.ItemKNN(topk=100).fit(splits.train)]
    evs = [gf.evaluate(m, splits.train, splits.test, cutoffs=5) for m in models]
    result = measure(lambda: gf.compare(evs), len(evs[0].users), "users")
    assert result.pairs["t_p"][0] < 0.01


def test_evaluate(measure: Measure, splits: gf.Splits) -> None:
    model = gf.ItemKNN(topk=100).fit(splits.train)
    result = measure(
        lambda: gf.evaluate(model, splits.train, splits.test, cutoffs=CUTOFFS),
        splits.test.shape[0],
        "users",
    )
    assert 0 < result["map", 5] < 1
