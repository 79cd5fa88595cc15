"""Checks of what a model is evaluated on, against what it was fitted on."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ganmf_fast._core import Csr
from ganmf_fast.base.overlap import common_per_row
from ganmf_fast.base.urm import as_csr, rows_of
from ganmf_fast.data.interactions import interactions_of
from ganmf_fast.models.base import Recommender
from ganmf_fast.models.ids import Ids, Skipped, refuse_common
from ganmf_fast.models.profiles import read_profiles
from ganmf_fast.scorers.lists import without_evidence
from ganmf_fast.split.result import ColdSplit, Split

_INSIST = "in Python allow_overlap=True evaluates nevertheless"


class KnownElsewhere:
    """What is known of a model that is not of this library: `train` is what it was fitted on."""

    def __init__(self, model: object, train: object) -> None:
        self.name = type(model).__name__
        self.urm_ = as_csr(train, "train")
        self.ids_ = Ids.of(train)
        self.n_users_, self.n_items_ = self.urm_.n_rows, self.urm_.n_cols


def refuse_overlap(model: Recommender | KnownElsewhere, test: Csr) -> None:
    """Refuse test interactions that the model was fitted on.

    Raises
    ------
    ValueError
        The message names a user and an item, and the way out.
    """
    name = model.name if isinstance(model, KnownElsewhere) else type(model).__name__
    refuse_common(
        model.urm_,
        test,
        model.ids_,
        "test",
        f"that {name} was fitted on",
        f"fit the model on train alone, and pass train before test; {_INSIST}",
    )


def refuse_overlap_of(known: Csr, test: Csr, ids: Ids | None, name: str = "train") -> None:
    """Refuse test interactions that `known`, of the same users and items, holds as well.

    Raises
    ------
    ValueError
        The message names a user and an item, and the way out.
    """
    refuse_common(
        known,
        test,
        ids,
        "test",
        f"that {name} {'hold' if name == 'profiles' else 'holds'} as well",
        f"pass {name} without the interactions of test; {_INSIST}",
    )


@dataclass(frozen=True, eq=False)
class NewUsers:
    """Profiles of people who were not fitted and their test items, over the items of a model."""

    profiles: Csr
    test: Csr
    ids: Ids | None
    skipped: Skipped
    fitted: Csr | None
    """Their test items in the rows of the model, where it is known which of these are theirs."""

    def refuse_overlap(self, model: Recommender) -> None:
        """Refuse test interactions that a profile holds, or that the model was fitted on."""
        refuse_overlap_of(self.profiles, self.test, self.ids, "profiles")
        if self.fitted is not None:
            refuse_overlap(model, self.fitted)


def new_users(
    model: Recommender, profiles: object, test: object, unknown: str, of_split: bool
) -> NewUsers:
    """`profiles` and `test` of people who were not fitted, row by row or by user id.

    Those of a split have the rows of its train, which the model should have been fitted on.

    Raises
    ------
    TypeError, ValueError
        If they do not fit together or to the items of the model.
    """
    found = read_profiles(profiles, model.n_items_, model.ids_, unknown)
    shape = (found.rows.n_rows, model.n_items_)
    data = interactions_of(test)
    if model.ids_ is None or data is None or interactions_of(profiles) is None:
        csr = as_csr(test, "test")
        if (csr.n_rows, csr.n_cols) != shape:
            raise ValueError(
                f"test is {csr.n_rows} x {csr.n_cols} but profiles {shape[0]} x {shape[1]}"
            )
        known = of_split and csr.n_rows == model.n_users_
        return NewUsers(found.rows, csr, None, Skipped(), csr if known else None)
    ids = Ids(found.names, model.ids_.items, "dict")
    csr, skipped = ids.aligned(data, unknown)
    return NewUsers(found.rows, csr, ids, skipped, model.ids_.aligned(data, "skip").csr)


def items_of(train: object, model: Recommender, unknown: str) -> Csr:
    """Interactions of anybody with the items of the model, for their popularity."""
    return (
        model.urm_
        if train is None
        else read_profiles(train, model.n_items_, model.ids_, unknown, "train").rows
    )


def parts_of(
    split: Split, test: object, profiles: object, *, with_ids: bool
) -> tuple[object, object, object]:
    """Train, test and profiles of a split, with ids or as matrices.

    Raises
    ------
    TypeError
        If there are others beside it.
    """
    if test is not None or profiles is not None:
        raise TypeError("train is a split, which brings its own test and profiles: pass no others")
    of_new: object = None
    if isinstance(split, ColdSplit):
        of_new = split.profile_data if with_ids else split.profile
    if with_ids:
        return split.train_data, split.test_data, of_new
    return split.train, split.test, of_new


def warn_of_other_train(model: Recommender, masked: Csr, rows: NDArray[np.int64]) -> None:
    """Say so if the profiles of `rows` in `masked` are not those that the model was fitted on.

    Values may differ: a mask has none.

    Warns
    -----
    UserWarning
        With the number of such users.
    """
    urm = model.urm_
    if masked is urm or (
        np.array_equal(masked.indptr, urm.indptr) and np.array_equal(masked.indices, urm.indices)
    ):
        return
    common = common_per_row(masked, urm)[rows]
    other = (common != np.diff(masked.indptr)[rows]) | (common != np.diff(urm.indptr)[rows])
    n_other = int(other.sum())
    if n_other:
        warnings.warn(
            f"train is not what {type(model).__name__} was fitted on for {n_other:,} of "
            f"{len(rows):,} users: lists come from what was fitted, without the items of train",
            UserWarning,
            stacklevel=3,
        )


def cold_rows(model: Recommender, masked: Csr, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those of `rows` that have interactions in `masked` but were fitted without any.

    They are ranked as new users.

    Raises
    ------
    ValueError
        If no list is left because no user has an interaction anywhere, or if there are such users
        and an old model file does not hold what they need.
    """
    unfitted = rows[without_evidence(model.scorer_, model.urm_, rows)]
    cold = unfitted[masked.indptr[unfitted] < masked.indptr[unfitted + 1]]
    name = type(model).__name__
    if len(unfitted) == len(rows) and not len(cold):
        raise ValueError(
            f"none of the {len(rows):,} users with test items has an interaction in what {name} "
            "was fitted on: pass their profiles, such as the `profile` of a ColdSplit"
        )
    if len(cold):
        try:
            model.scorer_of(rows_of(masked, cold[:1]))
        except NotImplementedError as error:
            raise ValueError(
                f"{len(cold):,} of {len(rows):,} users have interactions in train but none in what "
                f"{name} was fitted on, and {error}, or leave them out with `users`"
            ) from None
    return cold


def warn_of_known_items(
    name: str, lists: NDArray[np.int32], users: NDArray[np.int64], train: Csr
) -> None:
    """Say so if lists hold items that `train` has of the same user, which can be no hits.

    Warns
    -----
    UserWarning
    """
    rows = rows_of(train, users)
    at = np.arange(len(users))
    known = np.repeat(at, np.diff(rows.indptr)) * np.int64(train.n_cols) + rows.indices
    listed = at[:, None] * np.int64(train.n_cols) + lists
    found = np.argwhere(np.isin(listed, known) & (lists >= 0))
    if len(found):
        user, place = found[0]
        warnings.warn(
            f"{name} lists items of train, such as item {lists[user, place]} for user "
            f"{users[user]}: they can be no hits, which makes its figures low; its recommend is to "
            "leave out what was fitted",
            UserWarning,
            stacklevel=3,
        )
