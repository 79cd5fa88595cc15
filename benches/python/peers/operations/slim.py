"""SLIM by elastic net, every column to the same objective, no cut."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from peers.inputs import Urm, from_arrays, interactions
from peers.operations.base import Answers, Operation, Verdict, against_best

TOLERANCE = 1e-3
"""How far above the smallest objective of all counts as the same."""

_PENALTIES = {"ml-1m": (0.05, 0.01), "lastfm": (0.00106, 0.5)}
"""alpha and l1_ratio; on LastFM about an L1 and an L2 weight of 1, lenskit's own default."""


@dataclass(frozen=True)
class Inputs:
    """Interactions and penalties: alpha l1_ratio |w|_1 + alpha (1 - l1_ratio) / 2 |w|^2."""

    X: Urm
    alpha: float
    l1_ratio: float

    @property
    def sums(self) -> tuple[float, float]:
        """Weights of the penalties where the squared error is summed, not averaged, over users."""
        scale = self.X.shape[0] * self.alpha
        return scale * self.l1_ratio, scale * (1 - self.l1_ratio)


def _inputs(dataset: str) -> Inputs:
    return Inputs(interactions(dataset), *_PENALTIES[dataset])


def objective(inputs: Inputs, W: Any) -> float:
    """1/(2U) |X - X W|^2 and both penalties, in float64."""
    l1, l2 = inputs.sums
    X, W = inputs.X.astype(np.float64), W.astype(np.float64)
    squares = 0.0
    for start in range(0, X.shape[0], 500):
        block = X[start : start + 500]
        squares += float(((block - block @ W).toarray() ** 2).sum())
    value = squares / 2 + l1 * float(np.abs(W.data).sum()) + l2 / 2 * float((W.data**2).sum())
    return value / X.shape[0]


def _check(dataset: str, answers: Answers) -> dict[str, Verdict]:
    inputs = _inputs(dataset)
    values, verdicts = {}, {}
    for name, answer in answers.items():
        W = from_arrays(answer)
        if W.diagonal().any() or (W.data < 0).any():
            verdicts[name] = Verdict(agrees=False, detail="a weight is negative or on the diagonal")
        else:
            values[name] = objective(inputs, W)
    return {**verdicts, **against_best(values, "objective", TOLERANCE)}


OPERATION = Operation(
    name="slim",
    title="SLIM-ElasticNet, positive, no cut",
    datasets=("ml-1m", "lastfm"),
    packages=("ours", "irspack", "lenskit", "skrecsys"),
    inputs=_inputs,
    check=_check,
    note="Each package at its own stopping rule; it counts if its objective is within 0.1% of "
    "the smallest. skrecsys, which needs minutes on LastFM, is measured on ML-1M only.",
    only={"skrecsys": ("ml-1m",)},
)
