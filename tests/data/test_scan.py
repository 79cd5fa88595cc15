"""Interactions from files read in a stream: equal to those read at once."""

import numpy as np
import polars as pl
import pytest

import ganmf_fast as gf
from ganmf_fast._core import CsrBuilder
from ganmf_fast.base.errors import DataError
from ganmf_fast.data import streaming


@pytest.fixture
def log() -> pl.DataFrame:
    """5,000 events of 300 users on 80 items, ids far apart, some cells more than once."""
    rng = np.random.default_rng(3)
    users, items = rng.integers(0, 300, 5000), rng.integers(0, 80, 5000) ** 2
    return pl.DataFrame({"time": np.arange(5000), "who": 10**12 - users * 7, "what": items})


def assert_same(scanned: gf.Interactions, read: gf.Interactions) -> None:
    assert scanned.data_hash == read.data_hash
    assert np.array_equal(scanned.user_ids, read.user_ids)
    assert np.array_equal(scanned.item_ids, read.item_ids)


def test_a_scanned_file_equals_the_frame_it_was_made_of(log, tmp_path, monkeypatch):
    monkeypatch.setattr(streaming, "_BATCH", 700)
    expected = gf.Interactions.from_frame(log, "who", "what")
    assert expected.n_interactions < len(log)
    log.write_parquet(tmp_path / "log.parquet")
    assert_same(gf.Interactions.scan(tmp_path / "log.parquet", "who", "what"), expected)
    log.write_csv(tmp_path / "log.tsv", separator="\t")
    assert_same(gf.Interactions.scan(tmp_path / "log.tsv", 1, 2, header=True), expected)


def test_the_order_of_rows_and_their_spread_over_files_change_nothing(log, tmp_path):
    whole = gf.Interactions.from_frame(log, "who", "what")
    shuffled = log.sample(fraction=1.0, shuffle=True, seed=1)
    parts = [tmp_path / "parts" / f"{i}.parquet" for i in range(3)]
    parts[0].parent.mkdir()
    for path, start in zip(parts, (0, 100, 3000), strict=True):
        shuffled.slice(start, {0: 100, 100: 2900, 3000: 2000}[start]).write_parquet(path)
    assert_same(gf.Interactions.scan(parts[::-1], "who", "what"), whole)
    assert_same(gf.Interactions.scan(parts[0].parent, "who", "what"), whole)


def test_ids_of_text_are_ids(tmp_path):
    table = pl.DataFrame({"user": ["b", "a", "b"], "item": ["y", "x", "x"]})
    table.write_parquet(tmp_path / "t.parquet")
    data = gf.Interactions.scan(tmp_path / "t.parquet")
    assert data.user_ids.tolist() == ["a", "b"]
    assert data.urm.toarray().tolist() == [[1, 0], [1, 1]]
    model = gf.TopPopular().fit(data)
    assert model.recommend(["a"], n=1)["item"].to_list() == ["y"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"user": [1, None], "item": [1, 2]}, "users is missing"),
        ({"user": [1.5], "item": [1]}, "column 'user' is Float64"),
        (
            {"user": pl.Series([], dtype=pl.Int64), "item": pl.Series([], dtype=pl.Int64)},
            "holds no",
        ),
    ],
)
def test_ids_that_cannot_be_ids_are_refused(table, message, tmp_path):
    pl.DataFrame(table).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match=message):
        gf.Interactions.scan(tmp_path / "t.parquet")


def test_missing_files_and_columns_are_named(log, tmp_path):
    with pytest.raises(DataError, match=r"absent\.parquet cannot be read"):
        gf.Interactions.scan(tmp_path / "absent.parquet")
    log.write_parquet(tmp_path / "log.parquet")
    with pytest.raises(ValueError, match="has no column 'user'"):
        gf.Interactions.scan(tmp_path / "log.parquet", "user", "what")


def test_nothing_is_left_in_the_scratch_folder(log, tmp_path):
    log.write_parquet(tmp_path / "log.parquet")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    gf.Interactions.scan(tmp_path / "log.parquet", "who", "what", scratch=scratch)
    assert not list(scratch.iterdir())


def test_a_builder_refuses_passes_that_differ():
    one = np.array([1], np.int32)
    builder = CsrBuilder(2, 2)
    with pytest.raises(ValueError, match=r"rows holds 1, outside 0\.\.1"):
        CsrBuilder(1, 1).count(one)
    builder.count(one)
    with pytest.raises(ValueError, match="row 0 has more cells"):
        builder.fill(one - 1, one)
    done = CsrBuilder(2, 2)
    assert done.finish().nnz == 0
    with pytest.raises(RuntimeError, match="builds one matrix"):
        done.finish()
