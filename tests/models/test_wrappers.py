"""Models made of others: re-ranked lists against a plain greedy search, blends, fallbacks."""

import math

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.base import clone

import ganmf_fast as gf

GENRES = ("drama", "comedy", "noir", "horror", "musical")


@pytest.fixture
def labels(toy_urm):
    rng = np.random.default_rng(8)
    return {i: [g for g in GENRES if rng.random() < 0.35] for i in range(toy_urm.shape[1])}


def matrix_of(labels):
    return np.array([[float(g in its) for g in GENRES] for its in labels.values()])


def greedy(items, relevance, n, value):
    """Pick n of a pool; `value(item, picked)` is what is lost, the first of equal ones wins."""
    picked = []
    while len(picked) < min(n, len(items)):
        left = [i for i in range(len(items)) if items[i] not in picked]
        best = max(left, key=lambda i: (round(relevance[i] - value(items[i], picked), 12), -i))
        picked.append(items[best])
    return picked


def pool_of(model, user, size):
    lists = model.recommend([user], n=size)
    real = lists.items[0] >= 0
    items, scores = lists.items[0][real].tolist(), lists.scores[0][real].astype(float)
    spread = np.ptp(scores)
    return items, (scores - scores.min()) / spread if spread else np.ones(len(scores))


@pytest.mark.parametrize("diversity", [0.25, 0.8])
def test_mmr_is_the_greedy_search_of_its_objective(toy_urm, labels, diversity):
    features = matrix_of(labels)
    norms = np.linalg.norm(features, axis=1)
    norms[norms == 0] = 1
    cosine = (features / norms[:, None]) @ (features / norms[:, None]).T
    inner = gf.ItemKNN(topk=15).fit(toy_urm)
    model = gf.MMR(inner, labels, diversity=diversity, pool=12).fit(toy_urm)
    assert model.models_ == [inner]
    lists = model.recommend(range(60), n=5)
    changed = 0
    for user in range(60):
        items, relevance = pool_of(inner, user, 12)
        expected = greedy(
            items,
            (1 - diversity) * relevance,
            5,
            lambda item, picked: diversity * max((cosine[item, p] for p in picked), default=0.0),
        )
        assert [i for i in lists.items[user].tolist() if i >= 0] == expected
        changed += expected != items[:5]
    assert changed > 20
    filled = lists.items >= 0
    assert (np.diff(lists.scores, axis=1)[filled[:, 1:]] <= 0).all()


@pytest.mark.parametrize("calibration", [0.3, 0.9])
def test_calibration_is_the_greedy_search_of_its_objective(toy_urm, labels, calibration):
    shares = matrix_of(labels)
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1)

    def mix(items):
        described = [shares[i] for i in items if shares[i].any()]
        return np.mean(described, axis=0) if described else np.zeros(len(GENRES))

    inner = gf.PureSVD(num_factors=5).fit(toy_urm)
    model = gf.CalibratedReranking(inner, sp.csr_array(shares), calibration, pool=15).fit(toy_urm)
    lists = model.recommend(range(60), n=6).items
    changed = 0
    for user in range(60):
        p = mix(toy_urm[[user]].indices)

        def divergence(item, picked, p=p):
            q = 0.99 * mix([*picked, item]) + 0.01 * p
            return calibration * sum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a)

        items, relevance = pool_of(inner, user, 15)
        expected = greedy(items, (1 - calibration) * relevance, 6, divergence)
        assert [i for i in lists[user].tolist() if i >= 0] == expected
        changed += expected != items[:6]
    assert changed > 20


def test_reranking_moves_the_metric_it_is_made_for(demo_split, demo_genres):
    train, test = demo_split.train, demo_split.test
    inner = gf.ItemKNN().fit(train)
    names = ["ndcg", "ild", "miscalibration"]
    plain, diverse, calibrated, untouched = (
        gf.evaluate(model, train, test, 10, names, item_features=demo_genres)
        for model in (
            inner,
            gf.MMR(inner, demo_genres, 0.5).fit(train),
            gf.CalibratedReranking(inner, demo_genres, 0.5).fit(train),
            gf.MMR(inner, demo_genres, diversity=0).fit(train),
        )
    )
    assert diverse["ild", 10] > 1.05 * plain["ild", 10]
    assert calibrated["miscalibration", 10] < 0.8 * plain["miscalibration", 10]
    assert untouched.to_dict() == plain.to_dict()


@pytest.fixture(scope="module")
def demo_split():
    urm = gf.datasets.load("demo").urm[:300]
    return gf.split.holdout(urm)


@pytest.fixture(scope="module")
def demo_genres(demo_split):
    """Labels that follow taste, as genres do: clusters of the items' users."""
    factors = gf.PureSVD(num_factors=6).fit(demo_split.train).item_factors_
    return sp.csr_array(np.eye(6)[np.abs(factors).argmax(axis=1)])


def test_requests_are_those_of_any_model(toy_urm, labels):
    inner = gf.EASE(l2=20.0)
    model = gf.MMR(inner, labels, pool=10).fit(toy_urm)
    assert not hasattr(inner, "scorer_")  # a clone is fitted
    every = model.recommend(range(60), n=4).items
    one = np.concatenate([model.recommend([u], n=4).items for u in range(60)])
    np.testing.assert_array_equal(every, one)
    of_profiles = model.recommend(profiles=toy_urm, n=4).items
    np.testing.assert_array_equal(of_profiles, every)
    only = model.recommend([3], n=4, candidates=[1, 2, 5, 30]).items[0]
    assert set(only[only >= 0]) <= {1, 2, 5, 30}
    assert model.recommend([3], n=50).items.shape == (1, 50)
    similar = model.similar_items([3], n=2).items
    np.testing.assert_array_equal(similar, model.models_[0].similar_items([3], n=2).items)
    with pytest.raises(NotImplementedError, match="ask the model that is re-ranked"):
        model.score_users([0])


def test_ids_go_through_every_wrapper(toy_urm, labels, tmp_path):
    coo = toy_urm.tocoo()
    frame = pl.DataFrame(
        {"user": [f"u{u:02}" for u in coo.row], "item": [f"i{i}" for i in coo.col]}
    )
    data = gf.Interactions.from_frame(frame, user="user", item="item")
    named = {f"i{i}": its for i, its in labels.items()}
    inner = gf.ItemKNN(topk=10)
    for model in (
        gf.MMR(inner, named),
        gf.CalibratedReranking(inner, named),
        gf.Blend([inner, gf.TopPopular()]),
        gf.Fallback([inner, gf.TopPopular()]),
    ):
        model.fit(data)
        found = model.recommend(["u03", "u07"], n=3)
        assert found["user"].to_list() == ["u03"] * 3 + ["u07"] * 3
        path = tmp_path / f"{type(model).__name__}.parquet"
        written = model.recommend_all(path, n=3)
        lists = pl.read_parquet(written.path)
        assert (
            lists.filter(pl.col("user") == "u03")["item"].to_list() == found["item"].to_list()[:3]
        )
        assert clone(model).fit(data).recommend(["u03"], n=3).equals(found[:3])
        with pytest.raises(NotImplementedError, match="save the models of its models_"):
            model.save(path)
        test = gf.evaluate_lists(found, data, 3)  # ranks and scores agree
        assert len(test.users) == data.shape[0]


def normalised(scores, how):
    if how == "minmax":
        return (scores - scores.min()) / (scores.max() - scores.min())
    if how == "zscore":
        return (scores - scores.mean()) / scores.std()
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    return np.array([1 / (61 + order.index(i)) for i in range(len(scores))])


@pytest.mark.parametrize("normalisation", ["minmax", "zscore", "reciprocal_rank"])
def test_a_blend_is_the_weighted_sum_of_normalised_scores(toy_urm, normalisation):
    parts = [gf.ItemKNN(topk=10).fit(toy_urm), gf.PureSVD(num_factors=4).fit(toy_urm)]
    model = gf.Blend(parts, [3, 1], normalisation).fit(toy_urm)
    assert model.models_ == parts
    expected = np.zeros(toy_urm.shape)
    for part, weight in zip(parts, (0.75, 0.25), strict=True):
        for user, scores in enumerate(part.score_users(range(60)).astype(float)):
            expected[user] += weight * normalised(scores, normalisation)
    np.testing.assert_allclose(model.score_users(range(60)), expected, rtol=1e-5, atol=1e-6)
    lists = model.recommend(range(60), n=5)
    at = np.arange(60)[:, None]
    assert not toy_urm.toarray()[at, lists.items].any()
    np.testing.assert_allclose(lists.scores, expected[at, lists.items], rtol=1e-5)
    if normalisation != "reciprocal_rank":  # ranks of nearly equal scores may change
        np.testing.assert_allclose(
            model.fold_in(toy_urm), expected, atol=0.03
        )  # factors in closed form


def test_models_that_know_nothing_of_a_user_are_left_out():
    urm = sp.csr_array(
        np.array([[1, 1, 0, 0], [1, 0, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]], np.float32)
    )
    knn, popular = gf.ItemKNN(topk=3, shrink=0).fit(urm), gf.TopPopular().fit(urm)
    assert (knn.recommend([3], n=2).items == -1).all()
    fallback = gf.Fallback([knn, popular]).fit(urm)
    np.testing.assert_array_equal(
        fallback.recommend([3], n=2).items, popular.recommend([3], n=2).items
    )
    np.testing.assert_array_equal(
        fallback.recommend([0, 1], n=1).items, knn.recommend([0, 1], n=1).items
    )
    np.testing.assert_array_equal(fallback.score_users([3]), popular.score_users([3]))
    only = sp.csr_array(np.array([[0, 0, 1, 0], [0, 0, 0, 1]], np.float32))
    found = fallback.recommend([0, 3], n=2, candidates=only)
    assert found.items.tolist() == [[2, -1], [3, -1]]
    blend = gf.Blend([knn, popular]).fit(urm)
    np.testing.assert_array_equal(
        blend.recommend([3], n=2).items, popular.recommend([3], n=2).items
    )
    alone = gf.Blend([knn, gf.PureSVD(num_factors=2)]).fit(urm)
    assert (alone.recommend([3], n=2).items == -1).all()
    test = sp.csr_array(np.array([[0, 0, 1, 0]] * 2 + [[1, 0, 0, 0]] * 2, np.float32))
    test = sp.csr_array(test.toarray() * (urm.toarray() == 0))
    ev = gf.evaluate(fallback, urm, test, 2)
    assert not len(ev.without_list)


def test_a_fitted_model_is_taken_where_the_matrix_is_the_same(toy_urm):
    fitted = gf.ItemKNN(topk=5).fit(toy_urm)
    same = gf.Fallback([fitted, gf.TopPopular()]).fit(toy_urm.copy())
    assert same.models_[0] is fitted
    other = toy_urm[:, ::-1]
    again = gf.Fallback([fitted, gf.TopPopular()]).fit(other)
    assert again.models_[0] is not fitted
    assert again.models_[0].topk == 5
    np.testing.assert_array_equal(fitted.urm_.indices, toy_urm.indices)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: gf.MMR(gf.ItemKNN, {0: "a"}), "model must be a model, not the class ItemKNN"),
        (lambda: gf.MMR("ItemKNN", {0: "a"}), "model must be a model of this library"),
        (lambda: gf.MMR(gf.TopPopular(), {0: "a"}, 2), "diversity must be between 0 and 1, not 2"),
        (lambda: gf.MMR(gf.TopPopular(), None), "item_features must be a matrix"),
        (lambda: gf.CalibratedReranking(gf.TopPopular(), -np.eye(40)), "negative numbers"),
        (lambda: gf.Blend([gf.TopPopular()]), "models holds 1, but at least two"),
        (lambda: gf.Blend([gf.TopPopular()] * 2, [1]), "weights holds 1 numbers"),
        (lambda: gf.Blend([gf.TopPopular()] * 2, [0, 0]), "weights are all 0"),
        (lambda: gf.Blend([gf.TopPopular()] * 2, [1, -1]), "weights must be at least 0, not -1"),
        (lambda: gf.Blend([gf.TopPopular()] * 2, None, "max"), "normalisation must be"),
        (lambda: gf.Fallback(gf.TopPopular()), "models must be a list of models"),
    ],
)
def test_bad_arguments_are_refused_by_name(toy_urm, make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make().fit(toy_urm)
