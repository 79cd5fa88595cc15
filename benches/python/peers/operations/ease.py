"""EASE with lambda = 500, compared by the scores of some users."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from peers.inputs import interactions
from peers.operations.base import Answers, Operation, Verdict, against_first

L2 = 500.0
SCORED = 200
"""The first so many users are scored to compare answers."""


def _difference(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    a, b = mine["scores"], theirs["scores"]
    error = float(np.abs(a - b).max() / np.abs(a).max())
    return f"scores differ by {error:.2g} of the largest" if error > 1e-3 else ""


def _check(_dataset: str, answers: Answers) -> dict[str, Verdict]:
    return against_first(_difference, answers)


OPERATION = Operation(
    name="ease",
    title="EASE, lambda = 500",
    datasets=("ml-1m", "hetrec2011"),
    packages=("ours", "skrecsys", "lenskit", "scipy"),
    inputs=interactions,
    check=_check,
    note="Same scores. scipy: Gram matrix, then LAPACK's dpotrf and dpotri.",
)
