"""An epoch of each GAN beside its straight dense port, on published data and parameters.

    PYTHONPATH=benches/python python benches/python/gan_epochs.py --data FOLDER \
        [--datasets lastfm,...] [--models GANMF-u,...] [--epochs 2]

FOLDER holds one folder of the five published splits for each data set. ``GANMF-u:reconstruction``
is GANMF-u with emphasised denoising and that matching. One thread; epochs
alternate, and the median CPU time counts. GANMF and its port start from the same weights and take
the same batches, and the largest relative difference of their losses over the first 20 steps (10 of
each network, or what the first epoch has) says that they compute the same. Writes
docs/results/gan-epochs.json, in which rows that are not measured again are kept.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

import ganmf_fast as gf
from ganmf_fast import reference
from ganmf_fast.base.urm import as_csr, to_scipy
from ganmf_fast.experiments import environment
from ganmf_fast.gan.caae import CAAEModule
from ganmf_fast.gan.cfgan import CFGANModule
from ganmf_fast.gan.ganmf.module import GANMFModule
from straight_gans import StraightCAAE, StraightCFGAN, StraightGANMF

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results" / "gan-epochs.json"
EMPHASIS = {"d_dropout": 0.3, "d_emphasis": 0.1}
STEPS = 10
"""Of each network, whose losses are compared."""

Epoch = Callable[[], Any]


def run(module: Any) -> Iterator[tuple[str, Any, dict[str, float]]]:
    """One epoch of ours: network, batch and losses of each step."""
    for network, batches in module.epoch(1):
        for batch in batches:
            yield network, batch, module.step(network, batch)


class GANMF:
    """Both ways of training GANMF, the port one epoch behind on the same batches."""

    def __init__(self, profiles: Any, params: dict[str, Any], mode: str) -> None:
        model = gf.GANMF(mode=mode, **params, seed=0, device="cpu")
        self.module = GANMFModule(model, profiles)
        networks = (self.module.generator, self.module.discriminator)
        self.port = StraightGANMF(
            to_scipy(profiles), params, *(network.state_dict() for network in networks)
        )
        self.first: tuple[list[float], list[float]] | None = None

    def ours(self) -> None:
        """An epoch; the batches and losses are kept for the port."""
        self.port.rng.set_state(self.module.rng.get_state())
        torch.randperm(self.module.profiles.n_rows, generator=self.port.rng)
        steps = list(run(self.module))
        self.users = [batch.numbers for network, batch, _ in steps if network == "d"]
        self.losses = [losses[f"{network}_loss"] for network, _, losses in steps]

    def straight(self) -> None:
        """The same epoch."""
        losses = self.port.epoch(self.users)
        self.first = self.first or (self.losses, losses)

    def difference(self) -> float | None:
        """Largest relative difference of losses over the first steps."""
        ours, theirs = self.first or ([], [])
        n = len(self.users)
        compared = [*range(min(n, STEPS)), *range(n, n + min(n, STEPS))]
        return max(abs(ours[k] / theirs[k] - 1) for k in compared)


class Sampled:
    """CFGAN or CAAE: masks and items are drawn by chance, differently on both sides."""

    def __init__(self, module: Any, port: Any) -> None:
        self.module = module
        self.straight: Epoch = port.epoch

    def ours(self) -> None:
        """An epoch."""
        for _ in run(self.module):
            pass

    def difference(self) -> float | None:
        """Nothing to compare."""
        return None


def pair(row: str, profiles: Any, params: dict[str, Any], mode: str) -> GANMF | Sampled:
    """Ours and the port of one row of the comparison."""
    X = to_scipy(profiles)
    if row.startswith("GANMF"):
        return GANMF(profiles, params, mode)
    if row.startswith("CFGAN"):
        model = gf.CFGAN(mode=mode, **params, published_quirks=True, device="cpu")
        return Sampled(CFGANModule(model, profiles), StraightCFGAN(X, params))
    return Sampled(CAAEModule(gf.CAAE(**params, device="cpu"), profiles), StraightCAAE(X, params))


def measure(dataset: str, row: str, folder: Path, epochs: int) -> dict[str, Any]:
    """Both ways of training on one data set."""
    train = gf.Splits.load(folder / dataset).train
    published, _, matching = row.partition(":")
    mode = "item" if published.endswith("-i") else "user"
    profiles = as_csr(train if mode == "user" else train.T.tocsr())
    params = reference.best_params(dataset, published)
    if matching:
        params = {**params, **EMPHASIS, "matching": matching}
    sides = pair(row, profiles, params, mode)
    seconds: dict[str, list[float]] = {"ours": [], "straight": []}
    for _ in range(epochs):
        for side, spent in seconds.items():
            started = time.process_time()
            getattr(sides, side)()
            spent.append(time.process_time() - started)
    ours, straight = (statistics.median(seconds[side]) for side in ("ours", "straight"))
    return {
        "dataset": dataset,
        "row": row,
        "profiles": [profiles.n_rows, profiles.n_cols],
        "ours_s": ours,
        "straight_s": straight,
        "ratio": straight / ours,
        "loss_difference": sides.difference(),
        "epochs": epochs,
        "date": time.strftime("%Y-%m-%d"),
        "environment": environment.describe(),
    }


def main() -> None:
    """Measure what is asked for and write it down."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--datasets", default="lastfm,hetrec2011,ml-1m")
    parser.add_argument("--models", default="GANMF-u,GANMF-i,CFGAN-u,CFGAN-i,CAAE")
    parser.add_argument("--epochs", type=int, default=2)
    arguments = parser.parse_args()
    gf.set_num_threads(1)
    torch.set_num_threads(1)
    rows = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else []
    for dataset in arguments.datasets.split(","):
        for name in arguments.models.split(","):
            found = measure(dataset, name, arguments.data, arguments.epochs)
            rows = [r for r in rows if (r["dataset"], r["row"]) != (dataset, name)] + [found]
            RESULTS.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
            print(
                f"{dataset} {name}: {found['straight_s']:.2f} s straight, {found['ours_s']:.2f} s "
                f"ours, {found['ratio']:.1f}x, losses within {found['loss_difference']}",
                flush=True,
            )


if __name__ == "__main__":
    main()
