"""Whatever has `fit` and `recommend` is measured as the models of the library are."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp

import ganmf_fast as gf


class Wrapped:
    """A model of the library behind a class that knows nothing of it."""

    def __init__(self, form=lambda lists: lists.items):
        self.form = form

    def fit(self, X):
        assert sp.issparse(X)
        self.model = gf.ItemKNN(topk=9).fit(X)
        return self

    def recommend(self, users, n=20):
        return self.form(self.model.recommend(users, n=n))


class Fixed:
    def __init__(self, lists):
        self.lists = lists

    def recommend(self, users, n):
        return self.lists[: len(users), :n]


@pytest.fixture
def halves(toy_urm):
    split = gf.split.holdout(toy_urm, 0.3)
    return split.train, split.test


@pytest.mark.parametrize(
    "form",
    [
        lambda lists: lists.items,
        tuple,
        lambda lists: lists,
        lambda lists: SimpleNamespace(items=lists.items.astype(np.int64)),
        lambda lists: lists.items.tolist(),
    ],
)
def test_it_has_the_figures_of_the_same_lists(halves, form):
    train, test = halves
    expected = gf.evaluate(gf.ItemKNN(topk=9).fit(train), train, test, (3, 10))
    found = gf.evaluate(Wrapped(form).fit(train), train, test, (3, 10), block_size=7)
    assert found.to_dict() == expected.to_dict()
    assert found.label == "Wrapped"
    np.testing.assert_array_equal(found.per_user("ndcg", 10), expected.per_user("ndcg", 10))
    assert (gf.compare([found, expected], k=10).pairs["t_p"] == 1).all()


def test_users_are_rows_of_train_and_ids_are_matched(halves):
    train, test = halves
    names = (
        np.array([f"u{row:02}" for row in range(60)]),
        np.array([f"i{at:02}" for at in range(40)]),
    )
    order = np.random.default_rng(0).permutation(60)
    data = gf.Interactions.from_matrix(train, *names)
    other = gf.Interactions.from_matrix(test[order], names[0][order], names[1])
    found = gf.evaluate(Wrapped().fit(train), data, other, users=["u03", "u20"])
    expected = gf.evaluate(Wrapped().fit(train), train, test, users=[3, 20])
    assert found.to_dict() == expected.to_dict()


def test_a_list_of_known_items_is_said_to_be_one(halves):
    train, test = halves
    seen = np.array([[train[[row]].indices[0]] for row in range(60)])
    with pytest.warns(UserWarning, match="Fixed lists items of train, such as item"):
        gf.evaluate(Fixed(seen), train, test, (1,))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gf.evaluate(Fixed(np.full((60, 1), -1)), train, test, (1,))


@pytest.mark.parametrize(
    ("lists", "error", "words"),
    [
        (np.zeros((3, 5), int), ValueError, r"a list for each of 60 users.*not \(3, 5\)"),
        (np.zeros(60, int), ValueError, "a list for each"),
        (np.zeros((60, 5)), TypeError, "must return item numbers, not float64"),
        (np.full((60, 5), 2**40), ValueError, "beyond 32 bits"),
        (np.full((60, 5), 99), ValueError, "99"),
        (np.zeros((60, 5), int), ValueError, "twice|repeat"),
    ],
)
def test_lists_that_are_none_are_refused(halves, lists, error, words):
    class Bad(Fixed):
        def recommend(self, users, n):
            return self.lists

    with pytest.raises(error, match=words):
        gf.evaluate(Bad(lists), *halves, (5,))


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (object(), "model must have fit and recommend, which object has not"),
        (Wrapped, "not the class Wrapped"),
        (gf.ItemKNN, "not the class ItemKNN"),
        ("ItemKNN", "which str has not"),
    ],
)
def test_what_gives_no_lists_is_no_model(halves, model, words):
    with pytest.raises(TypeError, match=words):
        gf.evaluate(model, *halves)


def test_it_is_not_measured_on_what_it_knows(halves):
    train, test = halves
    with pytest.raises(ValueError, match="interactions that Wrapped was fitted on"):
        gf.evaluate(Wrapped().fit(train), train, train)
    with pytest.raises(ValueError, match="ties is for models of this library"):
        gf.evaluate(Wrapped().fit(train), train, test, ties="published")


def test_a_split_brings_its_test_and_profiles_are_refused(toy_urm):
    split = gf.split.holdout(toy_urm, 0.3)
    model = Wrapped().fit(split.train)
    expected = gf.evaluate(model, split.train, split.test)
    assert gf.evaluate(model, split).to_dict() == expected.to_dict()
    with pytest.raises(TypeError, match="profiles are for models of this library, and Wrapped is"):
        gf.evaluate(model, split.train, split.test, profiles=split.train)
