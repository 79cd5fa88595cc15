"""Evaluation of models and of top-N lists.

Lists rank the whole catalogue; they are computed and measured in Rust, in blocks of users. Sums
over users are exact: neither the size or order of the blocks nor the number of threads changes a
bit of the result.
"""

from collections.abc import Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from ganmf_fast._core import Csr, RankRequest
from ganmf_fast.base.checks import as_array, check_bool, check_choice, check_int
from ganmf_fast.base.executors import executor_maker
from ganmf_fast.base.progress import reporter
from ganmf_fast.base.threads import num_threads
from ganmf_fast.base.urm import as_csr, rows_of
from ganmf_fast.evaluation.accumulator import (
    MetricAccumulator,
    checked_cutoffs,
    checked_lists,
    checked_rows,
)
from ganmf_fast.evaluation.arguments import (
    KnownElsewhere,
    cold_rows,
    items_of,
    new_users,
    parts_of,
    refuse_overlap,
    refuse_overlap_of,
    warn_of_known_items,
    warn_of_other_train,
)
from ganmf_fast.evaluation.beyond_accuracy import BeyondAccuracy, beyond_accuracy
from ganmf_fast.evaluation.list_frames import is_frame, lists_of_frame
from ganmf_fast.evaluation.result import Evaluation
from ganmf_fast.models.base import Recommender
from ganmf_fast.models.ids import Ids, find, matching, matching_csr, numbers, skips
from ganmf_fast.models.own_model import check_recommends, lists_of
from ganmf_fast.models.recommendations import Recommendations
from ganmf_fast.scorers.base import Scorer
from ganmf_fast.scorers.lists import rank_lists
from ganmf_fast.scorers.metrics import BEYOND_ACCURACY, NEED_TRAIN, check_metrics
from ganmf_fast.scorers.validation import users_with_items
from ganmf_fast.split.paper import Splits
from ganmf_fast.split.result import Split

# List entries of a block of users in total; bounds the memory for any cutoffs.
_BLOCK_ENTRIES = 2**20
_NOBODY = np.empty(0, dtype=np.int64)


def evaluate(
    model: Any,
    train: object,
    test: object = None,
    cutoffs: Sequence[int] = (5, 20),
    metrics: Sequence[str] | None = None,
    block_size: int | None = None,
    n_threads: int | None = None,
    ties: str = "index",
    users: object = None,
    per_user: bool = True,
    n_workers: int = 1,
    executor: Any = "local",
    allow_overlap: bool = False,
    unknown: str = "error",
    profiles: object = None,
    *,
    item_features: object = None,
) -> Evaluation:
    """Rank the whole catalogue for every user with test items and measure the top-N lists.

    A user without interactions has an empty list, which counts as zero, unless the model is the
    same for everybody or random; see `Evaluation.without_list` and `Evaluation.listed`.

    Parameters
    ----------
    model : Recommender, or any object with ``recommend(users, n=...)``
        Fitted; what is asked of models that are not of this library is in
        `ganmf_fast.models.own_model`.
    train : matrix or Interactions
        Items to mask for each user, and the item popularity for novelty; usually what the model was
        fitted on. Users and items of `Interactions` are matched by id if the model was fitted on
        `Interactions`. Users that have interactions here, but had none in what was fitted, are
        ranked by these, as `recommend` ranks profiles. A model that is not of this library was
        fitted on it. A `Split` or a `ColdSplit` brings its test, and its profiles.
    test : matrix or Interactions
        Held-out items, relevant for any value; only `ndcg_graded` uses their values.
    cutoffs : sequence of int, default (5, 20)
        Lengths of the lists; all come from one ranking. Beyond the catalogue size, lists are as
        long as possible. At most the number of items, or 2^20 if that is more.
    metrics : sequence of str, optional
        Names from `ganmf_fast.evaluation.METRICS`, all of them by default, and from
        `ganmf_fast.evaluation.BEYOND_ACCURACY`, which are computed where they are named.
    block_size : int, optional
        Users ranked at once; by default such that a block of lists has about a million entries.
    n_threads : int, optional
        For this call only.
    ties : {"index", "published"}, default "index"
        Order of equal scores: the smaller item number first, or as NumPy 1.x left them in the
        paper's lists. The second is for comparisons with published figures; it needs dense blocks
        of scores and takes longer.
    users : array, optional
        Evaluate only these users: rows, or ids if the model was fitted on `Interactions`. Users
        without test items are left out. See `Evaluation.merge`.
    per_user : bool, default True
        Keep the values of each user: 8 bytes per user, metric and cutoff.
    n_workers : int, default 1
        Number of workers among which the users are divided; each receives the model and the
        matrices. The result has the same bits for any number. On one machine, threads do the same
        without copies.
    executor : {"local", "ray"} or callable, default "local"
        Where the workers run; see `ganmf_fast.base.executors`.
    allow_overlap : bool, default False
        Evaluate even if the model was fitted on interactions of `test`.
    unknown : {"error", "skip"}, default "error"
        Whether users and items of `Interactions` that were not fitted are refused or left out;
        `Evaluation.skipped` counts those of `test`. Without unknown items, users have fewer items
        to be found.
    profiles : matrix or Interactions, optional
        Profiles of people who were not fitted, whose items `test` holds: row by row, or by user id.
        All are ranked by their profiles, as by ``recommend(profiles=...)``, and the items of these
        are masked. `train` is the item popularity alone then, or None for that of what was fitted.
    item_features : matrix, Interactions or mapping, optional
        What "ild" and "miscalibration" know of items: a matrix of items x features (scipy sparse,
        or a numpy array of embeddings, for "ild") in the order of the model; `Interactions` of
        items and labels; or a mapping of items to a label or a list of labels, such as genres. The
        last two are by id if the model was fitted on `Interactions`.

    Returns
    -------
    Evaluation

    Raises
    ------
    NotFittedError
        If the model is not fitted.
    TypeError, ValueError
        If an argument is out of range, a metric does not exist, shapes do not fit, no user has
        a test item, the model was fitted on an interaction of `test` or a profile holds it, or
        new users need something that an old model file does not hold.
    MemoryError
        If the lists of a block do not fit.
    ImportError
        If the executor needs a package that is missing; the message names the extra.

    Warns
    -----
    UserWarning
        If `train` is not what the model was fitted on, or lists of a model that is not of this
        library hold items of it.

    Notes
    -----
    With T the test items of a user and L the list cut at k: precision = hits / |L|, recall =
    hits / |T|, average precision = sum of rel_r prec@r / min(|T|, |L|), ndcg binary with the ideal
    list cut at min(|T|, |L|), mrr = 1 / rank of the first hit, arhr = sum of 1 / rank over the
    hits, hit_rate = fraction of users with a hit, mean_hits = hits per user, f1 of mean precision
    and mean recall, precision_recall_min_den = hits / min(|T|, |L|), roc_auc inside the list.
    Variants of the field: map_total divides by |T| and map_cutoff by k; ndcg_graded counts a hit as
    its value in `test`, against the |L| largest values of the user. Beyond accuracy: novelty = sum
    over L of -log2(pop_i / nnz) / items, average_popularity = mean of pop_i / max pop, and, over
    all lists together, coverage and evenness of the recommended items. By name: ild = mean over the
    pairs of L of 1 - cosine of their features, serendipity = hits that are not in the list of the
    most popular items / |L|, miscalibration = Kullback-Leibler divergence, in nats, of the labels
    of L from those of the user's known items, aplt = fraction of long-tail items in L, arp = mean
    of pop_i, popreo and poprsp = deviation over mean, of short head and long tail, of the fractions
    of their test items that are hits, and of their unknown items that are listed.

    References
    ----------
    Formulas with their sources are in docs/metrics.md.
    """
    of_library = isinstance(model, Recommender)
    if of_library:
        check_is_fitted(model)
    else:
        check_recommends(model)
    if isinstance(train, Splits):
        raise TypeError("train is Splits, of five parts: pass splits.train, splits.test")
    of_split = isinstance(train, Split)
    if isinstance(train, Split):
        with_ids = of_library and model.ids_ is not None
        train, test, profiles = parts_of(train, test, profiles, with_ids=with_ids)
    if test is None:
        raise TypeError("test is missing: pass held-out interactions, or a split in place of train")
    if profiles is not None and not of_library:
        raise TypeError(
            f"profiles are for models of this library, and {type(model).__name__} is none: fit it "
            "on train and profiles together, and pass these as train"
        )
    known = model if of_library else KnownElsewhere(model, train)
    ks = checked_cutoffs(cutoffs, known.n_items_)
    names = check_metrics(metrics, BEYOND_ACCURACY)
    check_choice("ties", ties, ("index", "published"))
    if ties != "index" and not of_library:
        raise ValueError(f"ties is for models of this library, and {type(model).__name__} is none")
    check_bool("allow_overlap", allow_overlap)
    check_bool("per_user", per_user)
    skips(unknown)
    shape = (known.n_users_, known.n_items_)
    if profiles is None:
        masked = popularity = matching(train, "train", shape, known.ids_, unknown).csr
        held_out, skipped = matching(test, "test", shape, known.ids_, unknown)
        rows, cold = _users_to_evaluate(held_out, known.ids_, users, unknown), _NOBODY
        if not allow_overlap:
            refuse_overlap(known, held_out)
        if of_library:
            cold = cold_rows(model, masked, rows)
            warn_of_other_train(model, masked, np.setdiff1d(rows, cold, assume_unique=True))
    else:
        new = new_users(model, profiles, test, unknown, of_split)
        if not allow_overlap:
            new.refuse_overlap(model)
        masked, held_out, skipped = new.profiles, new.test, new.skipped
        cold = rows = _users_to_evaluate(held_out, new.ids, users, unknown)
        popularity = items_of(train, model, unknown)
    beyond = beyond_accuracy(names, held_out, popularity, masked, item_features, known.ids_)
    found = _evaluation(
        model, masked, held_out, rows, ks, names, block_size, n_threads, ties, per_user,
        n_workers, executor, cold, popularity, beyond,
    )  # fmt: skip
    return replace(found, skipped=skipped)


def _evaluation(
    model: Any,
    masked: Csr,
    held_out: Csr,
    rows: NDArray[np.int64],
    ks: list[int],
    names: tuple[str, ...],
    block_size: int | None = None,
    n_threads: int | None = None,
    ties: str = "index",
    per_user: bool = True,
    n_workers: int = 1,
    executor: Any = "local",
    cold: NDArray[np.int64] = _NOBODY,
    popularity: Csr | None = None,
    beyond: BeyondAccuracy | None = None,
) -> Evaluation:
    """`evaluate` without a look at what was fitted; users in `cold` are ranked as new ones."""
    if block_size is None:
        block_size = max(1, _BLOCK_ENTRIES // ks[-1])
    block_size = check_int("block_size", block_size, 1)
    if n_threads is not None:
        n_threads = check_int("n_threads", n_threads, 1, 1024)
    n_workers = check_int("n_workers", n_workers, 1)
    make = executor_maker(executor)
    work = _UserEvaluation(
        model,
        masked,
        held_out,
        ks,
        names,
        block_size,
        ties,
        per_user,
        cold,
        masked if popularity is None else popularity,
        beyond,
    )
    with num_threads(n_threads):
        if executor == "local" and n_workers == 1:
            return work(rows)
        shards = [shard for shard in np.array_split(rows, n_workers) if len(shard)]
        with reporter(f"{work.label}: evaluate") as report, make(work, n_workers) as running:
            futures = [running.submit(shard) for shard in shards]
            for done, future in enumerate(as_completed(futures), start=1):
                future.result()  # the first failure ends the evaluation
                report(done, len(futures))
    return Evaluation.merge(future.result() for future in futures)


@dataclass(frozen=True)
class _UserEvaluation:
    """The evaluation as a function of users; plain data that can be sent to any process."""

    model: Any
    masked: Csr
    held_out: Csr
    cutoffs: list[int]
    metrics: tuple[str, ...]
    block_size: int
    ties: str
    per_user: bool
    cold: NDArray[np.int64]
    popularity: Csr
    beyond: BeyondAccuracy | None

    @property
    def label(self) -> str:
        return type(self.model).__name__

    def __call__(self, rows: NDArray[np.int64]) -> Evaluation:
        found = MetricAccumulator(
            self.held_out, self.popularity, self.cutoffs, self.metrics, self.per_user, self.beyond
        )
        with reporter(f"{self.label}: evaluate") as report:
            for start in range(0, len(rows), self.block_size):
                block = rows[start : start + self.block_size]
                lists = self._lists(block)
                found.add(lists, block)
                if not isinstance(self.model, Recommender):
                    warn_of_known_items(self.label, lists, block, self.masked)
                report(start + len(block), len(rows))
        return found.evaluation(self.label)

    def _lists(self, users: NDArray[np.int64]) -> NDArray[np.int32]:
        n, model = self.cutoffs[-1], self.model
        if not isinstance(model, Recommender):
            return lists_of(model, users, n)
        is_new = np.isin(users, self.cold)
        items = np.empty((len(users), n), dtype=np.int32)
        if not is_new.all():
            request = RankRequest(users[~is_new], n, self.masked)
            items[~is_new] = self._ranked(model.scorer_, model.urm_, request)
        if is_new.any():
            profiles = rows_of(self.masked, users[is_new])
            request = RankRequest(np.arange(profiles.n_rows), n, profiles)
            items[is_new] = self._ranked(model.scorer_of(profiles), profiles, request)
        return items

    def _ranked(self, scorer: Scorer, urm: Csr, request: RankRequest) -> NDArray[np.int32]:
        return rank_lists(scorer, urm, request, as_published=self.ties == "published")[0]


def evaluate_lists(
    items: Any,
    test: object,
    cutoffs: Sequence[int] = (5, 20),
    train: object = None,
    users: object = None,
    metrics: Sequence[str] | None = None,
    per_user: bool = True,
    label: str = "lists",
    user: str = "user",
    item: str = "item",
    rank: str | None = None,
    score: str | None = None,
    *,
    from_text: bool = False,
    item_features: object = None,
    allow_overlap: bool = False,
) -> Evaluation:
    """Measure top-N lists of any recommender.

    Parameters
    ----------
    items : int array of shape (n lists, n), or frame
        Item numbers, best first, padded with -1 at the end; without repetition within a list. Or a
        frame of one row an item of a list (polars, pandas, pyarrow, a dict of arrays), with the ids
        of `test`, or its row and column numbers if it has none. Users of `test` without a list in
        a frame count as zero (`Evaluation.without_list`); items that `test` does not know are no
        hits, and belong to the catalogue.
    test : matrix or Interactions
        Held-out items.
    cutoffs : sequence of int, default (5, 20)
        At most n.
    train : matrix or Interactions, optional
        Item popularity for novelty and average_popularity, which are left out without it unless
        they are named, and what users had before, which most metrics beyond accuracy need.
    users : int array, shape (n lists,), optional
        Row of `test` for each list of an array, without repetition; by default list u belongs to
        row u. Lists of users without test items are checked but left out.
    metrics : sequence of str, optional
        As for `evaluate`.
    per_user : bool, default True
        As for `evaluate`.
    label : str, default "lists"
        Name of the evaluation.
    user, item : str, default "user" and "item"
        Columns of a frame.
    rank, score : str, optional
        Columns that order the lists of a frame: ranks ascend, scores descend, equal scores are in
        the order of rows. By default those called "rank" and "score", which may not contradict each
        other.
    from_text : bool, default False
        Whether the ids of a frame were read from text, so that "7" may be the id 7.
    item_features : matrix, Interactions or mapping, optional
        As for `evaluate`, by the ids of `test` if it has any. For lists in a frame, whose items may
        be more than those of `test`, it is one of the forms that are by id.
    allow_overlap : bool, default False
        Measure even if `train` holds interactions of `test`.

    Returns
    -------
    Evaluation

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid, or `train` holds an interaction of `test`; the message names the
        list, or the interaction.
    """
    ks = checked_cutoffs(cutoffs)
    names = check_metrics(metrics, BEYOND_ACCURACY)
    needing = [name for name in NEED_TRAIN if name in names]
    if train is None and metrics is not None and needing:
        raise ValueError(f"{needing[0]} is computed from what users had before: pass train=")
    check_bool("allow_overlap", allow_overlap)
    ids: Ids | None
    if is_frame(items):
        if users is not None:
            raise ValueError("users is for an array: a frame has a column of users")
        columns = {"user": user, "item": item, "rank": rank, "score": score}
        lists, rows, held_out, popularity, ids = lists_of_frame(
            items, columns, test, train, ks[-1], from_text=from_text
        )
    else:
        held_out, popularity, ids = as_csr(test, "test"), None, Ids.of(test)
        if train is not None:
            popularity = matching_csr(train, "train", (held_out.n_rows, held_out.n_cols))
        found_by_model = items.items if isinstance(items, Recommendations) else items
        lists = checked_lists(found_by_model, ks[-1])
        rows = checked_rows(users, len(lists), held_out.n_rows)
    if popularity is not None and not allow_overlap:
        refuse_overlap_of(popularity, held_out, ids)
    check_bool("per_user", per_user)
    beyond = beyond_accuracy(names, held_out, popularity, popularity, item_features, ids)
    found = MetricAccumulator(held_out, popularity, ks, names, per_user, beyond)
    with reporter(f"{label}: evaluate") as report:
        found.add(lists, rows, report)
    return found.evaluation(label)


def evaluate_any_model(
    model: Any,
    masked: Any,
    held_out: Any,
    cutoffs: Sequence[int],
    ties: str = "index",
    *,
    fold_in: bool = False,
) -> Evaluation:
    """Evaluate a model of this library, or any other with ``recommend(users, n=...)``.

    Parameters
    ----------
    model : Recommender, or any object with ``recommend(users, n=...)``
        As for `evaluate`.
    masked, held_out : matrix
    cutoffs : sequence of int
    ties : {"index", "published"}, default "index"
        For models of this library.
    fold_in : bool, default False
        Rank users that were not fitted by their interactions in `masked`.

    Returns
    -------
    Evaluation
        Without values per user.
    """
    if isinstance(model, Recommender):
        check_is_fitted(model)
        shape = (model.n_users_, model.n_items_)
        hidden = matching_csr(held_out, "held_out", shape, model.ids_)
        refuse_overlap(model, hidden)
        # What is masked may be more than was fitted, as the protocol of a search has it.
        known = matching_csr(masked, "masked", shape, model.ids_)
        rows = _users_to_evaluate(hidden, model.ids_, None)
        return _evaluation(
            model, known, hidden, rows, checked_cutoffs(cutoffs, model.n_items_),
            check_metrics(None), ties=ties, per_user=False,
            cold=cold_rows(model, known, rows) if fold_in else _NOBODY,
        )  # fmt: skip
    check_recommends(model)
    users = users_with_items(as_csr(held_out, "held_out"))
    return evaluate_lists(
        lists_of(model, users, max(cutoffs)), held_out, cutoffs, masked, users, per_user=False,
        label=type(model).__name__,
    )  # fmt: skip


def _users_to_evaluate(
    test: Csr, ids: Ids | None, users: object, unknown: str = "error"
) -> NDArray[np.int64]:
    with_items = users_with_items(test)
    if not len(with_items):
        raise ValueError("test holds no interaction: there is nothing to evaluate")
    if users is None:
        return with_items
    if ids is not None:
        rows = find(ids.user_index, users, unknown)
    else:
        given: NDArray[Any] = np.atleast_1d(as_array("users", users))
        if not given.size:
            raise ValueError("users is empty: there is nothing to evaluate")
        if skips(unknown):
            given = numbers(users, "user", test.n_rows, unknown)
            given = given[given >= 0]
        rows = checked_rows(given, given.size, test.n_rows)
    chosen = np.intersect1d(rows, with_items)
    if not len(chosen):
        raise ValueError("users holds no user with a test item: there is nothing to evaluate")
    return chosen
