"""EDLAE and RDLAE: EASE with dropout in expectation, and with a relaxed diagonal."""

import itertools

import numpy as np
import pytest
import scipy.sparse as sp

import ganmf_fast as gf


def edlae(X, l2, dropout, max_diagonal):
    """B by its definition: column by column, the free solution or the one at the bound."""
    gram = X.T @ X
    penalty = l2 + dropout / (1 - dropout) * np.diag(gram)
    P = np.linalg.inv(gram + np.diag(penalty))
    free = np.eye(len(P)) - P * penalty
    bound = np.eye(len(P)) - P * ((1 - max_diagonal) / np.diag(P))
    return np.where(np.diag(free) <= max_diagonal, free, bound)


@pytest.mark.parametrize("users", [40, 12], ids=["primal", "dual"])
@pytest.mark.parametrize(
    ("dropout", "max_diagonal"), [(0.5, 0.0), (0.0, 0.3), (0.3, 0.2), (0.3, 1.0), (0.9, 0.05)]
)
def test_dropout_and_a_relaxed_diagonal(users, dropout, max_diagonal, tmp_path):
    rng = np.random.default_rng(users)
    X = sp.csr_array((rng.random((users, 20)) < 0.3) * rng.choice([1.0, 0.5], (users, 20)))
    new = sp.csr_array((rng.random((7, 20)) < 0.3).astype(np.float32))
    model = gf.EASE(l2=2.0, dropout=dropout, max_diagonal=max_diagonal).fit(X.astype(np.float32))
    B = edlae(X.toarray(), 2.0, dropout, max_diagonal)
    model.save(tmp_path / "m.safetensors")
    for one in (model, gf.load(tmp_path / "m.safetensors")):
        np.testing.assert_allclose(one.score_users(range(users)), X @ B, atol=2e-5)
        np.testing.assert_allclose(one.fold_in(new), new @ B, atol=2e-5)
        similar = one.similar_items(3, n=5)
        off = np.where(np.arange(20) == 3, -np.inf, B[:, 3])
        np.testing.assert_allclose(similar.scores, -np.sort(-off)[:5], atol=2e-5)
        row = X[[0]].toarray()[0]
        for item in (*np.flatnonzero(row)[:2], 3):
            found = one.explain(0, int(item))
            assert found is not None
            total = one.scorer_.contributions(one.urm_, 0, int(item)).sum()
            np.testing.assert_allclose(total, row @ B[:, item], atol=2e-5)


def test_expected_dropout_is_what_dropout_does():
    """The penalty is the mean of the loss over masks of the input, divided by what is kept."""
    rng = np.random.default_rng(0)
    X = (rng.random((6, 4)) < 0.5).astype(float)
    B, p = rng.normal(size=(4, 4)), 0.4
    np.fill_diagonal(B, 0)
    loss = 0.0
    for mask in itertools.product([0, 1], repeat=4):
        kept = np.array(mask) / (1 - p)
        # Rows are dropped independently, and the loss is a sum over rows.
        loss += (1 - p) ** sum(mask) * p ** (4 - sum(mask)) * ((X - X * kept @ B) ** 2).sum()
    penalty = p / (1 - p) * np.diag(X.T @ X)
    np.testing.assert_allclose(loss, ((X - X @ B) ** 2).sum() + (penalty[:, None] * B**2).sum())


@pytest.mark.parametrize(("name", "value"), [("dropout", 1.0), ("max_diagonal", 1.5)])
def test_parameters_out_of_range_are_named(name, value):
    with pytest.raises(ValueError, match=name):
        gf.EASE(**{name: value}).fit(sp.csr_array(np.eye(3, dtype=np.float32)))
