"""One request after the other, each for the 20 best unseen items of one user."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peers.agree import same_lists
from peers.inputs import REQUESTS, Urm
from peers.operations import rank_factors, rank_weights
from peers.operations.base import Answers, Operation, Verdict, against_first
from peers.operations.rank_weights import scores_of

N = 20
USERS = 1000


@dataclass(frozen=True)
class WeightInputs:
    """Interactions, item weights, and the users who ask."""

    X: Urm
    W: Urm
    users: NDArray[np.int64]


@dataclass(frozen=True)
class FactorInputs:
    """Interactions, factors, and the users who ask."""

    X: Urm
    P: NDArray[np.float32]
    Q: NDArray[np.float32]
    users: NDArray[np.int64]


def _users(X: Urm) -> NDArray[np.int64]:
    return np.random.default_rng(3).choice(X.shape[0], USERS, replace=False)


def _weights(dataset: str) -> WeightInputs:
    inputs = rank_weights.OPERATION.inputs(dataset)
    return WeightInputs(inputs.X, inputs.W, _users(inputs.X))


def _factors(dataset: str) -> FactorInputs:
    inputs = rank_factors.RANDOM.inputs(dataset)
    return FactorInputs(inputs.X, inputs.P, inputs.Q, _users(inputs.X))


def _check_weights(dataset: str, answers: Answers) -> dict[str, Verdict]:
    inputs = _weights(dataset)
    scores = (inputs.X[inputs.users].astype(np.float64) @ inputs.W).toarray()
    return _check(inputs.X, inputs.users, scores, answers)


def _check_factors(dataset: str, answers: Answers) -> dict[str, Verdict]:
    inputs = _factors(dataset)
    scores = inputs.P[inputs.users].astype(np.float64) @ inputs.Q.T.astype(np.float64)
    return _check(inputs.X, inputs.users, scores, answers)


def _check(X: Urm, users: Any, scores: Any, answers: Answers) -> dict[str, Verdict]:
    def difference(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
        return same_lists(*(scores_of(scores, X, users, a["items"]) for a in (mine, theirs)))

    return against_first(difference, answers)


def requests(users: NDArray[np.int64], recommend: Callable[[int], Any]) -> Callable[[], Any]:
    """What is timed: the items that `recommend` gives for each user, list by list."""
    asked = users.tolist()

    def run() -> list[NDArray[Any]]:
        return [recommend(user) for user in asked]

    return run


def answer(lists: Any) -> dict[str, Any]:
    """The lists as one array, padded with -1."""
    items = np.full((USERS, N), -1, dtype=np.int32)
    for row, found in zip(items, lists, strict=True):
        row[: len(found)] = found
    return {"items": items}


_NOTE = (
    "1,000 requests for one user each, so that CPU s is milliseconds of a request, through the "
    "public call of each package where it takes these weights or factors: the kernel alone of "
    "skrecsys. Items of the history excluded; equal scores in any order."
)
_LENSKIT = " lenskit adds up the neighbours of the items of the history, which is another score."

WEIGHTS = Operation(
    name="one_user_weights",
    title="A user at a time from item weights, 100 neighbours, top 20",
    datasets=(REQUESTS,),
    packages=("ours", "implicit", "skrecsys", "lenskit"),
    inputs=_weights,
    check=_check_weights,
    note=_NOTE + _LENSKIT,
)
FACTORS = Operation(
    name="one_user_factors",
    title="A user at a time from 128 random factors, top 20",
    datasets=(REQUESTS,),
    packages=("ours", "numpy", "implicit", "skrecsys"),
    inputs=_factors,
    check=_check_factors,
    note=_NOTE + " numpy: a product, the history at minus infinity, argpartition.",
)
