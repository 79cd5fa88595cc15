"""Factors that the authors of IRGAN and CoFiGAN shipped, and fits from them, on their splits."""

import numpy as np
import pytest
import scipy.sparse as sp

import adversarial
import ganmf_fast as gf
from ganmf_fast.base.urm import as_csr
from ganmf_fast.scorers.factors import Factors


@pytest.fixture(scope="module")
def irgan(data_dir):
    return folder(data_dir, "irgan_ml100k")


@pytest.fixture(scope="module")
def cofigan(data_dir):
    return folder(data_dir, "cofigan_ml100k")


def folder(data_dir, name):
    path = data_dir / name
    if not path.is_dir():
        pytest.skip(f"real data are absent: {data_dir} lacks {name} (set GANMF_TEST_DATA)")
    parts = (
        sp.csr_array(sp.load_npz(path / f"{p}.npz").astype(np.float32)) for p in ("train", "test")
    )
    return (path, *parts)


def shipped(X, users, items, bias):
    """A model with factors and biases of others."""
    tables = np.column_stack([users, np.ones(len(users))]), np.column_stack([items, bias])
    scorer = Factors(*(np.ascontiguousarray(t, np.float32) for t in tables))
    params = gf.BPRMF(num_factors=users.shape[1]).get_params()
    model = gf.BPRMF.from_parts(params, as_csr(X), scorer, None)
    model.best_epoch_, model.history_ = 1, []
    return model


def figures(model, X, T):
    """P and NDCG at 3, 5, 10, MAP and MRR over all items outside the profile."""
    whole = X.shape[1]
    names = ("precision", "ndcg", "map", "mrr")
    ev = gf.evaluate(model, X, T, cutoffs=(3, 5, 10, whole), metrics=names)
    near = [ev[name, k] for name in names[:2] for k in (3, 5, 10)]
    return [*near, ev["map", whole], ev["mrr", whole]]


PUBLISHED = {
    "dns": [0.38450, 0.34737, 0.29671, 0.39858, 0.37493, 0.35182, 0.22224, 0.57979],
    "gan": [0.40570, 0.37851, 0.31842, 0.42284, 0.40527, 0.37750, 0.24420, 0.61031],
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_factors_of_irgan_have_their_published_figures(irgan, name):
    path, X, T = irgan
    with np.load(path / "published_factors.npz") as file:
        model = shipped(X, *(file[f"{name}_{part}"] for part in ("users", "items", "item_bias")))
    np.testing.assert_allclose(figures(model, X, T), PUBLISHED[name], atol=5.01e-6)


def test_popularity_has_its_figures_on_the_split_of_irgan(irgan):
    _, X, T = irgan
    found = figures(gf.TopPopular().fit(X), X, T)
    expected = [0.26243, 0.23377, 0.20504, 0.27928, 0.25676, 0.24028, 0.15157, 0.46566]
    np.testing.assert_allclose(found, expected, atol=5.01e-6)


LOOKS = {"freq": 1, "allow_worse": 10**6}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_pre_training_by_dynamic_negatives_reaches_the_shipped_factors(irgan, seed):
    _, X, T = irgan
    model = gf.BPRMF(
        num_factors=5, epochs=80, reg=0.1, dns=5, published_quirks=True, seed=seed, **LOOKS
    )
    model.fit(X, validation=T, metric="precision", k=5)
    best = max(row["validation"] for row in model.history_)
    assert 0.3447 - 5e-5 <= best <= 0.3539 + 5e-5


@pytest.mark.slow
@pytest.mark.parametrize("quirks", [True, False])
def test_irgan_from_the_shipped_start_reaches_what_it_should(irgan, quirks, tmp_path):
    path, X, T = irgan
    with np.load(path / "published_factors.npz") as file:
        start = shipped(X, *(file[f"dns_{part}"] for part in ("users", "items", "item_bias")))
    start.save(tmp_path / "start.safetensors")
    model = gf.IRGAN(
        start_path=str(tmp_path / "start.safetensors"), published_quirks=quirks, **LOOKS
    )
    model.fit(X, validation=T, metric="precision", k=5)
    assert max(row["validation"] for row in model.history_) == pytest.approx(0.370, abs=0.005)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("G", [0.3983, 0.3647, 0.3207, 0.3835]), ("D", [0.4240, 0.3959, 0.3510, 0.4102])],
)
def test_the_factors_of_cofigan_have_their_figures(cofigan, name, expected):
    path, X, T = cofigan
    with np.load(path / f"pretrained_{name}.npz") as file:
        model = shipped(X, file["users"], file["items"], file["item_bias"])
    users = np.flatnonzero((np.diff(X.indptr) > 0) & (np.diff(T.indptr) > 0))
    lists = model.recommend(users, n=10, candidates=np.unique(X.indices)).items
    ev = gf.evaluate_lists(lists, T[users], cutoffs=(3, 5, 10), metrics=("precision", "ndcg"))
    found = [ev["precision", 3], ev["precision", 5], ev["precision", 10], ev["ndcg", 5]]
    np.testing.assert_allclose(found, expected, atol=5.01e-5)


@pytest.fixture(scope="module")
def co_authors(data_dir):
    """Adjacency, start vectors, and pairs of which the first half are edges."""
    path = data_dir / "graphgan_ca_grqc"
    if not path.is_dir():
        pytest.skip(f"real data are absent: {data_dir} lacks {path.name} (set GANMF_TEST_DATA)")
    adjacency = sp.csr_array(sp.load_npz(path / "train_adjacency.npz").astype(np.float32))
    with np.load(path / "test_pairs.npz") as file:
        pairs = np.concatenate([file["positive"], file["negative"]])
    with np.load(path / "pretrained_embeddings.npz") as file:
        start, given = file["embeddings"].copy(), file["given"]
    # As in the source, vertices without a vector start with uniform numbers.
    start[~given] = np.random.default_rng(1).random((int((~given).sum()), start.shape[1]))
    return adjacency, start, pairs


def test_the_vectors_of_graph_gan_have_their_published_accuracy(co_authors):
    _, start, pairs = co_authors
    assert adversarial.accuracy(start, pairs) == pytest.approx(0.7598343685, abs=1e-10)


def test_a_walk_kernel_without_learning_is_better(co_authors):
    adjacency, _, pairs = co_authors
    found = adversarial.walk_kernel(adjacency.astype(np.float64), pairs)
    assert found == pytest.approx(0.879, abs=0.0015)


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "low", "high"), [(1e-5, 0.817, 0.827), (1e-3, 0.5, 0.6)])
def test_graph_gan_as_released_gains_slowly_and_collapses_fast(co_authors, rate, low, high):
    adjacency, start, pairs = co_authors
    model = gf.GraphGAN(
        num_factors=50, epochs=1, d_epochs=30, g_epochs=30, d_lr=rate, g_lr=rate,
        published_quirks=True,
    )  # fmt: skip
    found = model.embed_graph(adjacency, start)
    assert low <= adversarial.accuracy(found.generator, pairs) <= high
