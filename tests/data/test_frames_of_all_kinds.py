"""Columns and ids of every package and type are what they are, or are refused in one sentence."""

import datetime as dt
import enum
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import ganmf_fast as gf
from ganmf_fast.base.errors import DataError
from ganmf_fast.data.frames import frame, pairs_of
from ganmf_fast.data.ids import IdIndex

NOON_UTC = dt.datetime(2020, 1, 1, 12, tzinfo=dt.UTC)
NOON = NOON_UTC.replace(tzinfo=None)
LARGE = 2**60


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


def of(column, **options):
    """Interactions whose users are a column."""
    return gf.Interactions.from_frame(
        {"u": column, "i": list(range(len(column)))}, "u", "i", **options
    )


def rated(column, weights=None):
    """Values of interactions with a column of ratings."""
    rows = list(range(len(column)))
    table = {"u": rows, "i": rows, "r": column}
    return gf.Interactions.from_frame(table, "u", "i", "r", weights=weights).urm.data.tolist()


@pytest.mark.parametrize(
    "column",
    [
        [NOON_UTC, NOON],
        [NOON, None, NOON_UTC],
        pd.Series([NOON_UTC, NOON], dtype=object),
        [pd.Timestamp(NOON_UTC), pd.Timestamp(NOON)],
    ],
)
def test_times_with_and_without_a_zone_are_not_mixed(column):
    """Both were times of UTC, and those at one hour one user."""
    message = rf"row {len(column) - 1}: column 'u' .* with(out)? a time zone, .* in row 0: give all"
    with pytest.raises(TypeError, match=message):
        of(column)
    with pytest.raises(TypeError, match=r"column 't' .* without a time zone"):
        gf.Interactions.from_frame(
            {"u": [1] * len(column), "i": range(len(column)), "t": column}, "u", "i", timestamp="t"
        )


def test_times_of_several_zones_are_kept():
    later = NOON.replace(tzinfo=dt.timezone(dt.timedelta(hours=-1)))
    assert of([NOON_UTC, later]).user_ids.tolist() == [NOON, NOON + dt.timedelta(hours=1)]


def test_ids_do_not_merge_by_what_a_type_cannot_hold():
    with pytest.raises(TypeError, match="times that microseconds cannot hold: give them as"):
        of([pd.Timestamp(1), pd.Timestamp(2)])
    assert of([np.float32(0.1), 0.1]).n_users == 2


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"zoe", "ann"}, "must have an order, which a set has not"),
        (frozenset({1, 2}), "must have an order, which a set has not"),
        ("ab", "must be a list or an array, not 'ab'"),
        (b"ab", "must be a list or an array, not b'ab'"),
        ({"zoe": 1, "ann": 2}, "must be a list or an array, not {'zoe': 1, 'ann': 2}"),
    ],
)
def test_what_is_no_column_is_refused(given, words):
    with pytest.raises(TypeError, match=f"column 'u' {words}"):
        of(given)
    with pytest.raises(TypeError, match=f"column 'r' {words}"):
        rated(given)
    with pytest.raises(TypeError, match=f"column 'item_ids' {words}"):
        gf.Interactions.from_matrix(np.eye(2), item_ids=given)


def test_keys_of_a_dict_and_tensors_are_columns():
    torch = pytest.importorskip("torch")
    ids = {"zoe": 1, "ann": 2}.keys()
    assert gf.Interactions.from_matrix(np.eye(2), user_ids=ids).user_ids.tolist() == ["zoe", "ann"]
    assert of(torch.tensor([7, 5])).user_ids.tolist() == [5, 7]
    with pytest.raises(TypeError, match="column 'user_ids' must be a list or an array, not 3"):
        gf.Interactions.from_matrix(np.eye(3), user_ids=3)
    with pytest.raises(TypeError, match="column 'user' must be a list or an array, not 3"):
        pairs_of({"user": 3, "item": 4}, "candidates")


@pytest.mark.parametrize(
    "column",
    [
        ["a", ""],
        pl.Series(["a", ""], dtype=pl.Categorical),
        pl.Series(["a", ""], dtype=pl.Enum(["a", ""])),
        pd.Series(["a", ""], dtype="category"),
        pa.array(["a", ""]).dictionary_encode(),
    ],
)
def test_no_id_is_empty_in_any_type(column, tmp_path):
    with pytest.raises(DataError, match="row 1: u is missing"):
        of(column)
    with pytest.raises(DataError, match="position 1: user_ids is missing"):
        gf.Interactions.from_matrix(np.eye(2), user_ids=column)
    path = tmp_path / "t.parquet"
    pl.DataFrame({"user": pl.Series(column), "item": [1, 2]}).write_parquet(path)
    for read in (gf.Interactions.from_parquet, gf.Interactions.scan):
        with pytest.raises(DataError, match="is missing"):
            read(path)


def test_ids_of_a_matrix_are_finite():
    with pytest.raises(DataError, match="position 1: user_ids inf is not finite"):
        gf.Interactions.from_matrix(np.eye(2), user_ids=[1.0, np.inf])


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ([dt.time(1), dt.time(2)], "holds Time values"),
        (pl.Series([dt.time(1)]), "holds Time values"),
        (list(Colour), "holds objects"),
        ([Fraction(1, 3), Fraction(2, 3)], "holds objects"),
        (pl.Series([1, 2], dtype=pl.Int128), "holds Int128 values"),
        (np.array([1j, 2]), "holds objects"),
        (pd.Series([1j, 2j]), "holds objects"),
        (pa.array([Decimal(1)], type=pa.decimal256(50, 2)), r"holds decimal256\(50, 2\) values"),
        (pa.array([(1, 2, 3)], type=pa.month_day_nano_interval()), "holds month_day_nano_interval"),
    ],
)
def test_what_is_no_id_is_refused_before_a_fit(column, words, capfd):
    with pytest.raises(TypeError, match=f"column 'u' {words}"):
        of(column)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "column", [["b", "a\ud800"], np.array(["b", "a\ud800"]), np.array(["b", "a\ud800"], object)]
)
def test_half_a_surrogate_pair_is_named(column):
    with pytest.raises(DataError, match=r"row 1: u 'a\\ud800' holds half a surrogate pair"):
        of(column)


def test_a_column_that_is_not_read_may_hold_anything():
    wide = pa.array([Decimal(1)], type=pa.decimal256(50, 2))
    data = gf.Interactions.from_frame(pa.table({"u": [5], "x": wide, "i": [7]}), "u", "i")
    assert (data.user_ids.tolist(), data.frame_type) == ([5], "pyarrow")


def test_ratings_of_any_numbers_are_read():
    assert rated([Fraction(1, 2), Fraction(3, 2)]) == [0.5, 1.5]
    sparse = pd.DataFrame({"u": [1, 2], "i": [1, 2], "r": pd.arrays.SparseArray([2.0, 3.0])})
    assert gf.Interactions.from_frame(sparse, "u", "i", "r").urm.data.tolist() == [2, 3]


@pytest.mark.parametrize("name", [None, False, ["u"], {"u": 1}])
@pytest.mark.parametrize("kind", [dict, pl.DataFrame, pd.DataFrame, pa.table])
def test_what_names_no_column_is_refused(kind, name):
    df = kind({"u": [1, 2], "i": [1, 2]})
    with pytest.raises(TypeError, match="user must be the name of a column of df, not"):
        gf.Interactions.from_frame(df, name, "i")
    with pytest.raises(TypeError, match="item must be the name of a column of df, not"):
        gf.Interactions.from_frame(df, "u", name)


def test_a_value_has_one_weight_and_is_compared_as_what_it_is():
    with pytest.raises(ValueError, match="weights holds two weights of the value 1: give one"):
        rated(["1"], {1: 2, "1": 7})
    assert rated(["1"], {1: 2, "1": 2}) == [2]
    assert rated([True, True], {True: 2}) == [2, 2]
    assert rated([True], {"true": 2}) == [2]
    assert rated([1.0, 2.5], {1: 2, 2.5: 3}) == [2, 3]
    assert rated([1, 2], {1.0: 2, "2": 3}) == [2, 3]
    assert rated(["True"], {True: 2}) == [2]
    with pytest.raises(DataError, match="row 0: r True has no weight; those that have are 1"):
        rated([True], {1: 2})


@pytest.mark.parametrize(
    "make",
    [pa.array, lambda ids: pa.chunked_array([ids]), lambda ids: pa.array(ids).dictionary_encode()],
)
def test_arrays_of_pyarrow_are_ids(make):
    data = gf.Interactions.from_frame({"u": ["5", "6"], "i": ["a", "b"]}, "u", "i")
    model = gf.TopPopular().fit(data)
    assert model.recommend(make(["6"]), n=1)["item"].tolist() == ["a"]
    assert model.recommend(["6"], n=1, candidates=make(["a"]))["item"].tolist() == ["a"]
    assert model.recommend(profiles=make(["b"]), n=1)["item"].tolist() == ["a"]


@pytest.mark.parametrize(
    "given",
    [
        pa.array([LARGE + 1, None]),
        pl.Series([LARGE + 1, None]),
        pd.Series([LARGE + 1, None], dtype="Int64"),
        pl.Series([LARGE + 1, 1], dtype=pl.Int128),
    ],
)
def test_a_missing_id_changes_no_other(given):
    """Numpy's array of both was of floating point: 2**60 + 1 became 2**60."""
    assert IdIndex(np.array([LARGE, LARGE + 1]), "user").find(given).tolist() == [1, -1]


def test_types_of_parquet_are_the_content_of_a_file(tmp_path):
    path = tmp_path / "t.parquet"
    pl.DataFrame({"user": [1], "item": [1], "timestamp": ["2020-01-01"]}).write_parquet(path)
    for read in (gf.Interactions.from_parquet, gf.Interactions.scan):
        with pytest.raises(DataError, match=r"t\.parquet: column 'timestamp' must hold .* String"):
            read(path)
    with pytest.raises(TypeError, match="weights must map"):
        gf.Interactions.from_parquet(path, "user", "item", "timestamp", weights=3)


def test_categories_are_scanned_as_they_are_read(tmp_path):
    path = tmp_path / "t.parquet"
    schema = {"user": pl.Categorical, "item": pl.Enum(["y", "x"])}
    pl.DataFrame({"user": ["b", "a"], "item": ["y", "x"]}, schema=schema).write_parquet(path)
    read, scanned = gf.Interactions.from_parquet(path), gf.Interactions.scan(path)
    assert scanned.user_ids.tolist() == read.user_ids.tolist() == ["a", "b"]
    assert scanned.item_ids.tolist() == read.item_ids.tolist() == ["x", "y"]
    assert scanned.data_hash == read.data_hash


@pytest.mark.parametrize("kind", ["pandas", "pyarrow"])
def test_without_its_package_a_frame_is_one_of_polars(kind, monkeypatch):
    monkeypatch.setitem(sys.modules, kind, None)
    with pytest.warns(UserWarning, match=f"{kind} cannot be imported .* install {kind}"):
        made = frame({"user": np.array(["a"], object)}, kind)
    assert made.equals(pl.DataFrame({"user": ["a"]}))


COLUMNS_OF_PANDAS = """
import sys
from importlib.machinery import PathFinder


class WithoutPyarrow(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        missing = name.partition(".")[0] == "pyarrow"
        return None if missing else PathFinder.find_spec(name, path, target)


if sys.argv[1] == "without":
    sys.meta_path[sys.meta_path.index(PathFinder)] = WithoutPyarrow
import pandas as pd
import ganmf_fast as gf

times = pd.Series(pd.date_range("2020", periods=2, tz="Europe/Berlin", unit="ns"))
for column in (
    pd.Series(["b", "a"]),
    pd.Series(["b", "a"], dtype="string"),
    pd.Series(["b", "a"], dtype="category"),
    pd.Series([3, 1], dtype="category"),
    pd.Series([3, 1], dtype="Int8"),
    pd.Series([2**63, 1], dtype="UInt64"),
    pd.Series([True, False], dtype="boolean"),
    pd.Series(pd.arrays.SparseArray([3, 1])),
    pd.Series(pd.date_range("2020", periods=2, unit="s")),
    times,
    times.astype("datetime64[s, Europe/Berlin]"),
):
    data = gf.Interactions.from_frame(pd.DataFrame({"u": column, "i": [1, 2]}), "u", "i")
    lists = gf.TopPopular().fit(data).recommend(data.user_ids, n=1)
    print(data.user_ids.tolist(), data.user_ids.dtype, data.data_hash, lists.to_dict("list"))
for ids in (["a", None], ["a", ""]):
    try:
        gf.Interactions.from_frame(
            pd.DataFrame({"u": pd.Series(ids, dtype="category"), "i": [1, 2]}), "u", "i"
        )
    except ValueError as error:
        print(error)
"""


@pytest.mark.processes
@pytest.mark.slow
def test_pandas_needs_no_pyarrow():
    with_it, without = (
        subprocess.run(
            [sys.executable, "-c", COLUMNS_OF_PANDAS, how],
            capture_output=True,
            text=True,
            check=False,
        )
        for how in ("with", "without")
    )
    assert with_it.stderr == without.stderr == ""
    assert without.stdout == with_it.stdout
    assert without.stdout.count("\n") == 13
    assert without.stdout.endswith("row 1: u is missing\n")
