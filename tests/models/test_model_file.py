"""Saved models: whole or refused, never half read."""

import contextlib
import datetime as dt
import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

import ganmf_fast as gf
from ganmf_fast.base import checks, files
from ganmf_fast.base.errors import DataError
from ganmf_fast.base.urm import as_csr
from ganmf_fast.data.ids import object_array
from ganmf_fast.models.ids import Ids
from ganmf_fast.models.registry import model_class
from ganmf_fast.scorers.factors import Factors

X = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [1, 0, 1, 1]], np.float32)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "model.safetensors"
    gf.ItemKNN(topk=2).fit(gf.Interactions.from_matrix(X, list("abc"), [9, 7, 5, 3])).save(path)
    return path


def parts(path):
    with safe_open(path, framework="numpy") as file:
        names = file.keys()
        return json.loads(file.metadata()["ganmf_fast"]), {n: file.get_tensor(n) for n in names}


def forge(path, meta, tensors):
    """A file whose checksum is right, whatever it says."""
    text = json.dumps(meta)
    tensors = {name: np.ascontiguousarray(a) for name, a in tensors.items()}
    save_file(tensors, path, {"ganmf_fast": text, "sha256": files.checksum(text, tensors)})


def refused(path, match="model.safetensors"):
    with pytest.raises(DataError, match=match) as raised:
        gf.load(path)
    assert path.name in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_cut_anywhere_is_refused(saved):
    whole = saved.read_bytes()
    for length in {*range(0, len(whole), 97), *range(16), len(whole) - 1, len(whole) - 4}:
        saved.write_bytes(whole[:length])
        refused(saved)


def test_a_flipped_bit_anywhere_is_refused(saved):
    whole = bytearray(saved.read_bytes())
    for at in {*range(0, len(whole), 41), *range(12), len(whole) - 1}:
        damaged = whole.copy()
        damaged[at] ^= 1 << (at % 7)
        saved.write_bytes(damaged)
        refused(saved)


def test_other_files_are_refused(tmp_path):
    refused(tmp_path / "absent.safetensors", "there is no model file")
    refused(tmp_path, "cannot be read|damaged")
    other = tmp_path / "other.safetensors"
    save_file({"a": np.zeros(3)}, other)
    refused(other, "is not a model of ganmf-fast")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "upgrade ganmf-fast"),
        ({"format": "1"}, "damaged"),
        ({"model": "os.system"}, "there is no model 'os.system'"),
        ({"model": ["ItemKNN"]}, "model must be a string"),
        ({"scorer": "pickle"}, "'pickle' is missing"),
        ({"scorer": "factors"}, "is missing"),
        ({"params": {"topk": 2}}, "the parameters are"),
        ({"params": None}, "must be mappings"),
        ({"data_hash": "0"}, "data_hash"),
        ({"ids": 5}, "damaged"),
        ({"ids": {"frame_type": "excel", "users": "U", "items": "int64"}}, "frame type 'excel'"),
        ({"ids": {"frame_type": "dict", "users": "int64", "items": "int64"}}, "ids of users"),
        ({"ids": {"frame_type": "dict", "users": "U", "items": "float32"}}, "ids of items"),
        ({"ids": {"frame_type": "dict", "users": "U", "items": "datetime64[x]"}}, "damaged"),
    ],
)
def test_a_forged_description_is_refused(saved, change, message):
    meta, tensors = parts(saved)
    forge(saved, meta | change, tensors)
    refused(saved, message)


def test_bad_parameters_in_a_file_are_refused(saved):
    meta, tensors = parts(saved)
    meta["params"]["topk"] = -1
    forge(saved, meta, tensors)
    refused(saved, "topk must be at least 1, not -1")


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("urm.indptr", None, "'urm.indptr' is missing"),
        ("urm.indptr", np.array([0, 2, 4, 99]), "indptr ends at 99"),
        ("urm.indptr", np.array([0, 2, 4, 7], np.int32), "damaged"),
        ("urm.indices", np.array([0, 1, 1, 2, 0, 2, 400], np.int32), "outside 0..4"),
        ("urm.n_cols", np.array([-1]), "n_cols must be"),
        ("urm.n_cols", np.array([5]), "damaged"),
        ("urm.values", np.full(7, -1, np.float32), "is negative"),
        ("scorer.weights.indices", None, "is missing"),
        ("scorer.weights.n_cols", np.array([7]), "weights must be square"),
        ("scorer.weights.values", np.array([np.nan], np.float32), "damaged"),
        ("ids.users", np.array([97, 98], np.uint8), "do not fit their lengths"),
        ("ids.users", np.array([97, 98, 255], np.uint8), "damaged"),
        ("ids.users", np.array([97, 98, 98], np.uint8), "not distinct"),
        ("ids.users.ends", np.array([3, 1, 3]), "do not fit their lengths"),
        ("ids.items", np.array([1, 2, 3]), "3 item ids"),
        ("ids.items", np.array([[1, 2, 3, 4]]), "dimensions"),
    ],
)
def test_forged_arrays_are_refused(saved, name, array, message):
    meta, tensors = parts(saved)
    if array is None:
        del tensors[name]
    else:
        tensors[name] = array
    forge(saved, meta, tensors)
    refused(saved, message)


@pytest.mark.parametrize(
    "users",
    [
        np.array([3, 1, 2]),
        np.array([0.5, 1.5, -2.0]),
        np.array(["ä", " ", "日本語"]),
        np.array(["2020-01-01", "2021-01-01", "2022-01-01"], "datetime64[D]"),
    ],
    ids=lambda a: str(a.dtype),
)
def test_ids_come_back_as_they_were(tmp_path, users):
    path = tmp_path / "m.safetensors"
    model = gf.TopPopular().fit(gf.Interactions.from_matrix(X, users, list("wxyz")))
    model.save(path)
    again = gf.load(path)
    assert again.user_ids_.dtype == model.user_ids_.dtype
    assert np.array_equal(again.user_ids_, model.user_ids_)
    assert again.item_ids_.tolist() == list("wxyz")
    wanted = model.user_ids_[:1]
    a, b = model.recommend(wanted, n=2), again.recommend(wanted, n=2)
    assert {k: list(v) for k, v in a.items()} == {k: list(v) for k, v in b.items()}


def test_ids_that_earlier_versions_took_are_still_read(tmp_path):
    data = gf.Interactions.from_matrix(X, ["ä", "b", "c"], [1.5, 2.5, 3.5, 4.5])
    users, items = object_array(["ä", "", "c"]), np.array([1.5, 2.5, 3.5, np.inf])
    gf.TopPopular().fit(replace(data, user_ids=users, item_ids=items)).save(
        tmp_path / "m.safetensors"
    )
    again = gf.load(tmp_path / "m.safetensors")
    assert again.user_ids_.tolist() == users.tolist()
    assert again.item_ids_.tolist() == items.tolist()
    assert again.recommend([""], n=1)["user"].tolist() == [""]


def test_ids_that_no_file_holds_are_refused_when_the_data_is_made():
    ids = np.empty(3, object)
    ids[:] = [(1, 2), "a", dt.date(2020, 1, 1)]
    with pytest.raises(TypeError, match=r"'a', of type str, beside \(1, 2\), of type tuple"):
        gf.Interactions.from_matrix(X, ids)


def test_a_failed_write_leaves_the_old_file(saved, monkeypatch):
    before = saved.read_bytes()

    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "save_file", full)
    with pytest.raises(OSError, match="No space left"):
        gf.TopPopular().fit(X).save(saved)
    assert saved.read_bytes() == before
    assert [p.name for p in saved.parent.iterdir()] == [saved.name]


@pytest.mark.skipif(os.name != "posix", reason="permission bits are POSIX")
def test_a_saved_file_has_the_permissions_of_any_new_file(saved):
    plain = saved.with_name("plain")
    plain.touch()
    assert saved.stat().st_mode == plain.stat().st_mode


@pytest.mark.processes
def test_a_fitted_ganmf_loads_and_ranks_without_torch(tmp_path):
    path = tmp_path / "ganmf.safetensors"
    cls = model_class("GANMF")
    rng = np.random.default_rng(0)
    factors = Factors(rng.random((3, 2), dtype=np.float32), rng.random((4, 2), dtype=np.float32))
    model = cls.from_parts(cls(num_factors=2).get_params(), as_csr(X), factors, None)
    model.best_epoch_ = 15
    model.chosen_params_ = {"m": 10.0}
    model.history_ = [{"epoch": 1, "d_loss": float("inf")}]
    model.save(path)
    assert gf.load(path).best_epoch_ == 15
    assert gf.load(path).history_ == model.history_
    code = (
        "import sys\n"
        "class NoTorch:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'torch':\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, NoTorch())\n"
        "import ganmf_fast as gf\n"
        f"print(gf.load({str(path)!r}).recommend([0, 1, 2], n=2).items.tolist())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == model.recommend([0, 1, 2], n=2).items.tolist()


def test_ids_of_another_length_do_not_fit():
    with pytest.raises(ValueError, match="2 user ids"):
        gf.TopPopular.from_parts(
            {}, as_csr(X), gf.TopPopular().fit(X).scorer_, Ids(np.arange(2), np.arange(4), "dict")
        )


# what has the right checksum ---------------------------------------------------------------------

FORMS = {
    "ItemKNN": {}, "UserKNN": {}, "EASE": {}, "PureSVD": {"num_factors": 2}, "TopPopular": {},
    "Random": {}, "WRMF": {"num_factors": 2, "epochs": 1},
}  # fmt: skip


def saved_form(tmp_path, name):
    path = tmp_path / "model.safetensors"
    data = gf.Interactions.from_matrix(X[:2] if name == "EASE" else X)
    getattr(gf, name)(**FORMS[name]).fit(data).save(path)
    return path, *parts(path)


@pytest.mark.parametrize(
    ("model", "name", "array", "message"),
    [
        ("PureSVD", "user_factors", np.ones((3, 3), np.float32), "columns"),
        ("PureSVD", "item_factors", np.full((4, 2), np.nan, np.float32), "nan at"),
        ("PureSVD", "item_factors", np.ones((5, 2), np.float32), "knows 3 users and 5 items"),
        ("PureSVD", "item_factors", np.ones((4, 2)), "float32"),
        ("TopPopular", "item_scores", np.full(4, np.inf, np.float32), "inf at"),
        ("TopPopular", "item_scores", np.ones((4, 1), np.float32), "dimensions"),
        ("Random", "parameters", np.array([0, -1, 4]), "users must be"),
        ("Random", "parameters", np.array([0, 3, 2**31]), "items must be"),
        ("UserKNN", "n_items", np.array([2**40]), "items"),
        ("UserKNN", "n_items", np.array([4.0]), "one int64"),
        ("EASE", "l2", np.array([np.nan]), "positive"),
        ("EASE", "diagonal", np.zeros(4, np.float32), "positive"),
        ("EASE", "inverse", np.ones((4, 4), np.float32), "2 users"),
        ("EASE", "fitted.indices", np.array([0, 2, 1, 2], np.int32), "of another matrix"),
    ],
)
def test_arrays_that_contradict_each_other_are_refused(tmp_path, model, name, array, message):
    path, meta, tensors = saved_form(tmp_path, model)
    forge(path, meta, tensors | {f"scorer.{name}": array})
    refused(path, message)


@pytest.mark.parametrize(
    ("learned", "message"),
    [
        ({"best_epoch_": -1, "history_": []}, "at least|>= 0"),
        ({"best_epoch_": "1", "history_": []}, "Expected `int`"),
        ({"best_epoch_": 1, "history_": 5}, "Expected `array`"),
        ({"best_epoch_": 1, "history_": [["epoch", 1]]}, "Expected `object`"),
        ({"best_epoch_": 1, "history_": [{"epoch": []}]}, r"\[...\]"),
        ({"best_epoch_": 1}, "'history_' is missing"),
    ],
)
def test_learned_attributes_of_other_types_are_refused(tmp_path, learned, message):
    path, meta, tensors = saved_form(tmp_path, "WRMF")
    forge(path, meta | {"learned": learned}, tensors)
    refused(path, message)


@pytest.mark.parametrize(
    ("kind", "ids"),
    [
        ("float64", np.array([1, np.nan, 2])),
        ("datetime64[s]", np.array([1, -(2**63), 2])),
        ("datetime64[s]", np.zeros(24, np.uint8)),
    ],
)
def test_ids_that_are_none_are_refused(saved, kind, ids):
    meta, tensors = parts(saved)
    meta["ids"]["users"] = kind
    del tensors["ids.users.ends"]
    forge(saved, meta, tensors | {"ids.users": ids})
    refused(saved, "NaN|ids of users are")


def test_more_items_than_memory_holds_are_refused(tmp_path, monkeypatch):
    path, meta, tensors = saved_form(tmp_path, "Random")
    n_items = 2**31 - 1
    tensors |= {"urm.n_cols": np.array([n_items]), "scorer.parameters": np.array([0, 3, n_items])}
    monkeypatch.setattr(checks, "available_memory", lambda: 2**30)
    forge(path, meta, tensors)
    refused(path, "2,147,483,647 items, needs")


@pytest.mark.parametrize("model", FORMS)
def test_whatever_loads_can_be_used(tmp_path, model):
    """Arrays changed at random, with the right checksum: refused, or a model that answers."""
    path, meta, tensors = saved_form(tmp_path, model)
    rng = np.random.default_rng(0)
    for _ in range(60):
        name = rng.choice(sorted(tensors))
        array = tensors[name].copy()
        at = rng.integers(max(array.size, 1))
        match rng.integers(5):
            case 0 if array.size:
                array.reshape(-1)[at] = rng.choice([-1, 0, 3, 127])
            case 1:
                array = array.reshape(-1)[:at]
            case 2:
                array = array.astype(rng.choice(["f4", "f8", "i4", "i8", "u1"]))
            case 3:
                array = np.concatenate([array, array])
            case _ if array.dtype.kind == "f" and array.size:
                array.reshape(-1)[at] = rng.choice([np.nan, np.inf, 3e38, -3e38])
        forge(path, meta, tensors | {name: array})
        try:
            loaded = gf.load(path)
        except DataError:
            continue
        with contextlib.suppress(ValueError, NotImplementedError), np.errstate(all="ignore"):
            loaded.recommend([0, 1], n=3)
            loaded.similar_items(0, n=2)
            loaded.fold_in(X)


def test_what_killed_writers_left_goes_when_it_is_written_again(tmp_path):
    model, splits = gf.TopPopular().fit(np.eye(3)), gf.split.paper_protocol(np.ones((9, 9)))
    splits.save(tmp_path)
    left = [tmp_path / f".{name}.{'0a' * 8}.part" for name in ("model", "train.npz", "ids.npz")]
    for part in left:
        part.touch()
        os.utime(part, (0, 0))
    model.save(tmp_path / "model")
    splits.save(tmp_path)
    assert not any(part.exists() for part in left)
