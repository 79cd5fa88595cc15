"""A metric on held-out interactions: the value by which early stopping judges a scorer."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganmf_fast import _core
from ganmf_fast._core import Csr, RankRequest
from ganmf_fast.scorers.base import Scorer
from ganmf_fast.scorers.lists import rank_lists
from ganmf_fast.scorers.metrics import Tally, of_lists


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
    names, count = of_lists([metric])
    users, measured = _measured(scorer, urm, validation, names, k, keep=False, count=count)
    sums, _, counts, filled = measured
    tally = Tally(
        {(name, k): total for name, [total] in zip(names, sums, strict=True)},
        {} if counts is None else {k: counts[0]},
        len(users),
        filled,
        (urm.n_rows, urm.n_cols),
    )
    return tally.values([metric], [k])[metric, k]


def user_values(
    scorer: Scorer, urm: Csr, validation: Csr, metric: str, k: int
) -> NDArray[np.float64]:
    """What `validation_value` is the mean of, for a metric of `PER_USER`.

    Returns
    -------
    float64 array of shape (users with validation items,)
    """
    _, (_, values, _, _) = _measured(scorer, urm, validation, [metric], k, keep=True, count=False)
    found: NDArray[np.float64] = values[0, 0]
    return found


def _measured(
    scorer: Scorer,
    urm: Csr,
    validation: Csr,
    names: list[str],
    k: int,
    *,
    keep: bool,
    count: bool,
) -> tuple[NDArray[np.int64], tuple[Any, ...]]:
    """Users with validation items, and what `measure_lists` says of their lists."""
    users = users_with_items(validation)
    if not len(users):
        raise ValueError("validation is empty: early stopping needs at least one interaction")
    items, _ = rank_lists(scorer, urm, RankRequest(users, k, urm))
    return users, _core.measure_lists(
        items, validation, users, [k], names, train=urm, keep=keep, count=count
    )


def users_with_items(csr: Csr) -> NDArray[np.int64]:
    """Rows with at least one item, ascending."""
    return np.flatnonzero(np.diff(csr.indptr)).astype(np.int64, copy=False)
