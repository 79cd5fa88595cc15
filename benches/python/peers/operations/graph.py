"""P3alpha and RP3beta: walks of length three, the 100 best steps kept."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from peers.agree import same_neighbours
from peers.inputs import SYNTHETIC, Urm, from_arrays, interactions
from peers.operations.base import Answers, Operation, Verdict, against_first

TOPK = 100
BETA = 0.6

ROWS, BOTH, TARGETS = "rows", "both", "targets"
"""Which matrix an answer holds: the walk cut per row; that, normalised, and cut once more per
column, as published; or the walk cut per column only, transposed so that rows are the columns."""

SAMPLE = 200
"""So many items of an answer of the last kind are compared with the definition itself."""


def _difference(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    shared = [k for k in (ROWS, BOTH) if f"{k}_data" in theirs and f"{k}_data" in mine]
    if not shared:
        return "it cuts differently from the first package that answered"
    differences = (
        same_neighbours(from_arrays(mine, f"{k}_"), from_arrays(theirs, f"{k}_"), TOPK)
        for k in shared
    )
    return next(filter(None, differences), "")


def _to_targets(X: Urm, beta: float, items: NDArray[np.int64]) -> Urm:
    """Rows of the transposed walk: n_i^-1 sum_u x_ui x_uj / n_u / n_j^beta for some j."""
    X = X.astype(np.float64)
    per_item = np.bincount(X.indices, minlength=X.shape[1])
    steps = X[:, items].multiply(1 / np.maximum(np.diff(X.indptr), 1)[:, None]).toarray()
    walk = (X.T @ steps).T / np.maximum(per_item, 1)
    walk /= np.maximum(per_item[items], 1)[:, None] ** beta
    return _at_rows(sp.csr_matrix(walk), items, X.shape[1])


def _at_rows(rows: Urm, items: NDArray[np.int64], n: int) -> Urm:
    """A matrix whose rows `items` are `rows`, the others empty."""
    place = sp.csr_matrix((np.ones(len(items)), (items, np.arange(len(items)))), (n, len(items)))
    return place @ rows


def _check(dataset: str, answers: Answers, beta: float) -> dict[str, Verdict]:
    direct = {name: a for name, a in answers.items() if f"{TARGETS}_data" in a}
    verdicts = against_first(_difference, {n: a for n, a in answers.items() if n not in direct})
    if direct:
        X = interactions(dataset)
        items = np.linspace(0, X.shape[1] - 1, SAMPLE, dtype=np.int64)
        expected = _to_targets(X, beta, items)
    for name, answer in direct.items():
        rows = from_arrays(answer, f"{TARGETS}_")[items]
        text = same_neighbours(expected, _at_rows(rows, items, X.shape[1]), TOPK)
        verdicts[name] = Verdict(not text, text)
    return verdicts


def _operation(name: str, title: str, beta: float) -> Operation:
    return Operation(
        name=name,
        title=title,
        datasets=("ml-1m", SYNTHETIC),
        packages=("ours", "similaripy", "irspack", "skrecsys"),
        inputs=interactions,
        check=lambda dataset, answers: _check(dataset, answers, beta),
        note="Ours and skrecsys: cut per row, normalised, cut per column. similaripy cuts per row "
        "and irspack per column only, which is less work: similaripy is compared with ours before "
        "the later steps, irspack with the definition.",
    )


P3ALPHA = _operation("p3alpha", "P3alpha, k = 100", 0.0)
RP3BETA = _operation("rp3beta", "RP3beta, beta = 0.6, k = 100", BETA)
