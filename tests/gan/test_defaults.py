"""What is not given to GANMF: published beside a weight of matching, else chosen for the data."""

import inspect
from dataclasses import fields

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from sklearn.base import clone

import ganmf_fast as gf
from ganmf_fast import _core
from ganmf_fast.base.threads import get_num_threads
from ganmf_fast.base.urm import as_csr
from ganmf_fast.experiments.variants import VARIANTS
from ganmf_fast.gan import defaults
from ganmf_fast.gan.defaults import (
    CHOSEN,
    MOST_EPOCHS,
    NOISE,
    PUBLISHED,
    chosen_for,
    most_epochs_from_ease,
)
from ganmf_fast.models.early_stopping import epochs_for_more_data

pytest.importorskip("torch", reason="GANs are trained with torch")

# As every default was before it could be chosen.
BEFORE = {
    "num_factors": 100, "emb_dim": 400, "batch_size": 512, "m": 10.0, "d_lr": 1e-4, "g_lr": 2e-3,
    "d_reg": 1e-5, "g_reg": 0.0, "d_steps": 1, "g_steps": 1, "step": "auto", "d_dropout": 0.0,
    "g_ema": 0.0, "g_reg_exponent": 0.0, "init": "glorot", "d_emphasis": 1.0,
    "matching": "features", "user_factors": "learned", "d_init": "glorot", "epochs": 300,
    "norm_exponent": 0.0,
}  # fmt: skip
SMALL = {"num_factors": 5, "emb_dim": 7, "batch_size": 16, "epochs": 4, "device": "cpu"}


def used(model: gf.GANMF) -> dict:
    """Every parameter as it was used."""
    return {**model.get_params(), **model.chosen_params_}


def test_with_a_weight_of_matching_all_defaults_are_the_published_ones(toy_urm) -> None:
    model = gf.GANMF(recon_coefficient=0.1, epochs=2, device="cpu").fit(toy_urm)
    found = used(model)
    assert {name: found[name] for name in BEFORE} == {**BEFORE, "epochs": 2}
    plain = gf.GANMF(**{**BEFORE, "epochs": 2}, recon_coefficient=0.1, device="cpu").fit(toy_urm)
    assert plain.chosen_params_ == {}
    assert_array_equal(model.user_factors_, plain.user_factors_)
    assert_array_equal(model.item_factors_, plain.item_factors_)


def test_the_rows_of_the_paper_give_the_weight_and_every_published_parameter() -> None:
    rows = [row for row in VARIANTS if row.model == "GANMF"]
    assert rows
    for row in rows:
        params = {**row.fixed, **row.defaults}
        assert params["recon_coefficient"] is not None
        completed = gf.GANMF.completed({**row.signature, **params})
        assert None not in (completed[name] for name in CHOSEN)
        assert completed["matching"] == "features"
        assert completed["epochs"] == MOST_EPOCHS


@pytest.mark.slow
def test_a_published_model_without_epochs_trains_three_hundred(toy_urm) -> None:
    params = {**SMALL, "epochs": None, "recon_coefficient": 0.2}
    model = gf.GANMF(**params).fit(toy_urm)
    assert len(model.history_) == model.best_epoch_ == 300


def test_what_is_passed_is_what_get_params_has_and_what_is_fitted(toy_urm) -> None:
    model = gf.GANMF(num_factors=5, epochs=3, seed=4, device="cpu")
    params = model.get_params()
    assert all(params[name] is None for name in CHOSEN if name not in ("num_factors", "epochs"))
    model.fit(toy_urm)
    assert model.get_params() == params == clone(model).get_params()
    assert set(model.chosen_params_) == set(CHOSEN) - {"num_factors", "epochs"}
    assert model.user_factors_.shape[1] == 5
    assert len(model.history_) == 3
    again = gf.GANMF(**used(model)).fit(toy_urm)
    assert_array_equal(again.user_factors_, model.user_factors_)
    assert again.chosen_params_ == {}


def test_parameters_follow_users_items_and_interactions(toy_urm) -> None:
    csr = as_csr(toy_urm)
    chosen = chosen_for(csr.n_rows, csr.n_cols, csr.nnz, None)
    by_user = gf.GANMF(epochs=2, device="cpu").fit(toy_urm).chosen_params_
    by_item = gf.GANMF(epochs=2, device="cpu", mode="item").fit(toy_urm).chosen_params_
    assert by_user == chosen
    assert by_item == chosen_for(csr.n_cols, csr.n_rows, csr.nnz, None)
    denser = chosen_for(csr.n_rows, csr.n_cols, 2 * csr.nnz, None)
    assert denser["d_reg"] == pytest.approx(2 * chosen["d_reg"])
    # Sides of four times the length at the same density: the noise of a cell is a sixteenth.
    larger = chosen_for(4 * csr.n_rows, 4 * csr.n_cols, 16 * csr.nnz, None)
    assert larger["d_reg"] == pytest.approx(chosen["d_reg"] / 4)


def test_the_penalty_is_the_edge_of_the_spectrum_of_noise() -> None:
    """Of a random matrix whose interactions have no structure."""
    rng = np.random.default_rng(3)
    X = (rng.random((900, 400)) < 0.02).astype(np.float64)
    largest = np.linalg.svd(X - X.mean(), compute_uv=False)[0] ** 2
    one = chosen_for(900, 400, int(X.sum()), None)["d_reg"]
    assert one / NOISE * X.size == pytest.approx(largest, rel=0.08)


def test_features_are_matched_with_a_published_weight(toy_urm) -> None:
    model = gf.GANMF(matching="features", epochs=1, device="cpu").fit(toy_urm)
    assert model.chosen_params_["recon_coefficient"] == 0.1
    assert gf.GANMF(epochs=1, device="cpu").fit(toy_urm).chosen_params_["recon_coefficient"] > 0.5


def test_epochs_are_those_of_nine_tenths_for_more_data(toy_urm) -> None:
    # From a start that is no model, which no validation keeps.
    start = {"d_init": "glorot", "init": "glorot"}
    params = {**SMALL, **start, "epochs": None, "freq": 2, "seed": 3}
    model = gf.GANMF(**params).fit(toy_urm)
    csr = as_csr(toy_urm)
    labels = _core.split_k_fold(csr, 10, per_user=True, seed=3)
    rest, held_out = _core.part_cells(csr, labels, 0)
    given = {**params, **model.chosen_params_, "epochs": None}
    search = gf.GANMF(**given).fit(rest, validation=held_out)
    wanted = epochs_for_more_data(search.best_epoch_, csr.nnz / rest.nnz)
    assert model.best_epoch_ == len(model.history_) == model.chosen_params_["epochs"] == wanted
    plain = gf.GANMF(**{**params, **model.chosen_params_}).fit(toy_urm)
    assert_array_equal(plain.user_factors_, model.user_factors_)


def test_the_number_of_factors_is_best_on_what_is_held_out(toy_urm) -> None:
    csr = as_csr(toy_urm)
    law = chosen_for(csr.n_rows, csr.n_cols, csr.nnz, None)["num_factors"]
    labels = _core.split_k_fold(csr, 10, per_user=True, seed=3)
    rest, held_out = _core.part_cells(csr, labels, 0)
    sizes = [round(0.5 * law), law, min(2 * law, csr.n_cols)]
    params = {"seed": 3, "device": "cpu"}
    # The same starts, with what the whole of the data chooses.
    for fitted, validation in ((csr, None), (rest, held_out)):
        chosen = gf.GANMF(**params, epochs=0).fit(fitted).chosen_params_ | params
        values = {}
        for size in sizes:
            start = gf.GANMF(**{**chosen, "num_factors": size, "epochs": 0}).fit(rest)
            values[size] = gf.evaluate(start, rest, held_out, cutoffs=(20,))["ndcg", 20]
        best = max(sizes, key=lambda size: values[size])
        assert len(set(values.values())) > 1
        model = gf.GANMF(**params).fit(fitted, validation=validation)
        assert model.chosen_params_["num_factors"] == best
    # Only where epochs are sought as well.
    assert gf.GANMF(**params, epochs=2).fit(csr).chosen_params_["num_factors"] == law


def test_large_data_have_fewer_epochs_and_never_fewer_than_ten() -> None:
    def most(n_rows: int, n_cols: int, nnz: int) -> int:
        return most_epochs_from_ease(n_rows, n_cols, nnz, chosen_for(n_rows, n_cols, nnz, None))

    assert most(943, 1_682, 80_000) == MOST_EPOCHS  # MovieLens 100K
    assert 30 <= most(6_040, 3_706, 900_000) <= 90  # MovieLens 1M
    assert most(1_000_000, 100_000, 100_000_000) == 10


def test_a_search_for_epochs_ends_with_the_most_that_its_data_may_have(
    toy_urm, monkeypatch
) -> None:
    monkeypatch.setattr(defaults, "_MOST_WORK", 0)
    params = {"seed": 3, "device": "cpu", "allow_worse": 100}
    split = gf.split.holdout(toy_urm, 0.2, seed=1)
    model = gf.GANMF(**params).fit(split.train, validation=split.test)
    assert len(model.history_) == model.chosen_params_["epochs"] == 10
    assert gf.GANMF(**params).fit(toy_urm).best_epoch_ <= epochs_for_more_data(10, 10 / 9)
    # What does not start as a model needs its epochs, and what is given is given.
    start = {"d_init": "glorot", "init": "glorot", "freq": 50}
    model = gf.GANMF(**params, **start).fit(split.train, validation=split.test)
    assert len(model.history_) == MOST_EPOCHS
    assert len(gf.GANMF(**params, epochs=12).fit(toy_urm).history_) == 12


def test_epochs_are_found_by_the_metric_that_is_asked_for(toy_urm) -> None:
    params = {**SMALL, "epochs": None, "freq": 1, "d_lr": 1e-2, "g_lr": 1e-2}
    found = {
        (metric, k): gf.GANMF(**params).fit(toy_urm, metric=metric, k=k).best_epoch_
        for metric, k in (("map", 5), ("recall", 30))
    }
    assert len(set(found.values())) == 2


def test_with_validation_training_stops_early_on_that(toy_urm) -> None:
    split = gf.split.holdout(toy_urm, 0.2)
    model = gf.GANMF(**{**SMALL, "epochs": None}).fit(split.train, validation=split.test)
    assert model.chosen_params_["epochs"] == MOST_EPOCHS
    assert any("validation" in row for row in model.history_)
    assert model.urm_.nnz == split.train.nnz


def test_data_of_which_nothing_can_be_held_out_are_fitted() -> None:
    X = sp.csr_array(np.eye(2, 3, dtype=np.float32))
    model = gf.GANMF(num_factors=1, emb_dim=1, device="cpu").fit(X)
    # No epoch is better than the start at the little that is held out.
    assert model.best_epoch_ == 0
    assert np.isfinite(model.score_users([0, 1])).all()


def test_the_number_of_threads_changes_no_bit(toy_urm) -> None:
    fitted = []
    before = get_num_threads()
    try:
        for threads in (1, 2):
            gf.set_num_threads(threads)
            fitted.append(gf.GANMF(device="cpu", freq=2, allow_worse=1).fit(toy_urm))
    finally:
        gf.set_num_threads(before)
    assert fitted[0].best_epoch_ == fitted[1].best_epoch_
    assert_array_equal(fitted[0].user_factors_, fitted[1].user_factors_)


def test_what_was_chosen_is_saved(toy_urm, tmp_path) -> None:
    model = gf.GANMF(epochs=2, device="cpu").fit(toy_urm)
    model.save(tmp_path / "model.safetensors")
    again = gf.load(tmp_path / "model.safetensors")
    assert again.chosen_params_ == model.chosen_params_
    assert again.get_params() == model.get_params()


def test_a_checkpoint_of_chosen_parameters_goes_on_to_the_same_bits(toy_urm, tmp_path) -> None:
    path = tmp_path / "checkpoint"
    params = {**SMALL, "epochs": 6, "checkpoint_every": 2, "checkpoint_path": str(path)}
    whole = gf.GANMF(**{**SMALL, "epochs": 6}).fit(toy_urm)

    def stop(epoch: int, _values: object) -> None:
        if epoch == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gf.GANMF(**params).fit(toy_urm, callback=stop)
    assert path.exists()
    resumed = gf.GANMF(**params).fit(toy_urm)
    assert_array_equal(resumed.user_factors_, whole.user_factors_)


def test_a_search_leaves_what_it_does_not_search_to_be_chosen(toy_urm) -> None:
    space = {"num_factors": {"int": [3, 6]}}
    model = gf.GANMF(freq=2, allow_worse=1, device="cpu")
    found = gf.tune(model, toy_urm, protocol="dense", space=space, backend="random", n_calls=2)
    assert found.n_failed == 0
    final = found.final.model
    assert final.chosen_params_["matching"] == "leave-one-out"
    assert "epochs" not in final.chosen_params_
    assert final.get_params()["epochs"] == found.best_trial.epochs


def test_none_is_refused_where_nothing_is_chosen(toy_urm) -> None:
    with pytest.raises(TypeError, match="seed must be an integer, not None"):
        gf.GANMF(seed=None).fit(toy_urm)
    with pytest.raises(TypeError, match="num_factors must be an integer, not None"):
        gf.BinGANMF(num_factors=None).fit(toy_urm)


def test_the_published_defaults_are_those_of_before_and_the_docstring_says_them() -> None:
    assert {name: BEFORE[name] for name in PUBLISHED} == PUBLISHED
    for field in fields(gf.GANMF):
        assert (field.default is None) == (field.name in (*CHOSEN, "checkpoint_path"))
    notes = " ".join(inspect.getdoc(gf.GANMF).partition("Notes\n")[2].split())
    sizes = ("num_factors", "emb_dim", "batch_size", "epochs")
    for name in sizes:
        assert f"`{name}` {PUBLISHED[name]}" in notes
    for said in ("`m` 10", "`d_lr` 1e-4", "`g_lr` 2e-3", "`d_reg` 1e-5", "`d_dropout` 0"):
        assert said in notes
