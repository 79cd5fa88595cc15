"""The 20 best unseen items of every user from 128 factors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peers.agree import same_lists
from peers.inputs import SYNTHETIC, Urm, interactions, kept
from peers.job import UnavailableError
from peers.operations.base import Answers, Operation, Verdict, against_first
from peers.operations.rank_weights import scores_of

N = 20
FACTORS = 128
COMPARED = 1000
EPOCHS = 3


@dataclass(frozen=True)
class Inputs:
    """Interactions, and factors of users and items."""

    X: Urm
    P: NDArray[np.float32]
    Q: NDArray[np.float32]


def _random(dataset: str) -> Inputs:
    X = interactions(dataset)
    rng = np.random.default_rng(1)
    P, Q = (rng.standard_normal((n, FACTORS), dtype=np.float32) for n in X.shape)
    return Inputs(X, P, Q)


def _fitted(dataset: str) -> dict[str, Any]:
    try:
        from ganmf_fast import WRMF
    except ImportError:
        raise UnavailableError("WRMF, which trains the factors, is not in this version") from None
    model = WRMF(num_factors=FACTORS, alpha=10.0, reg=10.0, epochs=EPOCHS)
    model.fit(interactions(dataset))
    return {"P": model.user_factors_, "Q": model.item_factors_}


def _trained(dataset: str) -> Inputs:
    factors = kept(f"wrmf-factors-{dataset}", lambda: _fitted(dataset))
    return Inputs(interactions(dataset), factors["P"], factors["Q"])


def _check(inputs: Inputs, answers: Answers) -> dict[str, Verdict]:
    users = np.linspace(0, inputs.X.shape[0] - 1, COMPARED, dtype=np.int64)
    scores = inputs.P[users].astype(np.float64) @ inputs.Q.T.astype(np.float64)

    def difference(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
        return same_lists(
            *(scores_of(scores, inputs.X, users, a["items"][users]) for a in (mine, theirs))
        )

    complete = {name: answer for name, answer in answers.items() if "items" in answer}
    yardsticks = {
        name: Verdict(agrees=False, detail="the product alone, nothing selected")
        for name in answers
        if name not in complete
    }
    return {**against_first(difference, complete), **yardsticks}


_NOTE = (
    "Items of the history excluded; lists of 1,000 users compared, equal scores in any order. "
    "numpy is the yardstick: the BLAS product alone in blocks of 256 users, without selection."
)

RANDOM = Operation(
    name="rank_factors",
    title="Ranking from 128 random factors, top 20 of all users",
    datasets=(SYNTHETIC,),
    packages=("ours", "numpy", "implicit", "skrecsys"),
    inputs=_random,
    check=lambda dataset, answers: _check(_random(dataset), answers),
    note=_NOTE,
    yardsticks=("numpy",),
)
TRAINED = Operation(
    name="rank_trained_factors",
    title="Ranking from 128 trained WRMF factors, top 20 of all users",
    datasets=(SYNTHETIC,),
    packages=("ours", "numpy", "implicit"),
    inputs=_trained,
    check=lambda dataset, answers: _check(_trained(dataset), answers),
    note=_NOTE + " skrecsys takes as long as with random factors and is left out.",
    yardsticks=("numpy",),
)
