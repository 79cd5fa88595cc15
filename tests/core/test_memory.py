"""What does not fit into memory is refused: no shape and no number ends the process.

A child process with a limit of its address space calls every kernel with absurd sizes: a failed
allocation that is not refused would end it.
"""

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import psutil
import pytest
import scipy.sparse as sp

import ganmf_fast as gf
from ganmf_fast import _core
from ganmf_fast._core import Csr, RankRequest
from ganmf_fast.base.urm import as_csr

MOST = 2**31 - 1
KNN = {
    "topk": 2**62,
    "shrink": 0.0,
    "normalize": True,
    "asymmetric_alpha": 0.5,
    "tversky_alpha": 1.0,
    "tversky_beta": 1.0,
    "normalize_avg_row": False,
    "similarity_from_distance_mode": "lin",
}


def wide(n: int, values: bool = False) -> Csr:
    """Two users of items 0, 1 and the last of `n`."""
    cells = np.array([0, 1, n - 1, 1, n - 1], dtype=np.int32)
    stored = np.arange(1, 6, dtype=np.float32) if values else None
    return Csr(np.array([0, 3, 5]), cells, stored, n)


def of_core(n: int) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Calls of each kernel on `n` columns, or for numbers of that size."""
    X, V, rows = wide(n), wide(n, values=True), np.array([0, 1])
    request = RankRequest(rows, n, X)
    few = np.ones((2, 3), dtype=np.float32)
    yield "transpose", X.transpose
    yield "from_coo", lambda: Csr.from_coo(np.array([n - 1], "i4"), np.zeros(1, "i4"), None, n, n)
    yield "builder", lambda: _core.CsrBuilder(n, n).finish()
    for similarity in ("cosine", "asymmetric", "jaccard", "euclidean"):
        params: Any = {**KNN, "similarity": similarity}
        for matrix in (X, V):
            yield similarity, lambda m=matrix, p=params: _core.fit_knn(m, p, False, "BM25")
            yield similarity, lambda m=matrix, p=params: _core.fit_knn(m, p, True, None, None, True)
    params = {**KNN, "similarity": "dice"}
    yield "pair counts", lambda: _core.PairCounts(X).fit_knn(params, False)
    yield "bytes needed", lambda: _core.PairCounts.bytes_needed(X)
    for published in (False, True):
        walk = (2**62, 1.0, 0.5, True, True, None, published)
        yield "p3alpha", lambda w=walk: _core.fit_p3alpha(V, *w)
    slim = [(0.1, 0.5)], n, True, 1e-4, 5
    yield "slim", lambda: _core.fit_slim_elastic_net(V, *slim)
    yield "slim bytes", lambda: _core.slim_elastic_net_bytes(X)
    yield "ease", lambda: _core.fit_ease_primal(X, 10.0)
    yield "ease dual", lambda: _core.fit_ease_dual(X, 10.0)
    for symmetric, most in ((True, None), (False, None), (True, 2**20)):
        bpr = (symmetric, "adam", 0.0, 0.0, 0.1, False, 1, most)
        yield "bpr", lambda b=bpr: _core.SlimBpr(X, *b).weights(n)
    small = _core.SlimBpr(wide(5), True, "sgd", 0.0, 0.0, 0.1, False, 1)
    yield "draws", lambda: small.draws(0, 1000 * n)
    yield "ials", lambda: _core.ials_half_step(X, few, None, 1.0, None, 0.1, 1.0, 3)
    yield (
        "popularity",
        lambda: _core.rank_popularity(few[0], _core.popularity_order(few[0]), request),
    )
    yield "product", lambda: _core.ProductIndex(wide(n)).rank(X, RankRequest(rows, n))
    yield "random", lambda: _core.rank_random(1, 2, n, request)
    yield "random scores", lambda: _core.random_scores(1, np.arange(2), n)
    lists = np.array([[0, 1]] * 2, dtype=np.int32)
    names = _core.metric_names()
    yield "measure", lambda: _core.measure_lists(lists, X, rows, [1, 2], names, X)
    yield "bootstrap", lambda: _core.bootstrap_means(np.ones((2, 3)), 100 * n, 1)
    yield "draw", lambda: _core.draw_items(few, rows, np.array([100 * n, 1]), 1, 1)
    yield "mask", lambda: _core.mask_unobserved(X, rows, 0.5, 1, 1, np.ones((2, 3), "f4"))
    yield "demo users", lambda: _core.demo_urm(1, 2**40, 10)
    yield "demo items", lambda: _core.demo_urm(1, 10, n)
    yield "paper", lambda: _core.paper_protocol(X, 1)
    yield "k_core", lambda: _core.k_core(X, 1, 1)
    labels = np.zeros(X.nnz, dtype=np.uint8)
    yield "divide", lambda: _core.divide_cells(V, labels, 255)
    reader = (b",", "on", 34, 2**40, [(2**39, "user", "id")], False, False)
    yield "reader", lambda: _core.DelimitedReader(*reader).feed(b"a,b\n")


def of_users(n: int) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Calls that users make, with a matrix of `n` columns or rows."""
    across = sp.coo_array((np.ones(3), ([0, 0, 1], [0, n - 1, 1])), shape=(2, n))
    down = across.T
    both = sp.coo_array(([1.0], ([n - 1], [n - 1])), shape=(n, n))
    for X in (across, down, both):
        yield "as_csr", lambda X=X: as_csr(X)
        yield "from_matrix", lambda X=X: gf.Interactions.from_matrix(X)
        yield "holdout", lambda X=X: gf.split.holdout(X, 0.5)
        yield "paper", lambda X=X: gf.split.paper_protocol(X)
        for model in (
            gf.TopPopular(),
            gf.Random(),
            gf.ItemKNN(topk=2**40),
            gf.UserKNN(similarity="euclidean"),
            gf.RP3beta(),
            gf.EASE(),
            gf.SLIMBPR(epochs=1),
            gf.SLIMElasticNet(),
            gf.WRMF(num_factors=10**5, epochs=1),
            gf.PureSVD(num_factors=1),
        ):
            yield repr(model), lambda m=model, X=X: m.fit(X).recommend(0, n=2)
    model = gf.TopPopular().fit(np.eye(3))
    yield "recommend", lambda: model.recommend([0, 1], n=n)
    yield "recommend none", lambda: model.recommend([], n=n)
    yield "lists", lambda: gf.evaluate_lists([[0]], across, cutoffs=(1,), users=[0])


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(mebibytes: int) -> None:
    """Call everything under a limit, and say what each call came to."""
    import resource

    # Modules are imported, and threads are there, before the limit.
    for calls in (of_core, of_users):
        for _, call in calls(5):
            with contextlib.suppress(Exception):
                call()
    limit = psutil.Process().memory_info().vms + mebibytes * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    # The smallest is refused half-way as a rule, when some arrays are there already.
    for n in (MOST, 10**8, 10**7):
        for calls in (of_core, of_users):
            for name, call in calls(n):
                try:
                    call()
                    outcome = "done"
                except Exception as error:  # noqa: BLE001
                    outcome = f"{type(error).__name__}: {str(error)[:100]!r}"
                say(f"{n} {name} -> {outcome}")
    say("the end")


@pytest.mark.processes
@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_absurd_sizes_are_refused_under_a_limit():
    command = [sys.executable, __file__, "96"]
    child = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    lines = child.stdout.splitlines()
    assert lines[-1:] == ["the end"], child.stdout[-500:] + child.stderr[-2000:]
    outcomes = [line.split(" -> ")[1] for line in lines[:-1]]
    allowed = ("done", "MemoryError", "ValueError", "TypeError", "NotImplementedError")
    assert [o for o in outcomes if not o.startswith(allowed) or "internal error" in o] == []
    refused = [o for o in outcomes if o.startswith("MemoryError")]
    assert len(refused) > len(outcomes) / 3
    assert all("iB" in o or "Unable to allocate" in o or "threads" in o for o in refused)


if __name__ == "__main__":
    main(int(sys.argv[1]))
