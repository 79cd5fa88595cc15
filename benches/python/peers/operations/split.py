"""A random fifth of each user's interactions held out."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from peers.inputs import SYNTHETIC, Urm, from_arrays, interactions, to_arrays
from peers.operations.base import Answers, Operation, Verdict

TEST_SIZE = 0.2


def answer(train: Urm, test: Urm) -> dict[str, Any]:
    """Both sides of a split."""
    sides = {"train": to_arrays(train), "test": to_arrays(test)}
    return {
        f"{side}_{key}": array for side, arrays in sides.items() for key, array in arrays.items()
    }


def _verdict(X: Urm, sides: Mapping[str, Any]) -> Verdict:
    train, test = from_arrays(sides, "train_"), from_arrays(sides, "test_")
    sizes = np.diff(X.indptr)
    held = np.diff(test.indptr)
    if train.nnz + test.nnz != X.nnz or ((train + test) != X).nnz:
        return Verdict(agrees=False, detail="train and test do not make up the whole")
    if (np.abs(held - TEST_SIZE * sizes) > 1).any():
        return Verdict(agrees=False, detail="some user has another share held out")
    return Verdict(agrees=True)


def _check(dataset: str, answers: Answers) -> dict[str, Verdict]:
    X = interactions(dataset)
    return {name: _verdict(X, sides) for name, sides in answers.items()}


OPERATION = Operation(
    name="split",
    title="Per-user split 80/20",
    datasets=(SYNTHETIC,),
    packages=("ours", "irspack"),
    inputs=interactions,
    check=_check,
    note="Both sides together are the whole, and each user has a fifth held out, one more or less. "
    "implicit's, skrecsys's and scikit-learn's splits draw over all users together.",
)
