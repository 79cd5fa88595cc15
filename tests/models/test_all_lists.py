"""Lists of all users in files: what they hold, and what an interrupted call leaves."""

import errno
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from file_limit import files_of_at_most

import ganmf_fast as gf
from ganmf_fast.base.executors import Processes
from ganmf_fast.base.urm import to_scipy
from ganmf_fast.models import all_lists


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Parts of seven users with lists of five."""
    monkeypatch.setattr(all_lists, "_PART_ENTRIES", 35)


@pytest.fixture
def model(toy_urm):
    A = toy_urm.toarray()
    A[11] = 0
    ids = [f"u{u}" for u in range(60)], [f"i{i}" for i in range(40)]
    return gf.ItemKNN(topk=6).fit(gf.Interactions.from_matrix(A, *ids))


def rows(frame):
    return frame.select("user", "item", "rank", "score").rows()


@pytest.mark.parametrize("name", ["lists.parquet", "lists"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"users": ["u7", "u3", "u11", "u7"], "fallback": "popular"},
        {"users": ["u7", "nobody", "u3"], "unknown": "skip", "candidates": {"u3": ["i1", "i2"]}},
        {"exclude_seen": False, "exclude_items": ["i0", "new"]},
        {"users": []},
    ],
)
def test_files_hold_what_recommend_returns(model, tmp_path, name, options):
    done = model.recommend_all(tmp_path / name, n=5, **options)
    found = pl.read_parquet(tmp_path / name)
    expected = model.recommend(**{"users": model.user_ids_, **options}, n=5)
    expected = pl.DataFrame(expected) if isinstance(expected, dict) else expected
    assert rows(found) == rows(expected)
    assert done.n_rows == len(found)
    assert done.skipped == ("nobody" in options.get("users", ()))
    assert found.schema == {
        "user": pl.String,
        "item": pl.String,
        "rank": pl.Int32,
        "score": pl.Float32,
    }
    assert [path.name for path in tmp_path.iterdir()] == [name]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert model.recommend_all(tmp_path / name, n=5, **options) == done
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}.items() <= (
        before.items()
    )


def test_a_model_without_ids_writes_numbers(toy_urm, tmp_path):
    model = gf.PureSVD(num_factors=4).fit(toy_urm)
    model.recommend_all(tmp_path / "lists.parquet", n=5)
    found = pl.read_parquet(tmp_path / "lists.parquet")
    assert found["user"].to_list() == np.repeat(np.arange(60), 5).tolist()
    assert found["item"].to_list() == model.recommend(range(60), n=5).items.ravel().tolist()


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("name", ["lists.parquet", "lists"])
def test_the_same_call_goes_on_after_the_parts_that_are_there(model, tmp_path, monkeypatch, name):
    whole = tmp_path / "whole.parquet"
    model.recommend_all(whole, n=5)
    task = all_lists.ListsTask.__call__
    made = []

    def stop(self, part):
        if len(made) == 3:
            raise StoppedError
        made.append(part)
        return task(self, part)

    monkeypatch.setattr(all_lists.ListsTask, "__call__", stop)
    with pytest.raises(StoppedError):
        model.recommend_all(tmp_path / name, n=5)
    folder = tmp_path / (name + ".parts" if name.endswith(".parquet") else name)
    assert len(list(folder.iterdir())) == 3
    (folder / ".part-000003.parquet.1f.part").touch()
    monkeypatch.setattr(all_lists.ListsTask, "__call__", task)
    for other in ({"n": 4}, {"n": 5, "exclude_seen": False}, {"n": 5, "users": ["u1"]}):
        with pytest.raises(ValueError, match=r"holds something else .* choose another path"):
            model.recommend_all(tmp_path / name, **other)
    again = gf.ItemKNN(topk=5).fit(
        gf.Interactions.from_matrix(to_scipy(model.urm_), model.user_ids_, model.item_ids_)
    )
    with pytest.raises(ValueError, match="holds something else"):
        again.recommend_all(tmp_path / name, n=5)
    monkeypatch.setattr(all_lists.ListsTask, "__call__", lambda t, p: made.append(p) or task(t, p))
    model.recommend_all(tmp_path / name, n=5)
    assert sorted(made) == list(range(9))
    assert pl.read_parquet(tmp_path / name).equals(pl.read_parquet(whole))


def test_a_full_disk_says_how_far_the_work_is(model, tmp_path):
    model.recommend_all(tmp_path / "one", n=5)
    model.recommend_all(tmp_path / "one.parquet", n=5)
    part = min(path.stat().st_size for path in (tmp_path / "one").iterdir())
    joined = (tmp_path / "one.parquet").stat().st_size
    # Parts fit, the joined file does not.
    with (
        files_of_at_most(joined - 1),
        pytest.raises(OSError, match=r"cannot be written: .* \(all 9 parts are"),
    ):
        model.recommend_all(tmp_path / "lists.parquet", n=5)
    with (
        files_of_at_most(part // 2),
        pytest.raises(OSError, match=r"0 of 9 parts are written; the same call") as raised,
    ):
        model.recommend_all(tmp_path / "none", n=5)
    assert raised.value.errno == errno.EFBIG
    assert len(list((tmp_path / "lists.parquet.parts").iterdir())) == 9
    assert not (tmp_path / "lists.parquet").exists()
    model.recommend_all(tmp_path / "lists.parquet", n=5)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "lists.parquet",
        "none",
        "one",
        "one.parquet",
    ]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("no/lists.parquet", "path is in .*no', which is no folder"),
        ("lists.csv", r"path \(--output\) must end in .parquet, or name a folder, not 'lists.csv'"),
        ("folder", "folder holds something else"),
        ("file", "file holds something else"),
        ("file.parquet", "file.parquet holds something else"),
    ],
)
def test_what_is_there_already_is_not_touched(model, tmp_path, path, words):
    (tmp_path / "folder").mkdir()
    for name in ("folder/.part-1", "folder/mine", "file", "file.parquet"):
        (tmp_path / name).write_text("mine")
    with pytest.raises(ValueError, match=words):
        model.recommend_all(tmp_path / path)
    assert [f.read_text() for f in sorted(tmp_path.rglob("*")) if f.is_file()] == ["mine"] * 4


@pytest.mark.processes
def test_processes_write_the_same_files(model, tmp_path):
    model.recommend_all(tmp_path / "one", n=5)
    model.recommend_all(tmp_path / "two", n=5, n_workers=2, executor=Processes)
    contents = [
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("one", "two")
    ]
    assert contents[0] == contents[1]
    assert Path(tmp_path / "one" / "part-000008.parquet").is_file()
