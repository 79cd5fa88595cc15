"""Splits into train and test by a rule, and the k-core."""

import datetime as dt
import math
import operator
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ganmf_fast import _core
from ganmf_fast.base.checks import check_bool, check_int, check_real
from ganmf_fast.base.errors import suggestion
from ganmf_fast.base.text import shown
from ganmf_fast.base.urm import read_only, to_scipy
from ganmf_fast.data.dataset_sources import LISTS_SOURCES
from ganmf_fast.data.datasets import load_parts
from ganmf_fast.data.interactions import Interactions
from ganmf_fast.split.input import SplitInput, check_seed, check_size, leakage, ordered
from ganmf_fast.split.result import ColdSplit, Folds, Split, Windows

# After a time of day, which has a colon.
_ZONE = re.compile(r":.*([zZ]|[+-][0-9:]+)\s*$")


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
        If `X` is not such a matrix, `test_size` or `seed` is out of range, or no user
        has two interactions.

    Notes
    -----
    The draw is a function of the seed and of the places of users and items in the order of their
    ids: neither threads nor the order of lines in a file change it.
    """
    source = SplitInput.of(X)
    size = check_size("test_size", test_size)
    check_bool("per_user", per_user)
    labels = _core.split_holdout(source.csr, size, per_user, check_seed(seed))
    scope = "per user" if per_user else "of all"
    if per_user and not labels.any():
        raise ValueError(
            "X has no user with two interactions, one for each side: pass per_user=False"
        )
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
        If an argument is out of range, or no user has more than `k` interactions.
    """
    source = SplitInput.of(X)
    k = check_int("k", k, 1)
    labels = _core.split_leave_k_out(source.csr, k, check_seed(seed))
    if not labels.any():
        most = int(np.diff(source.csr.indptr).max())
        raise ValueError(f"k is {k}, but no user has more than {most} interactions: lower it")
    return _two_sides(source, labels, f"leave_k_out {k}, seed {seed}", random="leave_k_out")


def temporal(
    X: object,
    test_size: float | None = None,
    cut: Any = None,
    per_user: bool = False,
) -> Split:
    """Hold the latest interactions out.

    Parameters
    ----------
    X : Interactions
        With timestamps.
    test_size : float or int, optional
        A fraction or a count, 0.2 by default. Globally the moment is chosen from which on this much
        lies; interactions of the same moment are never separated, so that test may be larger.
    cut : timestamp, optional
        That moment itself, instead of `test_size`; interactions at `cut` or later are in test.
        Without a time zone; timestamps of data that had zones are in UTC.
    per_user : bool, default False
        Hold the latest of each user out instead. Of equal times the one with the larger column is
        the later one, and each user with two interactions has one on both sides. Training then
        knows what *other* users did later.

    Returns
    -------
    Split
        `users_without_train` lists the users whose first interaction is at the cut or later.

    Raises
    ------
    TypeError, ValueError
        If `X` has no timestamps, an argument is out of range, or one side would be empty.
    """
    source = SplitInput.of(X)
    times = source.times("temporal")
    if test_size is not None and cut is not None:
        raise ValueError(
            f"test_size and cut both say where test begins: {shown(test_size)} cannot go with "
            f"{shown(cut)}, give one of them"
        )
    size = check_size("test_size", 0.2 if test_size is None else test_size)
    if check_bool("per_user", per_user):
        if cut is not None:
            raise ValueError(
                f"cut is one moment for all users: {shown(cut)} cannot go with per_user"
            )
        labels = _core.split_latest(source.csr, times, size)
        return _two_sides(source, labels, f"temporal {size} per user", by_time="user")
    if cut is None:
        at = _core.split_cut_for(times, size)
        rule = f"temporal {size} of all"
    else:
        at = _moment(cut, source)
        rule = f"temporal from {cut} on"
    labels = _core.split_cut_at(source.csr, times, at)
    return _two_sides(source, labels, rule, cut=_earliest(source, labels), by_time="all")


def k_fold(X: object, n_splits: int = 5, per_user: bool = True, seed: int = 0) -> Folds:
    """Partition interactions into folds of like sizes.

    Parameters
    ----------
    X, seed
        As for `holdout`.
    n_splits : int, default 5
        From 2 to 255.
    per_user : bool, default True
        Balance the folds of each user, so that a user with two interactions is always in train;
        else of all interactions together. What is balanced differs in size by one at most.

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
    check_bool("per_user", per_user)
    labels = _core.split_k_fold(source.csr, n_splits, per_user, check_seed(seed))
    scope = "per user" if per_user else "of all"
    return Folds(f"k_fold {n_splits} {scope}, seed {seed}", n_splits, source, labels)


def rolling(
    X: object,
    windows: int = 5,
    test_size: float | None = None,
    span: Any = None,
    train_span: Any = None,
) -> Windows:
    """Windows of time, one after another: each is predicted from what lies before it.

    Parameters
    ----------
    X : Interactions
        With timestamps.
    windows : int, default 5
        From 1 to 254. They end with the last interaction; what lies before the first one is in no
        test.
    test_size : float or int, optional
        A fraction or a count: interactions of each window. By default ``1 / (windows + 1)``.
    span : number or timedelta, optional
        Instead of `test_size`: duration of each window, in the unit of the timestamps, in days if
        these are dates. The last window ends right after the last interaction.
    train_span : number or timedelta, optional
        How far train reaches back from its window, in the same unit; by default to the beginning.

    Returns
    -------
    Windows
        A sequence of `Split`, made one at a time, and the moments between the windows (`cuts`).

    Raises
    ------
    TypeError, ValueError
        If `X` has no timestamps, an argument is out of range, or a window or its train is empty.

    Notes
    -----
    A window reaches from its first moment on to before the first moment of the next one.
    Interactions of the same moment are thus never separated: where many share the moment that
    `test_size` comes to, the later one of two windows is larger and the earlier one smaller. Train
    and test of a window have all users and items of `X`, of which some are not known before it
    (`users_without_train`, `items_without_train`).
    """
    source = SplitInput.of(X)
    times = source.times("rolling")
    windows = check_int("windows", windows, 1, 254)
    if test_size is not None and span is not None:
        raise ValueError("test_size and span both say how large a window is: give one of them")
    cuts = _cuts(source, times, windows, test_size, span)
    bounds = ordered(cuts)
    labels = np.searchsorted(bounds[:-1], times, side="right").astype(np.uint8)
    sizes = np.bincount(labels, minlength=windows + 1)
    for window in np.flatnonzero(sizes == 0).tolist():
        if window == 0:
            raise ValueError("windows leave no interaction before the first of them to learn from")
        raise ValueError(
            f"window {window - 1}, from {cuts[window - 1]} on and before {cuts[window]}, holds no "
            "interaction: ask for fewer windows, or for longer ones"
        )
    starts = None
    if train_span is not None:
        step = _duration("train_span", train_span, cuts.dtype)
        starts = ordered(cuts[:-1] - step)
        for window, start in enumerate(starts):
            if not ((times >= start) & (labels <= window)).any():
                raise ValueError(f"train_span leaves nothing to learn from before window {window}")
    size = f"span {span}" if span is not None else f"{test_size or 'equal'}"
    reach = "" if train_span is None else f", train_span {train_span}"
    return Windows(
        f"rolling {windows} of {size}{reach}",
        windows,
        source,
        labels,
        read_only(cuts),
        starts,
        None if starts is None else times,
    )


def _cuts(
    source: SplitInput,
    times: NDArray[np.int64],
    windows: int,
    test_size: float | None,
    span: Any,
) -> NDArray[Any]:
    """The first moment of each window, and the one right after the last."""
    stamps = _stamps(source)
    # Whole numbers as int64, in which differences do not overflow.
    stamps = times if stamps.dtype.kind in "iu" else stamps
    last = stamps.max()
    end = np.nextafter(last, np.inf) if stamps.dtype.kind == "f" else last + np.int64(1)
    if span is not None:
        step = _duration("span", span, stamps.dtype)
        back = np.arange(windows, -1, -1)
        return np.asarray(end - back * step)
    if test_size is None:
        size: float = len(times) // (windows + 1)
    else:
        size = check_size("test_size", test_size)
    count = size if isinstance(size, int) else round(size * len(times))
    if count < 1 or count * windows >= len(times):
        raise ValueError(
            f"test_size takes {count:,} of {len(times):,} interactions for each of {windows} "
            "windows: each needs one at least, and one must remain before them"
        )
    places = len(times) - count * np.arange(windows, 0, -1)
    # In the order of `times`, which is that of the stamps.
    order = np.argpartition(times, places)
    return np.append(stamps[order[places]], end)


def _duration(name: str, given: Any, dtype: np.dtype[Any]) -> Any:
    """A positive duration that can be taken from timestamps of this type."""
    whole = dtype.kind != "f"
    if dtype.kind == "M":
        unit = np.array(1, f"m8[{np.datetime_data(dtype)[0]}]")
        if not isinstance(given, dt.timedelta | np.timedelta64):
            given = check_real(name, given, above=0.0) * np.timedelta64(86_400_000_000, "us")
        number = float(np.timedelta64(given) / unit)
    else:
        number = check_real(name, given, above=0.0)
    if number <= 0 or (whole and not number.is_integer()):
        what = f"a whole number of {np.datetime_data(dtype)[0]}" if dtype.kind == "M" else "whole"
        raise ValueError(
            f"{name} must be positive and {what}, as the timestamps are, not {shown(given)}"
        )
    if dtype.kind == "M":
        return int(number) * unit
    return int(number) if whole else number


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


def published(name: str, data_dir: str | Path | None = None, download: bool = True) -> Split:
    """The train and test that papers on graph models publish their figures on.

    Parameters
    ----------
    name : {"gowalla", "yelp2018", "amazon-book"}
    data_dir, download
        As for `ganmf_fast.datasets.load`.

    Returns
    -------
    Split

    Raises
    ------
    ValueError
        If no train and test of that name are published.
    DataError
        If the data are not there and cannot be downloaded, or a checksum or size is wrong.

    References
    ----------
    X. He, K. Deng, X. Wang, Y. Li, Y. Zhang, M. Wang. LightGCN: simplifying and powering graph
    convolution network for recommendation. SIGIR 2020.
    """
    both = [key for key, source in LISTS_SOURCES.items() if len(source.files) == 2]
    if name not in both:
        raise ValueError(
            f"no train and test of {shown(name)} are published; there are those of "
            f"{', '.join(both)}{suggestion(name, both)}"
        )
    train, test = (to_scipy(part.csr) for part in load_parts(name, data_dir, download))
    whole = replace(Interactions.from_matrix(train + test), name=name)
    # 2 in the sum where an interaction is of test.
    marked = (train + 2 * test).tocsr()
    marked.sort_indices()
    labels = (marked.data != 1).astype(np.uint8)
    return _two_sides(SplitInput.of(whole), labels, f"published train and test of {name}")


def _two_sides(
    source: SplitInput,
    labels: NDArray[np.uint8],
    rule: str,
    *,
    random: str = "",
    cut: Any = None,
    by_time: Literal["all", "user"] | None = None,
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
        by_time,
    )


def _stamps(source: SplitInput) -> NDArray[Any]:
    if source.data is None or source.data.timestamps is None:
        raise ValueError("there are no timestamps")
    return source.data.timestamps


def _moment(cut: Any, source: SplitInput) -> int:
    """`cut` in the units of the times of `source`, rounded up if these are whole numbers."""
    stamps = _stamps(source)
    kind = stamps.dtype.kind
    if getattr(cut, "tzinfo", None) is not None or (isinstance(cut, str) and _ZONE.search(cut)):
        raise ValueError(
            f"cut must be without a time zone, as the timestamps are, not "
            f"{shown(cut)}; those of data that had zones are in UTC"
        )
    what = "a date" if kind == "M" else "a number"
    refusal = TypeError(f"cut must be {what}, as the timestamps are, not {shown(cut)}")
    if isinstance(cut, bool | np.bool_):
        raise refusal
    try:
        if isinstance(cut, np.complexfloating):
            cut = complex(cut)  # of numpy's, the imaginary part would be dropped
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
    except (TypeError, ValueError, OverflowError) as error:
        raise refusal from error


def _earliest(source: SplitInput, labels: NDArray[np.uint8]) -> Any:
    """The first moment of test."""
    return _stamps(source)[labels == 1].min()
