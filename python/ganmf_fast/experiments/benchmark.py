"""How fast models are on this machine: a fit, lists for all users, one request."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import clone

from ganmf_fast.base.checks import check_int
from ganmf_fast.base.progress import line
from ganmf_fast.base.text import shown
from ganmf_fast.base.urm import row_of
from ganmf_fast.experiments.environment import measured
from ganmf_fast.models.base import Recommender

# Users who ask one after the other, and at most who are given lists at once.
_REQUESTS = 100
_USERS = 100_000


def benchmark(
    models: Mapping[str, Recommender] | Sequence[Recommender],
    X: Any,
    *,
    n: int = 20,
    rounds: int = 3,
) -> pl.DataFrame:
    """Measure how fast models are fitted, and how fast they recommend.

    Parameters
    ----------
    models : sequence or mapping of str to Recommender
        Models with their parameters; copies are fitted. In a mapping with the names to be used.
    X : Interactions or matrix of users x items
        What is fitted.
    n : int, default 20
        Length of the lists.
    rounds : int, default 3
        Fits of each model, and times that all users are given lists.

    Returns
    -------
    polars.DataFrame
        A row for each model, with medians:

        - `fit_seconds` and `fit_mib` of the fits, the latter the memory that a fit added to the
          process (null where the system cannot tell);
        - `lists_per_second` when all users are given lists at once, or every so many where there
          are more than 100,000;
        - `user_ms` of a request for one fitted user, and `profile_ms` of one for a person who is
          not fitted and brings the items of a profile, over a hundred requests one after the other.

    Raises
    ------
    TypeError, ValueError
        If something else than models is given, or two of one name; as `fit` for `X`.

    Notes
    -----
    Times are those of the wall clock, with as many threads as `set_num_threads` allows: what else
    the machine does is in them. Three rounds or more leave out what only the first has to do, such
    as loading libraries.
    """
    named = _named(models)
    n, rounds = check_int("n", n, 1), check_int("rounds", rounds, 1)
    rows = []
    for place, (name, model) in enumerate(named.items()):
        line(f"[{place + 1}/{len(named)}] {name}")
        rows.append({"model": name, **_speed(model, X, n, rounds)})
    return pl.DataFrame(rows)


def _named(models: Any) -> dict[str, Recommender]:
    if isinstance(models, Mapping):
        given = [(str(name), model) for name, model in models.items()]
    elif isinstance(models, Iterable) and not isinstance(models, str):
        given = [(type(model).__name__, model) for model in models]
    else:
        raise TypeError(f"models must be a list of models, such as [EASE()], not {shown(models)}")
    for _, model in given:
        if not isinstance(model, Recommender):
            raise TypeError(f"models must be models, such as EASE(), not {shown(model)}")
    if not given:
        raise ValueError("models holds none")
    named = dict(given)
    if len(named) < len(given):
        names = [name for name, _ in given]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"models holds {twice} twice: give a mapping of different names to models")
    return named


def _speed(model: Recommender, X: object, n: int, rounds: int) -> dict[str, float | None]:
    fits = []
    for _ in range(rounds):
        fitted = clone(model)
        with measured() as cost:
            fitted.fit(X)
        fits.append(cost)
    everybody = np.arange(fitted.n_users_)
    asking = _every_so_many(np.flatnonzero(np.diff(fitted.urm_.indptr)), _REQUESTS)
    if fitted.ids_ is None:
        users, items = everybody, np.arange(fitted.n_items_)
    else:
        users, items = np.asarray(fitted.ids_.users), np.asarray(fitted.ids_.items)
    batch = users[_every_so_many(everybody, _USERS)]
    profiles = [_plain(items[row_of(fitted.urm_, u)[0]]) for u in asking.tolist()]
    lists = [_seconds(lambda: fitted.recommend(batch, n)) for _ in range(rounds)]
    by_user = [_seconds(partial(fitted.recommend, [user], n)) for user in _plain(users[asking])]
    by_profile = [_seconds(partial(fitted.recommend, profiles=own, n=n)) for own in profiles]
    added = [cost.extra_mib for cost in fits if cost.extra_mib is not None]
    return {
        "fit_seconds": median(cost.seconds for cost in fits),
        "fit_mib": median(added) if added else None,
        "lists_per_second": len(batch) / median(lists),
        "user_ms": 1000 * median(by_user),
        "profile_ms": 1000 * median(by_profile),
    }


def _plain(ids: NDArray[Any]) -> list[Any]:
    # numpy makes numbers of dates.
    return list(ids) if ids.dtype.kind == "M" else ids.tolist()


def _every_so_many(of: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    return of[:: -(-len(of) // most)] if len(of) > most else of


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
