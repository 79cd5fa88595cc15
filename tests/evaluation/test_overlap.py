"""Evaluations that would mean nothing are refused, or say so."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import ganmf_fast as gf
from ganmf_fast.base import checks
from ganmf_fast.base.overlap import common_per_row
from ganmf_fast.base.urm import as_csr, rows_of


@pytest.fixture(scope="module")
def data() -> gf.Interactions:
    users = np.repeat(np.arange(1, 41), 8)
    items = np.tile(np.arange(8), 40) + np.repeat(np.arange(40), 8) % 20
    return gf.Interactions.from_frame({"u": users, "i": items}, "u", "i")


@pytest.fixture(scope="module")
def split(data):
    return gf.split.holdout(data, 0.3, seed=1)


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        yield


@pytest.mark.parametrize("model", [gf.EASE(l2=5.0), gf.UserKNN(), gf.TopPopular()])
def test_a_model_that_was_fitted_on_test_is_refused(model, data, split):
    for fitted, train, test in (
        (data, split.train, split.test),
        (data.urm, split.train, split.test),
        (split.train, split.test, split.train),
        (split.test, split.train, split.test),
    ):
        model.fit(fitted)
        with pytest.raises(ValueError, match=r"such as user \d+ and item \d+: fit the model on"):
            gf.evaluate(model, train, test, [5])
        with pytest.warns(UserWarning, match="train is not what"):
            insisted = gf.evaluate(model, train, test, [5], allow_overlap=True)
        assert insisted["recall", 5] >= 0
    with pytest.raises(TypeError, match="allow_overlap must be True or False"):
        gf.evaluate(model, split.train, split.test, allow_overlap=1)


def test_one_interaction_is_named_by_its_ids(data, split):
    train = split.train_data
    model = gf.ItemKNN().fit(train)
    user, item = train.user_ids[7], train.item_ids[train.urm.indices[train.urm.indptr[7]]]
    test = gf.Interactions.from_frame({"u": [user, 1], "i": [item, 25]}, "u", "i")
    with pytest.raises(ValueError, match=f"1 of its 2 .* user {user} and item {item}:"):
        gf.evaluate(model, train, test, [5])


def test_a_clean_split_is_evaluated_without_a_word(data, split):
    for X in (split.train, split.train_data):
        model = gf.ItemKNN().fit(X)
        ev = gf.evaluate(model, X, split.test, [5])
        assert ev.to_dict() == gf.evaluate(model, model.urm_, split.test, [5]).to_dict()
        # A mask has no values.
        assert gf.evaluate(model, 3 * split.train, split.test, [5])["map", 5] == ev["map", 5]


def test_another_train_is_said_with_the_number_of_its_users(split):
    model = gf.ItemKNN().fit(split.train)
    other = split.train.tolil()
    last = split.train.indices[split.train.indptr[3]]
    other[3, last] = 0
    with pytest.warns(UserWarning, match=r"not what ItemKNN was fitted on for 1 of \d+ users"):
        gf.evaluate(model, other, split.test, [5])


def test_users_that_were_not_fitted_are_ranked_by_their_profiles(data):
    cold = gf.split.cold_users(data, 0.3, seed=1)
    for model in (
        gf.EASE(l2=5.0),
        gf.ItemKNN(),
        gf.UserKNN(),
        gf.PureSVD(5),
        gf.WRMF(num_factors=4, epochs=3),
    ):
        model.fit(cold.train)
        ev = gf.evaluate(model, cold.profile, cold.test, [5])
        scores = model.fold_in(cold.profile[ev.users])
        scores[cold.profile[ev.users].toarray() > 0] = -np.inf
        lists = np.argsort(-scores, axis=1, kind="stable")[:, :5]
        by_hand = gf.evaluate_lists(lists, cold.test, [5], cold.profile, ev.users)
        assert ev.to_dict() == by_hand.to_dict()
        assert not len(ev.without_list)
        published = gf.evaluate(model, cold.profile, cold.test, [5], ties="published")
        assert published["recall", 5] == pytest.approx(ev["recall", 5], abs=0.2)
        with pytest.raises(ValueError, match=r"none of the .* pass their profiles"):
            gf.evaluate(model, cold.train, cold.test, [5])


def test_fitted_and_new_users_are_evaluated_together(data):
    cold = gf.split.cold_users(data, 0.3, seed=1)
    model = gf.EASE(l2=5.0).fit(cold.train)
    both = sp.csr_array(cold.train + cold.profile)
    hidden = cold.test.tolil()
    hidden[0, 25] = 1
    ev = gf.evaluate(model, both, hidden, [5], block_size=3)
    assert ev.to_dict() == gf.evaluate(model, both, hidden, [5]).to_dict()
    alone = gf.evaluate(model, cold.profile, cold.test, [5])
    inside = np.isin(ev.users, alone.users)
    assert np.array_equal(ev.per_user("recall", 5)[inside], alone.per_user("recall", 5))


def test_a_search_masks_more_than_was_fitted_and_refuses_an_overlap(data):
    splits = gf.split.paper_protocol(data, seed=1)
    for mask in ("fitted", "known"):
        result = gf.tune("UserKNN", splits, n_calls=2, n_initial=2, backend="random", mask=mask)
        assert set(result.trials["status"]) == {"done"}


def test_lists_beyond_the_catalogue_and_the_memory_are_refused(split, monkeypatch):
    model = gf.TopPopular().fit(split.train)
    for cutoff in (10**9, 2**31 - 1):
        with pytest.raises(ValueError, match=r"cutoffs holds .* there are only 27 items"):
            gf.evaluate(model, split.train, split.test, [cutoff])
        with pytest.raises(ValueError, match="cutoffs holds"):
            gf.evaluation.by_item_popularity(model, split.train, split.test, [cutoff])
    assert gf.evaluate(model, split.train, split.test, [1000])["recall", 1000] == 1
    monkeypatch.setattr(checks, "available_memory", lambda: 2**26)
    with pytest.raises(MemoryError, match="ask for shorter lists"):
        gf.evaluate(model, split.train, split.test, [2**20], block_size=10**9)
    assert gf.evaluate(model, split.train, split.test, [2**20])["recall", 2**20] == 1
    with pytest.raises(MemoryError, match="ask for shorter lists"):
        model.recommend(range(40), n=10**12)


MATRIX = hnp.arrays(np.bool_, (9, 7))


@given(MATRIX, MATRIX, st.integers(1, 12))
def test_common_interactions_are_counted_row_by_row(a, b, chunk):
    A, B = (as_csr(X, allow_empty=True) for X in (a, b))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ganmf_fast.base.overlap._CHUNK", chunk)
        assert common_per_row(A, B).tolist() == (a & b).sum(axis=1).tolist()


@given(hnp.arrays(np.float32, (6, 5), elements=st.sampled_from([0, 1, 2.5])), st.data())
def test_rows_are_those_of_the_matrix(dense, draw):
    rows = np.array(draw.draw(st.lists(st.integers(0, 5))), dtype=np.int64)
    part = rows_of(as_csr(dense, allow_empty=True), rows)
    values = part.values if part.values is not None else np.ones(part.nnz)
    found = sp.csr_array((values, part.indices, part.indptr), shape=(len(rows), 5))
    assert np.array_equal(found.toarray(), dense[rows])


def test_lists_and_groups_of_items_refuse_train_that_holds_test_items(split):
    lists = np.tile(np.arange(5), (split.test.shape[0], 1))
    known = split.train.tolil()
    known[3, split.test.indices[split.test.indptr[3]]] = 1
    model = gf.ItemKNN().fit(split.train)
    labels = ["a", "b", "c"] * 9
    for call in (
        lambda train: gf.evaluate_lists(lists, split.test, 5, train),
        lambda train: gf.evaluation.by_item_popularity(lists, train, split.test, 5),
        lambda train: gf.evaluation.by_item_popularity(model, train, split.test, 5),
        lambda train: gf.evaluation.item_group_gaps(model, train, split.test, labels, k=5),
    ):
        call(split.train)
        with pytest.raises(ValueError, match=r"test holds 1 of its \d+ .* train holds .* user 3 "):
            call(known)
