"""Shards, statistics and groups, against scipy and against other packages."""

import copy
import math

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import average_precision_score, ndcg_score

import ganmf_fast as gf
from ganmf_fast import _core
from ganmf_fast.evaluation import METRICS, Evaluation, by_item_popularity, by_profile_length
from ganmf_fast.evaluation.significance import holm, interval_of_mean

CUTOFFS = (3, 10)
SHAPE = (80, 50)


@pytest.fixture(scope="module")
def world():
    """Train and test of 80 users, every fifth without test items, and lists of three qualities."""
    rng = np.random.default_rng(2)
    known = rng.random(SHAPE) < 0.2
    held = (rng.random(SHAPE) < 0.15) & ~known
    held[::5] = False
    train = sp.csr_array(known.astype(np.float32))
    test = sp.csr_array(held * rng.integers(1, 6, SHAPE).astype(np.float32))
    lists = {
        name: np.argsort(-(held * weight + rng.random(SHAPE)), axis=1)[:, :10].astype(np.int32)
        for name, weight in (("good", 0.6), ("fair", 0.3), ("poor", 0.0))
    }
    return train, test, lists


@pytest.fixture(scope="module")
def evaluations(world):
    train, test, lists = world
    return [
        gf.evaluate_lists(items, test, CUTOFFS, train=train, label=name)
        for name, items in lists.items()
    ]


def bits(ev: Evaluation) -> dict:
    return {k: {m: v.hex() for m, v in row.items()} for k, row in ev.to_dict().items()}


@settings(max_examples=40, deadline=None)
@given(parts=st.lists(st.integers(0, 5), min_size=80, max_size=80), seed=st.integers(0, 99))
def test_shards_merge_to_identical_bits(world, parts, seed):
    train, test, lists = world
    items = lists["fair"]
    whole = gf.evaluate_lists(items, test, CUTOFFS, train=train)
    order = np.random.default_rng(seed).permutation(80)
    measurable = np.diff(test.indptr) > 0
    shards = []
    for part in set(parts):
        users = order[np.array(parts) == part]
        if measurable[users].any():
            shards.append(gf.evaluate_lists(items[users], test, CUTOFFS, train=train, users=users))
    merged = Evaluation.merge(shards)
    assert set(merged.metrics) == set(METRICS)
    assert bits(merged) == bits(whole)
    np.testing.assert_array_equal(merged.users, whole.users)
    for k in CUTOFFS:
        np.testing.assert_array_equal(merged.per_user("ndcg", k), whole.per_user("ndcg", k))


def test_shards_of_a_model_merge_to_the_whole(world):
    train, test, _ = world
    model = gf.ItemKNN(topk=20).fit(train)
    whole = gf.evaluate(model, train, test, CUTOFFS)
    shards = [
        gf.evaluate(model, train, test, CUTOFFS, users=np.arange(start, 80, 3), per_user=False)
        for start in (2, 0, 1)
    ]
    merged = Evaluation.merge(shards, label="sharded")
    assert bits(merged) == bits(whole)
    assert merged.label == "sharded"
    with pytest.raises(KeyError, match="ndcg was not kept per user"):
        merged.per_user("ndcg", 3)


def test_shards_that_do_not_fit_are_refused(world, evaluations):
    train, test, lists = world
    with pytest.raises(ValueError, match="shards is empty"):
        Evaluation.merge([])
    with pytest.raises(TypeError, match="shards must hold evaluations, not dict"):
        Evaluation.merge([evaluations[0], {}])
    with pytest.raises(ValueError, match="user 1 is in two shards"):
        Evaluation.merge([evaluations[0], evaluations[0]])
    other = gf.evaluate_lists(lists["good"], test, (3,), train=train)
    with pytest.raises(ValueError, match=r"shard 1 has the cutoffs \(3,\)"):
        Evaluation.merge([evaluations[0], other])
    other = gf.evaluate_lists(lists["good"], test, CUTOFFS)
    with pytest.raises(ValueError, match="shard 1 has the metrics"):
        Evaluation.merge([evaluations[0], other])


def test_figures_do_not_depend_on_what_is_kept(world):
    train, test, lists = world
    kept = gf.evaluate_lists(lists["good"], test, CUTOFFS, train=train)
    bare = gf.evaluate_lists(lists["good"], test, CUTOFFS, train=train, per_user=False)
    some = gf.evaluate_lists(lists["good"], test, CUTOFFS, metrics=["f1", "shannon_entropy"])
    assert bits(kept) == bits(bare)
    for k in CUTOFFS:
        assert some["f1", k] == kept["f1", k]
        assert some["shannon_entropy", k] == kept["shannon_entropy", k]
        assert kept["ndcg", k] == math.fsum(kept.per_user("ndcg", k)) / len(kept.users)


def test_ndcg_and_average_precision_are_those_of_scikit_learn():
    """Every item ranked, so that cutting a list makes no difference between definitions."""
    rng = np.random.default_rng(6)
    values = rng.integers(0, 5, (40, 25)) * (rng.random((40, 25)) < 0.4)
    values[values.sum(axis=1) == 0, 0] = 1
    scores = rng.permuted(np.tile(np.arange(25.0), (40, 1)), axis=1)
    items = np.argsort(-scores, axis=1).astype(np.int32)
    ev = gf.evaluate_lists(items, sp.csr_array(values.astype(np.float32)), (5, 25))
    relevant = (values > 0).astype(int)
    for row in range(40):
        one = (relevant[row : row + 1], scores[row : row + 1])
        graded = (values[row : row + 1], scores[row : row + 1])
        for k in (5, 25):
            assert ev.per_user("ndcg", k)[row] == pytest.approx(ndcg_score(*one, k=k), abs=1e-12)
            assert ev.per_user("ndcg_graded", k)[row] == pytest.approx(
                ndcg_score(*graded, k=k), abs=1e-12
            )
        whole = average_precision_score(one[0][0], one[1][0])
        for name in ("map", "map_total"):
            assert ev.per_user(name, 25)[row] == pytest.approx(whole, abs=1e-12)


@pytest.mark.slow
def test_figures_are_those_of_ranx(world, monkeypatch):
    # Compiling what it is made of takes forty seconds, running it as Python one.
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    ranx = pytest.importorskip(
        "ranx", reason="ranx, an outside implementation of the metrics, is not installed"
    )
    _, test, lists = world
    users = np.flatnonzero(np.diff(test.indptr))
    qrels = {
        f"u{u}": {
            f"i{i}": int(v)
            for i, v in zip(
                test.indices[test.indptr[u] : test.indptr[u + 1]],
                test.data[test.indptr[u] : test.indptr[u + 1]],
                strict=True,
            )
        }
        for u in users
    }
    binary = {u: dict.fromkeys(found, 1) for u, found in qrels.items()}
    for items in lists.values():
        run = ranx.Run(
            {f"u{u}": {f"i{i}": 100.0 - r for r, i in enumerate(items[u])} for u in users}
        )
        ev = gf.evaluate_lists(items, test, CUTOFFS)
        ours = {
            "precision": "precision",
            "recall": "recall",
            "hit_rate": "hit_rate",
            "mrr": "mrr",
            "map": "map_total",  # ranx divides by all relevant items
            "ndcg": "ndcg",
            "hits": "mean_hits",
        }
        for k in CUTOFFS:
            theirs = ranx.evaluate(ranx.Qrels(binary), run, [f"{m}@{k}" for m in ours])
            for name, mine in ours.items():
                assert ev[mine, k] == pytest.approx(theirs[f"{name}@{k}"], abs=1e-9), (name, k)
            theirs = ranx.evaluate(ranx.Qrels(qrels), run, f"ndcg@{k}")
            assert ev["ndcg_graded", k] == pytest.approx(theirs, abs=1e-9)


def test_tests_of_a_pair_are_those_of_scipy(evaluations):
    a, b, _ = evaluations
    row = gf.compare([a, b], "ndcg", 10).to_frame().row(0, named=True)
    x, y = a.per_user("ndcg", 10), b.per_user("ndcg", 10)
    t, w = stats.ttest_rel(x, y), stats.wilcoxon(x, y)
    assert (row["a"], row["b"]) == ("good", "fair")
    assert row["difference"] == pytest.approx(x.mean() - y.mean(), abs=1e-15)
    assert row["t"] == pytest.approx(t.statistic)
    assert row["t_p"] == pytest.approx(t.pvalue)
    assert row["wilcoxon"] == w.statistic
    assert row["wilcoxon_p"] == pytest.approx(w.pvalue)
    assert row["effect_size"] == pytest.approx(t.statistic / math.sqrt(len(x)))
    assert row["t_p_holm"] == row["t_p_bh"] == row["t_p"]


def test_intervals_are_those_of_scipy(evaluations):
    a, b, _ = evaluations
    found = gf.compare([a, b], "map", 10, confidence=0.9, n_resamples=20_000)
    x, y = a.per_user("map", 10), b.per_user("map", 10)

    def interval(values):
        return stats.bootstrap(
            (values,), np.mean, confidence_level=0.9, n_resamples=20_000, rng=1
        ).confidence_interval

    model, pair = found.models.row(0, named=True), found.pairs.row(0, named=True)
    for row, values in ((model, x), (pair, x - y)):
        error = values.std() / math.sqrt(len(values))
        assert row["low"] == pytest.approx(interval(values).low, abs=0.06 * error)
        assert row["high"] == pytest.approx(interval(values).high, abs=0.06 * error)


def test_an_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(200):
        values = rng.exponential(1.0, (1, 60))
        low, high = interval_of_mean(values[0], _core.bootstrap_means(values, 400, seed)[0], 0.9)
        covered += low <= 1.0 <= high
    # 180 are expected; skewed data of this size fall a little short of it.
    assert 163 <= covered <= 193


def test_corrections_are_the_textbook_ones():
    # Worked by hand: sorted .001, .01, .02, .03 times 4, 3, 2, 1, made monotone.
    np.testing.assert_allclose(holm(np.array([0.02, 0.001, 0.03, 0.01])), [0.04, 0.004, 0.04, 0.03])
    np.testing.assert_allclose(holm(np.array([0.5, 0.9])), [1.0, 1.0])


def test_all_pairs_or_those_with_a_baseline_are_compared(evaluations):
    found = gf.compare(evaluations, "recall", 3)
    assert found.pairs.select("a", "b").rows() == [
        ("good", "fair"), ("good", "poor"), ("fair", "poor"),
    ]  # fmt: skip
    ps = found.pairs["t_p"].to_numpy()
    np.testing.assert_allclose(found.pairs["t_p_holm"], holm(ps))
    np.testing.assert_allclose(found.pairs["t_p_bh"], stats.false_discovery_control(ps))
    based = gf.compare(evaluations, "recall", 3, baseline="poor")
    assert based.pairs.select("a", "b").rows() == [("good", "poor"), ("fair", "poor")]
    text = repr(found)
    assert text.startswith("recall@3 of 64 users, 95% intervals")
    assert "good - poor" in text
    assert found.models["model"].to_list() == ["good", "fair", "poor"]


def test_a_model_does_not_differ_from_itself(evaluations):
    a = evaluations[0]
    found = gf.compare([a, a], "ndcg", 3)
    row = found.pairs.row(0, named=True)
    assert (row["a"], row["b"]) == ("good 1", "good 2")
    for name in ("difference", "low", "high", "effect_size", "t"):
        assert row[name] == 0.0
    assert row["t_p_holm"] == row["wilcoxon_p_bh"] == 1.0


@pytest.mark.usefixtures("threads_restored")
def test_a_seed_names_one_comparison_for_any_number_of_threads(evaluations):
    gf.set_num_threads(1)
    one = gf.compare(evaluations, seed=3, k=3).pairs
    gf.set_num_threads(3)
    assert one.equals(gf.compare(evaluations, seed=3, k=3).pairs)
    assert not one.equals(gf.compare(evaluations, seed=4, k=3).pairs)


def test_one_test_is_comparable_whatever_is_masked_fitted_or_merged(world):
    train, test, lists = world
    ids = [[f"{what}{at:03d}" for at in range(n)] for what, n in zip("ui", SHAPE, strict=True)]
    data = [gf.Interactions.from_matrix(part, *ids) for part in (train, test)]
    shards = [
        gf.evaluate_lists(lists["poor"][at], test, CUTOFFS, users=at)
        for at in (np.arange(1, 80, 2), np.arange(0, 80, 2))
    ]
    evs = [
        gf.evaluate(gf.ItemKNN().fit(train), train, test, CUTOFFS, n_workers=2),
        gf.evaluate(gf.TopPopular().fit(data[0]), *data, CUTOFFS),
        gf.evaluate_lists(lists["good"], sp.csr_array(test > 0), CUTOFFS),
        Evaluation.merge(shards),
        copy.deepcopy(Evaluation.merge(shards[::-1])),
    ]
    assert len(gf.compare(evs, k=3).pairs) == 10
    # Pickled before test items were told apart.
    other = gf.evaluate_lists(lists["good"], sp.csr_array(test[:, ::-1]), CUTOFFS)
    with pytest.raises(ValueError, match="other test items"):
        gf.compare([evs[0], other], k=3)
    vars(other).pop("test_hashes")
    assert len(gf.compare([evs[0], other], k=3).pairs) == 1


def test_what_cannot_be_compared_is_refused(world, evaluations):
    _, test, lists = world
    few = gf.evaluate_lists(lists["good"][:30], test, CUTOFFS, users=np.arange(30))
    lone = gf.evaluate_lists(lists["good"][1:2], test, CUTOFFS, users=[1])
    a, b, _ = evaluations
    for bad, error, words in (
        ([a], ValueError, "evaluations holds 1"),
        (a, TypeError, "evaluations must be a sequence"),
        ([a, 3], TypeError, "must hold evaluations, not int"),
        ([a, few], ValueError, "evaluations 1 has other users"),
        ([lone, lone], ValueError, "a single user"),
    ):
        with pytest.raises(error, match=words):
            gf.compare(bad, k=3)
    other = test.tolil()
    other[1, [0, 1, 2]] = 6 - other[1, [0, 1, 2]].toarray()
    other = gf.evaluate_lists(lists["good"], other, CUTOFFS)
    for pair in ([a, other], [other, b], [a, a, Evaluation.merge([other])]):
        with pytest.raises(ValueError, match=r"other test items .* for 1 of 64 users: measure all"):
            gf.compare(pair, k=3)
    for kwargs, error, words in (
        ({"k": 7}, KeyError, "there is no"),
        ({"metric": "f1", "k": 3}, KeyError, "no value per user"),
        ({"labels": ["x", "x"], "k": 3}, ValueError, "labels must be 2 distinct"),
        ({"baseline": "ItemKNN", "k": 3}, ValueError, "baseline 'ItemKNN' is none of good, fair"),
        ({"confidence": 95, "k": 3}, ValueError, "confidence must lie between"),
        ({"n_resamples": 5, "k": 3}, ValueError, "n_resamples must be at least 100"),
    ):
        with pytest.raises(error, match=words):
            gf.compare([a, b], **kwargs)


def test_groups_of_users_by_profile_length_average_to_the_whole(world, evaluations):
    train, _, _ = world
    ev = evaluations[0]
    frame = by_profile_length(ev, train)
    one = frame.filter(metric="map", k=10).sort("group")
    lengths = np.diff(train.indptr)[ev.users]
    assert len(one) <= 4
    assert one["n_users"].sum() == len(ev.users)
    assert (one["low"].to_numpy()[1:] > one["high"].to_numpy()[:-1]).all()
    for row in one.iter_rows(named=True):
        inside = (lengths >= row["low"]) & (lengths <= row["high"])
        assert row["n_users"] == inside.sum()
        assert row["value"] == pytest.approx(ev.per_user("map", 10)[inside].mean())
    total = (one["value"] * one["n_users"]).sum() / len(ev.users)
    assert total == pytest.approx(ev["map", 10])
    edged = by_profile_length(ev, train, edges=[9, 12]).filter(metric="map", k=10)
    assert edged["n_users"].to_list() == [
        (lengths < 9).sum(), ((lengths >= 9) & (lengths < 12)).sum(), (lengths >= 12).sum(),
    ]  # fmt: skip


def test_quartiles_of_distinct_lengths_are_equal():
    train = np.tril(np.ones((40, 40)))
    test = np.ones((40, 40))
    lists = np.tile(np.arange(5), (40, 1))
    frame = by_profile_length(gf.evaluate_lists(lists, test, 5, metrics=["map"]), train)
    assert frame["n_users"].to_list() == [10] * 4
    assert frame.select("low", "high").rows() == [(1, 10), (11, 20), (21, 30), (31, 40)]


def test_groups_of_items_measure_their_own_test_items(world):
    train, test, lists = world
    counts = np.bincount(train.indices, minlength=50)
    frame = by_item_popularity(lists["good"], train, test, CUTOFFS)
    for (low, high), part in frame.group_by("low", "high"):
        inside = (counts >= low) & (counts <= high)
        mine = test.toarray() * inside
        alone = gf.evaluate_lists(lists["good"], sp.csr_array(mine), CUTOFFS)
        for row in part.iter_rows(named=True):
            assert row["value"] == alone[row["metric"], row["k"]]
            assert row["n_users"] == (mine.sum(axis=1) > 0).sum()
    sizes = frame.filter(metric="recall", k=3).sort("group")
    assert sizes["group"].to_list() == [0, 1, 2]
    assert (sizes["low"].to_numpy()[1:] > sizes["high"].to_numpy()[:-1]).all()
    shares = [
        counts[(counts >= low) & (counts <= high)].sum() / counts.sum()
        for low, high in sizes.select("low", "high").rows()
    ]
    np.testing.assert_allclose(shares, 1 / 3, atol=0.12)


def test_groups_of_items_take_a_model_too(world):
    train, test, _ = world
    model = gf.ItemKNN(topk=20).fit(train)
    lists = model.recommend(np.arange(80), n=10).items
    frame = by_item_popularity(model, train, test, CUTOFFS)
    assert frame.equals(by_item_popularity(lists, train, test, CUTOFFS))


def test_bad_groups_are_named(world, evaluations):
    train, test, lists = world
    ev = evaluations[0]
    bare = gf.evaluate_lists(lists["good"], test, CUTOFFS, per_user=False)
    for call, words in (
        (lambda: by_profile_length(ev, train[:70]), "train has 70 users, but 80"),
        (lambda: by_profile_length(bare, train), "no values per user"),
        (lambda: by_profile_length(ev, train, 0), "n_groups must be at least 1"),
        (lambda: by_profile_length(ev, train, edges=[5, 5]), "edges must ascend strictly"),
        (lambda: by_item_popularity(lists["good"], train, test, n_groups=0, cutoffs=3), "n_groups"),
        (
            lambda: by_item_popularity(lists["good"], train, test, 3, metrics=["novelty"]),
            "metrics holds 'novelty'",
        ),
    ):
        with pytest.raises(ValueError, match=words):
            call()


@pytest.mark.parametrize(
    ("users", "error", "words"),
    [
        ([90], ValueError, r"users holds 90, outside 0\.\.80"),
        ([1, 1], ValueError, "users holds 1 twice"),
        ([0, 5], ValueError, "users holds no user with a test item"),
        (["a"], TypeError, "users must be 1 integers"),
    ],
)
def test_bad_users_of_an_evaluation_are_named(world, users, error, words):
    train, test, _ = world
    with pytest.raises(error, match=words):
        gf.evaluate(gf.TopPopular().fit(train), train, test, users=users)


def test_users_of_an_evaluation_may_be_ids():
    data = gf.Interactions.from_matrix(np.ones((3, 4)) - np.eye(3, 4), user_ids=["a", "b", "c"])
    test = gf.Interactions.from_matrix(np.eye(3, 4), user_ids=["a", "b", "c"])
    ev = gf.evaluate(gf.TopPopular().fit(data), data, test, cutoffs=1, users=["c", "a"])
    assert ev.users.tolist() == [0, 2]
    assert ev["recall", 1] == 1.0
