"""BPR-MF, IRGAN, CDAE and CoFiGAN on the splits and from the factors that authors shipped.

    python studies/adversarial.py --data FOLDER [--rounds 140] [--seeds 3]

FOLDER holds irgan_ml100k and cofigan_ml100k (MovieLens 100K, ratings of 4 and 5). Protocols are
those of the sources: on the first, all items outside the user's training profile are ranked, MAP
and MRR over the whole ranking; on the second, users with a training and a test item, items with a
training user. "Best look" is the best of all epochs by P@5 on the test part, as the sources choose;
it is no estimate of anything, and stands here beside the last epoch because they print it.
The page docs/results/adversarial.md is written anew.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

import ganmf_fast as gf
from ganmf_fast.base.files import write_whole
from ganmf_fast.base.hardware import processor
from ganmf_fast.base.urm import as_csr
from ganmf_fast.models.base import Recommender
from ganmf_fast.scorers.factors import Factors

PAGE = Path(__file__).resolve().parents[1] / "docs" / "results" / "adversarial.md"
CDAE = {"dropout": 0.5, "reg": 0.03, "epochs": 100}
PRETRAINING = {"num_factors": 5, "epochs": 80, "learning_rate": 0.05, "reg": 0.1, "dns": 5}
# Every round is looked at, and none is the last because of what was seen.
LOOKS = {"freq": 1, "allow_worse": 10**6}
TEXT = """# Adversarial models from what their authors shipped

```sh
python studies/adversarial.py --data path/to/data
```

MovieLens 100K, ratings of 4 and 5, on the splits that the authors of IRGAN and of CoFiGAN shipped
with their code. "Shipped" are their factors, measured by this library: a check of the protocol.
"Best look" is the best epoch by P@5 on the test part, as the sources choose; "last" was not chosen.
With 456 users the standard error of P@5 is about .014. Parameters of EASE and CDAE were not chosen
on a validation part either.

## The split of IRGAN

All items outside the training profile are ranked; MAP and MRR over the whole ranking; 456 users.

{irgan}

IRGAN's pre-training is nine tenths of it: from random factors, the same rounds end no higher than
TopPopular.

## The split of CoFiGAN

Users with a training and a test item; items with a training user; G and D start from the shipped
factors.

{cofigan}

{about}
"""


def matrix(folder: Path, part: str) -> sp.csr_array:
    """A part of a split, as ones."""
    return sp.csr_array(sp.load_npz(folder / f"{part}.npz").astype(np.float32))


def shipped(
    X: sp.csr_array, users: np.ndarray[Any, Any], items: np.ndarray[Any, Any], bias: Any
) -> Recommender:
    """A model with factors and biases of others."""
    k = users.shape[1]
    params = gf.BPRMF(num_factors=k).get_params()
    ones = np.ones(len(users))
    tables = [np.column_stack(t).astype(np.float32) for t in ((users, ones), (items, bias))]
    model = gf.BPRMF.from_parts(params, as_csr(X), Factors(*tables), None)
    model.best_epoch_, model.history_ = 1, []  # type: ignore[attr-defined]
    return model


def irgan_row(model: Recommender, X: sp.csr_array, T: sp.csr_array) -> list[float]:
    """P@3, 5, 10, NDCG@3, 5, 10, MAP and MRR over all items outside the profile."""
    whole = X.shape[1]
    ev = gf.evaluate(
        model, X, T, cutoffs=(3, 5, 10, whole), metrics=("precision", "ndcg", "map", "mrr")
    )
    near = [ev[name, k] for name in ("precision", "ndcg") for k in (3, 5, 10)]
    return [*near, ev["map", whole], ev["mrr", whole]]


def cofigan_row(model: Recommender, X: sp.csr_array, T: sp.csr_array) -> list[float]:
    """P@3, 5, 10 and NDCG@5 of users with training and test items, over items with users."""
    users = np.flatnonzero((np.diff(X.indptr) > 0) & (np.diff(T.indptr) > 0))
    known = np.unique(X.indices)
    lists = model.recommend(users, n=10, candidates=known).items
    ev = gf.evaluate_lists(lists, T[users], cutoffs=(3, 5, 10), metrics=("precision", "ndcg"))
    return [ev["precision", 3], ev["precision", 5], ev["precision", 10], ev["ndcg", 5]]


def looks(model: Any, X: sp.csr_array, T: sp.csr_array) -> tuple[Any, Any]:
    """The model at its best look by P@5 on T, and after its last epoch."""
    best = model.set_params(**LOOKS).fit(X, validation=T, metric="precision", k=5)
    last = type(model)(**model.get_params()).fit(X)
    return best, last


def irgan_rows(folder: Path, seeds: int) -> Iterator[tuple[str, list[float]]]:
    """Names and figures on the split of IRGAN."""
    X, T = matrix(folder, "train"), matrix(folder, "test")
    with np.load(folder / "published_factors.npz") as file:
        factors = dict(file)
    start = None
    for name in ("dns", "gan"):
        parts = [factors[f"{name}_{part}"] for part in ("users", "items", "item_bias")]
        model = shipped(X, *parts)
        start = start or model
        yield f"shipped {name.upper()} factors", irgan_row(model, X, T)
    for name, other in {
        "TopPopular": gf.TopPopular(),
        "EASE (l2 500)": gf.EASE(l2=500.0),
        "CDAE (dropout .5, reg .03, 100 epochs)": gf.CDAE(**CDAE),
        "CDAE, the same in batches of 32 users": gf.CDAE(**CDAE, batch_size=32),
    }.items():
        yield name, irgan_row(other.fit(X), X, T)
    for seed in range(seeds):
        model = gf.BPRMF(**PRETRAINING, published_quirks=True, seed=seed)
        best, last = looks(model, X, T)
        yield f"BPR-MF by DNS, as published, seed {seed}: best look", irgan_row(best, X, T)
        yield f"the same: last of {last.epochs} epochs", irgan_row(last, X, T)
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "start.safetensors"
        assert start is not None
        start.save(path)
        for quirks, what in ((True, "frozen negatives"), (False, "live negatives")):
            model = gf.IRGAN(start_path=str(path), published_quirks=quirks)
            best, last = looks(model, X, T)
            yield f"IRGAN from the shipped start, {what}: best look", irgan_row(best, X, T)
            yield "the same: last of 15 rounds", irgan_row(last, X, T)
    for quirks, what in ((True, "as published"), (False, "by default")):
        random = gf.IRGAN(pretrain_epochs=0, published_quirks=quirks).fit(X)
        yield f"IRGAN from random factors, {what}", irgan_row(random, X, T)


def cofigan_rows(folder: Path, rounds: int) -> Iterator[tuple[str, list[float]]]:
    """Names and figures on the split of CoFiGAN."""
    X, T = matrix(folder, "train"), matrix(folder, "test")
    with tempfile.TemporaryDirectory() as temporary:
        paths = {}
        for name in "GD":
            with np.load(folder / f"pretrained_{name}.npz") as file:
                model = shipped(X, file["users"], file["items"], file["item_bias"])
            paths[name] = str(Path(temporary) / f"{name}.safetensors")
            model.save(paths[name])
            yield f"shipped {name}", cofigan_row(model, X, T)
        for name, other in {
            "TopPopular": gf.TopPopular(),
            "EASE (l2 500)": gf.EASE(l2=500.0),
        }.items():
            yield name, cofigan_row(other.fit(X), X, T)
        model = gf.CoFiGAN(start_path=paths["G"], d_start_path=paths["D"], epochs=rounds)
        yield f"CoFiGAN, last of {rounds} rounds", cofigan_row(model.fit(X), X, T)


def table(header: list[str], rows: Iterator[tuple[str, list[float]]]) -> str:
    """Markdown of named rows, with the seconds of each on stdout."""
    lines = ["| " + " | ".join(["model", *header]) + " |", "| --- |" + " --- |" * len(header)]
    started = time.perf_counter()
    for name, figures in rows:
        cells = " | ".join(f"{x:.4f}".removeprefix("0") for x in figures)
        lines.append(f"| {name} | {cells} |")
        print(f"{lines[-1]} {time.perf_counter() - started:.0f} s", flush=True)
        started = time.perf_counter()
    return "\n".join(lines)


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=140)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    near = ["P@3", "P@5", "P@10"]
    irgan = table(
        [*near, "NDCG@3", "NDCG@5", "NDCG@10", "MAP", "MRR"],
        irgan_rows(arguments.data / "irgan_ml100k", arguments.seeds),
    )
    cofigan = table(
        [*near, "NDCG@5"], cofigan_rows(arguments.data / "cofigan_ml100k", arguments.rounds)
    )
    about = f"Run on an {processor()}; the figures do not depend on the number of threads."
    write_whole(PAGE, TEXT.format(irgan=irgan, cofigan=cofigan, about=about))
    print(PAGE)


if __name__ == "__main__":
    main()
