"""The kernels as a user meets them: through Python, on the simulated data set."""

from collections.abc import Callable
from typing import Any

import pytest

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


def test_fit_item_knn(measure: Measure, splits: gf.Splits) -> None:
    train = splits.train
    model = measure(lambda: gf.ItemKNN(topk=100).fit(train), train.nnz, "interactions")
    assert model.item_weights_.nnz > 0


def test_fit_p3alpha(measure: Measure, splits: gf.Splits) -> None:
    train = splits.train
    model = measure(lambda: gf.P3alpha(topk=100).fit(train), train.nnz, "interactions")
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


def test_metrics(measure: Measure, splits: gf.Splits) -> None:
    n_users = splits.test.shape[0]
    model = gf.TopPopular().fit(splits.train)
    items = model.recommend(range(n_users), n=N).items
    result = measure(
        lambda: gf.evaluate_lists(items, splits.test, cutoffs=CUTOFFS), n_users, "users"
    )
    assert 0 < result["map", 5] < 1


def test_evaluate(measure: Measure, splits: gf.Splits) -> None:
    model = gf.ItemKNN(topk=100).fit(splits.train)
    result = measure(
        lambda: gf.evaluate(model, splits.train, splits.test, cutoffs=CUTOFFS),
        splits.test.shape[0],
        "users",
    )
    assert 0 < result["map", 5] < 1
