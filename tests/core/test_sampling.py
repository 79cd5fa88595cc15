"""Sampling through Python: shapes, laws at the boundary, refusals."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from ganmf_fast import _core
from ganmf_fast.base.urm import as_csr

X = np.zeros((4, 30), np.float32)
X[0, ::3] = X[2, 5] = 1
X[3] = 1
ROWS = np.array([3, 0, 2, 1])


def masks(ratio, rows=ROWS, stream=0, out=None, **options):
    out = np.full((len(rows), 30), np.nan, np.float32) if out is None else out
    _core.mask_unobserved(as_csr(X), rows, ratio, 5, stream, out, **options)
    return out


@pytest.mark.parametrize("weighted", [False, True])
def test_masks_have_the_asked_size_and_no_observed_item(weighted):
    weights = np.random.default_rng(0).random((4, 30), dtype=np.float32) + 0.1
    options = {"weights": weights} if weighted else {}
    for ratio in (0.0, 0.37, 1.0):
        mask = masks(ratio, **options)
        unobserved = 30 - X[ROWS].sum(axis=1)
        assert_array_equal(mask.sum(axis=1), np.floor(ratio * unobserved))
        assert not mask[X[ROWS] > 0].any()
        kept = masks(ratio, keep_observed=True, **options)
        assert_array_equal(kept, mask + X[ROWS])


def test_a_set_depends_on_seed_stream_and_row_alone():
    whole = masks(0.5)
    for at, row in enumerate(ROWS):
        assert_array_equal(masks(0.5, rows=np.array([row]))[0], whole[at])
    assert (masks(0.5, stream=1) != whole).any()
    weights = np.ones((4, 30), np.float32)
    counts = np.array([4, 0, 2, 5])
    drawn = _core.draw_items(weights, ROWS, counts, 5, 0)
    assert drawn.dtype == np.int32
    assert len(drawn) == 11
    assert_array_equal(drawn[6:], _core.draw_items(weights[:1], ROWS[3:], counts[3:], 5, 0))


def test_what_cannot_be_sampled_is_refused():
    with pytest.raises(ValueError, match=r"ratio must be between 0 and 1, not 1\.5"):
        masks(1.5)
    with pytest.raises(ValueError, match="row 9 does not exist"):
        masks(0.5, rows=np.array([9]))
    with pytest.raises(ValueError, match="out has 60 cells"):
        masks(0.5, out=np.zeros((2, 30), np.float32))
    with pytest.raises(ValueError, match="out must be a contiguous array"):
        masks(0.5, out=np.zeros((4, 60), np.float32)[:, ::2])
    with pytest.raises(ValueError, match="weight of item 1 for row 1"):
        masks(0.5, weights=np.array([[1] * 30] * 3 + [[1, 0] * 15], np.float32))
    with pytest.raises(ValueError, match="stream must be a whole number"):
        masks(0.5, stream=-1)
    with pytest.raises(ValueError, match="all weights of row 3 are zero"):
        _core.draw_items(np.zeros((1, 5), np.float32), np.array([3]), np.array([1]), 0, 0)
    with pytest.raises(ValueError, match="counts must not be negative"):
        _core.draw_items(np.ones((1, 5), np.float32), np.array([3]), np.array([-1]), 0, 0)
