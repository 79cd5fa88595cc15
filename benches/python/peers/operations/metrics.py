"""Metrics of 138,493 lists of 20 items."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from peers.agree import close
from peers.inputs import SYNTHETIC, Urm, from_arrays, interactions, kept, to_arrays
from peers.operations.base import Answers, Operation, Verdict, against_first

K = 20
SHARE = 0.2


@dataclass(frozen=True)
class Inputs:
    """Lists, one per user, and what is held out: at least one item of each user."""

    items: NDArray[np.int32]
    train: Urm
    test: Urm


def _parts(dataset: str) -> dict[str, Any]:
    """A random fifth held out, and lists of the most popular items that are not in the rest."""
    X = interactions(dataset)
    rng = np.random.default_rng(2)
    held = rng.random(X.nnz) < SHARE
    held[X.indptr[:-1][np.diff(X.indptr) > 0]] = True
    sides = []
    for mask in (~held, held):
        indptr = np.concatenate(([0], np.cumsum(mask)))[X.indptr]
        cells = (np.ones(int(mask.sum()), np.float32), X.indices[mask], indptr.astype(np.int32))
        sides.append(sp.csr_matrix(cells, shape=X.shape))
    train, test = sides
    # Of the 400 most popular ones, so that a user who knows 380 of them still has a full list.
    head = np.argsort(-np.bincount(train.indices, minlength=X.shape[1]), kind="stable")[:400]
    items = np.empty((X.shape[0], K), dtype=np.int32)
    for start in range(0, X.shape[0], 5000):
        known = train[start : start + 5000][:, head].toarray() > 0
        order = np.argsort(known, axis=1, kind="stable")[:, :K]
        items[start : start + 5000] = head[order]
    arrays = {"train": to_arrays(train), "test": to_arrays(test)}
    sides_of = {f"{s}_{key}": a for s, parts in arrays.items() for key, a in parts.items()}
    return {"items": items, **sides_of}


def _inputs(dataset: str) -> Inputs:
    parts = kept(f"lists-{dataset}", lambda: _parts(dataset))
    return Inputs(parts["items"], from_arrays(parts, "train_"), from_arrays(parts, "test_"))


def _difference(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    wrong = [
        f"{name} {float(theirs[name]):.6f} instead of {float(mine[name]):.6f}"
        for name in theirs
        if name in mine and not close(float(mine[name]), float(theirs[name]), 1e-5)
    ]
    return "; ".join(wrong)


def _check(_dataset: str, answers: Answers) -> dict[str, Verdict]:
    verdicts = against_first(_difference, answers)
    return {
        name: Verdict(v.agrees, v.detail or "only " + ", ".join(answers[name]))
        if len(answers[name]) < 2
        else v
        for name, v in verdicts.items()
    }


TWO = Operation(
    name="metrics",
    title="NDCG and MAP of 138,493 lists of 20",
    datasets=(SYNTHETIC,),
    packages=("ours", "implicit", "ranx", "skrecsys"),
    inputs=_inputs,
    check=_check,
    note="Same values. The lists are given: implicit's evaluator gets them from a model that "
    "looks them up; what is held out comes in the type of each package, `Interactions` for ours, "
    "and making that is not timed.",
)
ALL = Operation(
    name="all_metrics",
    title="Every metric of 138,493 lists of 20",
    datasets=(SYNTHETIC,),
    packages=("ours",),
    inputs=_inputs,
    check=_check,
    note="To be compared with the line above.",
)
