"""Users about whom a model knows nothing, and ids it does not know."""

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp

import ganmf_fast as gf
from ganmf_fast.base.urm import as_csr
from ganmf_fast.scorers.validation import validation_value

SHAPE = (40, 30)
COLD = [5, 17]
NON_PERSONAL = {"TopPopular", "Random"}


@pytest.fixture(scope="module")
def whole() -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.random(SHAPE) < 0.3) * rng.integers(1, 6, SHAPE)


@pytest.fixture(scope="module")
def urm(whole) -> np.ndarray:
    A = whole.copy()
    A[COLD] = 0
    return A


@pytest.fixture
def model(classical, urm):
    return classical.fit(urm)


def test_no_history_gives_no_list_unless_nothing_is_personal(model, urm):
    for exclude_seen in (True, False):
        rec = model.recommend(range(40), n=4, exclude_seen=exclude_seen)
        empty = (rec.items == -1).all(axis=1)
        expected = [] if type(model).__name__ in NON_PERSONAL else COLD
        assert np.flatnonzero(empty).tolist() == expected
        assert (rec.scores[empty] == -np.inf).all()


def test_users_with_a_history_keep_their_lists_bit_for_bit(model):
    request = gf._core.RankRequest(np.arange(40), 6, model.urm_)
    items, scores = model.scorer_.rank(model.urm_, request)
    rec = model.recommend(range(40), n=6)
    warm = np.setdiff1d(np.arange(40), COLD)
    assert rec.items[warm].tobytes() == items[warm].tobytes()
    assert rec.scores[warm].tobytes() == scores[warm].tobytes()


def test_a_history_with_nothing_in_common_keeps_its_list():
    A = np.eye(4, 6)
    assert (gf.ItemKNN(topk=2).fit(A).recommend([1], n=3).items[0] >= 0).all()


def test_the_fallback_is_the_list_of_top_popular(model, urm):
    popular = gf.TopPopular().fit(urm)
    lists = model.recommend(range(40), n=8, fallback="popular")
    plain = model.recommend(range(40), n=8)
    if type(model).__name__ not in NON_PERSONAL:
        theirs = popular.recommend(COLD, n=8)
        assert np.array_equal(lists.items[COLD], theirs.items)
        assert np.array_equal(lists.scores[COLD], theirs.scores)
    warm = np.setdiff1d(np.arange(40), COLD)
    assert np.array_equal(lists.items[warm], plain.items[warm])
    some = model.recommend(COLD, n=[2, 5], fallback="popular", candidates=[3, 4, 9])
    assert set(some.items.ravel()) <= {3, 4, 9, -1}
    assert (some.items[0, 2:] == -1).all()
    with pytest.raises(ValueError, match='fallback must be one of "popular"'):
        model.recommend(0, fallback="pupolar")


def test_a_frame_holds_no_row_of_a_user_without_a_list(urm):
    data = gf.Interactions.from_matrix(urm, [f"u{u}" for u in range(40)])
    model = gf.EASE(l2=5.0).fit(data)
    users = ["u5", "u6"]
    assert set(model.recommend(users, n=3)["user"].tolist()) == {"u6"}
    filled = model.recommend(users, n=3, fallback="popular")
    assert filled["user"].tolist() == ["u5"] * 3 + ["u6"] * 3


def test_the_same_holds_after_saving(model, tmp_path):
    model.save(tmp_path / "m.safetensors")
    again = gf.load(tmp_path / "m.safetensors").recommend(COLD, n=4)
    assert np.array_equal(again.items, model.recommend(COLD, n=4).items)


def test_an_evaluation_says_who_has_no_list_and_what_holds_without_them(urm):
    rng = np.random.default_rng(2)
    test = (rng.random(SHAPE) < 0.2) & (urm == 0)
    test[:, 0] |= urm[:, 0] == 0
    model = gf.ItemKNN(topk=5).fit(urm)
    ev = gf.evaluate(model, urm, test, [3, 10])
    assert ev.without_list.tolist() == COLD
    assert (ev.per_user("recall", 10)[np.isin(ev.users, COLD)] == 0).all()
    warm = np.setdiff1d(ev.users, COLD)
    alone = gf.evaluate(model, urm, test, [3, 10], users=warm)
    assert ev.listed.to_dict() == alone.to_dict()
    assert np.array_equal(ev.listed.per_user("ndcg", 3), alone.per_user("ndcg", 3))
    assert ev["recall", 3] == pytest.approx(alone["recall", 3] * len(warm) / len(ev.users))
    assert "2 of the users have no list and count as zero; without them:" in repr(ev)
    assert alone.listed is alone
    assert not len(alone.without_list)
    assert "no list" not in repr(alone)
    parts = [gf.evaluate(model, urm, test, [3, 10], users=part) for part in ([5, 6], range(7, 40))]
    merged = gf.evaluation.Evaluation.merge(parts)
    assert merged.without_list.tolist() == COLD
    assert set(ev.to_dict()[3]) == set(gf.evaluation.METRICS)


@pytest.mark.parametrize("ties", ["index", "published"])
def test_early_stopping_and_both_orders_of_ties_agree(urm, ties):
    test = (np.random.default_rng(3).random(SHAPE) < 0.2) & (urm == 0)
    model = gf.ItemKNN(topk=5).fit(urm)
    ev = gf.evaluate(model, urm, test, [5], ties=ties)
    assert ev.without_list.tolist() == [u for u in COLD if test[u].any()]
    if ties == "index":
        assert validation_value(model.scorer_, model.urm_, as_csr(test)) == ev["map", 5]


# Unknown ids -------------------------------------------------------------------------------------


@pytest.fixture
def frame() -> gf.Interactions:
    df = pl.DataFrame({"u": ["a", "a", "b", "b", "c"], "i": ["x", "y", "y", "z", "x"]})
    return gf.Interactions.from_frame(df, "u", "i")


def test_unknown_users_are_refused_or_skipped(frame, urm):
    model = gf.TopPopular().fit(frame)
    with pytest.raises(ValueError, match="'nobody' is unknown"):
        model.recommend(["a", "nobody"])
    rec = model.recommend(["nobody", "a", "c"], n=[1, 2, 1], unknown="skip")
    assert rec["user"].to_list() == ["a", "c"]
    assert model.unknown_users(["nobody", "a"]) == ["nobody"]
    plain = gf.ItemKNN(topk=4).fit(urm)
    lists = plain.recommend([3, 99, -1], n=3, unknown="skip")
    assert lists.skipped == 2
    assert (lists.items[1:] == -1).all()
    assert np.array_equal(lists.items[:1], plain.recommend([3], n=3).items)
    assert plain.recommend([3]).skipped == 0
    assert plain.unknown_users([3, 99]) == [99]
    with pytest.raises(ValueError, match="user 99 does not exist"):
        plain.recommend([3, 99])
    with pytest.raises(ValueError, match='unknown must be one of "error", "skip"'):
        plain.recommend([3, 99], unknown="drop")


def test_unknown_items_of_a_block_list_have_no_effect(frame, urm):
    model = gf.TopPopular().fit(frame)
    assert model.recommend(["c"], exclude_items=["z", "no"])["item"].to_list() == ["y"]
    with pytest.raises(ValueError, match="'no' is unknown"):
        model.recommend(["c"], candidates=["y", "no"])
    assert model.recommend(["c"], candidates=["y", "no"], unknown="skip")["item"].to_list() == ["y"]
    with pytest.raises(ValueError, match="candidates is empty"):
        model.recommend(["c"], candidates=["no"], unknown="skip")
    plain = gf.ItemKNN(topk=4).fit(urm)
    blocked = plain.recommend([3], n=30, exclude_items=[7, 4000]).items
    assert 7 not in blocked


def test_unknown_ids_of_a_test_set_are_skipped_and_counted(frame):
    model = gf.TopPopular().fit(frame)
    df = pl.DataFrame({"u": ["c", "a", "a", "new"], "i": ["y", "z", "w", "x"]})
    test = gf.Interactions.from_frame(df, "u", "i")
    with pytest.raises(ValueError, match="unknown"):
        gf.evaluate(model, frame, test, [1])
    ev = gf.evaluate(model, frame, test, [1], unknown="skip")
    assert ev.skipped == (1, 1, 2)
    assert ev.users.tolist() == [0, 2]
    assert "skipped 2 test interactions: 1 users and 1 items are unknown" in repr(ev)
    some = gf.evaluate(model, frame, test, [1], unknown="skip", users=["c", "nobody"])
    assert some.users.tolist() == [2]


def test_unknown_items_of_profiles_are_skipped(frame):
    model = gf.EASE(l2=1.0).fit(frame)
    new = gf.Interactions.from_frame({"u": ["n", "n"], "i": ["x", "w"]}, "u", "i")
    known = gf.Interactions.from_frame({"u": ["n"], "i": ["x"]}, "u", "i")
    with pytest.raises(ValueError, match="'w' is unknown"):
        model.fold_in(new)
    assert np.array_equal(model.fold_in(new, unknown="skip"), model.fold_in(known))


def test_digits_read_from_text_meet_text_ids():
    train = gf.Interactions.from_frame(
        {"u": ["1", "1", "2", "2", "3"], "i": ["10", "11", "10", "X9", "11"]}, "u", "i"
    )
    digits = gf.Interactions.from_frame({"u": [2, 3], "i": [11, 10]}, "u", "i")
    model = gf.ItemKNN(topk=5).fit(train)
    with pytest.raises(ValueError, match="unknown"):
        gf.evaluate(model, train, digits, cutoffs=[2])
    object.__setattr__(digits, "reading", "a text file")
    assert gf.evaluate(model, train, digits, cutoffs=[2])["recall", 2] == 1.0
    assert model.fold_in(digits).shape == (2, 3)
    numeric = gf.ItemKNN(topk=5).fit(
        gf.Interactions.from_frame({"u": [1, 2, 3], "i": [10, 10, 11]}, "u", "i")
    )
    text = gf.Interactions.from_frame({"u": ["2", "B"], "i": ["11", "10"]}, "u", "i")
    object.__setattr__(text, "reading", "a text file")
    ev = gf.evaluate(numeric, numeric.urm_, text, cutoffs=[2], unknown="skip")
    assert ev.skipped == (1, 0, 1)
    assert ev.users.tolist() == [1]


@pytest.mark.parametrize(
    ("users", "error", "words"),
    [
        (np.zeros(40, bool), TypeError, "boolean mask: pass numpy.flatnonzero"),
        ([True, False], TypeError, "boolean mask"),
        (None, TypeError, "not None"),
        ({3, 4}, TypeError, "must have an order, which a set has not"),
        (frozenset({3}), TypeError, "must have an order"),
        ("34", TypeError, "users must be integer numbers"),
        (b"3", TypeError, "users must be integer numbers"),
        ([[3]], ValueError, "one-dimensional"),
        ([3.0], TypeError, "integer numbers"),
    ],
)
def test_what_names_no_users_is_refused_in_one_sentence(urm, users, error, words):
    model = gf.TopPopular().fit(urm)
    for call in (model.recommend, model.score_users, model.unknown_users):
        with pytest.raises(error, match=words) as caught:
            call(users)
        assert "\n" not in str(caught.value)
    for name in ("candidates", "exclude_items"):
        if users is not None:
            with pytest.raises((TypeError, ValueError)):
                model.recommend(0, **{name: users})


@pytest.mark.parametrize(
    "users",
    [
        lambda: (u for u in (3, 4)),
        lambda: {3: "x", 4: "y"},
        {3: "x", 4: "y"}.keys,
        {"x": 3, "y": 4}.values,
        lambda: map(int, "34"),
        lambda: range(3, 5),
        lambda: pl.Series([3, 4]),
        lambda: sp.csr_array(np.array([[0, 0, 0, 1, 1]])).indices,
    ],
)
def test_whatever_has_an_order_names_users(urm, users):
    model = gf.TopPopular().fit(urm)
    assert np.array_equal(model.recommend(users()).items, model.recommend([3, 4]).items)
    assert model.unknown_users(users()) == []
