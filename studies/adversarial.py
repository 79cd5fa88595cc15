"""BPR-MF, IRGAN, CDAE, CoFiGAN and GraphGAN, on what their authors shipped; RAGAN and AugCF.

    python studies/adversarial.py --data FOLDER [--rounds 140] [--seeds 3] [--only TABLE ...]

FOLDER holds irgan_ml100k and cofigan_ml100k (MovieLens 100K, ratings of 4 and 5), and
graphgan_ca_grqc (a graph) and raw/ml-100k/u.data. Protocols are
those of the sources: on the first, all items outside the user's training profile are ranked, MAP
and MRR over the whole ranking; on the second, users with a training and a test item, items with a
training user. "Best look" is the best of all epochs by P@5 on the test part, as the sources choose;
it is no estimate of anything, and stands here beside the last epoch because they print it.
The page docs/results/adversarial.md is written anew; with --only its other tables stay.
"""

import argparse
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone

import ganmf_fast as gf
from ganmf_fast.base.files import write_whole
from ganmf_fast.base.hardware import processor
from ganmf_fast.base.urm import as_csr
from ganmf_fast.models.base import Recommender
from ganmf_fast.scorers.factors import Factors

PAGE = Path(__file__).resolve().parents[1] / "docs" / "results" / "adversarial.md"
GRAPH = "graphgan_ca_grqc"
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

## The graph of GraphGAN

arXiv general relativity co-authorship, link prediction: of 1,449 edges and as many pairs that are
no edges, those whose score (inner product, no bias) is at least the median are taken for edges.
Vertices without a training edge, of which no vector was shipped, start with uniform(0, 1)
numbers, as in the source. "As released" is `published_quirks`, with 30 epochs of each network in
a round. The walk kernel learns nothing: the sum of the first twelve powers of the symmetrically
normalised adjacency matrix.

{graphgan}

With the released rates of 1e-3 the generator collapses within the first round; with 1e-5 it gains.
A kernel without learning is above the published .849.

On MovieLens 100K, likes of the split below, GraphGAN starts from BPR-MF of its pre-training; MAP@5
on the validation part of its training set, after each of five rounds, both networks with one rate.
This is the part by which the pre-training was stopped as well.

{graphgan_ml}

No rate raises it above the start in any round.

## RAGAN on ratings

MovieLens 100K with all ratings, after the paper's description, unverified. Of each user a fifth
is held out, of which ratings of 4 and 5 count; the base has its defaults, alone or on the ratings
that RAGAN gives it (100 epochs, `share` and `low_share` .05). The last column is the standard
deviation of generated ratings, of 64 users and all items.

{ragan}

The augmentation helps neither base, and does EASE great harm. Virtual low ratings do not raise
the spread of generated ones here, as they should by the paper; they do on the smaller, denser
ratings of a test. A likely reason: without them nothing trains the output for items nobody rated.

## AugCF on ratings

After the paper's description, unverified. The split is that of RAGAN; ratings of 4 and 5 are
likes. Of the training set a fifth is the validation part, by whose MAP@5 the number of epochs is
chosen before all of it is fitted. Means over seeds {seeds}, with the deviation of MAP@5 and the
mean number of epochs in the last columns. The control is AugCF without generated interactions
(`share` 0). All have their defaults; `d_reg` and the epochs of
AugCF were set by a few trials on the validation part, its other defaults were not searched.

{augcf}

On likes, generated interactions change less than seeds do; on ratings AugCF is above its control by
more than that, and its best epochs are near the end of the first phase. In both forms EASE is far
above it. Given dislikes do not help lists of likes here: every model has better ones on likes
alone, and what the generator adds to ratings does not make up for it.

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


def accuracy(vectors: np.ndarray[Any, Any], pairs: np.ndarray[Any, Any]) -> float:
    """Of pairs, the first half edges: those right of which half are taken for edges."""
    v = vectors.astype(np.float64)
    return halves((v[pairs[:, 0]] * v[pairs[:, 1]]).sum(axis=1))


def halves(scores: np.ndarray[Any, Any]) -> float:
    """Accuracy where the first half should have at least the median."""
    is_edge = np.arange(len(scores)) < len(scores) // 2
    return float(((scores >= np.median(scores)) == is_edge).mean())


def walk_kernel(A: sp.csr_array, pairs: np.ndarray[Any, Any], length: int = 12) -> float:
    """Accuracy of the sum of powers of the normalised matrix, for some columns at a time."""
    degrees = np.asarray(A.sum(axis=1)).ravel()
    scale = sp.diags_array(1 / np.sqrt(np.maximum(degrees, 1)))
    S, scores = sp.csr_array(scale @ A @ scale), np.zeros(len(pairs))
    columns = np.unique(pairs[:, 1])
    for part in np.array_split(columns, 8):
        power = np.zeros((A.shape[0], len(part)))
        power[part, np.arange(len(part))] = 1
        total = np.zeros_like(power)
        for _ in range(length):
            power = S @ power
            total += power
        mine = np.isin(pairs[:, 1], part)
        scores[mine] = total[pairs[mine, 0], np.searchsorted(part, pairs[mine, 1])]
    return halves(scores)


def graphgan_rows(folder: Path) -> Iterator[tuple[str, list[float]]]:
    """Names and accuracies of generator and discriminator on the graph of GraphGAN."""
    A = sp.csr_array(sp.load_npz(folder / "train_adjacency.npz").astype(np.float64))
    with np.load(folder / "test_pairs.npz") as file:
        pairs = np.concatenate([file["positive"], file["negative"]])
    with np.load(folder / "pretrained_embeddings.npz") as file:
        start, given = file["embeddings"].copy(), file["given"]
    start[~given] = np.random.default_rng(0).random((int((~given).sum()), start.shape[1]))
    yield "shipped start", [accuracy(start, pairs)] * 2
    yield "walk kernel, no learning", [walk_kernel(A, pairs)] * 2
    settings = {"num_factors": start.shape[1], "d_epochs": 30, "g_epochs": 30}
    for quirks, what in ((True, "as released"), (False, "by the graph softmax")):
        for rate in (1e-5, 1e-3):
            params = {**settings, "d_lr": rate, "g_lr": rate, "published_quirks": quirks}
            found = gf.GraphGAN(epochs=1, **params).embed_graph(A, start)
            values = [accuracy(v, pairs) for v in (found.generator, found.discriminator)]
            yield f"GraphGAN {what}, rates {rate:.0e}, one round", values


def likes(X: sp.csr_array) -> sp.csr_array:
    """Ones at ratings of 4 and 5."""
    return sp.csr_array((X >= 4).astype(np.float32))


def rated(file: Path) -> tuple[sp.csr_array, sp.csr_array]:
    """Ratings of MovieLens 100K for training, and likes among those held out."""
    data = gf.Interactions.from_csv(
        file, user=0, item=1, rating=2, timestamp=3, separator="\t", header=False
    )
    split = gf.split.holdout(data.urm, 0.2, seed=0)
    return split.train, likes(split.test)


def ranked(model: Recommender, X: sp.csr_array, T: sp.csr_array) -> list[float]:
    """MAP@5, NDCG@5 and NDCG@20 of lists without any item of X, whatever was fitted."""
    users = np.flatnonzero(np.diff(T.indptr))
    lists = model.recommend(users, n=20, exclude_items=X[users]).items
    ev = gf.evaluate_lists(lists, T[users], cutoffs=(5, 20), metrics=("map", "ndcg"))
    return [ev["map", 5], ev["ndcg", 5], ev["ndcg", 20]]


def graphgan_ml_rows(file: Path) -> Iterator[tuple[str, list[float]]]:
    """Names and MAP@5 on validation of the start and of five rounds of GraphGAN at some rates."""
    X, _ = rated(file)
    inner = gf.split.holdout(likes(X), 0.2, seed=1)
    start = gf.BPRMF(num_factors=20).fit(inner.train, validation=inner.test)
    before = gf.evaluate(start, inner.train, inner.test, cutoffs=5, metrics=("map",))["map", 5]
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "start.safetensors"
        start.save(path)
        for rate in (1e-5, 1e-4, 1e-3):
            model = gf.GraphGAN(start_path=str(path), d_lr=rate, g_lr=rate, epochs=5, **LOOKS)
            model.fit(inner.train, validation=inner.test)
            yield f"rates {rate:.0e}", [before, *(row["validation"] for row in model.history_)]


def chosen(
    model: Any, X: sp.csr_array, inner: sp.csr_array, held_out: sp.csr_array
) -> tuple[Any, int]:
    """The model fitted on X for as many epochs as suit `inner`, by MAP@5 of `held_out`."""
    found = clone(model).fit(inner, validation=held_out)
    epochs = int(found.best_epoch_)
    return clone(model).set_params(epochs=epochs).fit(X), epochs


def augcf_rows(file: Path, seeds: int) -> Iterator[tuple[str, list[float]]]:
    """Names, MAP@5, NDCG@5, NDCG@20, deviation of MAP@5, and epochs on MovieLens 100K."""
    X, T = rated(file)
    split = gf.split.holdout(X, 0.2, seed=1)
    inner, held_out = split.train, likes(split.test)
    for kind in ("likes", "ratings"):
        whole, part = (likes(X), likes(inner)) if kind == "likes" else (X, inner)
        threshold = None if kind == "likes" else 4.0
        yield (
            f"EASE on {kind}",
            [*ranked(gf.EASE().fit(whole), X, T), np.nan, np.nan],
        )
        models: dict[str, Any] = {"BPR-MF": gf.BPRMF(epochs=200)} if kind == "likes" else {}
        for name, share in (("control", {"share": 0.0}), ("AugCF", {})):
            models[name] = gf.AugCF(threshold=threshold, epochs=200, device="cpu", **share)
        for name, model in models.items():
            figures, epochs = [], []
            for seed in range(seeds):
                fitted, n = chosen(clone(model).set_params(seed=seed), whole, part, held_out)
                figures.append(ranked(fitted, X, T))
                epochs.append(n)
            spread = float(np.std([one[0] for one in figures], ddof=1)) if seeds > 1 else np.nan
            means = np.mean(figures, axis=0).tolist()
            yield f"{name} on {kind}", [*means, spread, float(np.mean(epochs))]


def ragan_rows(file: Path) -> Iterator[tuple[str, list[float]]]:
    """Names, MAP@5, NDCG@5, NDCG@20 and the spread of generated ratings on MovieLens 100K."""
    X, T = rated(file)

    def row(model: Recommender) -> list[float]:
        return ranked(model, X, T)

    for base in ("EASE", "ItemKNN"):
        yield f"{base} alone", [*row(getattr(gf, base)().fit(X)), float("nan")]
        for bt, name in ((False, "RAGAN"), (True, "RAGANBT")):
            model = gf.RAGAN(base=base, bt=bt, epochs=100, device="cpu").fit(X)
            spread = model.history_[-1]["generated_deviation"]
            yield f"{name}, {base} on its ratings", [*row(model), spread]


def written(x: float) -> str:
    """A fraction to four digits, a count as a whole number, nothing of NaN."""
    if np.isnan(x):
        return ""
    return f"{x:.0f}" if x >= 10 else f"{x:.4f}".removeprefix("0")


def table(header: list[str], rows: Iterator[tuple[str, list[float]]]) -> str:
    """Markdown of named rows, with the seconds of each on stdout."""
    lines = ["| " + " | ".join(["model", *header]) + " |", "| --- |" + " --- |" * len(header)]
    started = time.perf_counter()
    for name, figures in rows:
        cells = " | ".join(map(written, figures))
        lines.append(f"| {name} | {cells} |")
        print(f"{lines[-1]} {time.perf_counter() - started:.0f} s", flush=True)
        started = time.perf_counter()
    return "\n".join(lines)


def tables_of(page: str) -> dict[str, str]:
    """The tables of the page as it is, by their names in `TEXT`."""
    names = [name for name in re.findall(r"\{(\w+)\}", TEXT) if name not in ("seeds", "about")]
    found = re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE)
    if len(found) != len(names):
        raise SystemExit(f"{PAGE} has {len(found)} tables, not {len(names)}: make all of them")
    return dict(zip(names, (text.rstrip("\n") for text in found), strict=True))


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=140)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=[], help="tables to measure anew")
    arguments = parser.parse_args()
    data, seeds, near = arguments.data, arguments.seeds, ["P@3", "P@5", "P@10"]
    ratings, lists = data / "raw" / "ml-100k" / "u.data", ["MAP@5", "NDCG@5", "NDCG@20"]
    made = {
        "irgan": (
            [*near, "NDCG@3", "NDCG@5", "NDCG@10", "MAP", "MRR"],
            lambda: irgan_rows(data / "irgan_ml100k", seeds),
        ),
        "cofigan": (
            [*near, "NDCG@5"],
            lambda: cofigan_rows(data / "cofigan_ml100k", arguments.rounds),
        ),
        "graphgan": (["generator", "discriminator"], lambda: graphgan_rows(data / GRAPH)),
        "graphgan_ml": (
            ["start", *(f"round {n}" for n in range(1, 6))],
            lambda: graphgan_ml_rows(ratings),
        ),
        "ragan": ([*lists, "deviation of generated ratings"], lambda: ragan_rows(ratings)),
        "augcf": ([*lists, "deviation", "epochs"], lambda: augcf_rows(ratings, seeds)),
    }
    if unknown := set(arguments.only) - set(made):
        parser.error(f"--only {min(unknown)} is none of {', '.join(made)}")
    page = PAGE.read_text() if arguments.only else ""
    tables = tables_of(page) if page else {}
    for name, (header, rows) in made.items():
        if name in arguments.only or not arguments.only:
            tables[name] = table(header, rows())
    # Tables that stay may be another machine's.
    earlier = re.findall(r"^Run on an (.*);", page, re.MULTILINE)
    known = [name for names in earlier for name in names.split(", an ")]
    on = ", an ".join(dict.fromkeys([*known, processor()]))
    about = f"Run on an {on}; the figures do not depend on the number of threads."
    write_whole(PAGE, TEXT.format(**tables, seeds=f"0 to {seeds - 1}", about=about))
    print(PAGE)


if __name__ == "__main__":
    main()
