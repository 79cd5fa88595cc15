"""The 20 best unseen items of every user from the 100 neighbours of each item."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from peers.agree import same_lists
from peers.inputs import SYNTHETIC, Urm, from_arrays, interactions, kept, to_arrays
from peers.job import UnavailableError
from peers.operations.base import Answers, Operation, Verdict, against_first

N = 20
COMPARED = 3000
"""So many users have their lists compared."""


@dataclass(frozen=True)
class Inputs:
    """Interactions and item weights, rows the items of the history: score = x W."""

    X: Urm
    W: Urm


def _weights(dataset: str) -> dict[str, Any]:
    try:
        import ganmf_fast as gf
    except ImportError:
        raise UnavailableError("the weights have not been made") from None
    return to_arrays(gf.ItemKNN(topk=100).fit(interactions(dataset)).item_weights_)


def _inputs(dataset: str) -> Inputs:
    W = from_arrays(kept(f"item-weights-{dataset}", lambda: _weights(dataset)))
    return Inputs(interactions(dataset), W)


def lists_of(scores: Urm) -> NDArray[np.int32]:
    """Columns of the entries of each row by descending value, padded with -1."""
    scores = sp.csr_matrix(scores)
    lists = np.full((scores.shape[0], N), -1, dtype=np.int32)
    rows = np.repeat(np.arange(scores.shape[0]), np.diff(scores.indptr))
    order = np.lexsort((-scores.data, rows))
    order = order[scores.data[order] > 0]
    rank = np.arange(len(order)) - np.searchsorted(rows[order], np.arange(len(lists)))[rows[order]]
    lists[rows[order], rank] = scores.indices[order]
    return lists


def scores_of(scores: Any, X: Urm, users: Any, lists: Any) -> Any:
    """The scores of listed items, minus infinity where an item is known or there is none."""
    scores = np.array(scores, dtype=np.float64)
    rows = np.repeat(np.arange(len(users)), np.diff(X.indptr)[users])
    scores[rows, X[users].indices] = -np.inf
    of_lists = np.take_along_axis(scores, np.maximum(lists, 0), axis=1)
    of_lists[lists < 0] = 0
    return of_lists


def _check(dataset: str, answers: Answers) -> dict[str, Verdict]:
    inputs = _inputs(dataset)
    users = np.linspace(0, inputs.X.shape[0] - 1, COMPARED, dtype=np.int64)
    scores = (inputs.X[users].astype(np.float64) @ inputs.W).toarray()

    def difference(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
        return same_lists(
            *(scores_of(scores, inputs.X, users, a["items"][users]) for a in (mine, theirs))
        )

    return against_first(difference, answers)


OPERATION = Operation(
    name="rank_weights",
    title="Ranking from item weights, 100 neighbours, top 20 of all users",
    datasets=("ml-1m", SYNTHETIC),
    packages=("ours", "skrecsys", "implicit", "similaripy"),
    inputs=_inputs,
    check=_check,
    note="Items of the history excluded; lists of 3,000 users compared, equal scores in any order.",
)
