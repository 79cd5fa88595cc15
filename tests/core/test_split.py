import numpy as np
import pytest
import scipy.sparse as sp

import ganmf_fast as gf
from ganmf_fast import _core

NAMES = ("train", "test", "train_small", "validation", "early_stop")


def core(matrix: sp.csr_array, values: bool = True) -> _core.Csr:
    return _core.Csr(
        matrix.indptr.astype(np.int64),
        matrix.indices.astype(np.int32),
        matrix.data.astype(np.float32) if values else None,
        matrix.shape[1],
    )


def scipy_of(csr: _core.Csr) -> sp.csr_array:
    values = np.ones(csr.nnz, np.float32) if csr.values is None else csr.values
    return sp.csr_array((values, csr.indices, csr.indptr), shape=(csr.n_rows, csr.n_cols))


def split(urm: sp.csr_array, seed: int = 1337) -> tuple[dict[str, sp.csr_array], np.ndarray, ...]:
    *sets, users, items = _core.paper_protocol(core(urm), seed)
    return dict(zip(NAMES, map(scipy_of, sets), strict=True)), users, items


@pytest.fixture
def urm() -> sp.csr_array:
    """300 users with 0 to 40 interactions, all values different, some columns never touched."""
    rng = np.random.default_rng(5)
    rows, cols = [], []
    for user in range(300):
        items = np.sort(rng.choice(60, size=user % 41, replace=False)) * 2
        rows += [user] * len(items)
        cols += items.tolist()
    values = np.arange(1, len(rows) + 1, dtype=np.float32)
    matrix = sp.csr_array((values, (rows, cols)), shape=(300, 120))
    matrix.sort_indices()
    return matrix


def test_the_sets_add_up_to_the_kept_matrix_with_values(urm):
    sets, users, items = split(urm)
    lengths = np.diff(urm.indptr)
    np.testing.assert_array_equal(users, np.flatnonzero(lengths >= 2))
    kept = urm[users]
    np.testing.assert_array_equal(items, np.unique(kept.indices))
    kept = kept[:, items].toarray()
    # All values are different and positive, so a lost, doubled or swapped cell would show.
    np.testing.assert_array_equal((sets["train"] + sets["test"]).toarray(), kept)
    parts = sets["train_small"] + sets["validation"] + sets["early_stop"]
    np.testing.assert_array_equal(parts.toarray(), sets["train"].toarray())
    assert sets["train"].nnz + sets["test"].nnz == np.count_nonzero(kept)
    assert parts.nnz == sum(sets[name].nnz for name in NAMES[2:])


def test_sizes_per_user_follow_the_protocol(urm):
    sets, *_ = split(urm)
    n = {name: np.diff(matrix.indptr) for name, matrix in sets.items()}
    assert n["train"].min() >= 1
    assert n["test"].min() >= 1
    rest = np.maximum(n["train"] * 3 // 4, 1)
    np.testing.assert_array_equal(n["validation"], n["train"] - rest)
    np.testing.assert_array_equal(n["train_small"], np.maximum(rest * 17 // 20, 1))
    share = sets["train"].nnz / (sets["train"].nnz + sets["test"].nnz)
    assert share == pytest.approx(0.8, abs=0.02)


@pytest.mark.usefixtures("threads_restored")
def test_a_seed_names_one_split_for_any_number_of_threads(urm):
    answers = []
    for threads in (1, 2, 4):
        _core.set_num_threads(threads)
        answers.append(split(urm, seed=3)[0])
    other = split(urm, seed=4)[0]
    for name in NAMES:
        for answer in answers[1:]:
            np.testing.assert_array_equal(answers[0][name].indptr, answer[name].indptr)
            np.testing.assert_array_equal(answers[0][name].indices, answer[name].indices)
            np.testing.assert_array_equal(answers[0][name].data, answer[name].data)
        assert (answers[0][name] != other[name]).nnz > 0


def test_a_binary_matrix_stays_binary(urm):
    *sets, _, _ = _core.paper_protocol(core(urm, values=False), 0)
    assert all(s.values is None for s in sets)


@pytest.mark.parametrize("rows", [[[1, 0, 0], [0, 1, 0]], [[0, 0, 0]]])
def test_a_matrix_with_no_user_to_split_is_refused(rows):
    with pytest.raises(ValueError, match=rf"none of the {len(rows)} users of urm has 2"):
        _core.paper_protocol(core(sp.csr_array(np.array(rows))), 0)


@pytest.mark.parametrize(
    ("seed", "error"), [(-1, ValueError), (2**64, ValueError), (1.5, TypeError), ("1", TypeError)]
)
def test_a_seed_that_is_no_natural_number_is_refused_by_name(urm, seed, error):
    with pytest.raises(error, match="seed must be a whole number"):
        _core.paper_protocol(core(urm), seed)


def test_the_largest_seed_and_numpy_integers_are_seeds(urm):
    split(urm, seed=2**64 - 1)
    np.testing.assert_array_equal(
        split(urm, seed=np.int64(9))[0]["test"].indices, split(urm, seed=9)[0]["test"].indices
    )


@pytest.mark.real_data
@pytest.mark.parametrize("dataset", ["lastfm", "hetrec2011", "ml-1m"])
def test_shares_on_real_data_are_those_of_the_published_split(data_dir, dataset):
    published = {n: sp.csr_array(sp.load_npz(data_dir / dataset / f"{n}.npz")) for n in NAMES}
    urm = published["train"] + published["test"]
    urm.sort_indices()
    sets, users, items = split(urm)
    assert len(users) == urm.shape[0]
    assert len(items) == len(np.unique(urm.indices))
    assert sets["train"].nnz + sets["test"].nnz == urm.nnz
    for name in NAMES:
        # Two draws of the first split differ by chance, by less than half a percent.
        assert sets[name].nnz == pytest.approx(published[name].nnz, rel=0.01), name


def test_simulated_data_are_valid_and_reproducible():
    demo = _core.demo_urm(1, 120, 200)
    again = _core.demo_urm(1, n_users=120, n_items=200)
    np.testing.assert_array_equal(demo.indices, again.indices)
    assert not np.array_equal(demo.indices, _core.demo_urm(2, 120, 200).indices)
    assert (demo.n_rows, demo.n_cols, demo.values) == (120, 200, None)
    _core.Csr(demo.indptr, demo.indices, None, 200)
    lengths = np.diff(demo.indptr)
    assert lengths.min() >= 5
    assert lengths.max() <= 100


def test_tastes_in_simulated_data_can_be_learned_but_not_perfectly():
    demo = _core.demo_urm(0)
    train, test, *_ = _core.paper_protocol(demo, 1337)
    users = np.arange(train.n_rows)
    popularity = np.bincount(train.indices, minlength=train.n_cols).astype(np.float32)
    weights = gf.ItemKNN(topk=100).fit(train).scorer_.weights

    def map_at_5(items):
        _, values, *_ = _core.measure_lists(items, test, users, [5], ["map"])
        return values.mean()

    request = _core.RankRequest(users, 5, train)
    order = _core.popularity_order(popularity)
    by_popularity = map_at_5(_core.rank_popularity(popularity, order, request)[0])
    by_neighbours = map_at_5(_core.ProductIndex(weights).rank(train, request)[0])
    assert 0.05 < by_popularity < 0.12
    assert 2 * by_popularity < by_neighbours < 0.4


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((0, 0, 100), "n_users must be at least 1, not 0"),
        ((0, -2, 100), "n_users must be a whole number in 0..2\\*\\*64, not -2"),
        ((0, 10, 9), "n_items must be between 10 and"),
        ((-5, 10, 10), "seed must be a whole number"),
    ],
)
def test_bad_arguments_of_the_simulation_are_refused_by_name(args, message):
    with pytest.raises(ValueError, match=message):
        _core.demo_urm(*args)
