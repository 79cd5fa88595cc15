"""From a log on disk to measured models, with time and memory of every stage.

    python benches/large/pipeline.py logs/100m --models TopPopular,P3alpha
    python benches/large/pipeline.py events.csv --user visitor --item article --json stages.json

The log is a folder of parquet files, a parquet file, or a CSV file with a header. A fifth of each
user's interactions is held out; models are measured on a sample of the users, against the whole
catalogue.
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

import ganmf_fast as gf
from ganmf_fast.experiments.environment import describe, measured

MODELS: dict[str, dict[str, Any]] = {
    "TopPopular": {},
    "P3alpha": {"topk": 50},
    "ItemKNN": {"topk": 50},
    "WRMF": {"num_factors": 64, "alpha": 10.0, "reg": 10.0, "epochs": 5},
}
CUTOFF = 20


@dataclass
class Stage:
    """What one stage took.

    Attributes
    ----------
    seconds, cpu_seconds : float
        By the clock, and of all threads together.
    peak_mib : float
        The most memory resident during the stage, what was there before included.
    result : str
        What came out, in a few words.
    """

    name: str
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mib: float = 0.0
    result: str = ""


class Stages:
    """Measures stages one after the other and prints each as it ends."""

    def __init__(self) -> None:
        self.done: list[Stage] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """Measure what happens inside."""
        stage = Stage(name)
        print(f"{name} ...", end="", file=sys.stderr, flush=True)
        before = _cpu_seconds()
        with measured() as cost:
            yield stage
        stage.seconds, stage.peak_mib = cost.seconds, cost.peak_mib
        stage.cpu_seconds = _cpu_seconds() - before
        self.done.append(stage)
        print(
            f"\r{name}: {stage.seconds:.1f} s, {stage.cpu_seconds:.1f} CPU s, "
            f"{stage.peak_mib:,.0f} MiB; {stage.result}",
            file=sys.stderr,
            flush=True,
        )


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def held_out(data: gf.Interactions, seed: int) -> tuple[Any, Any]:
    """A fifth of each user's interactions held out; a share of all cells in older versions."""
    holdout = getattr(gf.split, "holdout", None)
    if holdout is not None:
        parts = holdout(data, test_size=0.2, per_user=True, seed=seed)
        return parts.train_data, parts.test
    mask = np.random.default_rng(seed).random(data.csr.nnz, dtype=np.float32) < 0.2
    train, test = (_cells(data, cells) for cells in (~mask, mask))
    return gf.Interactions.from_matrix(train, data.user_ids, data.item_ids), test


def _cells(data: gf.Interactions, kept: Any) -> "sp.csr_array[np.float32]":
    indptr = np.concatenate(([0], np.cumsum(kept)))[data.csr.indptr]
    indices = data.csr.indices[kept]
    values = np.ones(len(indices), np.float32)
    return sp.csr_array((values, indices, indptr), shape=(data.n_users, data.n_items))


def sampled(test: Any, n: int, seed: int) -> Any:
    """The held-out items of `n` users; the rows of the others are empty."""
    users = np.flatnonzero(np.diff(test.indptr))
    chosen = np.random.default_rng(seed).permutation(users)[:n]
    lengths = np.zeros(test.shape[0], dtype=np.int64)
    lengths[chosen] = np.diff(test.indptr)[chosen]
    indptr = np.concatenate(([0], np.cumsum(lengths)))
    kept = np.repeat(lengths > 0, np.diff(test.indptr))
    return sp.csr_array((test.data[kept], test.indices[kept], indptr), shape=test.shape)


def run(
    source: Path, user: str | int, item: str | int, models: list[str], n_users: int, seed: int
) -> list[Stage]:
    """All stages on a log."""
    stages = Stages()
    with stages.stage("ingest") as stage:
        data = gf.Interactions.scan(source, user=user, item=item)
        stage.result = (
            f"{data.n_interactions:,} interactions, {data.n_users:,} users, {data.n_items:,} items"
        )
    with stages.stage("split") as stage:
        train, test = held_out(data, seed)
        del data
        stage.result = f"{train.n_interactions:,} in train, {test.nnz:,} in test"
    sample = sampled(test, n_users, seed)
    del test
    for name in models:
        with stages.stage(f"fit {name}") as stage:
            model = getattr(gf, name)(**MODELS[name]).fit(train)
            stage.result = ", ".join(f"{k} {v}" for k, v in MODELS[name].items()) or "counts"
        with stages.stage(f"evaluate {name}") as stage:
            found = gf.evaluate(model, train, sample, cutoffs=(CUTOFF,), metrics=("ndcg", "map"))
            stage.result = (
                f"{len(found.users):,} users, NDCG@{CUTOFF} {found['ndcg', CUTOFF]:.4f}, "
                f"MAP@{CUTOFF} {found['map', CUTOFF]:.4f}"
            )
        del model
    return stages.done


def main() -> int:
    """Read the command line, run, write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--user", default=0, type=_column, help="column name or position")
    parser.add_argument("--item", default=1, type=_column, help="column name or position")
    parser.add_argument("--models", default="TopPopular,P3alpha", help=", ".join(MODELS))
    parser.add_argument("--users", default=100_000, type=int, help="users to measure on")
    parser.add_argument("--seed", default=0, type=int)
    parser.add_argument("--threads", type=int, help="all processors by default")
    parser.add_argument("--json", type=Path, help="where to write the stages")
    arguments = parser.parse_args()
    models = arguments.models.split(",")
    unknown = [name for name in models if name not in MODELS or not hasattr(gf, name)]
    if unknown:
        print(f"{unknown[0]!r} is none of {', '.join(MODELS)}", file=sys.stderr)
        return 2
    if arguments.threads is not None:
        gf.set_num_threads(arguments.threads)
    started = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    stages = run(
        arguments.source, arguments.user, arguments.item, models, arguments.users, arguments.seed
    )
    if arguments.json is not None:
        report = {
            "date": started,
            "stages": [asdict(stage) for stage in stages],
            "environment": describe(),
        }
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


def _column(text: str) -> str | int:
    return int(text) if text.isdigit() else text


if __name__ == "__main__":
    sys.exit(main())
