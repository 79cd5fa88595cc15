"""Candidates and excluded items in every form that they may be given in."""

from functools import partial

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp

import ganmf_fast as gf


@pytest.fixture(scope="module")
def named() -> gf.TopPopular:
    """Popularity falls from "i0" to "i4"; "u0" has seen one item, "u4" five."""
    pairs = [(f"u{u}", f"i{i}") for u in range(5) for i in range(u + 1)]
    data = gf.Interactions.from_frame(pl.DataFrame(pairs, ["u", "i"], orient="row"), "u", "i")
    return gf.TopPopular().fit(data)


@pytest.fixture(scope="module")
def plain() -> gf.TopPopular:
    return gf.TopPopular().fit(np.tri(5))


def lists(model, users, **options):
    found = model.recommend(users, n=5, exclude_seen=False, **options)
    return [found.filter(pl.col("user") == user)["item"].to_list() for user in dict.fromkeys(users)]


@pytest.mark.parametrize(
    "given",
    [
        {"u3": ["i4", "i2", "i2"], "u1": "i1", "u0": ["i0"]},
        pl.DataFrame({"user": ["u3", "u1", "u3", "u3"], "item": ["i2", "i1", "i4", "i2"]}),
        pl.LazyFrame({"uid": ["u3", "u1", "u3"], "movie": ["i2", "i1", "i4"], "rank": [1, 2, 3]}),
        {"item": ["i2", "i1", "i4"], "user": ["u3", "u1", "u3"]},
        sp.coo_array(([1, 3, 0, 2], ([0, 0, 1, 1], [2, 4, 0, 1])), shape=(2, 5)),
        gf.Interactions.from_frame(
            {"user": ["u3", "u1", "u3"], "item": ["i2", "i1", "i4"]}, "user", "item"
        ),
    ],
    ids=["dict", "frame", "lazy frame", "dict of columns", "matrix", "Interactions"],
)
def test_each_user_has_items_of_its_own(named, given):
    users = ["u3", "u1"]
    assert lists(named, users, candidates=given) == [["i2", "i4"], ["i1"]]
    left = lists(named, users, exclude_items=given)
    assert left == [["i0", "i1", "i3"], ["i0", "i2", "i3", "i4"]]


def test_block_lists_may_name_what_is_unknown_and_candidates_if_it_is_skipped(named):
    pairs = {"u3": ["i2", "new"], "nobody": ["i1"]}
    assert lists(named, ["u3"], exclude_items=pairs) == [["i0", "i1", "i3", "i4"]]
    with pytest.raises(ValueError, match="'new' is unknown"):
        named.recommend(["u3"], candidates=pairs)
    with pytest.raises(ValueError, match="'nobody' is unknown"):
        named.recommend(["u3"], candidates={"nobody": ["i1"]})
    assert lists(named, ["u3"], candidates=pairs, unknown="skip") == [["i2"]]
    both = named.recommend(["nobody", "u3"], candidates=pairs, unknown="skip", exclude_seen=False)
    assert both["user"].to_list() == ["u3"]


def test_one_list_and_lists_of_each_user_can_be_combined(named):
    options = {"candidates": ["i0", "i2", "i4"], "exclude_items": {"u3": ["i2"]}}
    assert lists(named, ["u3", "u1"], **options) == [["i0", "i4"], ["i0", "i2", "i4"]]
    options = {"candidates": {"u3": ["i0", "i2"]}, "exclude_items": ["i0"]}
    assert lists(named, ["u3", "u1"], **options) == [["i2"], []]


def test_nothing_to_exclude_is_fine(named):
    everything = lists(named, ["u3"])
    for nothing in ([], {}, {"u3": []}, sp.csr_array((1, 5)), {"user": [], "item": []}):
        assert lists(named, ["u3"], exclude_items=nothing) == everything


def test_the_fallback_has_the_same_items_to_choose_from():
    A = np.tri(5)
    A[2] = 0
    model = gf.ItemKNN(topk=2).fit(A)
    found = model.recommend([2, 4], n=2, fallback="popular", candidates={2: [4, 3], 4: [0]})
    assert found.items.tolist() == [[3, 4], [-1, -1]]


@pytest.mark.parametrize(
    "given",
    [{1: [3]}, {"user": [1], "item": [3]}, {1: [3], 4: []}],
    ids=["dict", "frame", "an empty one"],
)
def test_candidates_of_others_leave_a_user_an_empty_list(plain, given):
    assert (plain.recommend([3, 4], n=2, candidates=given).items == -1).all()


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ([], ValueError, "candidates is empty"),
        ({}, ValueError, "candidates is empty"),
        ({3: []}, ValueError, "candidates is empty"),
        (sp.csr_array((2, 5)), ValueError, "candidates is empty"),
        (sp.csr_array((1, 5)), ValueError, "candidates is 1 x 5, but there are 2 users asked for"),
        (sp.csr_array((2, 6)), ValueError, "candidates is 2 x 6, but there are 2 users .* 5 items"),
        (np.zeros((2, 5)), ValueError, r"candidates has shape \(2, 5\): give one sequence"),
        ({9: [1]}, ValueError, "user 9 does not exist"),
        ({3: [5]}, ValueError, "candidate 5 does not exist"),
        ({3: [[1]]}, ValueError, "one-dimensional"),
        (pl.DataFrame({"a": [1], "b": [2], "c": [3]}), ValueError, "no column is named like"),
        (pl.DataFrame({"user": [None, 1], "item": [1, 2]}), ValueError, "is missing"),
        (pl.DataFrame({"user": ["3"], "item": [1]}), TypeError, "users must be integer numbers"),
    ],
)
def test_bad_items_are_named_in_one_sentence(plain, given, error, words):
    with pytest.raises(error, match=words) as raised:
        plain.recommend([3, 4], candidates=given)
    assert "\n" not in str(raised.value)


def test_a_block_list_of_everything_is_refused(plain):
    with pytest.raises(ValueError, match="exclude_items leaves no item"):
        plain.recommend([3], exclude_items=range(5))
    everything = plain.recommend([3], exclude_items={3: range(5)})
    assert (everything.items == -1).all()


@pytest.fixture(scope="module")
def numbered() -> gf.TopPopular:
    """Users 1 to 5 and items 121 to 125, as ids."""
    return gf.TopPopular().fit(gf.Interactions.from_matrix(np.tri(5), range(1, 6), range(121, 126)))


@pytest.mark.parametrize("argument", ["candidates", "exclude_items"])
@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["121"], "ids of items, such as 121, not '121'"),
        ([121, "122"], "ids of items, such as 121, not '122'"),
        (np.array(["121"]), "ids of items, such as 121, not "),
        (pl.Series(["121"]), "ids of items, such as 121, not '121'"),
        ([121.5], "ids of items, such as 121, not 121.5"),
        ([121, None], "ids of items, such as 121, not None"),
        ([121, float("nan")], "ids of items, such as 121, not nan"),
        ({1: [121, None]}, "ids of items, such as 121, not None"),
        ({"1": [121]}, "ids of users, such as 1, not '1'"),
        (
            gf.Interactions.from_frame({"user": ["1"], "item": ["121"]}, "user", "item"),
            "ids of users, such as 1, not '1'",
        ),
        (pl.DataFrame({"user": [1], "item": ["121"]}), "ids of items, such as 121, not '121'"),
    ],
)
def test_items_of_another_type_than_the_ids_are_refused(numbered, argument, given, words):
    with pytest.raises(TypeError, match=f"{argument} must hold {words}"):
        numbered.recommend([1], **{argument: given}, unknown="skip")


@pytest.mark.parametrize("given", [["new"], {"u3": ["new"]}, {"nobody": ["i1"]}, {"new": ["new"]}])
def test_a_block_list_that_matches_nothing_is_warned_of(named, given):
    with pytest.warns(UserWarning, match="exclude_items has no effect: of what it holds, 1 in all"):
        assert lists(named, ["u3"], exclude_items=given) == lists(named, ["u3"])
    with pytest.raises(TypeError, match="ids of items, such as 'i0', not 1"):
        named.recommend(["u3"], exclude_items=["i0", 1])


@pytest.mark.parametrize("users", [["1"], [1, "2"], [1, None], [1.5], pl.Series([1, None])])
def test_users_of_another_type_than_the_ids_are_not_skipped(numbered, tmp_path, users):
    for recommend in (numbered.recommend, partial(numbered.recommend_all, tmp_path / "lists")):
        with pytest.raises(TypeError, match="users must hold ids of users, such as 1, not"):
            recommend(users, unknown="skip")
    with pytest.raises(TypeError, match="profiles must hold ids of items, such as 121, not"):
        numbered.recommend(profiles=[121, "122"], unknown="skip")


def test_whole_numbers_of_any_type_are_ids(numbered):
    for given in ([121.0], np.array([121], np.uint8), [np.int64(121)], iter([121])):
        found = numbered.recommend([1], exclude_seen=False, exclude_items=given)
        assert found["item"].tolist() == [122, 123, 124, 125]


@pytest.mark.parametrize("name", ["candidates", "exclude_items"])
def test_a_damaged_matrix_is_refused(plain, name):
    # scipy's conversions would follow these pointers beyond the arrays.
    damaged = sp.csr_array(([1.0, 1.0, 1.0], ([0, 1, 2], [0, 1, 2])), shape=(3, 5))
    damaged.indptr = np.array([0, 2**30, 2**30, 3])
    with pytest.raises(ValueError, match=rf"{name} is not a valid CSR matrix: indptr"):
        plain.recommend([0, 1, 2], n=2, **{name: damaged})
