"""GANMF as the catalogue grows: CPU time of an epoch and peak memory, as a table and a plot.

    python benches/large/ganmf.py [--items 10k,100k,1M]

100,000 users, 10 million interactions by popularity, K = 64, emb_dim = 128, batches of 1024; one
thread. Each size runs in a process of its own, for one epoch after one that is not counted (the
largest for one epoch only). Writes docs/results/ganmf-catalogue.json and .png.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from generate import size_of

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results" / "ganmf-catalogue.json"
USERS, EVENTS, FACTORS, EMB, BATCH = 100_000, 10_000_000, 64, 128, 1024


def profiles(n_items: int) -> Any:
    """A hundred different items for each user, more often the popular ones."""
    from ganmf_fast._core import Csr

    rng = np.random.default_rng(0)
    indptr, indices = [0], []
    for _ in range(0, USERS, 10_000):
        # The inverse of a distribution function whose density falls as one over the rank.
        drawn = (n_items ** rng.random((10_000, EVENTS // USERS + 20)) - 1).astype(np.int32)
        drawn.sort(axis=1)
        for row in drawn:
            distinct = np.unique(row)
            indices.append(distinct)
            indptr.append(indptr[-1] + len(distinct))
    cells = np.concatenate(indices).astype(np.int32)
    return Csr(np.array(indptr, np.int64), cells, None, n_items)


def measure(n_items: int) -> dict[str, Any]:
    """One size, in this process."""
    import torch

    import ganmf_fast as gf
    from ganmf_fast.gan.ganmf.module import GANMFModule

    gf.set_num_threads(1)
    torch.set_num_threads(1)
    X = profiles(n_items)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    model = gf.GANMF(
        num_factors=FACTORS, emb_dim=EMB, batch_size=BATCH, recon_coefficient=0.1, device="cpu"
    )
    module = GANMFModule(model, X)
    seconds = []
    losses: list[float] = []
    for epoch in (1, 2):
        started, cpu = time.perf_counter(), time.process_time()
        for network, batches in module.epoch(epoch):
            for nth, batch in enumerate(batches):
                losses.append(module.step(network, batch)[f"{network}_loss"])
                if nth % 20 == 0:
                    print(f"  {n_items:,} items, epoch {epoch}{network}: {nth}/{len(batches)}")
        seconds.append((time.process_time() - cpu, time.perf_counter() - started))
        if seconds[0][1] > 300:
            break
    return {
        "items": n_items,
        "interactions": X.nnz,
        "cpu_seconds": seconds[-1][0],
        "seconds": seconds[-1][1],
        "input_mib": before,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "last_loss": losses[-1],
    }


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Seconds of an epoch and gibibytes, against the number of items."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    items = [row["items"] for row in rows]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    seconds = [row["cpu_seconds"] for row in rows]
    left.plot(items, seconds, "o-", label="measured")
    left.plot(items, [seconds[-1] * n / items[-1] for n in items], "k:", label="in proportion")
    left.set(ylabel="CPU seconds of an epoch", title="Time")
    right.plot(items, [row["peak_mib"] / 1024 for row in rows], "s-", label="peak of the process")
    dense = [4 * BATCH * n / 2**30 for n in items]
    right.plot(items, dense, "k--", label="one dense batch alone")
    right.set(ylabel="GiB", title="Memory")
    for axes in (left, right):
        axes.set(xscale="log", yscale="log", xlabel="items in the catalogue")
        axes.grid(visible=True, which="both", alpha=0.25)
        axes.legend(frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main() -> None:
    """Measure the sizes asked for, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--items", default="10k,100k,1M")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one)))
        return
    from ganmf_fast.experiments import environment

    rows = []
    for n_items in map(size_of, arguments.items.split(",")):
        command = [sys.executable, __file__, "--one", str(n_items)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
        row = rows[-1]
        print(
            f"{n_items:,} items: {row['cpu_seconds']:.1f} CPU s an epoch, "
            f"peak {row['peak_mib'] / 1024:.2f} GiB"
        )
    content = {
        "date": time.strftime("%Y-%m-%d"),
        "environment": environment.describe(),
        "rows": rows,
    }
    RESULTS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    plot(rows, RESULTS.with_suffix(".png"))


if __name__ == "__main__":
    main()
