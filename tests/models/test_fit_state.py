"""What a fit takes, and what it leaves behind: numbers of any kind, later parameters, files."""

import importlib.util
import re

import numpy as np
import pytest

import ganmf_fast as gf
from ganmf_fast.base.errors import DataError
from ganmf_fast.models import checkpoint

GANS = ("GANMF", "BinGANMF", "CFGAN", "CAAE", "AugCF")
FEW = {"epochs": 2, "freq": 1}


@pytest.fixture
def X():  # noqa: N802
    return (np.random.default_rng(0).random((40, 30)) < 0.2).astype(np.float32)


def need_torch(name):
    if name in GANS or name == "RAGAN":
        pytest.importorskip("torch", reason="GANs need torch, which is not installed")


def scores(model, X):
    return model.score_users(range(len(X)))


@pytest.mark.parametrize("name", ["BPRMF", "CDAE", "IRGAN", *GANS])
def test_numbers_of_numpy_are_numbers(X, tmp_path, name):
    need_torch(name)
    cls = getattr(gf, name)
    given = {"epochs": 2, "seed": 3, "num_factors": 6}
    given |= {"pretrain_epochs": 3} if name == "IRGAN" else {}
    given = {n: value for n, value in given.items() if n in cls().get_params()}
    plain = cls(**given).fit(X)
    kinds = {"epochs": np.int64, "seed": np.int64, "num_factors": np.uint8}
    numbers = {n: kinds.get(n, np.int32)(value) for n, value in given.items()}
    path = tmp_path / "state"
    again = cls(**numbers, checkpoint_every=np.int64(1), checkpoint_path=str(path)).fit(X)
    assert np.array_equal(scores(again, X), scores(plain, X))


def test_sizes_in_numbers_of_numpy_are_refused_like_others(X):
    need_torch("GANMF")
    for size in (np.int32(2**31 - 1), np.int64(2**62), 2**62):
        with pytest.raises(MemoryError, match="lower the sizes of its networks"):
            gf.GANMF(epochs=1, num_factors=5, emb_dim=size).fit(X)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("GANMF", {"num_factors": 10**7, "emb_dim": 5, "user_factors": "solved"}),
        ("CAAE", {"g_layers": 10**12}),
        ("CAAE", {"gpr_layers": 10**12}),
        ("CDAE", {"negatives": 2**62}),
    ],
)
def test_memory_that_only_a_part_needs_is_refused_as_well(X, name, params):
    need_torch(name)
    with pytest.raises(MemoryError):
        getattr(gf, name)(epochs=1, **params).fit(X)


@pytest.mark.parametrize("name", ["BPRMF", *GANS])
def test_a_callback_cannot_change_the_history(X, name):
    need_torch(name)
    model = getattr(gf, name)(epochs=2).fit(X, callback=lambda _epoch, values: values.clear())
    assert [row["epoch"] for row in model.history_] == [1, 2]


CHANGES = {
    "BPRMF": {"item_bias": False, "reg": 0.9, "checkpoint_every": 5},
    "WRMF": {"alpha": 40.0, "reg": 5.0},
    "IRGAN": {"pretrain_epochs": 1, "pretrain_lr": 3.0, "seed": 9},
    "GANMF": {"mode": "item", "num_factors": -1},
    "CFGAN": {"mode": "item"},
    "PureSVD": {"num_factors": 2},
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_set_after_a_fit_is_for_the_next_one(X, tmp_path, name):
    need_torch(name)
    cls = getattr(gf, name)
    params = {"pretrain_epochs": 4} if name == "IRGAN" else {}
    params |= {"num_factors": 5} if name == "PureSVD" else {"epochs": 2}
    model = cls(**params).fit(X)
    fitted, before = model.get_params(), model.fold_in(X)
    model.set_params(**CHANGES[name])
    assert np.array_equal(model.fold_in(X), before)
    assert model.get_params() != fitted
    model.save(tmp_path / "m.safetensors")
    again = gf.load(tmp_path / "m.safetensors")
    assert again.get_params() == fitted
    assert np.array_equal(again.fold_in(X), before)


@pytest.mark.parametrize("cls", [gf.IRGAN, gf.CoFiGAN, gf.GraphGAN])
def test_a_fit_that_is_broken_off_leaves_the_earlier_one(X, cls):
    def stop(*_):
        raise RuntimeError

    few = {"epochs": 2, "d_epochs": 1, "g_epochs": 1}
    model = cls(**few, pretrain_epochs=3)
    with pytest.raises(RuntimeError):
        model.fit(X, callback=stop)
    assert not hasattr(model, "pretraining_")
    model.fit(X)
    known = model.pretraining_
    with pytest.raises(RuntimeError):
        model.set_params(pretrain_epochs=5).fit(X, callback=stop)
    assert model.pretraining_ == known


@pytest.mark.parametrize("scale", [1e30, 1e-30])
def test_values_that_have_no_decomposition_are_named(X, scale):
    need_torch("GANMF")
    with pytest.raises(ValueError, match=r"X holds values up to .*: divide X by a constant"):
        gf.GANMF(num_factors=6, emb_dim=10, epochs=6, batch_size=16).fit(X * np.float32(scale))


@pytest.mark.parametrize(("name", "param"), [("BinGANMF", "d_reg"), ("CAAE", "lr")])
def test_numbers_beyond_single_precision_are_named(X, name, param):
    need_torch(name)
    with pytest.raises(ValueError, match=rf"^{param} must be at most 1e\+30"):
        getattr(gf, name)(epochs=1, **{param: 1e300}).fit(X)


def test_another_start_of_the_same_name_is_another_run(X, tmp_path):
    class StoppedError(Exception):
        pass

    def stop(epoch, _values):
        if epoch == 3:
            raise StoppedError

    start = tmp_path / "start.safetensors"
    gf.BPRMF(num_factors=4, epochs=2).fit(X).save(start)
    params = {"num_factors": 4, "epochs": 4, "d_epochs": 1, "g_epochs": 1}
    params |= {"start_path": str(start), "checkpoint_every": 1}
    params |= {"checkpoint_path": str(tmp_path / "state")}
    with pytest.raises(StoppedError):
        gf.IRGAN(**params).fit(X, callback=stop)
    known = start.read_bytes()
    gf.BPRMF(num_factors=4, epochs=9).fit(X).save(start)
    with pytest.raises(DataError, match="belongs to a run with content of start_path = "):
        gf.IRGAN(**params).fit(X)
    start.write_bytes(known)
    again = gf.IRGAN(**params).fit(X)
    whole = gf.IRGAN(**{**params, "checkpoint_every": 0, "checkpoint_path": None}).fit(X)
    assert np.array_equal(scores(again, X), scores(whole, X))


@pytest.mark.parametrize("name", ["BPRMF", "GANMF"])
def test_a_checkpoint_that_cannot_be_written_is_refused_before_the_first_epoch(X, tmp_path, name):
    need_torch(name)
    path = tmp_path / "absent" / "state"
    epochs = []
    with pytest.raises(OSError, match=r"absent/state cannot be written: checkpoint_path is in no"):
        getattr(gf, name)(epochs=3, checkpoint_every=3, checkpoint_path=str(path)).fit(
            X, callback=lambda epoch, _: epochs.append(epoch)
        )
    assert not epochs


def test_other_data_are_the_reason_why_a_checkpoint_is_refused(X, tmp_path):
    need_torch("GANMF")

    def stop(*_):
        raise RuntimeError

    params = {"epochs": 3, "checkpoint_every": 1, "checkpoint_path": str(tmp_path / "state")}
    with pytest.raises(RuntimeError):
        gf.GANMF(**params).fit(X, callback=stop)
    with pytest.raises(RuntimeError):
        gf.GANMF(**params).fit(X, callback=stop)
    with pytest.raises(DataError, match="belongs to a run with data = "):
        gf.GANMF(**params).fit(X[:30])


def test_a_cutoff_is_named(X):
    with pytest.raises(ValueError, match=r"^k must be"):
        gf.BPRMF(epochs=1).fit(X, validation=X[:, ::-1] * (1 - X), k=2**70)


def test_what_cannot_be_computed_names_its_own_parameter(X):
    with pytest.raises(ValueError, match=r"^pre-training: .* lower pretrain_lr"):
        gf.IRGAN(epochs=1, pretrain_lr=1e308).fit(X)
    with pytest.raises(ValueError, match=r"l2 is 1e-308, beyond what EASE can be computed from"):
        gf.EASE(l2=1e-308, dropout=0.3).fit(X)


def test_ragan_generates_softer_ratings_beside_ones(X):
    need_torch("RAGAN")
    found = gf.RAGAN(share=0.2, epochs=2, seed=1).augment(X)
    made = found.toarray()[(found.toarray() > 0) & (X == 0)]
    assert 0.2 <= made.min() < 0.999
    assert made.std() > 0
    other = gf.RAGAN(share=0.2, epochs=6, seed=1).augment(X)
    assert not np.array_equal(found.toarray(), other.toarray())
    with pytest.warns(UserWarning, match="all ratings are 1, and so are the generated ones"):
        alone = gf.RAGAN(share=0.2, epochs=2, bt=False).augment(X)
    assert set(np.unique(alone.data)) == {1.0}


def test_damaged_arrays_of_a_checkpoint_are_a_sentence(X, tmp_path, monkeypatch):
    class StoppedError(Exception):
        pass

    def stop(epoch, _values):
        if epoch == 2:
            raise StoppedError

    written = checkpoint.write_tensors

    def damaged(path, kind, text, arrays):
        written(path, kind, text, {n: a.astype(np.float64) for n, a in arrays.items()})

    params = {"epochs": 4, "checkpoint_every": 1, "checkpoint_path": str(tmp_path / "state")}
    monkeypatch.setattr(checkpoint, "write_tensors", damaged)
    with pytest.raises(StoppedError):
        gf.BPRMF(**params).fit(X, callback=stop)
    with pytest.raises(DataError, match=re.escape("is damaged: ")):
        gf.BPRMF(**params).fit(X)


def test_a_gan_that_was_loaded_where_torch_is_absent_names_what_to_install(X, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ImportError, match=re.escape("ganmf-fast[gan]")):
        gf.CFGAN(epochs=1).fit(X)
