"""Nothing that a caller does to its arrays, or to those it is given, changes ours."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import ganmf_fast as gf
from ganmf_fast.base.urm import as_csr, fingerprint

CONTAINERS = ("csr", "csc", "coo", "lil", "dia", "dok", "bsr", "dense")
DTYPES = (np.float32, np.float64, np.int32, np.int64, np.uint8, bool)
SHAPE = (24, 18)


def interactions(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    A = (rng.random(SHAPE) < 0.35) * rng.integers(1, 6, SHAPE)
    A[np.arange(18), np.arange(18)] = 2
    return A


def contained(A, container, dtype, canonical, wide=False):
    X = A.astype(dtype)
    if container == "dense":
        return X
    X = sp.csr_array(X).asformat(container)
    if wide and container == "csr":
        X.indptr, X.indices = X.indptr.astype(np.int64), X.indices.astype(np.int64)
    if not canonical and container in ("csr", "csc"):
        for a, b in zip(X.indptr[:-1], X.indptr[1:], strict=True):
            X.indices[a:b] = X.indices[a:b][::-1].copy()
            X.data[a:b] = X.data[a:b][::-1].copy()
        X.has_sorted_indices = False
    return X


def spoil(X) -> None:
    """Overwrite every array that belongs to a matrix."""
    if isinstance(X, np.ndarray):
        X[...] = 1
        return
    if X.format in ("lil", "dok"):
        X[:, 0] = 1
        return
    for name in ("data", "indices", "indptr", "row", "col", "offsets"):
        array = getattr(X, name, None)
        if isinstance(array, np.ndarray):
            array[...] = 0


def answers(model):
    lists = model.recommend(np.arange(SHAPE[0]), n=7)
    return lists.items.tobytes(), lists.scores.tobytes(), fingerprint(model.urm_)


def test_a_fitted_model_does_not_change_with_the_arrays_it_was_fitted_on(classical, tmp_path):
    for canonical in (True, False):
        X = contained(interactions(1), "csr", np.float32, canonical)
        model = classical.fit(X)
        before = answers(model)
        X.data[X.data < 4] = 0
        X.eliminate_zeros()
        spoil(X)
        assert answers(model) == before
        model.save(tmp_path / "model.safetensors")
        assert answers(gf.load(tmp_path / "model.safetensors")) == before


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(CONTAINERS),
    st.sampled_from(DTYPES),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.integers(0, 5),
)
def test_no_container_and_no_dtype_is_shared(container, dtype, canonical, wide, ones, seed):
    A = interactions(seed)
    A = (A > 0).astype(int) if ones else A
    X = contained(A, container, dtype, canonical, wide)
    model = gf.ItemKNN(topk=4).fit(X)
    data = gf.Interactions.from_matrix(X)
    before = answers(model), fingerprint(data.csr), data.urm.toarray().tobytes()
    spoil(X)
    assert (answers(model), fingerprint(data.csr), data.urm.toarray().tobytes()) == before


@pytest.mark.parametrize("duplicates", ["sum", "first"])
def test_a_matrix_with_a_choice_of_duplicates_is_not_shared(duplicates):
    X = contained(interactions(2), "csr", np.float32, canonical=True)
    data = gf.Interactions.from_matrix(X, duplicates=duplicates)
    before = data.data_hash
    spoil(X)
    assert gf.Interactions(data.csr, data.user_ids, data.item_ids).data_hash == before


def test_ids_are_not_shared():
    X = contained(interactions(2), "csr", np.float32, canonical=True)
    users, items, times = np.arange(100, 124), np.arange(50, 68), np.arange(X.nnz)
    data = gf.Interactions.from_matrix(X, users, items, timestamps=times)
    model = gf.ItemKNN(topk=4).fit(data)
    users[:], items[:], times[:] = 0, 0, 0
    assert data.timestamps.tolist() == list(range(X.nnz))
    assert data.user_ids.tolist() == list(range(100, 124))
    assert model.item_ids_.tolist() == list(range(50, 68))
    assert set(model.recommend([101], n=3)["user"].tolist()) == {101}


@pytest.mark.parametrize("frame", [dict, pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize("duplicates", ["error", "sum", "first"])
def test_the_columns_of_a_frame_are_not_shared(frame, duplicates):
    columns = {
        "u": np.arange(9),
        "i": np.arange(9, 18),
        "r": np.linspace(1, 2, 9, dtype=np.float32),
        "t": np.arange(9),
    }
    data = gf.Interactions.from_frame(frame(columns), "u", "i", "r", "t", duplicates)
    for array in columns.values():
        array[:] = 3
    assert data.user_ids.tolist() == list(range(9))
    assert data.item_ids.tolist() == list(range(9, 18))
    assert data.timestamps.tolist() == list(range(9))
    assert data.urm.data.tolist() == np.linspace(1, 2, 9, dtype=np.float32).tolist()


def test_what_is_ours_is_not_copied():
    data = gf.Interactions.from_matrix(interactions(3))
    splits = gf.split.paper_protocol(data, seed=1)
    for X, csr in ((data, data.csr), (data.urm, data.csr), (splits.train, as_csr(splits.train))):
        assert gf.TopPopular().fit(X).urm_ is csr


def test_a_cooccurrence_and_the_sides_of_a_split_are_not_shared():
    X = contained(interactions(4), "csr", np.float32, canonical=True)
    counts = gf.Cooccurrence(X)
    folds = gf.split.k_fold(X, 3, seed=1)
    splits = gf.split.paper_protocol(X, seed=1)
    before = (
        answers(gf.ItemKNN(topk=4).fit(counts)),
        folds[1].train.toarray().tobytes(),
        splits.data_hash,
    )
    spoil(X)
    after = (
        answers(gf.ItemKNN(topk=4).fit(counts)),
        folds[1].train.toarray().tobytes(),
        splits.data_hash,
    )
    assert after == before


def handed_out(models, tmp_path):
    A = interactions(5)
    for name, fitted in models.items():
        fitted.fit(A)
        fitted.save(tmp_path / f"{name}.safetensors")
        for model in (fitted, gf.load(tmp_path / f"{name}.safetensors")):
            yield f"{name}.urm_", model.urm_.indices
            for tensor, array in model.scorer_.tensors().items():
                made_anew = tensor in ("parameters", "n_items", "l2") or "n_cols" in tensor
                if not made_anew and not tensor.endswith("activation"):
                    yield f"{name}.scorer_ {tensor}", array
            for attribute in ("user_factors_", "item_factors_", "item_weights_"):
                array = getattr(model, attribute, None)
                if array is not None:
                    arrays = (array.data, array.indices) if sp.issparse(array) else (array,)
                    for part in arrays:
                        yield f"{name}.{attribute}", part
    data = gf.Interactions.from_matrix(A)
    splits = gf.split.paper_protocol(data, seed=1)
    cold = gf.split.cold_users(data, 0.3, seed=1)
    yield "data", data.user_ids
    yield "urm", data.urm.data
    for name in ("user_ids", "item_ids"):
        yield name, getattr(splits, name)
    yield "splits.urm", splits.urm.data
    yield "cold.users", cold.users
    yield "cold.users_without_train", cold.users_without_train
    model = gf.ItemKNN(topk=4).fit(splits.train)
    ev = gf.evaluate(model, splits.train, splits.test, [3])
    yield "ev.users", ev.users
    yield "ev.without_list", ev.without_list
    yield "ev.per_user", ev.per_user("ndcg", 3)
    yield "ev.counts", ev.tally.counts[3]


def test_arrays_that_are_handed_out_are_read_only(classical_models, tmp_path):
    arrays = handed_out(classical_models, tmp_path)
    writeable = [name for name, array in arrays if array.flags.writeable]
    assert not writeable


def test_the_users_of_an_evaluation_are_not_those_of_the_caller():
    users = np.arange(SHAPE[0])
    lists = np.tile(np.arange(4), (SHAPE[0], 1))
    ev = gf.evaluate_lists(lists, interactions(6), cutoffs=4, users=users)
    users[:] = 3
    assert ev.users.tolist() == list(range(SHAPE[0]))
    assert not np.shares_memory(ev.users, users)


def test_arrays_that_are_copies_may_be_written():
    model = gf.PureSVD(4).fit(interactions(7))
    before = answers(model)
    lists = model.recommend([0, 1], n=4)
    lists.items[:] = 0
    model.score_users([0])[:] = 0
    model.fold_in(interactions(7)[:2])[:] = 0
    assert answers(model) == before
