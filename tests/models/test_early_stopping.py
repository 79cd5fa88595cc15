"""Early stopping on any metric and cutoff, by all iterative models in one way."""

import importlib.util

import numpy as np
import pytest
import scipy.sparse as sp

import ganmf_fast as gf
from ganmf_fast.evaluation import METRICS
from ganmf_fast.models.early_stopping import LessStandardError

MODELS = {
    "WRMF": {"num_factors": 3, "epochs": 4},
    "SLIMBPR": {"topk": 10, "epochs": 4},
    # From random weights: a start as EASE is evaluated too.
    "GANMF": {"num_factors": 3, "emb_dim": 4, "epochs": 4, "d_init": "glorot", "device": "cpu"},
}


@pytest.fixture(scope="module")
def halves():
    rng = np.random.default_rng(2)
    dense = rng.random((40, 25)) < 0.3
    held = dense & (rng.random(dense.shape) < 0.3)
    return [sp.csr_array(part.astype(np.float32)) for part in (dense & ~held, held)]


def stopped(name, halves, **kwargs):
    if name == "GANMF" and importlib.util.find_spec("torch") is None:
        pytest.skip("GANs need torch, which is not installed")
    model = getattr(gf, name)(freq=1, allow_worse=9, **MODELS[name])
    return model.fit(halves[0], validation=halves[1], **kwargs)


@pytest.mark.parametrize(
    ("name", "metric", "k"),
    [
        *(("WRMF", metric, 7) for metric in METRICS),
        *((name, *rule) for name in MODELS for rule in (("ndcg", 10), ("recall", 3))),
        ("WRMF", "ndcg", 1000),
    ],
)
def test_the_best_epoch_has_the_largest_value_of_the_metric(halves, name, metric, k):
    model = stopped(name, halves, metric=metric, k=k)
    values = [row["validation"] for row in model.history_]
    assert model.best_epoch_ == 1 + int(np.argmax(values))
    assert gf.evaluate(model, *halves, cutoffs=[k])[metric, k] == max(values)


@pytest.mark.parametrize("name", MODELS)
def test_map_at_5_is_the_default(halves, name):
    usual = stopped(name, halves)
    same = stopped(name, halves, metric="map", k=5)
    assert [row["validation"] for row in usual.history_] == [
        row["validation"] for row in same.history_
    ]
    assert usual.best_epoch_ == same.best_epoch_


@pytest.mark.parametrize(
    ("kwargs", "error", "words"),
    [
        ({"metric": "ndgc"}, ValueError, "did you mean 'ndcg'"),
        ({"metric": ["map"]}, TypeError, "metric must be the name of a metric"),
        ({"metric": None}, TypeError, "metric must be the name of a metric"),
        ({"k": 0}, ValueError, "k must be at least 1"),
        ({"k": "5"}, TypeError, "k must be an integer"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(halves, kwargs, error, words):
    with pytest.raises(error, match=words):
        stopped("WRMF", halves, **kwargs)


class Values:
    """Values of users that are there already."""

    def user_values(self, scorer):
        return np.array(scorer, dtype=np.float64)


def test_a_start_is_left_for_a_difference_of_a_standard_error():
    rng = np.random.default_rng(0)
    start = rng.random(50)
    noise = rng.normal(size=50)
    noise -= noise.mean()
    error = noise.std(ddof=1) / np.sqrt(50)
    value = LessStandardError(Values())
    assert value(start) == pytest.approx(start.mean())
    assert value(start + 1.01 * error + noise) > start.mean() > value(start + 0.99 * error + noise)
    # The same gain of every user is one that can be told.
    assert value(start + 1e-3) == pytest.approx(start.mean() + 1e-3)
    # It is the start that differences are taken from, not what came since.
    assert value(start) == pytest.approx(start.mean())


def test_one_user_tells_no_difference():
    value = LessStandardError(Values())
    assert value([0.5]) == value([0.5]) == 0.5
    assert value([0.9]) == -np.inf


def test_the_start_of_ganmf_is_kept_where_training_gains_nothing_that_can_be_told(halves):
    if importlib.util.find_spec("torch") is None:
        pytest.skip("GANs need torch, which is not installed")
    X = halves[0]
    found = {}
    for d_init in ("ease", "glorot"):
        steps = {"d_lr": 1e-7, "g_lr": 1e-7, "d_init": d_init, "freq": 1, "allow_worse": 2}
        found[d_init] = gf.GANMF(**steps, device="cpu").fit(X).best_epoch_
    assert found["ease"] == 0 < found["glorot"]
