"""Splits into train and test by a rule, and the k-core."""

import math
import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganmf_fast import _core
from ganmf_fast.base.checks import check_int
from ganmf_fast.data.interactions import Interactions
from ganmf_fast.split.input import SplitInput, check_seed, check_size, leakage, ordered
from ganmf_fast.split.result import ColdSplit, Folds, Split

__all__ = ["cold_users", "holdout", "k_core", "k_fold", "leave_k_out", "temporal"]


def holdout(
    X: object,
    test_size: float = 0.2,
    per_user: bool = True,
    seed: int = 0,
) -> Split:
    """Hold a fraction or a number of interactions out at random.

    Parameters
    ----------
    X : Interactions, scipy sparse matrix or array, or 2-D numpy array
        Rows are users; values go along.
    test_size : float or int, default 0.2
        A fraction between 0 and 1, rounded to the nearest number of interactions, or a count.
    per_user : bool, default True
        Of each user, with at least one interaction on both sides wherever the user has two; else
        of all interactions together, with no promise to a user.
    seed : int, default 0
        From 0 to 2**64 - 1.

    Returns
    -------
    Split
        `users_without_train` and `users_without_test` list the users without one side.

    Raises
    ------
    TypeError, ValueError
        If `X` is not such a matrix, or `test_size` or `seed` is out of range.

    Notes
    -----
    The draw is a function of the seed and of the places of users and items in the order of their
    ids: neither threads nor the order of lines in a file change it.
    """
    source = SplitInput.of(X)
    size = check_size("test_size", test_size)
    labels = _core.split_holdout(source.csr, size, bool(per_user), check_seed(seed))
    scope = "per user" if per_user else "of all"
    return _two_sides(source, labels, f"holdout {size} {scope}, seed {seed}", random="holdout")


def leave_k_out(X: object, k: int = 1, seed: int = 0) -> Split:
    """Hold `k` interactions out of every user who has more than `k`.

    Parameters
    ----------
    X, seed
        As for `holdout`.
    k : int, default 1

    Returns
    -------
    Split
        Users with `k` interactions or fewer keep theirs in train, and are `users_without_test`.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range.
    """
    source = SplitInput.of(X)
    k = check_int("k", k, 1)
    labels = _core.split_leave_k_out(source.csr, k, check_seed(seed))
    return _two_sides(source, labels, f"leave_k_out {k}, seed {seed}", random="leave_k_out")


def temporal(
    X: object,
    test_size: float = 0.2,
    cut: Any = None,
    per_user: bool = False,
) -> Split:
    """Hold the latest interactions out.

    Parameters
    ----------
    X : Interactions
        With timestamps.
    test_size : float or int, default 0.2
        A fraction or a count. Globally the moment is chosen from which on this much lies;
        interactions of the same moment are never separated, so that test may be larger.
    cut : timestamp, optional
        That moment itself, in place of `test_size`; interactions at `cut` or later are in test.
    per_user : bool, default False
        Hold the latest of each user out instead. Of equal times the one with the larger column is
        the later one, and each user with two interactions has one on both sides. Training then
        knows what *other* users did later.

    Returns
    -------
    Split
        `users_without_train` lists the users whose first interaction is after the cut.

    Raises
    ------
    TypeError, ValueError
        If `X` has no timestamps, an argument is out of range, or one side would be empty.
    """
    source = SplitInput.of(X)
    times = source.times("temporal")
    if per_user:
        if cut is not None:
            raise ValueError(
                f"cut is one moment for all users: {cut!r:.80} cannot go with per_user"
            )
        size = check_size("test_size", test_size)
        labels = _core.split_latest(source.csr, times, size)
        return _two_sides(source, labels, f"temporal {size} per user")
    if cut is None:
        size = check_size("test_size", test_size)
        at = _core.split_cut_for(times, size)
        rule = f"temporal {size} of all"
    else:
        at = _moment(cut, source)
        rule = f"temporal from {cut} on"
    labels = _core.split_cut_at(source.csr, times, at)
    return _two_sides(source, labels, rule, cut=_earliest(source, labels))


def k_fold(X: object, n_splits: int = 5, per_user: bool = True, seed: int = 0) -> Folds:
    """Partition interactions into folds that differ in size by one at most.

    Parameters
    ----------
    X, seed
        As for `holdout`.
    n_splits : int, default 5
        From 2 to 255.
    per_user : bool, default True
        Balance the folds of each user, so that a user with two interactions is always in train;
        else of all interactions together.

    Returns
    -------
    Folds
        A sequence of `Split`, made one at a time.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range.
    """
    source = SplitInput.of(X)
    n_splits = check_int("n_splits", n_splits, 2, 255)
    labels = _core.split_k_fold(source.csr, n_splits, bool(per_user), check_seed(seed))
    scope = "per user" if per_user else "of all"
    return Folds(f"k_fold {n_splits} {scope}, seed {seed}", n_splits, source, labels)


def cold_users(
    X: object,
    n_users: float = 0.1,
    target_size: float = 0.2,
    seed: int = 0,
) -> ColdSplit:
    """Hold users out whole, each with a profile to fold in and a target to be found.

    Parameters
    ----------
    X, seed
        As for `holdout`.
    n_users : float or int, default 0.1
        A fraction or a count of the users with two interactions or more; others are never held out.
    target_size : float or int, default 0.2
        A fraction or a count of a user's interactions; one at least is in the target and one in the
        profile.

    Returns
    -------
    ColdSplit
        `train`, `profile` and `test` of one shape, and `users`, the rows held out. Fit on `train`,
        fold `profile[users]` in, and measure on `test`.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range, or no user would be left to train on.
    """
    source = SplitInput.of(X)
    labels, users = _core.split_cold_users(
        source.csr,
        check_size("n_users", n_users),
        check_size("target_size", target_size),
        check_seed(seed),
    )
    train, profile, test = _core.divide_cells(source.csr, labels, 3)
    return ColdSplit(
        f"cold_users, seed {seed}",
        source,
        train,
        test,
        labels,
        _of_test=(2,),
        users=users,
        _profile=profile,
    )


def k_core(X: object, user_min: int = 5, item_min: int = 5) -> Interactions:
    """Drop users and items with few interactions until all that remain have enough.

    Parameters
    ----------
    X : Interactions, scipy sparse matrix or array, or 2-D numpy array
    user_min, item_min : int, default 5
        Least interactions of a user and an item that remain; 1 drops empty ones.

    Returns
    -------
    Interactions
        With the ids, and the timestamps, of `X`; of a plain matrix its row and column numbers.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range, or nothing is left.
    """
    source = SplitInput.of(X)
    csr, users, items, kept = _core.k_core(
        source.csr, check_int("user_min", user_min, 1), check_int("item_min", item_min, 1)
    )
    data = source.data
    if data is None:
        return Interactions(csr, users, items)
    stamps = data.timestamps
    return Interactions(
        csr,
        data.user_ids[users],
        data.item_ids[items],
        None if stamps is None else stamps[kept == 1],
        frame_type=data.frame_type,
        name=data.name,
        simulated=data.simulated,
    )


def _two_sides(
    source: SplitInput,
    labels: NDArray[np.uint8],
    rule: str,
    *,
    random: str = "",
    cut: Any = None,
) -> Split:
    train, test = _core.divide_cells(source.csr, labels, 2)
    timed = source.data is not None and source.data.timestamps is not None
    return Split(
        rule,
        source,
        train,
        test,
        labels if timed else None,
        leakage(source, labels, random) if random else (),
        cut,
    )


def _stamps(source: SplitInput) -> NDArray[Any]:
    if source.data is None or source.data.timestamps is None:
        raise ValueError("there are no timestamps")
    return source.data.timestamps


def _moment(cut: Any, source: SplitInput) -> int:
    """`cut` in the units of the times of `source`, rounded up if these are whole numbers."""
    stamps = _stamps(source)
    kind = stamps.dtype.kind
    try:
        if kind == "M":
            given = np.datetime64(cut).astype("datetime64[ns]")
            cast = given.astype(stamps.dtype)
            # Units such as days cut the time of day off: then the next day is the first in test.
            late = cast.astype("datetime64[ns]") < given
            return int(ordered(np.array([cast]))[0]) + int(late)
        if kind == "f":
            return int(ordered(np.array([float(cut)]))[0])
        # Not through a float where it need not be: nanoseconds have more than its 53 bits.
        return operator.index(cut) if hasattr(cut, "__index__") else math.ceil(cut)
    except (TypeError, ValueError) as error:
        what = "a date" if kind == "M" else "a number"
        raise TypeError(f"cut must be {what}, as the timestamps are, not {cut!r:.80}") from error


def _earliest(source: SplitInput, labels: NDArray[np.uint8]) -> Any:
    """The first moment of test."""
    return _stamps(source)[labels == 1].min()
