import math

import numpy as np
import pytest

from ganmf_fast import _core

N_ITEMS = 50
NAMES = _core.metric_names()[:-2]  # the last two need the training matrix


def csr(rows: list[list[int]], n_cols: int = N_ITEMS) -> _core.Csr:
    indptr = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    indices = np.array([i for row in rows for i in sorted(row)], np.int32)
    return _core.Csr(indptr, indices, None, n_cols)


def measure(items, test, users, cutoffs, **kwargs):
    return _core.measure_lists(items, test, users, cutoffs, NAMES, **kwargs)


def values_of(items, test, users, cutoffs):
    return measure(items, test, users, cutoffs)[1]


def naive(row: np.ndarray, wanted: set[int], k: int) -> dict[str, float]:
    """Every metric of one list from its definition."""
    row = row[:k]
    row = row[row >= 0]
    if row.size == 0:
        return dict.fromkeys(NAMES, 0.0)
    hit = np.isin(row, list(wanted))
    ranks = np.arange(1, row.size + 1)
    least = min(row.size, len(wanted))
    precision_at = np.cumsum(hit) / ranks
    discount = 1 / np.log2(ranks + 1)
    if hit.all():
        auc = 1.0
    elif not hit.any():
        auc = 0.0
    else:
        auc = (ranks[hit][:, None] < ranks[~hit][None, :]).mean()
    return {
        "precision": hit.mean(),
        "recall": hit.sum() / len(wanted),
        "map": (precision_at * hit).sum() / least,
        "ndcg": (discount * hit).sum() / discount[:least].sum(),
        "mrr": (1 / ranks[hit]).max(initial=0.0),
        "arhr": (hit / ranks).sum(),
        "hit_rate": float(hit.any()),
        "mean_hits": float(hit.sum()),
        "roc_auc": auc,
        "precision_recall_min_den": hit.sum() / least,
        "map_total": (precision_at * hit).sum() / len(wanted),
        "map_cutoff": (precision_at * hit).sum() / k,
        "ndcg_graded": (discount * hit).sum() / discount[:least].sum(),
    }


@pytest.fixture
def lists():
    """300 padded lists of 20 for shuffled users, and 400 test sets of 1 to 30 items."""
    rng = np.random.default_rng(11)
    test = [rng.choice(N_ITEMS, rng.integers(1, 31), replace=False).tolist() for _ in range(400)]
    users = rng.permutation(400)[:300].astype(np.int64)
    items = np.stack([rng.permutation(N_ITEMS)[:20] for _ in users]).astype(np.int32)
    for row, filled in zip(items[::3], rng.integers(0, 20, size=100), strict=True):
        row[filled:] = -1
    return items, test, users


def test_metrics_equal_their_definitions_in_numpy(lists):
    items, test, users = lists
    cutoffs = [20, 1, 5, 10]
    got = values_of(items, csr(test), users, cutoffs)
    assert got.shape == (len(NAMES), 4, 300)
    assert got.dtype == np.float64
    for c, k in enumerate(cutoffs):
        want = [naive(row, set(test[u]), k) for row, u in zip(items, users, strict=True)]
        for m, name in enumerate(NAMES):
            np.testing.assert_allclose(
                got[m, c], [w[name] for w in want], rtol=0, atol=1e-12, err_msg=f"{name}@{k}"
            )


@pytest.mark.usefixtures("threads_restored")
def test_threads_change_no_bit(lists):
    items, test, users = lists
    _core.set_num_threads(1)
    one = values_of(items, csr(test), users, [5, 20])
    _core.set_num_threads(3)
    three = values_of(items, csr(test), users, [5, 20])
    assert one.tobytes() == three.tobytes()


def test_the_layout_of_the_array_does_not_matter(lists):
    items, test, users = lists
    want = values_of(items, csr(test), users, [5])
    wide = np.zeros((300, 40), np.int32)
    wide[:, ::2] = items
    for same in (np.asfortranarray(items), wide[:, ::2]):
        np.testing.assert_array_equal(values_of(same, csr(test), users, [5]), want)


def test_item_counts_equal_bincounts(lists):
    items, _, _ = lists
    test = csr([[0]] * len(items))
    counts = measure(items, test, np.arange(len(items)), [10, 1, 20], keep=False)[2]
    assert counts.dtype == np.int64
    for row, k in zip(counts, (10, 1, 20), strict=True):
        top = items[:, :k]
        np.testing.assert_array_equal(row, np.bincount(top[top >= 0], minlength=N_ITEMS))


def test_the_names_are_those_of_the_contract():
    assert list(naive(np.array([1]), {1}, 1)) == NAMES
    assert _core.metric_names()[-2:] == ["novelty", "average_popularity"]


def test_a_test_set_longer_than_the_list_can_still_be_ranked_perfectly():
    items = np.array([[4, 2, 9]], np.int32)
    values = values_of(items, csr([[2, 4, 9, 11, 30]]), np.array([0]), [2, 3])
    by_name = dict(zip(NAMES, values[..., 0], strict=True))
    for name in ("precision", "map", "ndcg", "mrr", "roc_auc", "precision_recall_min_den"):
        np.testing.assert_allclose(by_name[name], 1)
    np.testing.assert_allclose(by_name["recall"], [0.4, 0.6])


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([1, 2, 1], "list 1 of items holds item 1 twice"),
        ([1, 2, 50], r"list 1 of items holds item 50, outside 0\.\.50"),
        ([1, -7, 2], "list 1 of items holds item -7"),
        ([1, -1, 2], "list 1 of items holds item 2 at place 2, after a -1"),
    ],
)
def test_a_bad_list_is_refused_by_its_number(bad, message):
    items = np.array([[0, 1, 2], bad], np.int32)
    with pytest.raises(ValueError, match=message):
        values_of(items, csr([[1], [2]]), np.array([0, 1]), [1])


@pytest.mark.parametrize(
    ("users", "message"),
    [
        ([0, 3], r"users\[1\] is 3, outside 0\.\.3"),
        ([-1, 0], r"users\[0\] is -1, outside 0\.\.3"),
        ([0], "users has 1 entries but items has 2 lists"),
    ],
)
def test_a_bad_user_is_refused_by_place_and_value(users, message):
    items = np.array([[0, 1], [2, 3]], np.int32)
    with pytest.raises(ValueError, match=message):
        values_of(items, csr([[1], [], [2]]), np.array(users), [1])


@pytest.mark.parametrize(
    ("cutoffs", "error", "message"),
    [
        ([0], ValueError, r"cutoff 0 is outside 1\.\.=2"),
        ([1, 3], ValueError, "cutoff 3 is outside"),
        ([-1], ValueError, "cutoffs must be a whole number.*-1"),
        ([1.5], TypeError, "cutoffs must be a whole number"),
        ([1, 1], ValueError, "cutoff 1 is given twice"),
        ([], ValueError, "cutoffs is empty"),
    ],
)
def test_a_bad_cutoff_is_refused_by_value(cutoffs, error, message):
    items = np.array([[0, 1]], np.int32)
    with pytest.raises(error, match=message):
        values_of(items, csr([[1]]), np.array([0]), cutoffs)


def test_an_exception_from_the_report_stops_the_work_and_reaches_the_caller(lists):
    items, test, users = lists
    many = np.tile(items, (2000, 1))

    def stop(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    # Far longer than the 100 ms after which the first report is made.
    with pytest.raises(KeyboardInterrupt):
        measure(many, csr(test), np.tile(users, 2000), list(range(1, 21)), report=stop)


def test_sums_are_those_of_the_values_rounded_once(lists):
    items, test, users = lists
    sums, values, *_ = measure(items, csr(test), users, [5, 20])
    for of_metric, rows in zip(sums, values, strict=True):
        for total, row in zip(of_metric, rows, strict=True):
            assert math.ldexp(total, -80) == math.fsum(row)


def test_nothing_is_kept_or_counted_that_was_not_asked_for(lists):
    items, test, users = lists
    sums, values, counts, filled = measure(
        items, csr(test), users, [5, 20], keep=False, count=False
    )
    assert (values, counts) == (None, None)
    assert sums == measure(items, csr(test), users, [5, 20])[0]
    assert filled == (items[:, 0] >= 0).sum()


def test_a_list_of_a_user_without_test_items_is_checked_but_not_measured():
    items = np.array([[0, 1], [2, 3]], np.int32)
    _, values, counts, filled = measure(items, csr([[1], []]), np.array([0, 1]), [2])
    assert np.isnan(values[..., 1]).all()
    assert not np.isnan(values[..., 0]).any()
    assert (counts.sum(), filled) == (2, 1)
    with pytest.raises(ValueError, match="list 1 of items holds item 2 twice"):
        measure(np.array([[0, 1], [2, 2]], np.int32), csr([[1], []]), np.array([0, 1]), [2])


def test_an_unknown_name_is_refused(lists):
    items, test, users = lists
    with pytest.raises(ValueError, match='names has no metric "ndgc"'):
        _core.measure_lists(items, csr(test), users, [5], ["ndgc"])
    with pytest.raises(ValueError, match="need train, which is missing"):
        _core.measure_lists(items, csr(test), users, [5], ["novelty"])
