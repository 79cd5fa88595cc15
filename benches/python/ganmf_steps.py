"""An epoch of GANMF beside its straight dense port, on published data with published parameters.

    python benches/python/ganmf_steps.py --data FOLDER [--datasets lastfm,...] [--epochs 2]

FOLDER holds one folder of the five published splits for each data set. Both start from the same
weights, take the same batches and use one thread; epochs alternate, and the median CPU time counts.
The largest relative difference of losses over the first 20 steps (10 of each network, or what the
first epoch has) says that they compute the same. Writes docs/results/ganmf-steps.json.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch

import ganmf_fast as gf
from ganmf_fast import reference
from ganmf_fast.experiments import environment
from ganmf_fast.gan.training import Training
from ganmf_fast.urm import as_csr, to_scipy
from straight_gans import StraightGANMF

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results" / "ganmf-steps.json"
STEPS = 10
"""Of each network, whose losses are compared."""


def epoch_of_ours(training: Training, seconds: list[float]) -> tuple[list[Any], list[float]]:
    """Run one epoch; the users of its batches, and the losses, those of D first."""
    users, losses = [], []
    started = time.process_time()
    for phase, step, batches in training.passes(1):
        for batch in batches:
            losses.append(step(batch)[f"{phase}_loss"])
            if phase == "d":
                users.append(batch.numbers)
    seconds.append(time.process_time() - started)
    return users, losses


def measure(dataset: str, mode: str, folder: Path, epochs: int) -> dict[str, Any]:
    """Both ways of training on one data set."""
    train = gf.Splits.load(folder / dataset).train
    profiles = as_csr(train if mode == "user" else train.T.tocsr())
    params = reference.best_params(dataset, f"GANMF-{mode[0]}")
    training = Training(gf.GANMF(mode=mode, **params, seed=0, device="cpu"), profiles)
    X = to_scipy(profiles)
    port = StraightGANMF(
        X, params, training.generator.state_dict(), training.discriminator.state_dict()
    )
    ours: list[float] = []
    theirs: list[float] = []
    difference = 0.0
    for epoch in range(epochs):
        users, losses = epoch_of_ours(training, ours)
        started = time.process_time()
        expected = port.epoch(users)
        theirs.append(time.process_time() - started)
        if epoch == 0:
            n = len(users)
            compared = [*range(min(n, STEPS)), *range(n, n + min(n, STEPS))]
            difference = max(abs(losses[k] / expected[k] - 1) for k in compared)
    return {
        "dataset": dataset,
        "mode": mode,
        "batches": len(users),
        "shape": [X.shape[0], X.shape[1], params["num_factors"], params["emb_dim"]],
        "batch_size": params["batch_size"],
        "ours_s": statistics.median(ours),
        "straight_s": statistics.median(theirs),
        "ratio": statistics.median(theirs) / statistics.median(ours),
        "loss_difference": difference,
    }


def main() -> None:
    """Measure what is asked for and write it down."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--datasets", default="lastfm,hetrec2011,ml-1m")
    parser.add_argument("--modes", default="user,item")
    parser.add_argument("--epochs", type=int, default=2)
    arguments = parser.parse_args()
    gf.set_num_threads(1)
    torch.set_num_threads(1)
    rows = []
    for dataset in arguments.datasets.split(","):
        for mode in arguments.modes.split(","):
            row = measure(dataset, mode, arguments.data, arguments.epochs)
            rows.append(row)
            print(
                f"{dataset}-{mode[0]}: {row['straight_s']:.2f} s straight, {row['ours_s']:.2f} s "
                f"ours, {row['ratio']:.1f}x, losses within {row['loss_difference']:.1e}"
            )
    content = {
        "date": time.strftime("%Y-%m-%d"),
        "environment": environment.describe(),
        "epochs": arguments.epochs,
        "rows": rows,
    }
    RESULTS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
