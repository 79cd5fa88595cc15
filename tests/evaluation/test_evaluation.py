"""Evaluation against the definitions, one user at a time."""

import math

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.exceptions import NotFittedError

import ganmf_fast as gf
from ganmf_fast.base.urm import as_csr
from ganmf_fast.evaluation import METRICS, Evaluation
from ganmf_fast.scorers.validation import validation_value

CUTOFFS = (3, 10)


@pytest.fixture
def split(toy_urm):
    rng = np.random.default_rng(11)
    coo = toy_urm.tocoo()
    held = rng.random(coo.nnz) < 0.3
    held[coo.row % 7 == 0] = False  # users without a test item
    return tuple(
        sp.csr_array((np.ones(part.sum(), np.float32), (coo.row[part], coo.col[part])), (60, 40))
        for part in (~held, held)
    )


@pytest.fixture
def evaluation(split):
    train, test = split
    model = gf.ItemKNN(topk=10).fit(train)
    return gf.evaluate(model, train, test, cutoffs=CUTOFFS), model


def by_hand(items, relevant, k):
    L = [i for i in items[:k] if i >= 0]
    rel = [i in relevant for i in L]
    hits = sum(rel)
    least = min(len(relevant), len(L))
    ideal = sum(1 / math.log2(r + 2) for r in range(least))
    ordered = sum(rel[a] and not rel[b] for a in range(len(L)) for b in range(a + 1, len(L)))
    misses = len(L) - hits
    precisions = sum(sum(rel[: r + 1]) / (r + 1) for r in range(len(L)) if rel[r])
    if not misses:
        auc = 1.0
    elif not hits:
        auc = 0.0
    else:
        auc = ordered / (hits * misses)
    return {
        "precision": hits / len(L),
        "recall": hits / len(relevant),
        "map": precisions / least,
        "ndcg": sum(1 / math.log2(r + 2) for r in range(len(L)) if rel[r]) / ideal,
        "mrr": 1 / (rel.index(True) + 1) if hits else 0.0,
        "hit_rate": float(hits > 0),
        "mean_hits": hits,
        "arhr": sum(1 / (r + 1) for r in range(len(L)) if rel[r]),
        "roc_auc": auc,
        "precision_recall_min_den": hits / least,
        "map_total": precisions / len(relevant),
        "map_cutoff": precisions / k,
    }


def test_every_value_of_every_user_is_the_definition(evaluation, split):
    ev, model = evaluation
    train, test = split
    popularity = np.bincount(train.indices, minlength=40)
    assert np.array_equal(ev.users, np.flatnonzero(np.diff(test.indptr)))
    assert not (ev.users % 7 == 0).any()
    items = model.recommend(ev.users, n=10).items
    for k in CUTOFFS:
        for row, user in enumerate(ev.users):
            relevant = set(test.indices[test.indptr[user] : test.indptr[user + 1]].tolist())
            expected = by_hand(items[row].tolist(), relevant, k)
            listed = popularity[items[row, :k]]
            warm = listed[listed > 0]
            expected["novelty"] = -np.log2(warm / train.nnz).sum() / 40
            expected["average_popularity"] = (listed / popularity.max()).mean()
            for name, value in expected.items():
                assert ev.per_user(name, k)[row] == pytest.approx(value, abs=1e-12), name


def test_figures_are_means_over_users_and_laws_of_all_lists(evaluation):
    ev, model = evaluation
    items = model.recommend(ev.users, n=10).items
    for k in CUTOFFS:
        for name in ("precision", "ndcg", "mean_hits", "novelty"):
            assert ev[name, k] == pytest.approx(ev.per_user(name, k).mean(), abs=1e-14)
        p, r = ev["precision", k], ev["recall", k]
        assert ev["f1", k] == pytest.approx(2 * p * r / (p + r))
        counts = np.bincount(items[:, :k].ravel(), minlength=40)
        c = np.sort(counts[counts > 0])
        share = c / c.sum()
        n, lists = len(c), len(items)
        assert ev["coverage_item", k] == n / 40
        assert ev["coverage_user", k] == lists / 60
        gini = 2 * sum((n + 1 - j) / (n + 1) * s for j, s in enumerate(share, start=1))
        assert ev["diversity_gini", k] == pytest.approx(gini)
        assert ev["diversity_herfindahl", k] == pytest.approx(1 - (share**2).sum())
        assert ev["shannon_entropy", k] == pytest.approx(-(share * np.log2(share)).sum())
        common = [
            len(set(items[a, :k]) & set(items[b, :k])) / k
            for a in range(lists)
            for b in range(lists)
            if a != b
        ]
        assert ev["diversity_mean_inter_list", k] == pytest.approx(1 - np.mean(common))


def test_neither_blocks_nor_threads_change_a_bit(split):
    train, test = split
    for model in (gf.ItemKNN(topk=10), gf.EASE(5.0), gf.PureSVD(5), gf.TopPopular()):
        model.fit(train)
        whole = gf.evaluate(model, train, test, cutoffs=CUTOFFS, n_threads=1)
        for block, n_threads in ((1, 2), (7, 1), (1000, 2)):
            other = gf.evaluate(
                model, train, test, cutoffs=CUTOFFS, block_size=block, n_threads=n_threads
            )
            assert other.to_dict() == whole.to_dict()
            for k in CUTOFFS:
                assert np.array_equal(other.per_user("ndcg", k), whole.per_user("ndcg", k))


def test_a_perfect_ranking_scores_one(split):
    _, test = split
    rows = np.flatnonzero(np.diff(test.indptr) >= 3)
    lists = np.array([test.indices[test.indptr[u] : test.indptr[u] + 3] for u in rows])
    ev = gf.evaluate_lists(lists, test, cutoffs=3, users=rows)
    for name in ("precision", "map", "ndcg", "mrr", "hit_rate", "roc_auc"):
        assert ev[name, 3] == 1.0
    assert ev["mean_hits", 3] == 3.0


def test_lists_of_another_library_give_the_same_figures(evaluation, split):
    ev, model = evaluation
    train, test = split
    everybody = model.recommend(np.arange(60), n=10).items
    lists = gf.evaluate_lists(everybody, test, cutoffs=CUTOFFS, train=train)
    assert lists.to_dict() == ev.to_dict()
    order = np.random.default_rng(0).permutation(60)
    shuffled = gf.evaluate_lists(everybody[order], test, CUTOFFS, train=train, users=order)
    assert shuffled.to_dict() == ev.to_dict()
    assert "novelty" not in gf.evaluate_lists(everybody, test, CUTOFFS).metrics
    for named in ("novelty", ["ndcg", "average_popularity"]):
        with pytest.raises(ValueError, match="is computed from what users had before: pass train="):
            gf.evaluate_lists(everybody, test, CUTOFFS, metrics=named)
    with pytest.raises(ValueError, match="metrics is empty: give at least one name, or None"):
        gf.evaluate_lists(everybody, test, CUTOFFS, metrics=[])


def test_cutoffs_beyond_the_catalogue_measure_the_lists_there_are(split):
    train, test = split
    ev = gf.evaluate(gf.TopPopular().fit(train), train, test, cutoffs=(100,))
    np.testing.assert_allclose(ev.per_user("recall", 100), 1.0)
    assert ev["precision", 100] < 1


def test_early_stopping_measures_what_evaluate_measures(evaluation, split):
    _, model = evaluation
    ev = gf.evaluate(model, *split, cutoffs=5)
    assert validation_value(model.scorer_, model.urm_, as_csr(split[1])) == ev["map", 5]


def test_interactions_are_matched_by_id():
    train = pl.DataFrame({"u": ["a", "a", "b", "b", "c"], "i": ["x", "y", "y", "z", "x"]})
    test = pl.DataFrame({"u": ["c", "a"], "i": ["y", "z"]})
    fitted_on = gf.Interactions.from_frame(train, "u", "i")
    held_out = gf.Interactions.from_frame(test, "u", "i")
    model = gf.TopPopular().fit(fitted_on)
    ev = gf.evaluate(model, fitted_on, held_out, cutoffs=1)
    assert ev.users.tolist() == [0, 2]
    assert ev["recall", 1] == 1.0  # a lacks z only; y is the most popular item c lacks
    stranger = gf.Interactions.from_frame(pl.DataFrame({"u": ["a"], "i": ["w"]}), "u", "i")
    with pytest.raises(ValueError, match="item 'w' is unknown"):
        gf.evaluate(model, fitted_on, stranger)


def test_an_evaluation_answers_in_every_form(evaluation):
    ev, _ = evaluation
    assert isinstance(ev, Evaluation)
    assert set(ev.metrics) == set(METRICS)
    assert ev.to_dict()[3]["map"] == ev["map", 3]
    frame = ev.to_frame()
    assert frame.columns == ["metric", "k", "value"]
    assert len(frame) == len(METRICS) * 2
    text = repr(ev)
    assert text.startswith("ItemKNN: ")
    assert f"{ev['ndcg', 10]:.4f}" in text
    with pytest.raises(KeyError, match="at 3, 10"):
        _ = ev["map", 5]
    with pytest.raises(KeyError, match="no value per user"):
        ev.per_user("f1", 3)


def test_only_the_metrics_asked_for_are_there(evaluation, split):
    _, model = evaluation
    ev = gf.evaluate(model, *split, cutoffs=3, metrics=["f1", "ndcg"])
    assert ev.metrics == ("ndcg", "f1")


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"cutoffs": ()}, ValueError, "cutoffs is empty"),
        ({"cutoffs": (0,)}, ValueError, "cutoffs must be between 1 and"),
        ({"cutoffs": (2.5,)}, TypeError, "cutoffs must be an integer, not 2.5"),
        ({"cutoffs": "5"}, TypeError, "cutoffs must be an integer, not '5'"),
        ({"metrics": ["ndgc"]}, ValueError, "did you mean 'ndcg'"),
        ({"metrics": 3}, TypeError, "metrics must be a list"),
        ({"block_size": 0}, ValueError, "block_size must be at least 1"),
        ({"n_threads": 0}, ValueError, "threads"),
        ({"test": sp.csr_array((60, 40))}, ValueError, "test is empty"),
        ({"test": np.ones((60, 41))}, ValueError, "test is 60 x 41"),
        ({"train": np.ones((59, 40))}, ValueError, "train is 59 x 40"),
        ({"model": gf.TopPopular()}, NotFittedError, "not fitted"),
        ({"model": "ItemKNN"}, TypeError, "model must have fit and recommend"),
    ],
)
def test_bad_arguments_are_named(evaluation, split, kwargs, error, message):
    _, model = evaluation
    given = {"model": model, "train": split[0], "test": split[1]} | kwargs
    with pytest.raises(error, match=message):
        gf.evaluate(**given)


@pytest.mark.parametrize(
    ("items", "kwargs", "error", "message"),
    [
        (np.zeros(3, int), {}, ValueError, "items must be of shape"),
        (np.zeros((2, 3)), {}, TypeError, "items must hold integer"),
        (np.array([[0, 1], [0, 9]]), {}, ValueError, "list 1 of items holds item 9, outside"),
        (np.array([[0, 1], [-2, 0]]), {}, ValueError, "list 1 of items holds item -2"),
        (
            np.array([[0, 1], [-1, 0]]),
            {},
            ValueError,
            "item 0 at place 1, after a -1",
        ),
        (np.array([[2, 2], [1, 0]]), {}, ValueError, "list 0 of items holds item 2 twice"),
        (np.array([[2], [1]]), {}, ValueError, "cutoffs holds 2 but the lists have 1"),
        (np.array([[2, 1]]), {}, ValueError, "1 lists but test has 2 users"),
        (np.array([[2, 1]]), {"users": [5]}, ValueError, "users holds 5"),
        (np.array([[2, 1]]), {"users": ["a"]}, TypeError, "users must be 1 integers"),
        (np.array([[2, 1], [1, 2]]), {"users": [1, 1]}, ValueError, "users holds 1 twice"),
    ],
)
def test_bad_lists_are_named(items, kwargs, error, message):
    with pytest.raises(error, match=message):
        gf.evaluate_lists(items, np.ones((2, 4)), cutoffs=2, **kwargs)
