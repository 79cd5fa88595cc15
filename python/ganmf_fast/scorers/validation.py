"""A metric on held-out interactions: the value by which early stopping judges a scorer."""

import numpy as np
from numpy.typing import NDArray

from ganmf_fast import _core
from ganmf_fast._core import Csr, RankRequest
from ganmf_fast.scorers.base import Scorer
from ganmf_fast.scorers.lists import rank_lists
from ganmf_fast.scorers.metrics import Tally, of_lists

__all__ = ["users_with_items", "validation_value"]


def validation_value(
    scorer: Scorer, urm: Csr, validation: Csr, metric: str = "map", k: int = 5
) -> float:
    """A metric of the lists of the users with validation items, as of `ganmf_fast.evaluate`.

    Users without an interaction in `urm` have an empty list, which counts as zero. Only items of
    `urm` are excluded.

    Raises
    ------
    ValueError
        If `validation` is empty.
    """
    users = users_with_items(validation)
    if not len(users):
        raise ValueError("validation is empty: early stopping needs at least one interaction")
    items, _ = rank_lists(scorer, urm, RankRequest(users, k, urm))
    names, count = of_lists([metric])
    sums, _, counts, filled = _core.measure_lists(
        items, validation, users, [k], names, train=urm, keep=False, count=count
    )
    tally = Tally(
        {(name, k): total for name, [total] in zip(names, sums, strict=True)},
        {} if counts is None else {k: counts[0]},
        len(users),
        filled,
        (urm.n_rows, urm.n_cols),
    )
    return tally.values([metric], [k])[metric, k]


def users_with_items(csr: Csr) -> NDArray[np.int64]:
    """Rows with at least one item, ascending."""
    return np.flatnonzero(np.diff(csr.indptr)).astype(np.int64, copy=False)
