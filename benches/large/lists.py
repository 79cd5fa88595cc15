"""Lists of all users from factors: users a second and how far memory rises, by number of users.

    python benches/large/lists.py --users 1000000,10000000

Factors are normal, so that no item can be left out by its length, and every user has ten
interactions to exclude. Memory is sampled ten times a second, above what the model itself takes.
"""

import argparse
import json
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Self

import numpy as np
import psutil

import ganmf_fast as gf
from ganmf_fast._core import Csr
from ganmf_fast.scorers.factors import Factors

SEEN = 10


def fitted(n_users: int, n_items: int, n_factors: int) -> gf.PureSVD:
    """A model of random factors."""
    rng = np.random.default_rng(0)
    P, Q = (
        rng.standard_normal((n, n_factors), dtype=np.float32) / np.float32(n_factors**0.5)
        for n in (n_users, n_items)
    )
    first = rng.integers(0, n_items - 7 * SEEN, n_users, dtype=np.int32)
    indices = (first[:, None] + np.arange(0, 7 * SEEN, 7, dtype=np.int32)).ravel()
    urm = Csr(np.arange(0, SEEN * n_users + 1, SEEN), indices, None, n_items)
    return gf.PureSVD.from_parts(gf.PureSVD().get_params(), urm, Factors(P, Q), None)


class Peak(threading.Thread):
    """The largest resident memory while the block runs, above that at its beginning, in MiB."""

    def __enter__(self) -> Self:
        self._process = psutil.Process()
        self._before = self._highest = self._process.memory_info().rss
        self._ended = threading.Event()
        self.start()
        return self

    def run(self) -> None:
        while not self._ended.wait(0.1):
            self._highest = max(self._highest, self._process.memory_info().rss)

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self.join()

    @property
    def mebibytes(self) -> float:
        return (self._highest - self._before) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", default="1000000", help="comma-separated")
    parser.add_argument("--items", type=int, default=30_000)
    parser.add_argument("--factors", type=int, default=64)
    parser.add_argument("--n", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    gf.set_num_threads(arguments.threads)
    for n_users in map(int, arguments.users.split(",")):
        model = fitted(n_users, arguments.items, arguments.factors)
        # What is made once for the items belongs to the model.
        model.recommend(0)
        folder = Path(tempfile.mkdtemp())
        start, cpu = time.monotonic(), time.process_time()
        with Peak(daemon=True) as peak:
            done = model.recommend_all(folder / "lists.parquet", n=arguments.n)
        seconds = time.monotonic() - start
        print(
            json.dumps(
                {
                    "users": n_users,
                    "items": arguments.items,
                    "factors": arguments.factors,
                    "n": arguments.n,
                    "threads": arguments.threads,
                    "rows": done.n_rows,
                    "seconds": round(seconds, 1),
                    "cpu_seconds": round(time.process_time() - cpu, 1),
                    "users_per_second": round(n_users / seconds),
                    "peak_mib": round(peak.mebibytes),
                    "model_mib": round(peak._before / 2**20),
                    "file_mib": round((folder / "lists.parquet").stat().st_size / 2**20),
                }
            ),
            flush=True,
        )
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
