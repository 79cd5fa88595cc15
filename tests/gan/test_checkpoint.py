"""Training that is killed and goes on: the same weights in the end, or a clear refusal."""

import json
import os
import pkgutil
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

torch = pytest.importorskip("torch", reason="GANs need torch, which is not installed")

from ganmf_fast.base import files
from ganmf_fast.base.errors import DataError
from ganmf_fast.gan.estimators import CAAE, CFGAN, GANMF, BinGANMF
from ganmf_fast.models import checkpoint
from ganmf_fast.models.fit_data import FitData
from ganmf_fast.models.load import load

SMALL = {"num_factors": 4, "emb_dim": 6, "batch_size": 16, "epochs": 6, "device": "cpu"}
SMALL |= {
    "recon_coefficient": 0.1,
    "d_dropout": 0.3,
    "d_emphasis": 0.1,
    "matching": "reconstruction",
    "g_ema": 0.5,
    "g_reg": 1e-3,
    "g_reg_exponent": 0.5,
}
RUNS = [
    (GANMF, SMALL),
    (GANMF, {**SMALL, "step": "dense", "mode": "item", "matching": "decoder"}),
    (GANMF, {**SMALL, "user_factors": "solved", "g_reg_exponent": 0.0}),
    (GANMF, {**SMALL, "matching": "leave-one-out", "d_init": "ease"}),
    (BinGANMF, {"num_factors": 4, "d_nodes": 4, "d_layers": 2, "epochs": 6, "device": "cpu"}),
    (CFGAN, {"g_nodes": 6, "d_nodes": 5, "d_steps": 2, "epochs": 6, "device": "cpu"}),
    (CAAE, {"num_factors": 3, "g_units": 4, "gpr_units": 5, "epochs": 6, "device": "cpu"}),
]
each_run = pytest.mark.parametrize(
    ("cls", "settings"), RUNS, ids=lambda v: getattr(v, "__name__", "")
)


@pytest.fixture
def data(toy_urm):
    dense = toy_urm.toarray()
    held_out = np.zeros_like(dense)
    for user, row in enumerate(dense):
        held_out[user, np.flatnonzero(row)[-2:]] = 1
    return dense - held_out, held_out


class Killed(BaseException):
    pass


def fit_until(monkeypatch, model, data, epochs):
    """Fit, and stop dead in the validation that follows so many epochs."""
    calls = iter(range(1, 99))

    def check(*args, **kwargs):
        if next(calls) > epochs:
            raise Killed
        return 0.5 / epochs

    with monkeypatch.context() as patch:
        patch.setattr(FitData, "validate", check)
        with pytest.raises(Killed):
            model.fit(data[0], validation=data[1])


@pytest.mark.slow
@each_run
@pytest.mark.parametrize("every", [1, 2])
def test_a_run_goes_on_to_the_weights_it_would_have_had(
    cls, settings, every, data, tmp_path, monkeypatch
):
    run = {**settings, "freq": 1, "allow_worse": 99}
    whole = cls(**run).fit(data[0], validation=data[1])
    path = tmp_path / "state.safetensors"
    model = cls(**run, checkpoint_every=every, checkpoint_path=str(path))
    # Killed in the fourth epoch, after checks that give the same value as the real ones would.
    interrupt = iter(range(99))
    module = pkgutil.resolve_name(cls.module)
    epoch = module.epoch

    def dying(self, number):
        for one in epoch(self, number):
            if number == 4 and next(interrupt) == 1:
                raise Killed
            yield one

    with monkeypatch.context() as patch:
        patch.setattr(module, "epoch", dying)
        with pytest.raises(Killed):
            model.fit(data[0], validation=data[1])
    assert path.exists()
    again = cls(**run, checkpoint_every=every, checkpoint_path=str(path)).fit(
        data[0], validation=data[1]
    )
    for name, array in whole.scorer_.tensors().items():
        assert_array_equal(again.scorer_.tensors()[name], array, err_msg=name)
    assert again.best_epoch_ == whole.best_epoch_
    clean = [{k: v for k, v in row.items() if "seconds" not in k} for row in again.history_]
    assert clean == [{k: v for k, v in row.items() if "seconds" not in k} for row in whole.history_]
    assert not path.exists()


@pytest.mark.parametrize("last", ["best", "stopped"])
def test_what_was_kept_and_the_patience_left_survive_too(data, tmp_path, monkeypatch, last):
    values = [0.1, 0.5, 0.4, 0.3, 0.2, 0.1]
    path = tmp_path / "state.safetensors"
    run = {**SMALL, "epochs": 20, "freq": 1, "allow_worse": 3}

    def fit(values, **extra):
        given = iter(values)

        def check(*args, **kwargs):
            value = next(given)
            if value is None:
                raise Killed
            return value

        with monkeypatch.context() as patch:
            patch.setattr(FitData, "validate", check)
            return GANMF(**run, **extra).fit(data[0], validation=data[1])

    whole = fit(values)
    assert (whole.best_epoch_, len(whole.history_)) == (2, 6)
    place = {"checkpoint_every": 1, "checkpoint_path": str(path)}
    cut = {"best": 4, "stopped": 5}[last]
    with pytest.raises(Killed):
        fit([*values[:cut], None], **place)
    again = fit(values[cut:], **place)
    assert (again.best_epoch_, len(again.history_)) == (2, 6)
    assert_array_equal(again.item_factors_, whole.item_factors_)


# One process imports torch once; its children train, and all but the last of them are killed.
PROGRAM = """
import json, os, signal, sys, threading
import numpy as np
from ganmf_fast.base import files
from ganmf_fast.gan.estimators import GANMF
from ganmf_fast.gan.trainer import Trainer
path, output, deaths = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)

def fit(place, output):
    X = (np.random.default_rng(0).random((300, 200)) < 0.1).astype(np.float32)
    model = GANMF(num_factors=8, emb_dim=16, batch_size=32, epochs=60, freq=3, d_dropout=0.2,
        device="cpu", checkpoint_every=1 if place else 0, checkpoint_path=place)
    model.fit(X, validation=X[:, ::-1] * (1 - X))
    np.savez(output, *model.scorer_.tensors().values())

def child(work):
    pid = os.fork()
    if not pid:
        work()
        os._exit(0)
    return os.waitpid(pid, 0)[1]

def killed(death):
    if isinstance(death, int):  # at a call of fsync, which is while a checkpoint is written
        calls, move = iter(range(999)), files.os.fsync
        files.os.fsync = lambda file: die() if next(calls) == death else move(file)
    else:
        train = Trainer.run
        def run(*args):
            threading.Timer(death, die).start()
            return train(*args)
        Trainer.run = run
    fit(path, output)

whole = child(lambda: fit(None, output + ".whole.npz"))
first, *others = deaths
ends = [child(lambda: killed(first))]
left_behind = os.path.exists(path)
ends += [child(lambda: killed(death)) for death in others]
print(json.dumps([whole, ends, left_behind, child(lambda: fit(path, output))]))
"""


@pytest.mark.processes
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_killed_at_any_moment_a_run_ends_with_the_identical_weights(tmp_path):
    path, output = tmp_path / "state.safetensors", tmp_path / "cut.npz"
    kills = int(os.environ.get("GANMF_TEST_KILLS", "3"))
    deaths = [2, *np.random.default_rng(kills).uniform(0, 0.2, kills), 0]
    command = [sys.executable, "-c", PROGRAM, str(path), str(output), json.dumps(deaths)]
    done = subprocess.run(command, check=False, capture_output=True, timeout=300, text=True)
    assert done.returncode == 0, done.stderr
    whole, ends, left_behind, last = json.loads(done.stdout)
    assert whole == last == 0
    # The first one died in any case; another may have been done before its time was up.
    assert ends[0] == signal.SIGKILL
    assert set(ends) <= {0, signal.SIGKILL}
    assert left_behind
    one, two = np.load(f"{output}.whole.npz"), np.load(output)
    for name in one.files:
        assert_array_equal(one[name], two[name])
    assert not path.exists()


def test_files_written_before_columns_were_renamed_are_read(tmp_path):
    before = Path(__file__).parent / "written_before"
    expected = json.loads((before / "ganmf.json").read_text())
    renamed = {f"made_{what}": f"generated_{what}" for what in ("energy", "cosine")}
    history = [{renamed.get(k, k): v for k, v in row.items()} for row in expected["history"]]
    path = shutil.copy(before / "ganmf.checkpoint", tmp_path)
    settings = {"num_factors": 2, "emb_dim": 3, "batch_size": 5, "epochs": 4, "freq": 1}
    settings |= {"allow_worse": 9, "g_ema": 0.5, "device": "cpu", "checkpoint_every": 1}
    settings |= {"recon_coefficient": 0.1}
    X, V = np.eye(12) + np.eye(12)[::-1], np.roll(np.eye(12), 1, axis=1)
    continued = GANMF(**settings, checkpoint_path=path).fit(X, validation=V)
    loaded = load(before / "ganmf.safetensors")
    for model in (continued, loaded):
        assert_allclose(model.score_users(range(12)), expected["scores"], rtol=1e-4, atol=1e-6)
        for row, wanted in zip(model.history_, history, strict=True):
            assert {k: v for k, v in row.items() if "seconds" not in k} == pytest.approx(wanted)


# refusals ----------------------------------------------------------------------------------------


@pytest.fixture
def left_behind(data, tmp_path, monkeypatch):
    path = tmp_path / "state.safetensors"
    model = GANMF(**SMALL, freq=1, checkpoint_every=1, checkpoint_path=str(path))
    fit_until(monkeypatch, model, data, 2)
    return path


def go_on(path, data, **changed):
    settings = {**SMALL, "freq": 1, "checkpoint_every": 1, "checkpoint_path": str(path), **changed}
    return GANMF(**settings).fit(data[0], validation=data[1])


def test_a_checkpoint_of_another_run_is_refused_by_what_differs(left_behind, data):
    with pytest.raises(
        DataError, match=r"state.safetensors belongs to a run with d_lr = 0.0001, not 0.5"
    ):
        go_on(left_behind, data, d_lr=0.5)
    with pytest.raises(DataError, match="belongs to a run with data"):
        go_on(left_behind, (2 * data[0], data[1]))
    with pytest.raises(DataError, match="validation"):
        go_on(left_behind, (data[0], 2 * data[1]))
    go_on(left_behind, data, checkpoint_every=3)


def test_a_damaged_or_truncated_checkpoint_is_refused(left_behind, data):
    content = left_behind.read_bytes()
    for size in (0, 7, 100, len(content) // 2, len(content) - 1):
        left_behind.write_bytes(content[:size])
        with pytest.raises(DataError, match=r"checkpoint .*state.safetensors is damaged"):
            go_on(left_behind, data)
    flipped = bytearray(content)
    flipped[-3] ^= 4
    left_behind.write_bytes(flipped)
    with pytest.raises(DataError, match="do not match their checksum: remove it"):
        go_on(left_behind, data)


@pytest.mark.parametrize(("cls", "settings"), RUNS[3:], ids=lambda v: getattr(v, "__name__", ""))
def test_a_damaged_checkpoint_of_any_family_is_refused(cls, settings, data, tmp_path, monkeypatch):
    path = tmp_path / "state.safetensors"
    model = cls(**settings, freq=1, checkpoint_every=1, checkpoint_path=str(path))
    fit_until(monkeypatch, model, data, 2)
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], content[:-9] + b"\1" + content[-8:]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"state.safetensors is damaged.*remove it"):
            model.fit(data[0], validation=data[1])


def test_a_checkpoint_of_a_newer_version_or_another_file_is_refused(left_behind, data, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "FORMAT", checkpoint.FORMAT + 1)
        meta = json.dumps({"format": checkpoint.FORMAT, "config": {}, "facts": {}})
        files.write_tensors(left_behind, "ganmf_fast.checkpoint", meta, {})
    with pytest.raises(DataError, match="has format 2, but this version reads format 1"):
        go_on(left_behind, data)
    GANMF(**SMALL).fit(data[0]).save(left_behind)
    with pytest.raises(DataError, match="is not a checkpoint"):
        go_on(left_behind, data)
    left_behind.unlink()
    left_behind.mkdir()
    with pytest.raises(DataError, match="cannot be read"):
        go_on(left_behind, data)


def test_a_folder_that_does_not_exist_is_an_error(data, tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        go_on(tmp_path / "nowhere" / "state.safetensors", data)


def forged(path, change_meta=lambda meta: None, change=lambda tensors: None):
    """The same file with other content and the right checksum."""
    text, tensors, sound = files.read_tensors(path, "ganmf_fast.checkpoint")
    assert sound
    meta = json.loads(text)
    change_meta(meta)
    change(tensors)
    files.write_tensors(path, "ganmf_fast.checkpoint", json.dumps(meta), tensors)


FACTS = [
    {"history": 5},
    {"history": [5]},
    {"history": [{"epoch": "a"}]},
    {"history": []},
    {"epochs_run": 3},
    {"best_epoch": 7},
    {"best_epoch": -1},
    {"best_value": "a"},
    {"without_improvement": 10**400},
]


@pytest.mark.parametrize("facts", FACTS, ids=str)
def test_facts_that_no_training_states_are_refused(left_behind, data, facts):
    forged(left_behind, lambda meta: meta["facts"].update(facts))
    with pytest.raises(DataError, match=r"state.safetensors is damaged.*remove it"):
        go_on(left_behind, data)


@pytest.mark.parametrize("meta", [{"facts": 5}, {"config": []}, {"config": None}, {"facts": {}}])
def test_descriptions_of_another_form_are_refused(left_behind, data, meta):
    forged(left_behind, lambda stored: stored.update(meta))
    with pytest.raises(DataError, match=r"state.safetensors is damaged.*remove it"):
        go_on(left_behind, data)


CHANGES = {
    "gone": lambda _: None,
    "scalar": lambda array: array.reshape(-1)[:1].copy(),
    "flat": lambda array: array.reshape(-1).copy(),
    "longer": lambda array: np.concatenate([array, array]),
    "double": lambda array: array.astype(np.float64),
    "whole": lambda array: array.astype(np.int32),
    "nan": lambda array: np.full_like(array, np.nan),
}
NAMES = ["state.net.g.user_factors", "state.net.d.encoder", "state.adam.g.0.exp_avg", "kept.0"]


@pytest.mark.parametrize("how", CHANGES)
@pytest.mark.parametrize("name", NAMES)
def test_tensors_of_other_networks_are_refused(left_behind, data, name, how):
    if (how, name) == ("gone", NAMES[2]):
        pytest.skip("what an optimiser remembers may be missing")

    def change(tensors):
        array = CHANGES[how](tensors.pop(name))
        tensors.update({} if array is None else {name: array})

    forged(left_behind, change=change)
    with pytest.raises(DataError, match=rf"damaged: {name.removeprefix('state.')}.*remove it"):
        go_on(left_behind, data)


@pytest.mark.parametrize(
    "more",
    [
        {"state.rng": np.zeros(5056, np.uint8)},
        {"state.rng": np.zeros(3, np.uint8)},
        {"state.net.g.more": np.zeros(3, np.float32)},
        {"state.adam.g.0.step": np.array([-2], np.float32)},
        {"state.adam.g.0.step": np.array([1e30], np.float32)},
        {"state.adam.g.0.step": np.array([np.nan], np.float32)},
    ],
    ids=str,
)
def test_states_that_no_training_leaves_are_refused(left_behind, data, more):
    forged(left_behind, change=lambda tensors: tensors.update(more))
    with pytest.raises(DataError, match=r"state.safetensors is damaged.*remove it"):
        go_on(left_behind, data)


def test_what_a_killed_writer_left_is_removed_in_the_end(data, tmp_path):
    path = tmp_path / "state.[x]"
    left = tmp_path / f".state.[x].{'0a' * 8}.part"
    others = [tmp_path / ".state.[x].mine.part", tmp_path / f".state.x.{'0a' * 8}.part"]
    for file in (left, *others):
        file.write_bytes(b"begun")
    GANMF(epochs=2, device="cpu", checkpoint_every=1, checkpoint_path=str(path)).fit(
        data[0], validation=data[1]
    )
    assert sorted(tmp_path.iterdir()) == sorted(others)
