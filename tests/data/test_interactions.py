import datetime as dt
import gzip
import uuid
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp

from ganmf_fast.base.errors import DataError
from ganmf_fast.data.frames import frame
from ganmf_fast.data.ids import IdIndex
from ganmf_fast.data.interactions import Interactions

COLUMNS = {"who": ["b", "a", "b"], "what": [30, 20, 20], "stars": [1.0, 2.0, 3.0]}
MAKERS = {"dict": dict, "polars": pl.DataFrame, "pandas": pd.DataFrame, "pyarrow": pa.table}


def write(tmp_path, text, name="x.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def one_sentence(caught):
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", MAKERS)
def test_every_frame_type_gives_the_same_interactions_and_is_remembered(kind):
    data = Interactions.from_frame(MAKERS[kind](COLUMNS), "who", "what", "stars")
    assert data.frame_type == kind
    assert data.user_ids.tolist() == ["a", "b"]
    assert data.item_ids.tolist() == [20, 30]
    np.testing.assert_array_equal(data.urm.toarray(), [[2, 0], [3, 1]])
    assert data.urm.dtype == np.float32
    assert (data.n_users, data.n_items, data.n_interactions) == (2, 2, 3)
    assert isinstance(frame({"user": data.user_ids}, kind), type(MAKERS[kind](COLUMNS)))


def test_the_order_of_rows_changes_nothing():
    rng = np.random.default_rng(0)
    table = pl.DataFrame(
        {
            "u": rng.integers(0, 30, 500),
            "i": rng.integers(0, 20, 500).astype(str),
            "t": rng.permutation(500),
        }
    )
    plain = Interactions.from_frame(table, "u", "i", timestamp="t")
    mixed = Interactions.from_frame(
        table.sample(fraction=1, shuffle=True, seed=3), "u", "i", None, "t"
    )
    assert plain.data_hash == mixed.data_hash
    for array in ("user_ids", "item_ids", "timestamps"):
        np.testing.assert_array_equal(getattr(plain, array), getattr(mixed, array))


@pytest.mark.parametrize(
    ("users", "words"),
    [
        ([("x", 1), ("y", 2)], "holds tuples or lists, which are no ids"),
        ([uuid.UUID(int=1), uuid.UUID(int=2)], "holds objects, which are no ids"),
        (["q", 7], "row 1: .* 7, of type int, beside 'q', of type str"),
        ([1, 2.5], "row 1: .* 2.5, of type float, beside 1, of type int"),
        ([b"a", b"b"], "holds Binary values, which are no ids"),
        ([Decimal(1), Decimal(2)], "holds Decimal.* values, which are no ids"),
        ([True, 1], "row 1: .* 1, of type int, beside True, of type bool"),
    ],
)
def test_ids_of_several_types_or_without_order_are_refused(users, words):
    with pytest.raises(TypeError, match=words):
        Interactions.from_frame({"u": users, "i": [1, 2]}, "u", "i")


def test_text_ids_keep_every_character_and_cost_their_own_length():
    users = ["a", "a\0", "a\0\0", " a", "x" * 4000]
    data = Interactions.from_frame({"u": users, "i": [1, 1, 1, 1, 1]}, "u", "i")
    assert sorted(data.user_ids.tolist()) == sorted(users)
    assert data.user_ids.nbytes == 8 * len(users)


def test_unsigned_ids_are_found_beside_small_ones():
    ids = np.array([2**63, 2**63 + 5, 1], dtype=np.uint64)
    data = Interactions.from_frame({"u": ids, "i": [1, 2, 3]}, "u", "i")
    rows = data.user_index([1, 2**63 + 5])
    assert data.user_ids[rows].tolist() == [1, 2**63 + 5]
    for unknown in ([-1, 2**63], [2**64 - 1], [-(2**63)], [2**63 + 4, 1]):
        with pytest.raises(ValueError, match="is unknown"):
            data.user_index(unknown)


@pytest.mark.parametrize(
    ("users", "words"),
    [
        (np.array([True, False]), "not a boolean mask"),
        ([True, False], "not a boolean mask"),
        ({1, 2}, "must have an order"),
        (None, "not None"),
    ],
)
def test_users_without_order_and_masks_are_refused(users, words):
    data = Interactions.from_frame({"u": [1, 2], "i": [5, 6]}, "u", "i")
    with pytest.raises(TypeError, match=words):
        data.user_index(users)


@pytest.mark.parametrize(
    "users", [iter([2, 1]), {2: "a", 1: "b"}.keys(), pl.Series([2, 1]), (2, 1)]
)
def test_users_of_any_ordered_kind_are_found(users):
    data = Interactions.from_frame({"u": [1, 2], "i": [5, 6]}, "u", "i")
    assert data.user_index(users).tolist() == [1, 0]


@pytest.mark.parametrize(
    "values",
    [
        np.array([2**63 + 1, 2**63 + 2, 5], dtype=np.uint64),
        np.array([2**60 + 1, 2**60 + 2, -4], dtype=np.int64),
        np.array([1.5, 0.25, 9.0]),
        np.array(["2020-01-02", "2020-01-01", "2021-01-01"], dtype="datetime64[s]"),
        np.array(["bb", "a", "cc"]),
        pd.Categorical(["bb", "a", "cc"]),
        pd.array([3, 1, 2], dtype="Int64"),
    ],
)
def test_looking_ids_up_inverts_the_encoding(values):
    df = pd.DataFrame({"u": values, "i": [0, 1, 2]})
    data = Interactions.from_frame(df, "u", "i")
    np.testing.assert_array_equal(data.user_index(data.user_ids), [0, 1, 2])
    rows = data.user_index(np.asarray(values))
    for row, item in zip(rows, [0, 1, 2], strict=True):
        assert data.urm.toarray()[row, item] == 1


@pytest.mark.parametrize("wanted", [[1, 99], 99, "1", [1.5], [2**40], ["abc"], np.array([-1])])
def test_an_unknown_id_is_named(wanted):
    data = Interactions.from_frame({"u": [1, 2], "i": [5, 6]}, "u", "i")
    with pytest.raises(ValueError, match=r"user .* is unknown; there are 2 users") as caught:
        data.user_index(wanted)
    one_sentence(caught)


def test_looking_up_nothing_or_one_id_is_fine():
    data = Interactions.from_frame({"u": ["1", "2"], "i": [5, 6]}, "u", "i")
    assert data.user_index([]).tolist() == []
    assert data.user_index("2").tolist() == [1]
    assert data.item_index(6).tolist() == [1]
    assert data.user_index(pd.Series(["2", "1"])).tolist() == [1, 0]
    assert data.user_index(pl.Series(["2"])).dtype == np.int64


def test_repeated_events_are_one_interaction_and_can_be_counted():
    events = {"u": [1, 1, 2], "i": [5, 5, 5]}
    assert Interactions.from_frame(events, "u", "i").urm.data.tolist() == [1, 1]
    counted = Interactions.from_frame(events, "u", "i", duplicates="sum")
    np.testing.assert_array_equal(counted.urm.toarray(), [[2], [1]])
    with pytest.raises(DataError, match="row 1: user 1 and item 5 were given before"):
        Interactions.from_frame(events, "u", "i", duplicates="error")


def test_repeated_ratings_are_an_error_by_default_and_first_means_earliest():
    ratings = {"u": [1, 1], "i": [5, 5], "r": [2.0, 4.0], "t": [20, 10]}
    with pytest.raises(DataError, match="row 1: user 1 and item 5"):
        Interactions.from_frame(ratings, "u", "i", "r")
    first = Interactions.from_frame(ratings, "u", "i", "r", duplicates="first")
    earliest = Interactions.from_frame(ratings, "u", "i", "r", "t", duplicates="first")
    total = Interactions.from_frame(ratings, "u", "i", "r", "t", duplicates="sum")
    assert (first.urm[0, 0], earliest.urm[0, 0], total.urm[0, 0]) == (2, 4, 6)
    assert earliest.timestamps.tolist() == total.timestamps.tolist() == [10]


@pytest.mark.parametrize("times", ["int64", "uint64", "float32", "datetime64[us]", "datetime64[D]"])
def test_the_earliest_of_repeated_events_is_kept_whatever_its_type(times):
    rng = np.random.default_rng(3)
    users, items = rng.integers(0, 9, (2, 500))
    if times == "uint64":
        when = rng.integers(0, 2**64, 500, dtype=np.uint64)
    elif times == "float32":
        when = rng.choice([-3.5, -0.0, 0.0, 1e-30, 7.25], 500).astype(times)
    else:
        when = rng.integers(-50, 50, 500).astype(times)
    df = {"user": users, "item": items, "rating": rng.random(500) + 1, "timestamp": when}
    data = Interactions.from_frame(df, "user", "item", "rating", "timestamp", duplicates="first")
    kept = {}
    for at in np.lexsort((when, items, users)):
        kept.setdefault((users[at], items[at]), at)
    kept = list(kept.values())
    assert np.array_equal(data.timestamps, when[kept])
    assert np.array_equal(data.urm.data, df["rating"][kept].astype(np.float32))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"u": ["a", None]}, DataError, "row 1: u is missing"),
        ({"i": [1.0, float("nan")]}, DataError, "row 1: i is missing"),
        ({"u": [[1], [2]]}, TypeError, "holds tuples or lists, which are no ids"),
        ({"u": np.ones((2, 2))}, TypeError, "one-dimensional"),
        ({"r": [1, -1]}, DataError, "row 1: r -1 is negative"),
        ({"r": [1, 0]}, DataError, "row 1: r 0 is no interaction"),
        ({"r": [1, np.inf]}, DataError, "row 1: r inf is not a finite"),
        ({"r": [1, 1e300]}, DataError, "row 1: r 1e\\+300 is not a finite"),
        ({"r": [1, None]}, DataError, "row 1: r is missing"),
        ({"r": ["1", "good"]}, DataError, "row 1: r 'good' is not a number"),
        ({"r": [(1,), 2]}, TypeError, "row 1: .* 2, of type int, beside \\(1,\\), of type tuple"),
        ({"t": ["x", "y"]}, TypeError, "must hold integers, floating-point numbers or dates"),
        ({"t": [Decimal("1.5"), Decimal(2)]}, TypeError, "or dates, not Decimal"),
        ({"u": 1}, TypeError, "df: column 'u' must be an array or a list, not 1"),
        ({"i": [1, 2, 3]}, ValueError, "one length"),
        ({"u": [], "i": [], "r": [], "t": []}, DataError, "no interactions"),
    ],
)
def test_bad_columns_are_refused_with_the_row(change, error, words):
    good = {"u": ["a", "b"], "i": [1, 2], "r": [1.0, 2.0], "t": [1, 2]}
    with pytest.raises(error, match=words) as caught:
        Interactions.from_frame(good | change, "u", "i", "r", "t")
    one_sentence(caught)


def test_a_missing_pandas_value_is_found_in_nullable_and_string_columns():
    for column in (pd.array([1, None], dtype="Int64"), ["a", None], pd.Categorical(["a", None])):
        with pytest.raises(DataError, match="row 1: u is missing"):
            Interactions.from_frame(pd.DataFrame({"u": column, "i": [1, 2]}), "u", "i")


@pytest.mark.parametrize("kind", MAKERS)
def test_a_missing_column_is_named_with_those_there_are(kind):
    with pytest.raises(ValueError, match="no column 'nobody'; its columns are who, what, stars"):
        Interactions.from_frame(MAKERS[kind](COLUMNS), "nobody", "what")


@pytest.mark.parametrize("df", [None, 3, [1]])
def test_what_is_no_frame_is_refused(df):
    with pytest.raises(TypeError, match="df must be"):
        Interactions.from_frame(df, "u", "i")


def test_events_weigh_by_their_type(tmp_path):
    table = pl.DataFrame({"u": ["a", "a", "b"], "i": [1, 1, 1], "event": ["view", "buy", "view"]})
    table.write_csv(tmp_path / "log.csv")
    table.write_parquet(tmp_path / "log.parquet")
    table.write_ndjson(tmp_path / "log.jsonl")
    given = {"rating": "event", "duplicates": "sum", "weights": {"view": 1, "buy": 5}}
    for data in (
        Interactions.from_frame(table, "u", "i", **given),
        Interactions.from_csv(tmp_path / "log.csv", "u", "i", **given),
        Interactions.from_csv(tmp_path / "log.jsonl", "u", "i", **given),
        Interactions.from_parquet(tmp_path / "log.parquet", "u", "i", **given),
        Interactions.scan(tmp_path / "log.csv", "u", "i", **given),
        Interactions.scan(tmp_path / "log.parquet", "u", "i", **given),
    ):
        assert data.urm.toarray().tolist() == [[6], [1]]
    with pytest.raises(DataError, match=r"line 3: rating 'buy' has no weight"):
        Interactions.from_csv(tmp_path / "log.csv", "u", "i", rating="event", weights={"view": 1})
    with pytest.raises(ValueError, match="weights needs rating="):
        Interactions.from_csv(tmp_path / "log.csv", "u", "i", weights={"view": 1})


def test_data_have_the_name_of_their_file_without_suffixes(tmp_path):
    table, path = pl.DataFrame({"user": ["a"], "item": [1]}), tmp_path / "log.2026.parquet"
    table.write_parquet(path)
    assert Interactions.from_parquet(path).name == Interactions.scan(path).name == "log"


@pytest.mark.parametrize(
    ("encoding", "words"),
    [("klingon", "is unknown"), ("hex", "is unknown"), ("utf-16", "is not utf-16 text")],
)
def test_what_is_no_encoding_of_the_text_is_named(tmp_path, encoding, words):
    with pytest.raises(ValueError, match=words):
        Interactions.from_csv(write(tmp_path, b"user,item\n1,\xff\n"), encoding=encoding)


@pytest.mark.parametrize("weights", [["view"], {"view": "x"}, {"view": 0}])
def test_weights_that_are_none_are_named(weights):
    frame = {"u": ["a"], "i": [1], "event": ["view"]}
    with pytest.raises((TypeError, ValueError), match="weight"):
        Interactions.from_frame(frame, "u", "i", rating="event", weights=weights)


def test_age_halves_and_filters_keep():
    frame = {"u": [1, 1, 2], "i": [5, 6, 5], "t": [0, 10, 20]}
    data = Interactions.from_frame(frame, "u", "i", timestamp="t")
    assert data.weighted_by_age(10).urm.toarray().tolist() == [[0.25, 0.5], [1, 0]]
    recent = data.filter(since=5)
    assert (recent.shape, recent.timestamps.tolist()) == ((2, 2), [10, 20])
    assert data.filter(users=[1], until=10).to_frame("dict")["item"].tolist() == [5]
    assert len(data) == 3
    with pytest.raises(ValueError, match="no interaction is left"):
        data.filter(since=21)


def test_a_lazy_frame_is_collected_for_its_wanted_columns():
    lazy = pl.LazyFrame({"who": ["a", "b"], "what": [1, 2], "x": [None, None]})
    read = Interactions.from_frame(lazy.with_columns(pl.col("what") + 1), "who", "what")
    assert (read.user_ids.tolist(), read.item_ids.tolist()) == (["a", "b"], [2, 3])
    assert read.frame_type == "polars"


def test_an_unknown_choice_for_duplicates_is_refused():
    with pytest.raises(ValueError, match=r"duplicates must be .* not 'newest'"):
        Interactions.from_frame(COLUMNS, "who", "what", duplicates="newest")
    with pytest.raises(ValueError, match=r"duplicates must be .* not 'newest'"):
        Interactions.from_matrix(np.eye(2), duplicates="newest")


@pytest.mark.parametrize("separator", [",", "\t", ";", "::", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_files_of_every_separator_are_read_alike(tmp_path, separator, end):
    lines = [
        ["userId", "movieId", "rating", "time"],
        ["7", "x", "3.5", "100"],
        ["2", "y", "1", "50"],
    ]
    path = write(tmp_path, end.join(separator.join(line) for line in lines) + end)
    given = separator if separator == "|" else None
    data = Interactions.from_csv(path, rating=2, timestamp=3, separator=given)
    named = Interactions.from_csv(path, "userId", "movieId", "rating", "time", separator=given)
    for d in (data, named):
        assert d.user_ids.tolist() == [2, 7]
        assert d.item_ids.tolist() == ["x", "y"]
        np.testing.assert_array_equal(d.urm.toarray(), [[0, 1], [3.5, 0]])
        assert d.timestamps.tolist() == [50, 100]
        assert d.frame_type == "polars"
        assert d.name == "x"


def test_quotes_blank_lines_spaces_bom_and_gzip_are_read(tmp_path):
    text = b'\xef\xbb\xbfuser,item\n"a, b", 1\n\n c,2\n'
    for name, content in (("y.csv", text), ("y.csv.gz", gzip.compress(text))):
        path = write(tmp_path, content, name)
        with pytest.raises(DataError, match="line 2: item ' 1' is a number with blanks around it"):
            Interactions.from_csv(path)
        data = Interactions.from_csv(path, strip=True)
        assert (data.user_ids.tolist(), data.item_ids.tolist()) == (["a, b", "c"], [1, 2])
        assert data.reading.left_out == {"blank": 1}


def test_blanks_belong_to_text(tmp_path):
    # RFC 4180: spaces are part of a field.
    data = Interactions.from_csv(write(tmp_path, "user,item\n a,x\na,x \n"))
    assert (data.user_ids.tolist(), data.item_ids.tolist()) == ([" a", "a"], ["x", "x "])


def test_ids_with_leading_zeros_stay_apart(tmp_path):
    data = Interactions.from_csv(write(tmp_path, "007,a\n7,a\n"))
    assert data.user_ids.tolist() == ["007", "7"]


@pytest.mark.parametrize(
    ("text", "first_user"),
    [
        ("1,2\n3,4\n", 1),
        ("user,item\nalice,x\n", "alice"),
        ("u1,a\nu20,b\n", "u1"),
    ],
)
def test_a_header_is_recognised(tmp_path, text, first_user):
    data = Interactions.from_csv(write(tmp_path, text))
    assert data.user_ids[0] == first_user


@pytest.mark.parametrize("text", ["who,what\n3,4\n", "alice,x\nbob,y\n", "bob,abba\nann,1975\n"])
def test_a_first_line_that_may_be_a_header_is_refused(tmp_path, text):
    path = write(tmp_path, text)
    with pytest.raises(
        DataError, match=r"line 1: .* may be a header or an interaction: say header"
    ):
        Interactions.from_csv(path)
    lines = text.count("\n")
    assert len(Interactions.from_csv(path, header=False)) == lines
    assert len(Interactions.from_csv(path, 0, 1, header=True)) == lines - 1


def test_iso_dates_are_timestamps(tmp_path):
    path = write(tmp_path, "u,i,t\n1,2,2020-01-01\n1,3,2020-01-02\n")
    data = Interactions.from_csv(path, "u", "i", timestamp="t")
    assert data.timestamps.astype("datetime64[D]").astype(str).tolist() == [
        "2020-01-01",
        "2020-01-02",
    ]


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("user,item\n1,2\n3\n", {}, "line 3: 1 field, but line 1 has 2"),
        ("user,item\n1,2\n\n3,4,5\n", {}, "line 4: 3 fields, but line 1 has 2"),
        ("1\t2\t3\n1\t5\n", {}, "line 2: 2 fields, but line 1 has 3"),
        ("1::2::3\n\n4::5\n", {}, "line 3: 2 fields, but line 1 has 3"),
        ("1::2::3\n4::5::x\n", {"rating": 2}, "line 2: rating 'x' is not a number"),
        ("1,2,3\n\n4,5,-1\n", {"rating": 2}, "line 3: rating -1.0 is negative"),
        ("1,2,3\n4,5,nan\n", {"rating": 2}, "line 2: rating nan is not a finite"),
        ("1,2,3\n4,5,\n", {"rating": 2}, "line 2: rating is missing"),
        ("1,2\n,5\n", {}, "line 2: user is missing"),
        ("1,2\n4, \n", {}, "line 2: item is missing"),
        ("1,2,3\n1,3,x\n", {"timestamp": 2}, "line 2: timestamp 'x' is neither"),
        ("1,2,3\n1,2,4\n", {"rating": 2}, "line 2: user 1 and item 2 were given before"),
        (b"1,2\n3,\xff\n", {}, "line 2: item is not UTF-8 text: say encoding="),
        ('1,2\n"3,4\n5,6\n', {}, "line 2: a quote is opened and never closed: say quote="),
        ("", {}, "is empty"),
        ("\n", {}, "is empty"),
        ("abc\n", {}, "line 1: none of the separators"),
        ("user,item\n", {}, "holds no interactions"),
    ],
)
def test_a_broken_line_is_refused_with_its_number(tmp_path, text, options, words):
    path = write(tmp_path, text)
    with pytest.raises(DataError, match=words) as caught:
        Interactions.from_csv(path, **options)
    assert str(path) in str(caught.value)
    one_sentence(caught)


def test_a_column_that_is_not_there_is_named(tmp_path):
    path = write(tmp_path, "u,i\n1,2\n")
    with pytest.raises(ValueError, match="no column 'x'; its columns are u, i"):
        Interactions.from_csv(path, "x", "i")
    with pytest.raises(ValueError, match="no column 4; it has 2, numbered from 0"):
        Interactions.from_csv(path, 4, header=True)
    with pytest.raises(ValueError, match="has no header, so the column 'u'"):
        Interactions.from_csv(path, "u", "i", header=False)
    with pytest.raises(ValueError, match="separator must be"):
        Interactions.from_csv(path, separator="")


def test_a_missing_or_cut_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.csv cannot be read: No such file"):
        Interactions.from_csv(tmp_path / "gone.csv")
    cut = write(tmp_path, gzip.compress(b"1,2\n" * 1000)[:-20], "cut.csv.gz")
    with pytest.raises(DataError, match=r"cut\.csv\.gz"):
        Interactions.from_csv(cut)


def test_parquet_columns_are_found_by_name_and_position(tmp_path):
    path = tmp_path / "likes.parquet"
    pl.DataFrame({"t": [1, 2], "u": ["b", "a"], "i": [3, 4]}).write_parquet(path)
    for user, item in (("u", "i"), (1, 2)):
        data = Interactions.from_parquet(path, user, item, timestamp="t")
        assert data.user_ids.tolist() == ["a", "b"]
        assert data.timestamps.tolist() == [2, 1]
        assert data.name == "likes"
    with pytest.raises(ValueError, match="no column 'x'; its columns are t, u, i"):
        Interactions.from_parquet(path, "x", "i")
    with pytest.raises(ValueError, match="no column 9; it has 3"):
        Interactions.from_parquet(path, 9)
    broken = write(tmp_path, path.read_bytes()[:-9], "broken.parquet")
    with pytest.raises(DataError, match="not a readable parquet file") as caught:
        Interactions.from_parquet(broken)
    one_sentence(caught)
    with pytest.raises(DataError, match="No such file"):
        Interactions.from_parquet(tmp_path / "gone.parquet")


def test_a_matrix_keeps_the_order_of_given_ids(toy_urm):
    ids = [f"u{60 - row}" for row in range(60)]
    data = Interactions.from_matrix(toy_urm, user_ids=ids)
    assert data.user_ids.tolist() == ids
    assert data.item_ids.tolist() == list(range(40))
    assert data.user_index(["u60", "u1"]).tolist() == [0, 59]
    assert (data.urm != toy_urm).nnz == 0


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        (["a"], "user_ids must hold 2 ids, not 1"),
        (["a", "a"], "user_ids must be distinct, but 'a'"),
        (["a", None], "position 1: user_ids is missing"),
    ],
)
def test_bad_ids_of_a_matrix_are_refused(ids, words):
    with pytest.raises(ValueError, match=words):
        Interactions.from_matrix(np.eye(2), user_ids=ids)


def test_duplicates_of_a_matrix_follow_the_choice():
    twice = sp.coo_array(([1.0, 2.0], ([0, 0], [1, 1])), shape=(1, 2))
    with pytest.raises(ValueError, match="more than once"):
        Interactions.from_matrix(twice)
    assert Interactions.from_matrix(twice, duplicates="sum").urm[0, 1] == 3
    assert Interactions.from_matrix(twice, duplicates="first").urm[0, 1] == 1


def test_interactions_cannot_be_changed():
    data = Interactions.from_frame(COLUMNS, "who", "what")
    with pytest.raises(AttributeError):
        data.name = "other"
    with pytest.raises(ValueError, match="read-only"):
        data.user_ids[0] = "z"
    with pytest.raises(ValueError, match="read-only"):
        data.csr.indices[0] = 1


@pytest.mark.parametrize("kind", MAKERS)
def test_a_frame_holds_the_columns_it_was_made_of(kind):
    columns = {
        "s": np.array(["x", "y"]),
        "n": np.array([1, 2]),
        "f": np.array([0.5, 1], np.float32),
    }
    made = frame(columns, kind)
    for name, column in columns.items():
        assert list(np.asarray(made[name]).tolist()) == column.tolist()


def test_an_unknown_frame_type_is_refused():
    with pytest.raises(ValueError, match=r"frame_type must be one of .* not 'excel'"):
        frame({}, "excel")


@pytest.mark.real_data
def test_raw_files_have_their_published_sizes(data_dir):
    raw = data_dir / "raw"
    listens = Interactions.from_csv(raw / "hetrec2011-lastfm-2k" / "user_artists.dat")
    assert (listens.n_interactions, listens.n_users, listens.n_items) == (92_834, 1_892, 17_632)
    ratings = Interactions.from_csv(raw / "ml-100k" / "u.data", rating=2, timestamp=3)
    assert (ratings.n_interactions, ratings.n_users, ratings.n_items) == (100_000, 943, 1_682)
    assert ratings.urm[ratings.user_index(196)[0], ratings.item_index(242)[0]] == 3


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint64])
def test_one_number_is_found_as_it_is_among_others(dtype):
    ids = np.array([12, 3, 2**31 - 1, 0, 7], dtype=dtype)
    index = IdIndex(ids, "user")
    for value in (0, 3, 7, 12, 2**31 - 1, 1, 13, -1, 2**63 - 1, -(2**63), 2**64):
        assert index.find([value]).tolist() == index.find([value, value]).tolist()[:1]
    assert index.find([7]).tolist() == [4]


def of_times(times):
    return Interactions.from_frame(
        {"u": [1, 1, 2], "i": [1, 2, 3], "t": times}, "u", "i", None, "t"
    )


DAYS = ["2020-01-01", "2020-01-02", "2020-01-03"]
EAST = dt.timezone(dt.timedelta(hours=2))


@pytest.mark.parametrize("unit", ["us", "ns"])
@pytest.mark.parametrize(
    "moment",
    [
        dt.datetime.fromisoformat("2020-01-02"),
        dt.date(2020, 1, 2),
        dt.datetime(2020, 1, 2, 2, tzinfo=EAST),
        "2020-01-02",
        "2020-01-02T02:00+02:00",
        np.datetime64("2020-01-02"),
        np.array("2020-01-02", "M8[s]"),
        pd.Timestamp("2020-01-02"),
        pd.Timestamp("2020-01-02 02:00", tz=EAST),
    ],
)
def test_moments_of_every_kind_are_compared_with_dates_in_utc(unit, moment):
    data = of_times(np.array(DAYS, f"M8[{unit}]"))
    assert data.filter(since=moment).timestamps.astype("M8[D]").astype(str).tolist() == DAYS[1:]
    assert data.filter(until=moment).timestamps.astype("M8[D]").astype(str).tolist() == DAYS[:1]
    assert data.weighted_by_age(1, now=moment).urm.data.tolist() == [0.5, 1, 1]


def test_dates_with_a_zone_are_filtered_by_dates_with_another():
    data = of_times([dt.datetime(2020, 1, day, 2, tzinfo=EAST) for day in (1, 2, 3)])
    west = dt.timezone(dt.timedelta(hours=-5))
    assert len(data.filter(since=dt.datetime(2020, 1, 1, 19, tzinfo=west))) == 2
    assert len(data.filter(since=dt.datetime(2020, 1, 1, 19, 0, 1, tzinfo=west))) == 1


NUMBER_TIMES = [1, 2, 3]


@pytest.mark.parametrize(
    ("times", "moment", "words"),
    [
        (DAYS, "2020", "must be a date or time as of ISO 8601, such as 2020-01-31, not '2020'"),
        (DAYS, 5, "must be a date, datetime or ISO 8601 text, as timestamps are dates, not 5"),
        (DAYS, ["2020-01-02"] * 3, "must be a date, datetime .* not \\['2020-01-02'"),
        (DAYS, True, "must be a date, datetime .* not True"),
        (DAYS, np.datetime64("NaT"), "must be a date, not .*NaT"),
        (DAYS, pd.NaT, "must be a date, not NaT"),
        (DAYS, dt.datetime.min.replace(tzinfo=EAST), "must be a date, not datetime"),
        (DAYS, dt.date.max, "must be a date that ns since 1970 can hold, not 9999-12-31"),
        (NUMBER_TIMES, dt.date(2020, 1, 2), "must be a number, as timestamps are, not datetime"),
        (NUMBER_TIMES, "2", "must be a number, as timestamps are, not '2'"),
        (NUMBER_TIMES, float("nan"), "must be finite, not nan"),
        (NUMBER_TIMES, True, "must be a number, not True"),
        (NUMBER_TIMES, [1, 2, 3], "must be a number, not \\[1, 2, 3\\]"),
        (NUMBER_TIMES, np.array([2]), "must be a number, not array"),
        (NUMBER_TIMES, 10**400, "must be finite"),
    ],
)
def test_what_is_no_moment_is_refused_by_name(times, moment, words):
    data = of_times(np.array(times, "M8[ns]" if times is DAYS else None))
    for name, use in {
        "since": lambda: data.filter(since=moment),
        "until": lambda: data.filter(until=moment),
        "now": lambda: data.weighted_by_age(1, now=moment),
    }.items():
        with pytest.raises((TypeError, ValueError), match=f"{name} {words}") as caught:
            use()
        one_sentence(caught)


def test_numbers_bound_times_exactly():
    data = of_times([2**60 + 1, 2**60 + 2, 2**60 + 3])
    assert len(data.filter(since=2**60 + 2)) == 2
    assert len(data.filter(since=-1, until=float("inf"))) == 3
    assert len(of_times([1.0, 2.0, 3.0]).filter(since=np.array(2))) == 2
    for now in (float("inf"), np.array(np.inf)):
        with pytest.raises(ValueError, match="now must be finite, not inf"):
            data.weighted_by_age(1, now=now)


@pytest.mark.parametrize("rating", ["3", True, [1, 2, 3], float("nan"), None])
def test_a_least_rating_is_a_number(rating):
    data = Interactions.from_frame(COLUMNS, "who", "what", "stars")
    if rating is None:
        assert len(data.filter(min_rating=rating)) == 3
        return
    with pytest.raises((TypeError, ValueError), match="min_rating must be"):
        data.filter(min_rating=rating)
