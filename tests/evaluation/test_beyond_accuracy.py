"""Metrics beyond accuracy against their definitions, one user at a time."""

import itertools
import math

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp

import ganmf_fast as gf
from ganmf_fast.evaluation import BEYOND_ACCURACY, METRICS, Evaluation

CUTOFFS = (3, 10, 50)
N_USERS, N_ITEMS = 60, 40
GENRES = ("drama", "comedy", "noir", "horror")


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
def labels():
    """Genres of items: none to three each."""
    rng = np.random.default_rng(3)
    return {
        item: [g for g in GENRES if rng.random() < 0.4] if item % 5 else []
        for item in range(N_ITEMS)
    }


@pytest.fixture
def evaluation(split, labels):
    train, test = split
    model = gf.ItemKNN(topk=10).fit(train)
    ev = gf.evaluate(model, train, test, CUTOFFS, ["map", *BEYOND_ACCURACY], item_features=labels)
    return ev, model.recommend(ev.users, n=50).items


def dense(labels):
    return np.array([[float(g in labels[i]) for g in GENRES] for i in range(N_ITEMS)])


def tail_of(counts):
    """Items after those, the most popular first, that hold 80% of the interactions."""
    total, head = 0, set()
    for item in sorted(range(N_ITEMS), key=lambda i: (-counts[i], i)):
        if total >= 0.8 * counts.sum():
            break
        head.add(item)
        total += counts[item]
    return set(range(N_ITEMS)) - head


def of_user(L, k, known, relevant, counts, features):
    L = [i for i in L[:k] if i >= 0]
    pairs = [
        1
        - features[a] @ features[b] / math.sqrt((features[a] ** 2).sum() * (features[b] ** 2).sum())
        for a, b in itertools.combinations(L, 2)
        if features[a].any() and features[b].any()
    ]
    unknown = sorted(set(range(N_ITEMS)) - known, key=lambda i: (-counts[i], i))
    p, q = (
        np.mean([features[i] / features[i].sum() for i in items if features[i].any()], axis=0)
        if any(features[i].any() for i in items)
        else np.zeros(len(GENRES))
        for items in (known, L)
    )
    q = 0.99 * q + 0.01 * p
    tail = tail_of(counts)
    return {
        "ild": np.mean(pairs) if pairs else 0.0,
        "serendipity": len((set(L) & relevant) - set(unknown[:k])) / len(L),
        "miscalibration": sum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a),
        "aplt": len(set(L) & tail) / len(L),
        "arp": np.mean(counts[L]),
    }


def rows(matrix, user):
    return set(matrix.indices[matrix.indptr[user] : matrix.indptr[user + 1]].tolist())


def test_every_value_of_every_user_is_the_definition(evaluation, split, labels):
    ev, lists = evaluation
    train, test = split
    counts = np.bincount(train.indices, minlength=N_ITEMS)
    seen = {name: set() for name in BEYOND_ACCURACY}
    for k in CUTOFFS:
        for at, user in enumerate(ev.users):
            expected = of_user(
                lists[at].tolist(), k, rows(train, user), rows(test, user), counts, dense(labels)
            )
            for name, value in expected.items():
                assert ev.per_user(name, k)[at] == pytest.approx(value, abs=1e-12), (name, k, user)
                seen[name].add(round(value, 6))
        for name in expected:
            assert ev[name, k] == pytest.approx(ev.per_user(name, k).mean(), rel=1e-14)
    assert {name: len(seen[name]) for name in expected if len(seen[name]) < 3} == {}


def test_popularity_bias_of_all_lists_is_the_definition(evaluation, split):
    ev, lists = evaluation
    train, test = split
    tail = tail_of(np.bincount(train.indices, minlength=N_ITEMS))
    groups = [set(range(N_ITEMS)) - tail, tail]
    for k in CUTOFFS:
        parity, opportunity = [], []
        for group in groups:
            listed = hits = candidates = relevant = 0
            for at, user in enumerate(ev.users):
                L = {i for i in lists[at, :k].tolist() if i >= 0} & group
                listed += len(L)
                hits += len(L & rows(test, user))
                candidates += len(group - rows(train, user))
                relevant += len(group & rows(test, user))
            parity.append(listed / candidates)
            opportunity.append(hits / relevant)
        assert ev["poprsp", k] == pytest.approx(np.std(parity) / np.mean(parity), abs=1e-12)
        assert ev["popreo", k] == pytest.approx(np.std(opportunity) / np.mean(opportunity))
    assert ev["popreo", 3] > ev["popreo", 50] == 0.0  # a list of everything misses nothing
    with pytest.raises(KeyError, match="belongs to all lists together"):
        ev.per_user("popreo", 3)


def test_blocks_workers_and_merged_shards_have_the_same_bits(split, labels, evaluation):
    ev, _ = evaluation
    train, test = split
    model = gf.ItemKNN(topk=10).fit(train)
    names = ["map", *BEYOND_ACCURACY]
    options = {"cutoffs": CUTOFFS, "metrics": names, "item_features": labels}
    of_processes = gf.evaluate(model, train, test, n_workers=2, **options)
    in_blocks = gf.evaluate(model, train, test, block_size=7, **options)
    shards = [gf.evaluate(model, train, test, users=ev.users[at::2], **options) for at in (1, 0)]
    merged = Evaluation.merge(shards)
    of_lists = gf.evaluate_lists(
        model.recommend(ev.users, n=50).items, test, train=train, users=ev.users, **options
    )
    for other in (in_blocks, merged, of_lists, of_processes):
        assert other.to_dict() == ev.to_dict()
        for key in ev.kept:
            np.testing.assert_array_equal(other.per_user(*key), ev.per_user(*key))


def test_users_without_a_list_count_as_zero_and_can_be_left_out(split, labels):
    train, test = split
    users = np.flatnonzero(np.diff(test.indptr))
    lists = gf.TopPopular().fit(train).recommend(users, n=5).items.copy()
    options = {"cutoffs": 5, "metrics": [*BEYOND_ACCURACY], "item_features": labels}
    of_some = gf.evaluate_lists(lists[10:], test, train=train, users=users[10:], **options)
    lists[:10] = -1
    ev = gf.evaluate_lists(lists, test, train=train, users=users, **options)
    assert ev.listed.to_dict() == of_some.to_dict()
    for name in ("ild", "serendipity", "miscalibration", "aplt", "arp"):
        assert not ev.per_user(name, 5)[:10].any()
        assert ev[name, 5] == pytest.approx(of_some[name, 5] * (len(users) - 10) / len(users))


def test_new_people_are_measured_by_their_profiles(split, labels):
    train, test = split
    model = gf.ItemKNN(topk=10).fit(train)
    options = {"cutoffs": 5, "metrics": [*BEYOND_ACCURACY], "item_features": labels}
    fitted = gf.evaluate(model, train, test, **options)
    as_new = gf.evaluate(model, train, test, profiles=train, allow_overlap=True, **options)
    assert as_new.to_dict() == fitted.to_dict()


def test_features_are_matched_by_id_in_every_form(split, labels):
    train, test = split

    def data(matrix):
        coo = matrix.tocoo()
        frame = {"user": coo.row, "item": [f"i{i:02}" for i in coo.col]}
        return gf.Interactions.from_frame(pl.DataFrame(frame), user="user", item="item")

    whole = data(train)
    model = gf.ItemKNN(topk=10).fit(whole)
    named = {f"i{i:02}": its for i, its in labels.items()} | {"of another catalogue": ["drama"]}
    table = pl.DataFrame(
        [(item, label) for item, its in reversed(named.items()) for label in its],
        schema=["item", "label"],
        orient="row",
    )
    matrix = np.array([[float(g in named[i]) for g in GENRES] for i in model.item_ids_])
    forms = [
        named,
        gf.Interactions.from_frame(table, user="item", item="label"),
        matrix,
        sp.coo_matrix(matrix),
    ]
    found = [
        gf.evaluate(
            model,
            whole,
            data(test),
            5,
            ["ild", "miscalibration"],
            item_features=given,
            unknown="skip",
        )
        for given in forms
    ]
    assert 0 < found[0]["ild", 5] < 1
    for ev in found[1:]:
        for name in ("ild", "miscalibration"):
            assert ev[name, 5] == pytest.approx(found[0][name, 5], rel=1e-12)
    frame = model.recommend(model.user_ids_[found[0].users], n=5)
    of_frame = gf.evaluate_lists(
        frame, data(test), 5, whole, metrics=["ild", "miscalibration", "aplt"], item_features=named
    )
    assert of_frame["ild", 5] == pytest.approx(found[0]["ild", 5])
    assert of_frame["miscalibration", 5] == pytest.approx(found[0]["miscalibration", 5])


@pytest.mark.parametrize(
    ("users", "items", "missing"),
    [
        ([9, 10], [2, 0], set()),
        ([9, 10], [2, 1], {"popreo"}),  # no test item in the short head
        ([0, 1], [2, 1], {"popreo", "poprsp"}),  # and none to list: all know it
    ],
)
def test_a_group_without_a_test_item_or_a_candidate_leaves_no_value(users, items, missing):
    # Item 0 is the short head, items 1 and 2 the long tail.
    train = np.eye(3)[[0] * 9 + [1, 2]]
    test = np.zeros((11, 3))
    test[users, items] = 1
    names = ["popreo", "poprsp"]
    ev = gf.evaluate_lists(np.array([[2], [1]]), test, 1, train, users, names)
    assert {name for name in names if np.isnan(ev[name, 1])} == missing


def test_embeddings_may_be_negative_but_have_no_distribution(split):
    train, test = split
    model = gf.PureSVD(num_factors=6).fit(train)
    ev = gf.evaluate(model, train, test, 5, ["ild"], item_features=model.item_factors_)
    first = model.recommend(ev.users, n=5).items[0]
    unit = model.item_factors_[first].astype(float)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    cosines = (unit @ unit.T)[np.triu_indices(5, 1)]
    assert ev.per_user("ild", 5)[0] == pytest.approx((1 - cosines).mean(), abs=1e-7)
    with pytest.raises(ValueError, match="negative numbers, which are no fractions"):
        gf.evaluate(model, train, test, 5, ["miscalibration"], item_features=model.item_factors_)


def test_they_are_computed_where_they_are_named(split, labels):
    train, test = split
    model = gf.TopPopular().fit(train)
    assert gf.evaluate(model, train, test, item_features=labels).metrics == METRICS
    assert not set(METRICS) & set(BEYOND_ACCURACY)
    popular = gf.evaluate(model, train, test, 5, ["serendipity", "aplt", "poprsp"])
    assert popular["serendipity", 5] == 0.0  # what everybody would say
    assert popular["poprsp", 5] == pytest.approx(1.0)  # one of two groups has everything
    assert gf.compare([popular, popular], metric="aplt", k=5).n_users == len(popular.users)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metrics": ["ilt"]}, "metrics has no 'ilt'.*did you mean 'ild'"),
        ({"metrics": ["calibration"]}, "did you mean 'miscalibration'"),
        ({"metrics": ["ild"]}, "ild is computed from features of items: pass item_features="),
        ({"item_features": np.ones((3, 2))}, "item_features has 3 rows but there are 40 items"),
        ({"item_features": np.zeros((40, 2))}, "says nothing about any of the items"),
        ({"item_features": {}}, "says nothing about any of the items"),
        ({"item_features": np.full((40, 1), np.nan)}, "item_features holds NaN or infinity"),
    ],
)
def test_bad_arguments_are_refused_by_name(split, arguments, message):
    train, test = split
    model = gf.TopPopular().fit(train)
    with pytest.raises(ValueError, match=message):
        gf.evaluate(model, train, test, **arguments)


@pytest.mark.parametrize("given", ["drama", [1, 2], np.array([["a"]]), {0: [["a"]]}])
def test_what_holds_no_features_is_refused(split, given):
    train, test = split
    model = gf.TopPopular().fit(train)
    with pytest.raises(TypeError, match="item_features"):
        gf.evaluate(model, train, test, metrics=["ild"], item_features=given)


def test_lists_alone_have_no_popularity(split):
    _, test = split
    with pytest.raises(ValueError, match="aplt is computed from what users had before: pass train"):
        gf.evaluate_lists(np.array([[0, 1]]), test, 2, users=[1], metrics=["aplt"])


@pytest.mark.parametrize("scale", [1e-320, 1e-170, 1e160, 5e307])
def test_features_of_any_size_have_directions_and_fractions(scale):
    rng = np.random.default_rng(0)
    features = rng.integers(0, 4, (12, 5)).astype(float)
    X = (rng.random((20, 12)) < 0.4).astype(np.float32)
    T = ((rng.random((20, 12)) < 0.2) & (X == 0)).astype(np.float32)
    model = gf.ItemKNN().fit(X)
    found = [
        gf.evaluate(model, X, T, 4, ["ild", "miscalibration"], item_features=features * size)
        for size in (1.0, scale)
    ]
    for name in ("ild", "miscalibration"):
        assert found[1][name, 4] == pytest.approx(found[0][name, 4], rel=1e-3), name
        assert 0 < found[0][name, 4] < np.inf


def test_lists_of_a_model_are_measured_as_they_come():
    X = np.tri(5)
    model = gf.TopPopular().fit(X)
    test = 1 - X
    test[4] = 0
    lists = model.recommend(range(5), n=3)
    ours, arrays = (gf.evaluate_lists(given, test, cutoffs=3) for given in (lists, lists.items))
    assert ours.to_dict() == arrays.to_dict()


def test_a_damaged_matrix_of_features_is_refused():
    train, test = np.tri(4), 1 - np.tri(4)
    # scipy's conversions would follow these pointers beyond the arrays.
    damaged = sp.csr_array(np.eye(4))
    damaged.indptr = np.array([0, 2**30, 2**30, 2**30, 4])
    model = gf.ItemKNN(topk=2).fit(train)
    with pytest.raises(ValueError, match="item_features is not a valid CSR matrix: indptr"):
        gf.evaluate(model, train, test, 2, ["ild"], item_features=damaged)
