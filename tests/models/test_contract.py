"""One contract that every model keeps."""

import copy
import importlib.util
import inspect
import re
import sys

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import (
    check_no_attributes_set_in_init,
    check_parameters_default_constructible,
)

import ganmf_fast as gf
from ganmf_fast import _core, models
from ganmf_fast._core import RankRequest
from ganmf_fast.base import checks, threads
from ganmf_fast.base.urm import as_csr
from ganmf_fast.models import registry
from ganmf_fast.models.base import Recommender
from ganmf_fast.models.recommendations import Recommendations
from ganmf_fast.scorers.autoencoder import Autoencoder
from ganmf_fast.scorers.dense import DenseWeights, DualEase
from ganmf_fast.scorers.factors import Factors
from ganmf_fast.scorers.popularity import Popularity
from ganmf_fast.scorers.profile_maps import LinearMap
from ganmf_fast.scorers.random import RandomScores
from ganmf_fast.scorers.weights import ItemWeights, UserWeights

SETTINGS = {
    "TopPopular": {},
    "Random": {"seed": 3},
    "PureSVD": {"num_factors": 6},
    "ItemKNN": {"topk": 7, "shrink": 2.5},
    "UserKNN": {"topk": 7, "shrink": 2.5},
    "P3alpha": {"topk": 7, "alpha": 0.8},
    "RP3beta": {"topk": 7, "alpha": 0.8, "beta": 0.3},
    "SLIMBPR": {"topk": 9, "epochs": 20},
    "SLIMElasticNet": {"topk": 7, "alpha": 0.005, "l1_ratio": 0.2},
    "EASE": {"l2": 5.0},
    "WRMF": {"num_factors": 6, "epochs": 60, "reg": 1.0},
    "BPRMF": {"num_factors": 6, "epochs": 20, "dns": 2},
    "APR": {"num_factors": 6, "epochs": 6, "warm_epochs": 3},
    "IRGAN": {"num_factors": 4, "epochs": 3, "pretrain_epochs": 5, "d_epochs": 2, "g_epochs": 2},
    "CDAE": {"num_factors": 6, "epochs": 4},
    "GraphGAN": {"num_factors": 4, "epochs": 3, "pretrain_epochs": 5, "d_epochs": 2},
    "CoFiGAN": {
        "num_factors": 4,
        "epochs": 3,
        "pretrain_epochs": 5,
        "d_epochs": 2,
        "g_epochs": 2,
    },
    "GANMF": {
        "num_factors": 4,
        "emb_dim": 8,
        "epochs": 3,
        "batch_size": 16,
        "device": "cpu",
    },
    "BinGANMF": {"num_factors": 4, "d_nodes": 8, "epochs": 3, "batch_size": 16, "device": "cpu"},
    "CFGAN": {"g_nodes": 8, "d_nodes": 4, "epochs": 3, "device": "cpu"},
    "CAAE": {
        "num_factors": 4,
        "g_units": 8,
        "gpr_units": 6,
        "d_steps": 1,
        "g_steps": 3,
        "epochs": 2,
        "device": "cpu",
    },
    "RAGAN": {"g_nodes": 8, "d_nodes": 4, "epochs": 3, "device": "cpu"},
    "AugCF": {"num_factors": 4, "epochs": 4, "adversarial_epochs": 2, "device": "cpu"},
}
GANS = ("GANMF", "BinGANMF", "CFGAN", "CAAE", "RAGAN", "AugCF")


def make(name: str) -> Recommender:
    if name in GANS and importlib.util.find_spec("torch") is None:
        pytest.skip(f"{name} is fitted with torch, which is not installed")
    return registry.model_class(name)(**SETTINGS[name])


@pytest.fixture(params=list(registry.NAMES))
def model(request) -> Recommender:
    return make(request.param)


@pytest.fixture(scope="module")
def fits() -> dict[str, Recommender]:
    return {}


@pytest.fixture
def fitted(model, toy_urm, fits) -> Recommender:
    """Fitted once for all tests that only look at it."""
    name = type(model).__name__
    if name not in fits:
        fits[name] = model.fit(toy_urm)
    return fits[name]


@pytest.fixture
def both_thread_counts(threads_restored):
    return (1, 2)


def test_every_registered_model_is_under_contract():
    assert set(SETTINGS) == set(registry.NAMES)
    for name in registry.NAMES:
        assert name in dir(gf)


def test_parameters_are_stored_as_given_and_survive_a_clone(model):
    params = model.get_params()
    assert SETTINGS[type(model).__name__].items() <= params.items()
    again = clone(model)
    assert again is not model
    assert again.get_params() == params
    assert again.set_params(**params) is again
    assert type(model).__name__ in repr(model)


def test_scikit_learn_finds_a_well_made_estimator(model):
    name = type(model).__name__
    check_no_attributes_set_in_init(name, model)
    check_parameters_default_constructible(name, model)


def test_every_parameter_is_documented(model):
    documented = re.findall(r"^(\w[\w, ]*) : ", inspect.getdoc(type(model)), re.MULTILINE)
    names = {name for line in documented for name in line.split(", ")}
    assert set(model.get_params()) <= names


def test_the_callback_sees_the_history_and_can_end_the_fit(model, toy_urm, toy_held_out):
    rows = []
    model.fit(
        toy_urm,
        validation=toy_held_out,
        callback=lambda epoch, values: rows.append((epoch, dict(values))),
    )
    if not model.iterative:
        assert not rows
        return
    assert rows == [(row["epoch"], row) for row in model.history_]
    assert "validation" in rows[-1][1]

    class EnoughError(Exception):
        pass

    def stop(epoch, _values):
        if epoch == 2:
            raise EnoughError

    with pytest.raises(EnoughError):
        clone(model).fit(toy_urm, callback=stop)


def test_a_callback_that_cannot_be_called_is_named(model, toy_urm):
    with pytest.raises(TypeError, match="callback must be called as"):
        model.fit(toy_urm, callback=3)


def test_fit_returns_the_model_and_sets_its_shape(model, toy_urm):
    assert model.fit(toy_urm) is model
    assert (model.n_users_, model.n_items_) == toy_urm.shape
    assert model.user_ids_ is None


def test_clone_of_a_fitted_model_is_not_fitted(fitted):
    with pytest.raises(NotFittedError, match="call fit first"):
        clone(fitted).recommend(0)


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.recommend(0),
        lambda m: m.score_users(0),
        lambda m: m.similar_items(0),
        lambda m: m.fold_in(np.eye(3)),
        lambda m: m.save("never.safetensors"),
        lambda m: m.user_factors_,
        lambda m: m.item_weights_,
    ],
)
def test_every_use_before_fit_says_so(model, call):
    with pytest.raises(NotFittedError, match=f"{type(model).__name__} is not fitted"):
        call(model)


def test_lists_have_the_promised_shape_and_types(fitted):
    rec = fitted.recommend([3, 0, 3], n=6)
    assert isinstance(rec, Recommendations)
    assert rec.items.shape == rec.scores.shape == (3, 6)
    assert rec.items.dtype == np.int32
    assert rec.scores.dtype == np.float32
    assert np.array_equal(rec.items[0], rec.items[2])
    assert (np.diff(rec.scores, axis=1) <= 0).all()


@pytest.mark.parametrize("users", [4, np.int32(4), [4], (4,), np.array([4], np.uint8), range(4, 5)])
def test_users_may_be_given_in_any_integer_form(fitted, users):
    assert np.array_equal(fitted.recommend(users, n=5).items, fitted.recommend([4], n=5).items)


def test_no_users_give_no_lists(fitted):
    assert fitted.recommend([], n=5).items.shape == (0, 5)


def test_seen_items_are_left_out_unless_asked_for(fitted, toy_urm):
    users = np.arange(60)
    items = fitted.recommend(users, n=40).items
    for user in users:
        seen = set(toy_urm.indices[toy_urm.indptr[user] : toy_urm.indptr[user + 1]].tolist())
        listed = [i for i in items[user].tolist() if i >= 0]
        assert set(listed) == set(range(40)) - seen
    everything = fitted.recommend(users, n=40, exclude_seen=False).items
    assert (np.sort(everything, axis=1) == np.arange(40)).all()


def test_lists_longer_than_the_catalogue_are_padded(fitted, toy_urm):
    rec = fitted.recommend([1], n=55)
    unseen = 40 - (toy_urm.indptr[2] - toy_urm.indptr[1])
    assert rec.items.shape == (1, 55)
    assert (rec.items[0, :unseen] >= 0).all()
    assert (rec.items[0, unseen:] == -1).all()
    assert (rec.scores[0, unseen:] == -np.inf).all()


def test_candidates_bound_the_lists_and_keep_their_order(fitted):
    candidates = [30, 2, 17, 2, 9]
    free = fitted.recommend(np.arange(60), n=40).items
    bound = fitted.recommend(np.arange(60), n=40, candidates=candidates).items
    for a, b in zip(free, bound, strict=True):
        assert [i for i in a if i in candidates] == [i for i in b if i >= 0]


def test_lists_are_the_scores_in_order(fitted, toy_urm):
    users = np.arange(60)
    scores = fitted.score_users(users)
    assert scores.shape == (60, 40)
    assert scores.dtype == np.float32
    rec = fitted.recommend(users, n=8)
    picked = np.take_along_axis(scores, rec.items.astype(np.int64), axis=1)
    np.testing.assert_allclose(rec.scores, picked, rtol=1e-4, atol=1e-5)
    scores[toy_urm.toarray() > 0] = -np.inf
    np.put_along_axis(scores, rec.items.astype(np.int64), -np.inf, axis=1)
    assert (rec.scores[:, -1] >= scores.max(axis=1) - 1e-5).all()


def test_lists_can_have_lengths_of_their_own(fitted):
    users = [0, 5, 9]
    plain, ragged = fitted.recommend(users, 6), fitted.recommend(users, [1, 6, 3])
    for row, length in enumerate([1, 6, 3]):
        assert ragged.items[row, :length].tolist() == plain.items[row, :length].tolist()
        assert (ragged.items[row, length:] == -1).all()
        assert np.isneginf(ragged.scores[row, length:]).all()
    with pytest.raises(ValueError, match="n must be at least 1, not 0 for user 2 of users"):
        fitted.recommend(users, [1, 2, 0])
    with pytest.raises(TypeError, match="3 integers, one for each user"):
        fitted.recommend(users, [1, 2])


def test_excluded_items_are_left_out_and_the_others_keep_their_order(fitted):
    users = [0, 5, 9]
    everything = fitted.recommend(users, fitted.n_items_)
    banned = [int(everything.items[0, 0]), int(everything.items[1, 1])]
    some = fitted.recommend(users, 8, exclude_items=banned)
    for row in range(3):
        kept = [i for i in everything.items[row] if i >= 0 and i not in banned]
        assert some.items[row].tolist() == (kept + [-1] * 8)[:8]
    few = fitted.recommend(users, 3, candidates=[1, 2, 3], exclude_items=[2])
    assert set(few.items.ravel().tolist()) <= {1, 3, -1}
    with pytest.raises(ValueError, match="leaves no item"):
        fitted.recommend(users, 3, candidates=[2], exclude_items=[2])


def test_a_user_alone_gets_the_list_of_many_bit_for_bit(fitted):
    together = fitted.recommend(np.arange(60), n=9)
    for user in (0, 31, 59):
        alone = fitted.recommend(user, n=9)
        assert np.array_equal(alone.items[0], together.items[user])
        if not isinstance(fitted.scorer_, Autoencoder):
            assert alone.scores.tobytes() == together.scores[user].tobytes()
        else:  # BLAS multiplies one row in another order than many
            np.testing.assert_allclose(alone.scores[0], together.scores[user], rtol=1e-5)


def test_copies_rank_as_the_model_does_and_carry_nothing_that_can_be_made_again(fitted):
    expected = fitted.recommend([3, 4], n=5)
    again = copy.deepcopy(fitted)  # takes it apart as pickle does
    assert {"_index", "_order"}.isdisjoint(vars(again.scorer_))
    assert again.recommend([3, 4], n=5).scores.tobytes() == expected.scores.tobytes()


def test_items_of_each_user_are_the_items_of_one_user_at_a_time(fitted):
    users = [7, 2, 7, 40]
    rng = np.random.default_rng(5)
    rows = {user: rng.choice(40, size, replace=False) for user, size in ((7, 30), (2, 5), (50, 3))}
    matrix = sp.lil_array((4, 40))
    for place, user in enumerate(users):
        matrix[place, rows.get(user, [])] = -2.0
    pairs = [(user, item) for user, items in rows.items() for item in items]
    frame = pl.DataFrame(pairs, schema=["user_id", "item_id"], orient="row")
    for name in ("candidates", "exclude_items"):
        found = fitted.recommend(users, n=6, **{name: rows})
        for place, user in enumerate(users):
            items = rows.get(user)
            if items is None and name == "candidates":
                assert (found.items[place] == -1).all()
                continue
            one = fitted.recommend(user, n=6, **{name: items})
            assert found.items[place].tolist() == one.items[0].tolist()
            np.testing.assert_allclose(found.scores[place], one.scores[0], rtol=1e-5)
        for other in (matrix.tocsr(), frame, frame.to_pandas(), frame.to_dict(as_series=False)):
            same = fitted.recommend(users, n=6, **{name: other})
            assert np.array_equal(same.items, found.items)


NEAR = {"items": 40, "users": 60}


@pytest.mark.parametrize("what", NEAR)
def test_nobody_is_near_itself_and_many_are_asked_for_as_one_is(fitted, what):
    ask = getattr(fitted, f"similar_{what}")
    if isinstance(fitted.scorer_, Popularity | RandomScores):
        with pytest.raises(NotImplementedError, match=f"has no similar_{what}: nothing is known"):
            ask(0)
        return
    near = ask(5, n=70)
    assert near.items.shape == near.scores.shape == (70,)
    real = near.items >= 0
    assert 0 < real.sum() < NEAR[what]
    assert len(set(near.items[real])) == real.sum()
    assert 5 not in near.items
    assert (np.diff(near.scores[real]) <= 0).all()
    many = ask([11, 5, 5], n=70)
    assert many.items.shape == (3, 70)
    assert many.items[1].tolist() == many.items[2].tolist() == near.items.tolist()
    assert ask([], n=3).items.shape == (0, 3)


def test_contributions_sum_to_the_score(fitted, toy_urm):
    profile = toy_urm[[8]]
    scorer = fitted.scorer_of(as_csr(profile))
    if isinstance(scorer, ItemWeights | DenseWeights | DualEase):
        scores = fitted.score_users([8])[0]
    elif isinstance(scorer, Factors) and isinstance(scorer.profile_map, LinearMap):
        with_it, without = fitted.fold_in(sp.vstack([profile, 0 * profile]))
        # The bias of the map is that of a profile of this length.
        norms = scorer.profile_map.norms
        longer = 1 if norms is None else norms.divisors(as_csr(profile))[0] / norms.scale
        scores = with_it - longer * without
    else:
        with pytest.raises(NotImplementedError, match=f"{type(fitted).__name__} has no explain"):
            fitted.explain(0, 3)
        return
    listed = profile.indices
    for item in (int(listed[0]), *np.setdiff1d(np.arange(40), listed)[:4]):
        parts = fitted.explain(8, item)
        assert set(parts.items) <= set(listed)
        assert (np.diff(parts.scores) <= 0).all()
        assert parts.scores.sum() == pytest.approx(scores[item], abs=1e-5)
        assert fitted.explain(8, item, n=2).items.tolist() == parts.items[:2].tolist()
    with pytest.raises(ValueError, match="user must be one user, not 2"):
        fitted.explain([1, 2], 3)


def test_folding_in_a_fitted_profile_gives_the_scores_of_its_user(fitted, toy_urm):
    folded = fitted.fold_in(toy_urm)
    assert folded.shape == (60, 40)
    name = type(fitted).__name__
    # These fit factors step by step, or know a fitted user from a new one with the same profile.
    stepwise = {"BPRMF", "APR", "IRGAN", "CDAE", "CoFiGAN", "GraphGAN", "AugCF"}
    if name not in {"GANMF", "BinGANMF", "UserKNN", *stepwise}:
        # A decomposition of random data is an approximation, and the users of WRMF are half an
        # epoch older than its items; the other forms are exact.
        tolerance = 0.05 if name in ("PureSVD", "WRMF") else 1e-5
        np.testing.assert_allclose(folded, fitted.score_users(np.arange(60)), atol=tolerance)
    assert fitted.fold_in(sp.csr_array((2, 40))).shape == (2, 40)
    with pytest.raises(ValueError, match="profiles has 39 columns"):
        fitted.fold_in(np.ones((1, 39)))


def test_blocks_of_users_do_not_change_their_scores(fitted, toy_urm, monkeypatch):
    users = np.array([*range(60), 3, 3])
    scores = fitted.score_users(users)
    folded = fitted.fold_in(toy_urm)
    monkeypatch.setattr("ganmf_fast.scorers.dense._BLOCK_USERS", 7)
    np.testing.assert_allclose(fitted.score_users(users), scores, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(fitted.fold_in(toy_urm), folded, rtol=1e-6, atol=1e-6)


def test_fits_on_interactions_answer_in_the_callers_ids_and_frame(model):
    rng = np.random.default_rng(1)
    df = pl.DataFrame(
        {
            "who": [f"u{u}" for u in rng.integers(0, 20, 200)],
            "what": (rng.integers(0, 15, 200) * 10 + 1000).tolist(),
        }
    ).unique(maintain_order=True)
    data = gf.Interactions.from_frame(df, user="who", item="what")
    model.fit(data)
    rec = model.recommend(["u7", "u3"], n=4)
    assert isinstance(rec, pl.DataFrame)
    assert rec.columns == ["user", "rank", "item", "score"]
    assert rec["user"].unique(maintain_order=True).to_list() == ["u7", "u3"]
    assert set(rec["item"]) <= set(df["what"])
    seen = set(df.filter(pl.col("who") == "u7")["what"])
    assert not seen & set(rec.filter(pl.col("user") == "u7")["item"])
    row = int(data.user_index("u7")[0])
    plain = clone(model).fit(data.urm).recommend(row, n=4).items[0]
    mine = rec.filter(pl.col("user") == "u7")["item"].to_numpy()
    assert np.array_equal(mine, data.item_ids[plain[plain >= 0]])
    with pytest.raises(ValueError, match="'nobody' is unknown"):
        model.recommend(["nobody"])
    only = model.recommend("u7", n=15, candidates=[1000, 1010])
    assert set(only["item"]) <= {1000, 1010}


def test_saving_and_loading_changes_nothing(fitted, tmp_path):
    path = tmp_path / "model.safetensors"
    fitted.save(path)
    again = gf.load(path)
    assert type(again) is type(fitted)
    assert again.get_params() == fitted.get_params()
    a, b = (m.recommend(np.arange(60), n=15) for m in (fitted, again))
    assert np.array_equal(a.items, b.items)
    assert np.array_equal(a.scores, b.scores)
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]


def test_thread_count_does_not_change_the_result(model, toy_urm, both_thread_counts):
    results = []
    for n in both_thread_counts:
        threads.set_num_threads(n)
        fit = clone(model).fit(toy_urm)
        rec = fit.recommend(np.arange(60), n=12)
        results.append((fit.scorer_.tensors(), rec, fit.score_users(np.arange(60))))
    (weights_1, rec_1, scores_1), (weights_2, rec_2, scores_2) = results
    assert weights_1.keys() == weights_2.keys()
    for name, array in weights_1.items():
        assert np.array_equal(array, weights_2[name]), name
    assert np.array_equal(rec_1.items, rec_2.items)
    assert np.array_equal(rec_1.scores, rec_2.scores)
    assert np.array_equal(scores_1, scores_2)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (sp.csr_array((5, 4)), ValueError, "X is empty"),
        (np.zeros((5, 4)), ValueError, "X is empty"),
        (np.array([[1.0, -1.0]]), ValueError, "row 0, column 1"),
        (np.array([[1.0, np.nan]]), ValueError, "row 0, column 1"),
        (np.array([[1.0, np.inf]]), ValueError, "row 0, column 1"),
        (np.ones(3), ValueError, "X must have two dimensions"),
        (np.array([["a", "b"]]), TypeError, "X must hold real numbers"),
        ([[1, 0]], TypeError, "X must be a scipy sparse matrix"),
        (None, TypeError, "X must be"),
    ],
)
def test_fit_refuses_a_bad_matrix_in_one_sentence(model, X, error, message):
    with pytest.raises(error, match=message) as raised:
        model.fit(X)
    assert "\n" not in str(raised.value)
    assert not hasattr(model, "scorer_")


def test_fit_refuses_validation_of_another_shape(model, toy_urm):
    with pytest.raises(ValueError, match="validation is 60 x 39"):
        model.fit(toy_urm, validation=toy_urm[:, :39])


def test_early_stopping_warns_of_validation_that_is_fitted(model, toy_urm, toy_held_out):
    mixed = toy_held_out.tolil()
    mixed[3, toy_urm.indices[toy_urm.indptr[3]]] = 1
    if not model.iterative:
        assert model.fit(toy_urm, validation=mixed) is model
        return
    with pytest.warns(UserWarning, match=r"validation holds 1 of its \d+ .* X holds .* user 3 and"):
        model.fit(toy_urm, validation=mixed)
    # By id, whatever the order.
    data = gf.Interactions.from_matrix(toy_urm)
    users, items = toy_urm.nonzero()
    turned = gf.Interactions.from_frame({"u": users[::-1], "i": items[::-1]}, "u", "i")
    with pytest.warns(UserWarning, match="pass validation without the interactions of X"):
        model.fit(data, validation=turned)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: m.recommend(60), ValueError, "user 60 does not exist"),
        (lambda m: m.recommend([0, -1]), ValueError, "user -1 does not exist"),
        (lambda m: m.recommend(2**62), ValueError, "user 4611686018427387904 does not exist"),
        (lambda m: m.recommend(1.0), TypeError, "users must be integer"),
        (lambda m: m.recommend("7"), TypeError, "users must be integer"),
        (lambda m: m.recommend([True]), TypeError, "users must be integer"),
        (lambda m: m.recommend([[0]]), ValueError, "users must be one-dimensional"),
        (lambda m: m.recommend(0, n=0), ValueError, "n must be at least 1, not 0"),
        (lambda m: m.recommend(0, n=-3), ValueError, "n must be at least 1, not -3"),
        (
            lambda m: m.recommend([0, True]),
            TypeError,
            r"users must hold numbers alone, not \[0, Tr",
        ),
        (lambda m: m.recommend([0, 1], n=[True, 2]), TypeError, "n must hold numbers alone"),
        (lambda m: m.recommend(0, n=2.5), TypeError, "n must be an integer, not 2.5"),
        (lambda m: m.recommend(0, candidates=[40]), ValueError, "candidate 40 does not exist"),
        (lambda m: m.recommend(0, candidates=[]), ValueError, "candidates is empty"),
        (lambda m: m.score_users([60]), ValueError, "user 60 does not exist"),
        (lambda m: m.similar_items(40), ValueError, "item 40 does not exist"),
        (lambda m: m.similar_users([0, 60]), ValueError, "user 60 does not exist"),
        (lambda m: m.explain(0, [0, 1]), ValueError, "item must be one item"),
        (lambda m: m.similar_items(0, n=0), ValueError, "n must be at least 1"),
    ],
)
def test_bad_requests_are_answered_in_one_sentence(fitted, call, error, message):
    with pytest.raises(error, match=message) as raised:
        call(fitted)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "params", "error", "message"),
    [
        ("PureSVD", {"num_factors": 0}, ValueError, "num_factors must be at least 1, not 0"),
        ("PureSVD", {"num_factors": 41}, ValueError, "num_factors must be at most 40"),
        ("PureSVD", {"num_factors": 5.0}, TypeError, "num_factors must be an integer, not 5.0"),
        ("PureSVD", {"seed": -1}, ValueError, "seed must be between 0 and"),
        ("ItemKNN", {"topk": 0}, ValueError, "topk must be at least 1, not 0"),
        ("ItemKNN", {"topk": True}, TypeError, "topk must be an integer, not True"),
        ("ItemKNN", {"topk": "5"}, TypeError, "topk must be an integer, not '5'"),
        ("ItemKNN", {"shrink": -1}, ValueError, "shrink must be at least 0, not -1"),
        ("ItemKNN", {"shrink": float("nan")}, ValueError, "shrink must be finite, not nan"),
        ("ItemKNN", {"similarity": "cosin"}, ValueError, 'did you mean "cosine"'),
        ("ItemKNN", {"feature_weighting": "TFIDF"}, ValueError, 'did you mean "TF-IDF"'),
        ("ItemKNN", {"normalize": "yes"}, TypeError, "normalize must be True or False"),
        ("ItemKNN", {"tversky_beta": 3}, ValueError, "tversky_beta must be between 0 and 2"),
        ("UserKNN", {"asymmetric_alpha": -1}, ValueError, "asymmetric_alpha must be between 0 and"),
        ("UserKNN", {"similarity_from_distance_mode": "lim"}, ValueError, 'did you mean "lin"'),
        ("UserKNN", {"normalize_avg_row": 0}, TypeError, "normalize_avg_row must be True or False"),
        ("RP3beta", {"beta": -0.5}, ValueError, "beta must be at least 0, not -0.5"),
        ("P3alpha", {"topk": -4}, ValueError, "topk must be at least 1, not -4"),
        ("P3alpha", {"alpha": -0.1}, ValueError, "alpha must be at least 0, not -0.1"),
        ("P3alpha", {"alpha": None}, TypeError, "alpha must be a number, not None"),
        ("P3alpha", {"prune_columns": 1}, TypeError, "prune_columns must be True or False"),
        ("Random", {"seed": -1}, ValueError, "seed must be between 0 and"),
        ("SLIMBPR", {"topk": 0}, ValueError, "topk must be at least 1, not 0"),
        ("WRMF", {"reg": 0}, ValueError, "reg must be greater than 0, not 0"),
        ("SLIMElasticNet", {"alpha": -1}, ValueError, "alpha must be at least 0, not -1"),
        ("SLIMElasticNet", {"l1_ratio": 1.5}, ValueError, "l1_ratio must be between 0 and 1"),
        ("SLIMElasticNet", {"tol": 0.0}, ValueError, "tol must be between"),
        ("EASE", {"l2": 0.0}, ValueError, "l2 must be greater than 0, not 0"),
        ("EASE", {"l2": float("inf")}, ValueError, "l2 must be finite"),
        ("GANMF", {"mode": "users"}, ValueError, 'did you mean "user"'),
        ("GANMF", {"num_factors": 0}, ValueError, "num_factors must be"),
    ],
)
def test_bad_parameters_are_named_at_fit(name, params, error, message, toy_urm):
    model = make(name).set_params(**params)
    with pytest.raises(error, match=message):
        model.fit(toy_urm)


def test_unknown_models_get_a_suggestion():
    with pytest.raises(ValueError, match="did you mean 'ItemKNN'"):
        registry.model_class("itemKN")
    with pytest.raises(AttributeError, match="Nonsense"):
        _ = models.Nonsense


@pytest.mark.parametrize("name", GANS)
def test_gans_without_torch_say_what_to_install(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=rf'{name} needs torch: pip install "ganmf-fast\[gan\]"'):
        getattr(gf, name)


def test_ease_refuses_what_does_not_fit_into_memory_before_it_starts():
    side = 3_000_000
    X = sp.csr_array((np.ones(1), ([0], [0])), shape=(side, side))
    with pytest.raises(MemoryError, match=r"needs .* GiB .* ItemKNN"):
        gf.EASE().fit(X)


def test_ease_on_100000_items_names_what_to_use_instead(monkeypatch):
    monkeypatch.setattr(checks, "available_memory", lambda: 16 * 2**30)
    side = 100_000
    X = sp.csr_array((np.ones(1), ([0], [0])), shape=(side, side))
    with pytest.raises(MemoryError, match=r"83.8 GiB .* SLIMElasticNet .* ItemKNN"):
        gf.EASE().fit(X)


@pytest.mark.parametrize(
    "scorer",
    [
        Popularity(np.ones(5, np.float32)),
        Factors(np.ones((2, 3), np.float32), np.ones((5, 3), np.float32)),
        ItemWeights(as_csr(np.ones((5, 5)))),
        UserWeights(as_csr(np.array([[1, 0], [0, 1]])), 5),
        DenseWeights(np.ones((5, 5), np.float32)),
    ],
    ids=lambda s: s.kind,
)
def test_ties_go_to_the_smaller_item(scorer):
    profiles = as_csr(np.array([[0, 0, 1, 0, 0], [1, 0, 0, 0, 0]]))
    items, _ = scorer.rank(profiles, RankRequest(np.array([0, 1]), 3, profiles))
    assert items.tolist() == [[0, 1, 3], [1, 2, 3]]


def test_a_score_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="user_factors holds nan at"):
        Factors(np.array([[np.nan]], np.float32), np.ones((5, 1), np.float32))
    weights = DenseWeights(np.full((3, 3), 3e38, np.float32))
    with pytest.raises(ValueError, match="user 0 has a score that is not finite"):
        weights.rank(as_csr(np.ones((1, 3))), RankRequest(np.array([0]), 2))


def test_setting_the_number_of_threads_refuses_nonsense():
    for n in (0, -1, 2000):
        with pytest.raises(ValueError, match="threads"):
            threads.set_num_threads(n)
    for n in (True, 1.5, "2"):
        with pytest.raises(TypeError, match="integer number of threads"):
            threads.set_num_threads(n)


def test_the_number_of_threads_comes_back_after_the_block():
    before = _core.get_num_threads()
    with threads.num_threads(before + 1):
        assert _core.get_num_threads() == before + 1
    with threads.num_threads(None):
        assert _core.get_num_threads() == before
    assert _core.get_num_threads() == before
