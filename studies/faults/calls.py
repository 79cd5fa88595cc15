"""Long calls of the public surface, on a matrix of 20,000 x 20,000 with 2 million interactions.

Run as a program, it makes one of them again and again, so that another program can interrupt it:

    python studies/faults/calls.py NAME FOLDER

For each line on stdin it says ``ready``, makes the call, and says how that ended and when.
"""

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

import ganmf_fast as gf

__all__ = ["CALLS", "prepare"]

SIDE, EACH = 20_000, 100

# The smaller the network, the longer it takes to a second; these are those of published runs.
FITS: dict[str, Any] = {
    "TopPopular": gf.TopPopular(),
    "Random": gf.Random(),
    "ItemKNN": gf.ItemKNN(),
    "UserKNN": gf.UserKNN(),
    "ItemKNN tversky": gf.ItemKNN(similarity="tversky", topk=1000),
    "P3alpha": gf.P3alpha(),
    "RP3beta": gf.RP3beta(),
    "PureSVD": gf.PureSVD(num_factors=200),
    "SLIMBPR": gf.SLIMBPR(epochs=30),
    "SLIMElasticNet": gf.SLIMElasticNet(),
    "EASE": gf.EASE(),
    "WRMF": gf.WRMF(num_factors=100, epochs=30),
    "GANMF": lambda: gf.GANMF(device="cpu"),
    "GANMF exact": lambda: gf.GANMF(step="exact", recon_coefficient=0.1, device="cpu"),
    "GANMF dense": lambda: gf.GANMF(step="dense", recon_coefficient=0.1, device="cpu"),
    "GANMF large batch": lambda: gf.GANMF(
        step="dense", batch_size=4096, recon_coefficient=0.1, device="cpu"
    ),
    "BinGANMF": lambda: gf.BinGANMF(device="cpu"),
    "CFGAN": lambda: gf.CFGAN(device="cpu"),
    "CAAE": lambda: gf.CAAE(device="cpu"),
}
SAVED = {
    "weights": gf.ItemKNN(topk=200),
    "factors": gf.PureSVD(num_factors=100),
    "popular": gf.TopPopular(),
}


def _matrix() -> Any:
    """Users of many sizes, items of many popularities."""
    rng = np.random.default_rng(0)
    popularity = 1 / (np.arange(SIDE) + 200.0)
    edges = np.cumsum(popularity / popularity.sum())
    sizes = np.minimum(rng.geometric(1 / EACH, SIDE), 2000)
    items = np.searchsorted(edges, rng.random(int(sizes.sum() * 1.12)), side="right")
    rows = np.repeat(np.arange(SIDE), sizes + sizes // 9)[: len(items)]
    cells = np.unique(rows * SIDE + np.minimum(items[: len(rows)], SIDE - 1))
    values = np.ones(len(cells), dtype=np.float32)
    return sp.csr_array((values, (cells // SIDE, cells % SIDE)), shape=(SIDE, SIDE))


def prepare(folder: Path) -> None:
    """Write splits, logs and models that calls begin with, those that are not there."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "splits" / "splits.json").is_file():
        gf.split.paper_protocol(_matrix()).save(folder / "splits")
    splits = gf.Splits.load(folder / "splits")
    if not (folder / "log.parquet").is_file():
        _write_logs(splits.urm, folder)
    for name, model in SAVED.items():
        if not (folder / name).is_file():
            model.fit(splits.train).save(folder / name)


def _write_logs(urm: Any, folder: Path) -> None:
    import polars as pl

    coo = urm.tocoo()
    order = np.random.default_rng(1).permutation(coo.nnz)
    users = pl.Series("user", coo.row[order]).cast(pl.String)
    frame = pl.DataFrame(
        {"user": "user " + users, "item": coo.col[order], "time": np.arange(coo.nnz) + 10**9}
    )
    frame.write_csv(folder / "log.csv")
    frame.write_parquet(folder / "log.parquet")


class Context:
    """What calls are made with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.splits = gf.Splits.load(folder / "splits")
        self.everybody = np.arange(self.splits.n_users)

    def model(self, name: str) -> Any:
        """A model that `prepare` saved."""
        return gf.load(self.folder / name)

    def data(self) -> Any:
        """Interactions with times."""
        return gf.Interactions.from_parquet(
            self.folder / "log.parquet", user="user", item="item", timestamp="time"
        )

    def evaluation(self, name: str) -> Any:
        """Of a model."""
        return gf.evaluate(self.model(name), self.splits.train, self.splits.test)

    def search(self, model: str = "ItemKNN", n_workers: int = 1, **given: Any) -> Any:
        """Tune."""
        return gf.tune(
            model, self.splits, n_calls=50, backend="random", n_workers=n_workers, **given
        )


def _fit(name: str) -> Callable[[Context], Callable[[], Any]]:
    def make(context: Context) -> Callable[[], Any]:
        if name.split(maxsplit=1)[0] in ("GANMF", "BinGANMF", "CFGAN", "CAAE"):
            import torch  # noqa: F401 (its import is not the fit)
        model = FITS[name]() if callable(FITS[name]) else FITS[name]
        return lambda: model.fit(context.splits.train)

    return make


def _call(function: Callable[..., Any], *arguments: Any, **given: Any) -> Callable[[], Any]:
    return lambda: function(*arguments, **given)


def _many(function: Callable[[Any], Any], values: Any) -> Callable[[], Any]:
    return lambda: [function(value) for value in values]


def _ids(context: Context) -> Callable[[], Any]:
    data = context.data()
    return _call(gf.TopPopular().fit(data).recommend, data.user_ids)


CALLS: dict[str, Callable[[Context], Callable[[], Any]]] = {
    **{f"fit {name}": _fit(name) for name in FITS},
    "fit WRMF, early stopping": lambda c: (
        lambda: gf.WRMF(num_factors=20, epochs=50, freq=1).fit(
            c.splits.train_small, validation=c.splits.early_stop
        )
    ),
    "recommend, item weights": lambda c: _call(c.model("weights").recommend, c.everybody, n=100),
    "recommend, factors": lambda c: _call(c.model("factors").recommend, c.everybody, n=100),
    "recommend, popularity": lambda c: _call(c.model("popular").recommend, c.everybody, n=1000),
    "recommend, ids": _ids,
    "score_users": lambda c: _call(c.model("weights").score_users, c.everybody[:8000]),
    "fold_in, item weights": lambda c: _call(c.model("weights").fold_in, c.splits.test[:8000]),
    "fold_in, factors": lambda c: _call(c.model("factors").fold_in, c.splits.test[:8000]),
    "similar_items": lambda c: _many(c.model("factors").similar_items, range(2000)),
    "evaluate": lambda c: _call(gf.evaluate, c.model("weights"), c.splits.train, c.splits.test),
    "evaluate, published ties": lambda c: _call(
        gf.evaluate, c.model("factors"), c.splits.train, c.splits.test, ties="published"
    ),
    "evaluate, 2 workers": lambda c: _call(
        gf.evaluate, c.model("weights"), c.splits.train, c.splits.test, n_workers=2
    ),
    "evaluate_lists": lambda c: _call(
        gf.evaluate_lists,
        np.random.default_rng(0).permuted(np.tile(np.arange(200), (c.splits.n_users, 1)), axis=1),
        c.splits.test,
        cutoffs=(5, 20, 200),
    ),
    "compare": lambda c: _call(
        gf.compare, [c.evaluation("weights"), c.evaluation("popular")], n_resamples=20_000
    ),
    "paper_protocol": lambda c: _call(gf.split.paper_protocol, c.data()),
    "holdout": lambda c: _call(gf.split.holdout, c.data()),
    "leave_k_out": lambda c: _call(gf.split.leave_k_out, c.data()),
    "k_fold": lambda c: _call(lambda data: list(gf.split.k_fold(data)), c.data()),
    "temporal": lambda c: _call(gf.split.temporal, c.data()),
    "cold_users": lambda c: _call(gf.split.cold_users, c.data()),
    "k_core": lambda c: _call(gf.split.k_core, c.data(), 20, 20),
    "from_csv": lambda c: _call(gf.Interactions.from_csv, c.folder / "log.csv"),
    "from_parquet": lambda c: _call(gf.Interactions.from_parquet, c.folder / "log.parquet"),
    "scan": lambda c: _call(gf.Interactions.scan, c.folder / "log.csv"),
    "from_matrix": lambda c: _call(gf.Interactions.from_matrix, c.splits.urm.tocsc()),
    "Splits.save": lambda c: _call(c.splits.save, c.folder / "again"),
    "Splits.load": lambda c: _call(gf.Splits.load, c.folder / "splits"),
    "save": lambda c: _call(c.model("weights").save, c.folder / "again.safetensors"),
    "load": lambda c: _call(gf.load, c.folder / "weights"),
    "tune": lambda c: _call(c.search),
    "tune, 2 workers": lambda c: _call(c.search, n_workers=2),
    "tune GANMF, 2 workers": lambda c: _call(
        c.search, "GANMF", n_workers=2, fixed={"device": "cpu"}
    ),
}


def main() -> None:
    """Make the call as often as asked."""
    name, folder = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    call = CALLS[name](Context(Path(folder)))
    for _ in sys.stdin:
        print("ready", flush=True)
        began = time.perf_counter()
        try:
            call()
            print("ended", time.time(), time.perf_counter() - began, flush=True)
        except KeyboardInterrupt:
            print("stopped", time.time(), time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:  # the call had ended before it was heard
        print("stopped", time.time(), 0.0, flush=True)
    sys.exit(130)
