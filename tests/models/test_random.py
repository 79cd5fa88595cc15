"""Random: reproducible, uniform, and without users x items memory."""

import numpy as np
import pytest

import ganmf_fast as gf
from ganmf_fast._core import RankRequest
from ganmf_fast.base.urm import as_csr
from ganmf_fast.scorers.random import RandomScores


def test_the_seed_alone_decides_the_lists(demo_splits):
    a = gf.Random(seed=4).fit(demo_splits.train).recommend(range(50), n=10, exclude_seen=False)
    b = gf.Random(seed=4).fit(demo_splits.test).recommend(range(50), n=10, exclude_seen=False)
    c = gf.Random(seed=5).fit(demo_splits.train).recommend(range(50), n=10, exclude_seen=False)
    assert np.array_equal(a.items, b.items)
    assert not np.array_equal(a.items, c.items)


def test_every_place_of_a_list_is_uniform_over_the_items():
    model = gf.Random().fit(np.eye(3000, 25))
    items = model.recommend(range(3000), n=25, exclude_seen=False).items
    for place in (0, 7, 24):
        counts = np.bincount(items[:, place], minlength=25)
        # Chi-squared with 24 degrees of freedom: 99.99% of true uniforms stay below 58.
        assert ((counts - 120) ** 2 / 120).sum() < 58


def test_users_are_independent():
    scores = gf.Random().fit(np.eye(400, 300)).score_users(range(400))
    correlation = np.corrcoef(scores)[np.triu_indices(400, 1)]
    assert abs(correlation.mean()) < 0.002
    # Of independent scores the standard deviation is 1 / sqrt(299).
    assert correlation.std() * np.sqrt(299) == pytest.approx(1, abs=0.02)
    assert np.abs(correlation).max() < 0.35
    assert scores.mean() == pytest.approx(0.5, abs=0.005)


def test_a_huge_catalogue_costs_no_memory():
    scorer = RandomScores(3, 10**12, 10**6)
    items, _ = scorer.rank(as_csr(np.eye(1)), RankRequest(np.array([10**11, 5]), 4))
    assert items.shape == (2, 4)
    assert not np.array_equal(items[0], items[1])


def test_bad_seeds_are_named():
    with pytest.raises(ValueError, match=r"seed must be between 0 and .*, not -1"):
        gf.Random(seed=-1).fit(np.eye(2))
    with pytest.raises(TypeError, match="seed must be an integer"):
        gf.Random(seed=0.5).fit(np.eye(2))
