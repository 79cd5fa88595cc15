"""What a GAN of the paper's comparison reaches on test, epoch by epoch.

    python benches/gan_curve.py --data path/to/lastfm --row CFGAN-i [--seeds 2] [--epochs 191]

Published parameters, fitted on `train`, MAP@5 on `test` every fifth epoch and after the last. It
shows how much of one published figure is the epoch and the seed it was taken at; nothing is chosen
by it. Prints a line a seed, with mean and deviation over the second half of the training, and the
last value.
"""

import argparse
import statistics
from pathlib import Path

import ganmf_fast as gf
from ganmf_fast import reference
from ganmf_fast.experiments.rows import select
from ganmf_fast.models import model_class


def main() -> None:
    """Fit and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--row", required=True)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    gf.set_num_threads(arguments.threads)
    splits = gf.Splits.load(arguments.data)
    (row,) = select([arguments.row])
    published = reference.best_params(arguments.data.name, row.params_of or row.name)
    params = {**(published or {}), **row.fixed, "allow_worse": 10**6, "freq": 5, "device": "cpu"}
    if row.quirks:
        params["published_quirks"] = True
    if arguments.epochs is not None:
        params["epochs"] = arguments.epochs
    for seed in range(1337, 1337 + arguments.seeds):
        model = model_class(row.model)(**params, seed=seed)
        model.fit(splits.train, validation=splits.test)
        curve = [epoch["validation"] for epoch in model.history_ if "validation" in epoch]
        half = curve[len(curve) // 2 :]
        print(
            f"{row.name}, seed {seed}: second half {statistics.fmean(half):.4f}"
            f" ± {statistics.pstdev(half):.4f}, last {curve[-1]:.4f}; every fifth epoch "
            + " ".join(f"{value:.4f}" for value in curve),
            flush=True,
        )


if __name__ == "__main__":
    main()
