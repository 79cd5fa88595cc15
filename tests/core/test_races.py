"""Arrays that another thread changes during a call: a result or an ordinary exception."""

import threading
from contextlib import contextmanager, suppress

import numpy as np
import pytest

from ganmf_fast import _core
from ganmf_fast._core import Csr, RankRequest
from ganmf_fast.base.urm import as_csr

N = 300
X = as_csr((np.random.default_rng(0).random((N, N)) < 0.2).astype(np.float32))
ROWS = np.arange(N)
LISTS = np.tile(np.arange(50, dtype=np.int32), (N, 1))
NAMES = _core.metric_names()


@contextmanager
def changing(array, bad):
    """Let a thread write `bad` into `array` and what was there before, again and again."""
    good, stop = array.copy(), threading.Event()

    def change():
        while not stop.is_set():
            array[...] = bad
            array[...] = good

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def measured(items):
    _core.measure_lists(items, X, ROWS, [5, 50], NAMES, X)


CALLS = {
    "indptr": (X.indptr, 2**40, lambda a: Csr(a, X.indices, None, N)),
    "indices": (X.indices, -7, lambda a: Csr(X.indptr, a, None, N)),
    "rows": (X.indices, 10**6, lambda a: Csr.from_coo(a, X.indices, None, N, N, "first")),
    "items": (LISTS, 10**6, measured),
    "items, strided": (np.repeat(LISTS, 2, 1), 10**6, lambda a: measured(a[:, ::2])),
    "users": (ROWS, -(2**62), lambda a: _core.measure_lists(LISTS, X, a, [5], NAMES, X)),
    "labels": (np.zeros(X.nnz, np.uint8), 200, lambda a: _core.divide_cells(X, a, 2)),
    "times": (np.arange(X.nnz), 5, lambda a: _core.split_latest(X, a, 0.2)),
    "candidates": (
        np.arange(0, N, 3, dtype=np.int32),
        -1,
        lambda a: _core.ProductIndex(X).rank(X, RankRequest(ROWS, 20, X, a)),
    ),
    "ranked users": (ROWS, 2**50, lambda a: _core.ProductIndex(X).rank(X, RankRequest(a, 20, X))),
    "scores": (
        np.ones((N, N), np.float32),
        np.nan,
        lambda a: _core.rank_scores(a, RankRequest(ROWS, 20, X), as_published=True),
    ),
    "factors": (
        np.ones((N, 8), np.float32),
        np.inf,
        lambda a: _core.FactorIndex(a).rank(a, RankRequest(ROWS, 20, X)),
    ),
    "drawn counts": (
        np.full(N, 3),
        -5,
        lambda a: _core.draw_items(np.ones((N, 9), np.float32), ROWS, a, 1, 1),
    ),
    "masked rows": (
        ROWS,
        2**40,
        lambda a: _core.mask_unobserved(X, a, 0.1, 1, 1, np.empty((N, N), np.float32)),
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_an_array_that_changes_gives_a_result_or_a_value_error(name):
    array, bad, call = CALLS[name]
    array = array.copy()
    with changing(array, bad):
        for _ in range(30):
            with suppress(ValueError):
                call(array)


def test_a_request_keeps_what_it_was_made_of():
    users, items = np.array([0, 1]), np.array([0, 2], dtype=np.int32)
    request = RankRequest(users, 2, X, items)
    users[:], items[:] = -1, -1
    assert request.users.tolist() == [0, 1]
    assert request.candidates.tolist() == [0, 2]


@pytest.mark.parametrize("order", ["F", "unaligned", "reversed"])
def test_layouts_are_read_as_what_they_hold_or_refused(order):
    scores = np.arange(6, dtype=np.float32).reshape(2, 3)
    given = scores[::-1] if order == "reversed" else np.asfortranarray(scores)
    if order == "unaligned":
        given = np.zeros(25, dtype=np.uint8)[1:].view(np.float32).reshape(2, 3)
        given[...] = scores
        with pytest.raises(ValueError, match="scores must be aligned"):
            _core.rank_scores(given, RankRequest(np.arange(2), 1))
        return
    items, best = _core.rank_scores(given, RankRequest(np.arange(2), 1))
    assert best[:, 0].tolist() == given.max(axis=1).tolist()
    assert items.tolist() == [[2], [2]]
    with pytest.raises(ValueError, match="weights must be a contiguous array"):
        _core.draw_items(given, np.arange(2), np.ones(2, np.int64), 1, 1)
