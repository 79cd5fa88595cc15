"""What a GAN of the paper's comparison reaches on test, epoch by epoch.

    python studies/gan_curve.py --data path/to/lastfm --row CFGAN-i [--seeds 2] [--epochs 191]
                                [--sought] [--device cuda]

Published parameters, fitted on `train`, MAP@5 on `test` every fifth epoch and after the last. It
shows how much of one published figure is the epoch and the seed it was taken at; nothing is chosen
by it. Prints a line a seed, with mean and deviation over the second half of the training, and the
last value.

With `--sought` each seed first repeats the step of the paper's search that gave the number of
epochs: it is fitted on `train_small` until the sixth check on `early_stop` without improvement.
Printed are the best epoch, MAP@5 on `validation` of its weights, and MAP@5 on `test` of the fit on
`train` after as many epochs, and after five more, which is what the published search saved.
"""

import argparse
import statistics
from pathlib import Path
from typing import Any

import ganmf_fast as gf
from ganmf_fast import reference
from ganmf_fast.experiments.variants import select
from ganmf_fast.models.registry import model_class

# Of the paper's searches.
LONGEST, FREQ = 300, 5


def main() -> None:
    """Fit and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--row", required=True)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first-seed", type=int, default=1337)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--sought", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    gf.set_num_threads(arguments.threads)
    splits = gf.Splits.load(arguments.data)
    (row,) = select([arguments.row])
    published = reference.best_params(arguments.data.name, row.params_of or row.name)
    params = {**(published or {}), **row.fixed, "freq": FREQ, "device": arguments.device}
    if row.quirks:
        params["published_quirks"] = True
    if arguments.epochs is not None:
        params["epochs"] = arguments.epochs
    cls = model_class(row.model)
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        params["seed"] = seed
        name, best = f"{row.name}, seed {seed}", None
        if arguments.sought:
            best, value = sought(cls, params, splits)
            print(f"{name}: best on early_stop epoch {best}, validation {value:.4f}", flush=True)
        epochs = params["epochs"] if best is None else max(params["epochs"], best + FREQ)
        model = cls(**{**params, "epochs": epochs, "allow_worse": 10**6})
        model.fit(splits.train, validation=splits.test)
        curve = {e["epoch"]: e["validation"] for e in model.history_ if "validation" in e}
        if best is not None:
            after = [f"after {n} {curve[n]:.4f}" for n in (best, best + FREQ)]
            print(f"{name}: test {', '.join(after)}", flush=True)
        values = list(curve.values())
        half = values[len(values) // 2 :]
        print(
            f"{name}: second half {statistics.fmean(half):.4f}"
            f" ± {statistics.pstdev(half):.4f}, last {values[-1]:.4f}; every fifth epoch "
            + " ".join(f"{value:.4f}" for value in values),
            flush=True,
        )


def sought(cls: Any, params: dict[str, Any], splits: gf.Splits) -> tuple[int, float]:
    """Best epoch by early stopping as in the paper, and MAP@5 of its weights on `validation`."""
    model = cls(**{**params, "epochs": LONGEST, "allow_worse": 5})
    model.fit(splits.train_small, validation=splits.early_stop)
    curve = {e["epoch"]: e["validation"] for e in model.history_ if "validation" in e}
    found = gf.evaluate(model, splits.train_small, splits.validation, cutoffs=(5,))
    return max(curve, key=lambda epoch: (curve[epoch], -epoch)), found["map", 5]


if __name__ == "__main__":
    main()
