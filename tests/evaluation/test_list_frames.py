"""Lists in frames and files, with ids of the user's own, measured as arrays of numbers are."""

import gzip

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import ganmf_fast as gf
from ganmf_fast.base.errors import DataError
from ganmf_fast.data.list_files import ListColumns, read_lists


@pytest.fixture(scope="module")
def split():
    rng = np.random.default_rng(8)
    dense = rng.random((30, 20)) < 0.35
    users, items = [f"u{row:02}" for row in range(30)], [f"i{col:02}" for col in range(20)]
    data = gf.Interactions.from_matrix(dense.astype(np.float32), users, items)
    return gf.split.holdout(data, 0.4, seed=1)


@pytest.fixture(scope="module")
def model(split):
    return gf.ItemKNN(topk=5).fit(split.train_data)


@pytest.fixture(scope="module")
def lists(model):
    return pl.DataFrame(model.recommend(model.user_ids_, n=8))


@pytest.fixture(scope="module")
def expected(split, model):
    return gf.evaluate(model, split.train, split.test, (3, 8))


def same(found, expected):
    assert found.to_dict() == expected.to_dict()
    np.testing.assert_array_equal(found.users, expected.users)
    np.testing.assert_array_equal(found.per_user("ndcg", 8), expected.per_user("ndcg", 8))


FORMS = {
    "polars": lambda frame: frame,
    "lazy": lambda frame: frame.lazy(),
    "pandas": lambda frame: frame.to_pandas(),
    "pyarrow": lambda frame: frame.to_arrow(),
    "dict": lambda frame: {name: frame[name].to_list() for name in frame.columns},
    "without ranks": lambda frame: frame.drop("rank"),
    "without scores": lambda frame: frame.drop("score"),
    "in any order": lambda frame: frame.sample(fraction=1, shuffle=True, seed=1),
    "categories": lambda frame: frame.with_columns(pl.col("user", "item").cast(pl.Categorical)),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_frame_has_the_figures_of_the_model_that_made_it(split, lists, expected, form):
    given = FORMS[form](lists)
    found = gf.evaluate_lists(given, split.test_data, (3, 8), train=split.train_data)
    same(found, expected)
    assert isinstance(given, (pl.DataFrame, pl.LazyFrame, pd.DataFrame, pa.Table, dict))


def test_columns_have_any_name_and_ids_any_type(split, lists, expected):
    numbers = lists.select(
        who=pl.col("user").str.slice(1).cast(pl.Int64) * 10,
        what=pl.col("item").str.slice(1).cast(pl.UInt8),
        place=pl.col("rank") * 3 - 1,
    )
    data = [
        gf.Interactions.from_matrix(side, np.arange(30) * 10, np.arange(20))
        for side in (split.test, split.train)
    ]
    found = gf.evaluate_lists(
        numbers, data[0], (3, 8), train=data[1], user="who", item="what", rank="place"
    )
    same(found, expected)
    bare = numbers.with_columns(pl.col("who") // 10)
    found = gf.evaluate_lists(
        bare, split.test, (3, 8), train=split.train, user="who", item="what", rank="place"
    )
    same(found, expected)


def test_what_test_does_not_know_is_a_miss_and_a_user_without_a_list_a_zero(split, lists):
    # A test set of its own: some items and users are known to the lists alone.
    pairs = split.test_data.to_frame("polars").filter(pl.col("item") < "i10")
    test = gf.Interactions.from_frame(pairs, "user", "item")
    some = lists.filter(pl.col("user").str.slice(1).cast(int) % 3 > 0)
    found = gf.evaluate_lists(some, test, 5, metrics=["precision", "hit_rate"])
    truth = pairs.group_by("user").agg(pl.col("item").alias("wanted"))
    top = some.filter(pl.col("rank") <= 5).group_by("user").agg("item")
    hits = truth.join(top, on="user", how="left").with_columns(
        hits=pl.col("item").list.set_intersection("wanted").list.len().fill_null(0)
    )
    assert len(found.users) == len(truth)
    assert found["precision", 5] == pytest.approx(hits["hits"].mean() / 5)
    assert found["hit_rate", 5] == pytest.approx((hits["hits"] > 0).mean())
    without = hits.filter(pl.col("item").is_null()).height
    assert len(found.without_list) == without > 0


def test_equal_scores_are_in_the_order_of_rows(split):
    user = split.test_data.user_ids[0]
    wanted = split.test_data.item_ids[split.test[[0]].indices[0]]
    other = next(item for item in split.test_data.item_ids if item != wanted)
    for items, mrr in (([wanted, other], 1.0), ([other, wanted], 0.5)):
        frame = {"user": [user] * 2, "item": items, "score": [1.0, 1.0]}
        found = gf.evaluate_lists(frame, split.test_data, 2, metrics=["mrr"])
        assert found.per_user("mrr", 2)[0] in (mrr, 1.0)


def changed(frame, **columns):
    return frame.with_columns(**columns)


@pytest.mark.parametrize(
    ("change", "kwargs", "words"),
    [
        (lambda f: f.drop("rank", "score"), {}, "none of user, item is called rank or score"),
        (lambda f: f.rename({"user": "who"}), {}, "no column 'user'"),
        (lambda f: f, {"score": "points"}, "no column 'points'"),
        (lambda f: f, {"cutoffs": (3, 50)}, "the longest of the lists has 8 places"),
        (lambda f: f, {"users": [1]}, "a frame has a column of users"),
        (lambda f: f.head(0), {}, "lists holds no rows"),
        (
            lambda f: pl.concat([f, f]).drop("rank"),
            {},
            "the list of user 'u00' holds item .* twice",
        ),
        (lambda f: changed(f, rank=1), {}, "two items of one rank"),
        (lambda f: changed(f, score=pl.col("rank")), {}, "rank and a score .* contradict"),
        (lambda f: changed(f, user=pl.lit("nobody")), {}, "none of the 1 users of lists"),
        (lambda f: changed(f, user=pl.int_range(pl.len())), {}, "none of the .* users of lists"),
        (lambda f: changed(f, item=pl.col("rank")), {}, "none of the 8 items of lists, such as 1"),
        (
            lambda f: changed(f, item=pl.col("item").str.to_uppercase()),
            {},
            "none of the .* items of lists, such as 'I.*', is known; test has items such as 'i",
        ),
        (
            lambda f: changed(f, item=pl.lit("X")).unique("user"),
            {"cutoffs": 1},
            "none of the 1 items of lists, such as 'X', is known; .* give train",
        ),
        (lambda f: changed(f, rank=pl.lit(None, pl.Int64)), {}, "row 0 of lists: rank is missing"),
        (lambda f: changed(f, item=pl.lit(None, pl.String)), {}, "row 0 of lists: item is missing"),
    ],
)
def test_a_frame_that_holds_no_lists_is_refused(split, lists, change, kwargs, words):
    with pytest.raises((ValueError, TypeError), match=words):
        gf.evaluate_lists(change(lists), split.test_data, **{"cutoffs": (3, 8), **kwargs})


@pytest.mark.parametrize("stranger", [9, -1])
def test_a_user_beyond_a_plain_matrix_is_refused_and_one_of_interactions_is_left_out(stranger):
    lists = {"user": [0, 1, stranger], "item": [0, 0, 1], "rank": [1, 1, 1]}
    test = np.array([[1, 0], [0, 1]])
    with pytest.raises(ValueError, match=f"lists hold user {stranger}, but the 2 users of test"):
        gf.evaluate_lists(lists, test, 1)
    assert gf.evaluate_lists(lists, gf.Interactions.from_matrix(test), 1)["mrr", 1] == 0.5


def test_test_items_in_train_are_refused_by_their_ids(split, lists):
    with pytest.raises(ValueError, match=r"that train holds .* user 'u.*allow_overlap=True"):
        gf.evaluate_lists(lists, split.test_data, 3, train=split.test_data)
    insisted = gf.evaluate_lists(
        lists, split.test_data, 3, train=split.test_data, allow_overlap=True
    )
    right = gf.evaluate_lists(lists, split.test_data, 3, train=split.train_data)
    assert insisted["ndcg", 3] == right["ndcg", 3]


def trec(frame, between=" "):
    rows = frame.select("user", "item", "rank", "score").iter_rows()
    lines = (between.join([u, "Q0", i, str(rank), repr(score), "me"]) for u, i, rank, score in rows)
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("form", ["csv", "gzip", "parquet", "trec", "tabs", "blanks", "positions"])
def test_files_hold_the_lists_they_were_made_of(lists, tmp_path, form):
    path, columns, names = tmp_path / "lists", None, ["user", "item", "rank", "score"]
    shifted = lists.with_columns(score=pl.col("score").cast(pl.Float64).round(6) - 3)
    match form:
        case "csv":
            shifted.rename({"user": "customer_id"}).write_csv(path)
        case "gzip":
            path.write_bytes(gzip.compress(shifted.write_csv(separator="\t").encode()))
        case "parquet":
            shifted.write_parquet(path)
        case "positions":
            shifted.drop("rank").write_csv(path, include_header=False)
            columns, names = ListColumns(score=2), ["user", "item", "score"]
        case _:
            path.write_text(trec(shifted, {"tabs": "\t", "blanks": "   "}.get(form, " ")) + "\n")
    found = read_lists(path, columns)
    expected = shifted.select(names).cast({"rank": pl.Int64} if "rank" in names else {})
    assert found.select(names).equals(expected)


@pytest.mark.parametrize(
    ("text", "columns", "error", "words"),
    [
        ("", None, DataError, "is empty"),
        ("user,item\na,b\n", None, ValueError, "none is called rank or score"),
        ("who,item,rank\na,b,1\n", None, DataError, "may be a header"),
        ("who,item,rank\na,b,1\n", ListColumns(item="item"), ValueError, "named like the user"),
        ("user,item,rank\na,b,x\n", None, DataError, "line 2.*rank"),
        ("user,item,rank\na,b\n", None, DataError, "line 2"),
        ("user,item,rank\na,b,2024-01-01\n", None, DataError, "rank does not hold numbers"),
        ("1,2,1\n1,3,2\n", None, ValueError, "there is no header"),
        ("user,item,rank\na,b,1\n", ListColumns(score="points"), ValueError, "no column 'points'"),
        ("u Q0 i 1 0.5 me\nu Q0 i 2 0.4\n", None, DataError, "line 2 has not six fields"),
        ("u Q0 i one 0.5 me\n", None, DataError, "line 1 has a rank that is no whole number"),
        ("u Q0 i 1 nan me\n", None, DataError, "line 1 has a score that is no number"),
        ('{"user": 1}\n', None, DataError, "JSON lines"),
        ("PAR1 is what it begins with", None, DataError, "cannot be read|parquet"),
    ],
)
def test_a_file_that_holds_no_lists_is_refused(tmp_path, text, columns, error, words):
    path = tmp_path / "lists"
    path.write_text(text)
    with pytest.raises(error, match=words):
        read_lists(path, columns)
    with pytest.raises(DataError, match="absent"):
        read_lists(tmp_path / "absent")
