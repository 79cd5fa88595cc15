"""Records of finished models: whole and of known types, or not there."""

import errno
import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pytest

from ganmf_fast.base.errors import DataError, WriteError
from ganmf_fast.results.document import DamagedError, read
from ganmf_fast.results.store import Store, load, npz

RECORD = {
    "row": "EASE-R", "status": "done", "config": {"model": "EASE", "params": {}}, "point": None,
    "values": {"map@5": 0.5, "cosine_mean": float("nan")}, "cost": {"fit_seconds": 1},
}  # fmt: skip


@pytest.fixture
def store(tmp_path):
    (tmp_path / "models").mkdir()
    return Store(tmp_path)


def forged(store, change):
    """A record with the right checksum, whatever it says."""
    store.write("a", RECORD, {})
    path = store.folder / "models" / "a" / "result.json"
    content = {**json.loads(path.read_text()), **change}
    content = {name: value for name, value in content.items() if value != "gone"}
    del content["sha256"]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    content["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    path.write_text(json.dumps(content))
    return path.parent


def test_a_record_is_read_with_all_that_others_rely_on(store):
    record = load(forged(store, {"more": [1]}))
    assert record["more"] == [1]
    assert (record["seed"], record["params"], record["reason"]) == (None, {}, "")
    assert np.isnan(record["values"]["cosine_mean"])


CHANGES = [
    {"row": 5}, {"row": "gone"}, {"status": "maybe"}, {"status": "gone"}, {"config": []},
    {"config": "gone"}, {"config": {"params": 5}}, {"point": "a"}, {"seed": 1.5}, {"seed": 10**30},
    {"values": []}, {"values": {"map@5": "a"}}, {"values": {"map@x": 1}},
    {"values": {"map@5": 10**400}},
    {"cost": {"a": None}}, {"files": []}, {"files": {"a": 5}}, {"files": "gone"}, {"params": 5},
    {"epochs_found": "a"}, {"format": 3}, {"format": []}, {"reason": {}},
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: str(change)[:40])
def test_a_record_of_other_types_is_not_there(store, change):
    folder = forged(store, change)
    with pytest.raises(ValueError, match=r"result\.json (is damaged|has format)") as caught:
        load(folder)
    assert "\n" not in str(caught.value)
    assert store.read("a") is None
    assert store.records() == {}
    assert store.find(RECORD["config"]) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[" * 10**5,
        b"[]",
        b'{"a": 1, "a": 2}',
        b"\xff",
        b"9" * 5000,
        b'{"sha256": 1, "format": 2}',
    ],
)
def test_what_is_no_record_is_not_there(store, content):
    folder = forged(store, {})
    (folder / "result.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"result\.json is damaged"):
        load(folder)
    (store.folder / "config.json").write_bytes(content)
    assert store._experiment() is None
    with pytest.raises(DamagedError):
        read(content)


def test_values_of_users_are_those_of_the_data(store):
    users, values = np.arange(3), np.zeros(3)
    bad = [
        {"users": users, "map@5": np.zeros(4)},
        {"users": users, "map@5": np.zeros((3, 1))},
        {"users": users + 1, "map@5": values},
        {"users": users - 1, "map@5": values},
        {"users": users * 1.0, "map@5": values},
        {"map@5": values},
    ]
    store.write("a", RECORD, {"per_user.npz": npz({"users": users, "map@5": values})})
    assert store.per_user("a", 3, ["map@5", "ndcg@5"]).keys() == {"users", "map@5"}
    for arrays in bad:
        store.write("a", RECORD, {"per_user.npz": npz(arrays)})
        with pytest.raises(DataError, match=r"per_user\.npz is damaged"):
            store.per_user("a", 3)
    store.write("a", RECORD, {"per_user.npz": b"PK"})
    with pytest.raises(DataError, match=r"per_user\.npz is damaged"):
        store.arrays("a")
    assert store.per_user("absent", 3) == {}


def test_cosines_are_a_square_of_numbers_or_none(store):
    pickled = io.BytesIO()
    np.savez(pickled, cosine=np.array([{}], object))
    bad = [
        np.zeros(3),
        np.zeros((2, 3)),
        np.full((2, 2), np.nan),
        np.array([["a"]]),
        np.zeros((0, 0)),
    ]
    for content in (
        b"",
        pickled.getvalue(),
        npz({"b": np.eye(2)}),
        *(npz({"cosine": a}) for a in bad),
    ):
        store.write("a", RECORD, {"cosine.npz": content})
        assert store.cosine("a") is None
    store.write("a", RECORD, {"cosine.npz": npz({"cosine": np.eye(2)})})
    assert store.cosine("a").dtype == np.float32


def test_records_are_read_once_while_the_folder_is_locked(store, monkeypatch):
    store.write("a", RECORD, {"big.npz": b"content"})
    with store.locked("table2"):
        first = store.read("a")
        monkeypatch.setattr("ganmf_fast.results.store.load", None)
        assert store.read("a") is first
        monkeypatch.undo()
        store.write("a", {**RECORD, "source": "anew"}, {})
        assert store.read("a")["source"] == "anew"
    assert store.read("a") is not store.read("a")


def test_a_record_that_cannot_be_replaced_stays(store, monkeypatch):
    store.write("a", RECORD, {})
    rename = Path.rename

    def fails(self, target):
        if Path(target) == store.folder / "models" / "a" and not self.name.endswith("earlier"):
            raise OSError(errno.EIO, "I/O error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(WriteError):
        store.write("a", {**RECORD, "source": "anew"}, {})
    assert store.read("a")["source"] == ""
    assert [path.name for path in (store.folder / "models").iterdir()] == ["a"]
