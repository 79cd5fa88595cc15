"""WRMF: one epoch of 128 factors from random item factors, confidence 1 + 10 on interactions."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peers.inputs import SYNTHETIC, Urm, interactions
from peers.operations.base import Answers, Operation, Verdict, against_best

FACTORS = 128
ALPHA = 10.0
REG = 10.0
CG_STEPS = 3


@dataclass(frozen=True)
class Inputs:
    """Interactions, and the item factors that peers start from."""

    X: Urm
    items: NDArray[np.float32]


def _inputs(dataset: str) -> Inputs:
    X = interactions(dataset)
    rng = np.random.default_rng(0)
    items = rng.standard_normal((X.shape[1], FACTORS), dtype=np.float32) / np.float32(FACTORS)
    return Inputs(X, items)


def loss(X: Urm, P: NDArray[np.floating], Q: NDArray[np.floating]) -> float:
    """Sum of c (x - p q)^2 over all cells, and reg (|P|^2 + |Q|^2)."""
    grams = [F.T.astype(np.float64) @ F.astype(np.float64) for F in (P, Q)]
    value = float((grams[0] * grams[1]).sum()) + REG * sum(float(np.trace(g)) for g in grams)
    for start in range(0, X.shape[0], 2000):
        block = X[start : start + 2000]
        rows = np.repeat(np.arange(block.shape[0]), np.diff(block.indptr))
        for low in range(0, len(rows), 200_000):
            cells = slice(low, low + 200_000)
            p, q = P[start + rows[cells]], Q[block.indices[cells]]
            scores = np.einsum("ij,ij->i", p, q).astype(np.float64)
            value += float(((1 + ALPHA) * (1 - scores) ** 2 - scores**2).sum())
    return value


def answer(X: Urm, P: Any, Q: Any) -> dict[str, float]:
    """What is compared of two factor matrices."""
    return {"loss": loss(X, np.asarray(P), np.asarray(Q))}


def _operation(solver: str, title: str, tolerance: float, note: str) -> Operation:
    def check(_dataset: str, answers: Answers) -> dict[str, Verdict]:
        losses = {name: float(a["loss"]) for name, a in answers.items()}
        return against_best(losses, "loss", tolerance)

    return Operation(
        name=f"wrmf_{solver}",
        title=f"WRMF, one epoch, 128 factors, {title}",
        datasets=("ml-1m", SYNTHETIC),
        packages=("ours", "implicit", "irspack"),
        inputs=_inputs,
        check=check,
        note=f"Users, then items, from random item factors. {note} skrecsys has no such model: its "
        "alternating least squares fits ratings, not confidences.",
    )


CG = _operation(
    "cg",
    f"{CG_STEPS} steps of conjugate gradients",
    0.1,
    "An answer counts if its loss after the epoch is within 10% of the smallest: three steps from "
    "nothing are no solution yet, and how near they come depends on the basis they are taken in.",
)
CHOLESKY = _operation(
    "cholesky",
    "exact solves",
    0.02,
    "An answer counts if its loss after the epoch is within 2% of the smallest; our first item "
    "factors are others.",
)
