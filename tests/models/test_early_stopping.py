"""Early stopping on any metric and cutoff, by all iterative models in one way."""

import importlib.util

import numpy as np
import pytest
import scipy.sparse as sp

import ganmf_fast as gf
from ganmf_fast.evaluation import METRICS

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
