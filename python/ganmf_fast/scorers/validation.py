"""MAP@5 on held-out interactions: the value by which early stopping and searches judge a scorer."""

import math

import numpy as np
from numpy.typing import NDArray

from ganmf_fast import _core
from ganmf_fast._core import Csr, RankRequest
from ganmf_fast.scorers.base import Scorer
from ganmf_fast.scorers.lists import rank_lists

__all__ = ["exact_mean", "map_at_5", "users_with_items"]


def map_at_5(scorer: Scorer, urm: Csr, validation: Csr) -> float:
    """Mean average precision at 5 over the users with validation items, in [0, 1].

    Users without an interaction in `urm` have an empty list, of precision 0. Only items of `urm`
    are excluded. The formula is that of `ganmf_fast.evaluate`.

    Raises
    ------
    ValueError
        If `validation` is empty.
    """
    users = users_with_items(validation)
    if not len(users):
        raise ValueError("validation is empty: early stopping needs at least one interaction")
    items, _ = rank_lists(scorer, urm, RankRequest(users, 5, urm))
    [[total]], *_ = _core.measure_lists(
        items, validation, users, [5], ["map"], keep=False, count=False
    )
    return exact_mean(total, len(users))


def exact_mean(total: int, n: int) -> float:
    """Mean from an exact sum in multiples of 2^-80, such as `_core.measure_lists` returns."""
    return math.ldexp(total, -80) / n


def users_with_items(csr: Csr) -> NDArray[np.int64]:
    """Rows with at least one item, ascending."""
    return np.flatnonzero(np.diff(csr.indptr)).astype(np.int64, copy=False)
