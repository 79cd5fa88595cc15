"""The steps of docs/guides/your-own-log.md beside what polars, scipy and numpy make of them.

    python benches/large/guide_steps.py --events 3000000

A log with text ids and ISO times, popular items and users as in shops, is written to a temporary
file; each step is done three times, lists by numpy once, and the shortest time counts. Both sides
end with the same: ids as numbers and one cell for each pair, the latest; what is left of a 5-core;
two matrices; 20 unseen items for each of 20,000 users from the same weights.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp

import ganmf_fast as gf
from ganmf_fast.base.urm import to_scipy

USERS, ITEMS, LISTS, N = 200_000, 20_000, 20_000, 20
BLOCK = 500
YEAR = 365 * 86_400


def log(path: Path, n_events: int) -> None:
    """A log of text ids and ISO times, in the order of the times."""
    rng = np.random.default_rng(0)
    seconds = 1_704_067_200 + np.sort(rng.integers(0, YEAR, n_events))
    frame = pl.DataFrame(
        {
            "user_id": rng.zipf(1.2, n_events) % USERS,
            "item_id": rng.zipf(1.3, n_events) % ITEMS,
            "timestamp": pl.Series(seconds * 1_000_000).cast(pl.Datetime("us")),
        }
    )
    frame.select(
        pl.format("u{}", pl.col("user_id").cast(pl.String).str.zfill(6)).alias("user_id"),
        pl.format("sku-{}", pl.col("item_id").cast(pl.String).str.zfill(5)).alias("item_id"),
        pl.col("timestamp").dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
    ).write_csv(path)


def read(path: Path) -> tuple[pl.DataFrame, tuple[int, int]]:
    """By polars: numbers in the place of ids, and one row for each pair."""
    frame = pl.read_csv(path, try_parse_dates=True)
    ids = {name: frame[name].unique().sort() for name in ("user_id", "item_id")}
    numbers = (pl.col(k).replace_strict(v, np.arange(len(v))) for k, v in ids.items())
    cells = frame.with_columns(*numbers).group_by("user_id", "item_id").agg(pl.max("timestamp"))
    return cells.sort("user_id", "item_id"), (len(ids["user_id"]), len(ids["item_id"]))


def core(cells: pl.DataFrame) -> pl.DataFrame:
    """By polars: users and items with five cells among those that are left."""
    many = [pl.len().over(name) >= 5 for name in ("user_id", "item_id")]
    while len(kept := cells.filter(*many)) < len(cells):
        cells = kept
    return cells


def temporal(cells: pl.DataFrame, shape: tuple[int, int]) -> list[Any]:
    """By polars and scipy: the latest fifth and what lies before it."""
    cut = cells["timestamp"].sort()[int(0.8 * len(cells))]
    late = pl.col("timestamp") >= cut
    sides = []
    for side in (cells.filter(~late), cells.filter(late)):
        places = side["user_id"].to_numpy(), side["item_id"].to_numpy()
        sides.append(sp.csr_array((np.ones(len(side), np.float32), places), shape=shape))
    return sides


def lists(X: Any, W: Any) -> Any:
    """By scipy and numpy: a product, the history at minus infinity, argpartition."""
    found = []
    for start in range(0, LISTS, BLOCK):
        rows = X[start : start + BLOCK]
        scores = (rows @ W).toarray()
        scores[rows.nonzero()] = -np.inf
        best = np.argpartition(-scores, N, axis=1)[:, :N]
        order = np.argsort(-np.take_along_axis(scores, best, 1), axis=1)
        found.append(np.take_along_axis(best, order, 1))
    return np.concatenate(found)


def measured(step: str, ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int = 3) -> Any:
    """Print the shortest of some times of both; the results of the last."""
    results, shortest = [], []
    for work, n in ((ours, 3), (theirs, rounds)):
        times = []
        for _ in range(n):
            start = time.perf_counter()
            result = work()
            times.append(time.perf_counter() - start)
        results.append(result)
        shortest.append(min(times))
    print(f"| {step} | {shortest[0]:.3f} | {shortest[1]:.3f} |", flush=True)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=3_000_000)
    n_events = parser.parse_args().events
    print("| step | here, s | polars, scipy, numpy, s |\n| --- | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clicks.csv"
        log(path, n_events)
        data, (cells, shape) = measured(
            "read", lambda: gf.Interactions.from_csv(path), lambda: read(path)
        )
    kept, cells = measured("5-core", lambda: gf.split.k_core(data, 5, 5), lambda: core(cells))
    if kept.n_interactions != len(cells):
        raise RuntimeError(f"{kept.n_interactions} interactions are left, by polars {len(cells)}")

    def sides() -> Any:
        split = gf.split.temporal(kept, 0.2)
        return split.train_data, split.test_data

    (train, _), _ = measured("temporal split", sides, lambda: temporal(cells, shape))
    model = gf.P3alpha().fit(train)
    users, X, W = model.user_ids_[:LISTS], to_scipy(model.urm_), model.item_weights_
    measured("lists", lambda: model.recommend(users, n=N), lambda: lists(X, W), rounds=1)


if __name__ == "__main__":
    main()
