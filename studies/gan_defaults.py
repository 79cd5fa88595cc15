"""What the defaults of the GANs reach without tuning, beside baselines, on validation data.

    python studies/gan_defaults.py --data demo,path/to/lastfm [--models CFGAN-u,...] [--threads 1]

Each model is fitted on `train_small` with its defaults, iterative ones without early stopping, and
measured on `validation` by MAP@5, for seed 0; `test` is not looked at. Prints a table in Markdown.
"""

import argparse
import importlib.util
import sys
from pathlib import Path

import ganmf_fast as gf

GANS = {
    "GANMF-u": lambda: gf.GANMF(epochs=100, recon_coefficient=0.1),
    "CFGAN-u": gf.CFGAN,
    "CFGAN-i": lambda: gf.CFGAN(mode="item"),
    "CAAE": gf.CAAE,
    "binGANMF-u": gf.BinGANMF,
    "binGANMF-i": lambda: gf.BinGANMF(mode="item"),
}
MODELS = {
    "TopPopular": gf.TopPopular,
    "PureSVD": lambda: gf.PureSVD(num_factors=20),
    "EASE": lambda: gf.EASE(l2=200.0),
} | (GANS if importlib.util.find_spec("torch") else {})


def splits_of(name: str) -> gf.Splits:
    """A folder of five splits, or a data set split by the paper's protocol."""
    if Path(name).is_dir():
        return gf.Splits.load(name)
    return gf.split.paper_protocol(gf.datasets.load(name), seed=1337)


def main() -> None:
    """Fit, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", default="demo")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    gf.set_num_threads(arguments.threads)
    data = [(Path(name).name, splits_of(name)) for name in arguments.data.split(",")]
    print("| model | " + " | ".join(name for name, _ in data) + " |")
    print("| --- |" + " ---: |" * len(data))
    for name in arguments.models.split(","):
        values = []
        for _, splits in data:
            model = MODELS[name]()
            if "seed" in model.get_params():
                model.set_params(seed=0)
            model.fit(splits.train_small)
            found = gf.evaluate(model, splits.train_small, splits.validation, cutoffs=(5,))
            values.append(f"{found['map', 5]:.4f}")
        print(f"| {name} | {' | '.join(values)} |")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
