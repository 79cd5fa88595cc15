"""The published figures, on the published splits with the published parameters."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import ganmf_fast as gf
from ganmf_fast import reference
from ganmf_fast.evaluation import Evaluation
from ganmf_fast.models.base import Recommender

pytestmark = pytest.mark.real_data

DATASETS = ("lastfm", "hetrec2011", "ml-1m")
CUTOFFS = (5, 10, 20, 50)
ROWS = ("TopPopular", "PureSVD", "ItemKNN-cosine", "P3alpha")
N_METRICS = 18  # published for every row and cutoff, rmse apart
# A relative tolerance of half a percent.
RELATIVE = {
    "novelty",
    "diversity_mean_inter_list",
    "diversity_herfindahl",
    "diversity_gini",
    "shannon_entropy",
}
ACCURACY = ("precision", "recall", "map", "ndcg", "mrr", "f1", "arhr", "mean_hits")
# The seed of the authors' run: with it their decomposition comes out to the last printed digit.
SVD_SEED = 1337

# Lists have their equal scores in the published order. What still differs hangs on the neighbours:
# where many are equally near, the cut after `topk` took others than ours does.
CUT = {
    ("lastfm", "ItemKNN-cosine"): {("mean_hits", 10)},
    ("lastfm", "P3alpha"): {("mean_hits", 5)},
    ("hetrec2011", "P3alpha"): {("mean_hits", 20), ("diversity_gini", 5), ("diversity_gini", 50)},
    ("ml-1m", "P3alpha"): {("mean_hits", 50), ("coverage_item", 10), ("diversity_gini", 10)},
}


def make(dataset: str, row: str) -> Recommender:
    params = reference.best_params(dataset, row)
    assert params is not None
    if row == "PureSVD":
        params["seed"] = SVD_SEED
    return getattr(gf, row.partition("-")[0])(**params)


@cache
def split(data_dir: Path, dataset: str) -> tuple[sp.csr_array, sp.csr_array]:
    folder = data_dir / dataset
    return tuple(sp.csr_array(sp.load_npz(folder / f"{s}.npz")) for s in ("train", "test"))


@cache
def fitted(data_dir: Path, dataset: str, row: str) -> tuple[Recommender, Evaluation]:
    train, test = split(data_dir, dataset)
    model = make(dataset, row).fit(train)
    return model, gf.evaluate(model, train, test, cutoffs=CUTOFFS, ties="published")


def expected(dataset: str, row: str) -> dict[tuple[str, int], float]:
    table = reference.published(dataset, row)
    assert table is not None
    figures = {(m, k): table[k][m] for k in CUTOFFS for m in table[k] if m != "rmse"}
    assert len(figures) == N_METRICS * len(CUTOFFS)
    return figures


def close(metric: str, ours: float, published: float) -> bool:
    slack = 0.005 * abs(published) if metric in RELATIVE else 0.001
    return abs(ours - published) <= slack


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("row", ROWS)
def test_baselines_give_every_published_figure(data_dir, dataset, row):
    _, ev = fitted(data_dir, dataset, row)
    off = {
        (metric, k): (ev[metric, k], value)
        for (metric, k), value in expected(dataset, row).items()
        if not close(metric, ev[metric, k], value)
    }
    unexplained = {key: off[key] for key in off.keys() - CUT.get((dataset, row), set())}
    assert not unexplained


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_decomposition_with_the_authors_seed_is_theirs(data_dir, dataset):
    _, ev = fitted(data_dir, dataset, "PureSVD")
    for (metric, k), value in expected(dataset, "PureSVD").items():
        # The others count single places of single lists, of which a few have all but equal scores.
        if metric not in ACCURACY:
            continue
        assert ev[metric, k] == pytest.approx(value, abs=1e-5), f"{metric}@{k}"


@pytest.mark.parametrize(("dataset", "row"), [key for key in CUT if key[0] == "lastfm"])
def test_what_differs_on_the_sparsest_data_lies_among_the_ways_to_break_ties(
    data_dir, dataset, row
):
    model, ordered = fitted(data_dir, dataset, row)
    train, test = split(data_dir, dataset)
    ways = [ordered]
    for seed in range(3):
        lists = randomly_tied_lists(model, train, np.random.default_rng(seed))
        ways.append(gf.evaluate_lists(lists, test, CUTOFFS, train=train))
    for (metric, k), value in expected(dataset, row).items():
        figures = [ev[metric, k] for ev in ways]
        among = min(figures) <= value <= max(figures)
        # A thousandth of the hits is a thousandth of the places in a list.
        slack = k * 0.001 if metric == "mean_hits" else 0.001
        near = min(abs(value - f) for f in figures) <= slack
        assert among or near or close(metric, ordered[metric, k], value), f"{metric}@{k}"


def randomly_tied_lists(
    model: Recommender, train: sp.csr_array, rng: np.random.Generator, n: int = CUTOFFS[-1]
) -> np.ndarray:
    """Lists by score whose ties fall at random, user by user."""
    lists = np.empty((train.shape[0], n), dtype=np.int64)
    scores = model.score_users(np.arange(train.shape[0]))
    scores[train.nonzero()] = -np.inf
    for user, row in enumerate(scores):
        best = np.flatnonzero(row >= np.partition(row, -n)[-n])
        lists[user] = best[np.lexsort((rng.random(len(best)), -row[best]))[:n]]
    return lists


@pytest.mark.parametrize(
    ("dataset", "l2", "mean_ap", "ndcg"),
    [
        ("lastfm", 100.0, 0.1958, 0.2886),
        ("hetrec2011", 1500.0, 0.5671, 0.6472),
        ("ml-1m", 900.0, 0.3732, 0.4752),
    ],
)
def test_ease_gives_the_known_figures(data_dir, dataset, l2, mean_ap, ndcg):
    train, test = split(data_dir, dataset)
    ev = gf.evaluate(gf.EASE(l2).fit(train), train, test, cutoffs=(5,))
    assert ev["map", 5] == pytest.approx(mean_ap, abs=0.0005)
    assert ev["ndcg", 5] == pytest.approx(ndcg, abs=0.0005)
