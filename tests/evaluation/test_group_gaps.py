"""Gaps between groups against their definitions, and their intervals against known spreads."""

from itertools import combinations

import numpy as np
import pytest
import scipy.sparse as sp

import ganmf_fast as gf
from ganmf_fast.evaluation import by_item_popularity, item_group_gaps, user_group_gaps


@pytest.fixture
def split(toy_urm):
    rng = np.random.default_rng(5)
    coo = toy_urm.tocoo()
    held = rng.random(coo.nnz) < 0.35
    return tuple(
        sp.csr_array((np.ones(part.sum(), np.float32), (coo.row[part], coo.col[part])), (60, 40))
        for part in (~held, held)
    )


@pytest.fixture
def evaluation(split):
    return gf.evaluate(gf.ItemKNN(topk=10).fit(split[0]), *split, cutoffs=5)


def test_means_and_gaps_of_users_are_the_definition(evaluation):
    labels = [("north", "south", "east", None)[u % 4] for u in range(60)]
    found = user_group_gaps(evaluation, labels, "ndcg", 5)
    values = dict(zip(evaluation.users.tolist(), evaluation.per_user("ndcg", 5), strict=True))
    means = {
        name: np.mean([v for u, v in values.items() if labels[u] == name])
        for name in ("east", "north", "south")
    }
    assert found.groups["group"].to_list() == list(means)
    np.testing.assert_allclose(found.groups["mean"], list(means.values()))
    pairs = list(combinations(means, 2))
    assert found.pairs.select("a", "b").rows() == pairs
    differences = [means[a] - means[b] for a, b in pairs]
    np.testing.assert_allclose(found.pairs["difference"], differences)
    spread, mean = found.gaps["value"]
    assert spread == pytest.approx(max(means.values()) - min(means.values()))
    assert mean == pytest.approx(np.mean(np.abs(differences)))
    for frame, value in ((found.groups, "mean"), (found.pairs, "difference")):
        assert ((frame["low"] < frame[value]) & (frame[value] < frame["high"])).all()
    assert "north (" in repr(found)
    assert "<table>" in found._repr_html_()


def test_groups_of_items_are_measured_on_their_own_test_items(split):
    train, test = split
    model = gf.ItemKNN(topk=10).fit(train)
    counts = np.bincount(train.indices, minlength=40)
    by_popularity = by_item_popularity(model, train, test, 5, ["recall"], n_groups=2)
    groups = (counts >= by_popularity["low"][1]).astype(int)
    found = item_group_gaps(model, train, test, groups, "recall", 5)
    np.testing.assert_allclose(found.groups["mean"], by_popularity["value"])
    assert found.groups["n_users"].to_list() == by_popularity["n_users"].to_list()
    lists = model.recommend(np.arange(60), n=5).items
    of_lists = item_group_gaps(lists, train, test, groups, "recall", 5)
    assert of_lists.pairs.equals(found.pairs)


def test_intervals_have_the_width_of_the_standard_error(evaluation):
    rng = np.random.default_rng(0)
    n = 4000
    values = np.concatenate([rng.normal(0.3, 0.1, n // 2), rng.normal(0.5, 0.2, n // 2)]).clip(0, 1)
    lists = np.zeros((n, 1), dtype=np.int32)
    ev = gf.evaluate_lists(lists, sp.csr_array(np.ones((n, 1), dtype=np.float32)), 1)
    ev._per_user["ndcg", 1] = values
    found = user_group_gaps(ev, ["a"] * (n // 2) + ["b"] * (n // 2), "ndcg", 1, n_resamples=4000)
    error = np.sqrt(values[: n // 2].var() / (n // 2) + values[n // 2 :].var() / (n // 2))
    [(difference, low, high)] = found.pairs.select("difference", "low", "high").rows()
    assert difference == pytest.approx(-0.2, abs=0.02)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.06)
    again = user_group_gaps(ev, ["a"] * (n // 2) + ["b"] * (n // 2), "ndcg", 1, n_resamples=4000)
    assert again.gaps.equals(found.gaps)
    narrow = user_group_gaps(ev, [0] * (n // 2) + [1] * (n // 2), "ndcg", 1, confidence=0.5)
    assert narrow.pairs["high"][0] - narrow.pairs["low"][0] < 0.5 * (high - low)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (["a", "b"], "groups holds 2 labels but there are 60 users"),
        (["a"] * 60, "1 groups with at least two users"),
        ("ab", "groups must hold a label for each user, not 'ab'"),
        ({1: "a"}, "groups must hold a label for each user, not {1: 'a'}"),
        ([0.5] * 60, "text or whole numbers, not 0.5"),
        ([1, "a"] * 30, "text or whole numbers, not both"),
    ],
)
def test_bad_groups_are_refused(evaluation, groups, message):
    with pytest.raises((TypeError, ValueError), match=message):
        user_group_gaps(evaluation, groups)


def test_bad_arguments_are_refused(evaluation, split):
    labels = [u % 2 for u in range(60)]
    with pytest.raises(ValueError, match="confidence must lie between 0 and 1"):
        user_group_gaps(evaluation, labels, confidence=95)
    with pytest.raises(KeyError, match="there is no"):
        user_group_gaps(evaluation, labels, "ndcg", 7)
    model = gf.TopPopular().fit(split[0])
    with pytest.raises(ValueError, match="'novelty' does not depend on the test items"):
        item_group_gaps(model, *split, [i % 2 for i in range(40)], "novelty", 5)


@pytest.mark.parametrize("labels", [lambda n: np.arange(n) % 3, lambda n: list(np.arange(n) % 2)])
def test_groups_may_be_numbered(evaluation, labels):
    given = labels(evaluation.tally.shape[0])
    found = user_group_gaps(evaluation, given)
    assert found.groups["group"].to_list() == sorted(set(map(int, given)))
    assert "\n0 (" in repr(found)
