"""Base of all models: fitting, top-N lists, scores, similar items, saving."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from ganmf_fast._core import Csr, RankRequest
from ganmf_fast.base.checks import check_choice, check_int
from ganmf_fast.base.params import check_params
from ganmf_fast.base.progress import reporter
from ganmf_fast.base.urm import as_csr, to_scipy
from ganmf_fast.data.frames import frame
from ganmf_fast.models.cooccurrence import Cooccurrence
from ganmf_fast.models.fit_data import FitCallback, FitData
from ganmf_fast.models.ids import Ids, find, matching_csr, numbers, skips
from ganmf_fast.models.model_file import ModelFile
from ganmf_fast.models.profiles import read_profiles
from ganmf_fast.scorers.base import Scorer
from ganmf_fast.scorers.dense import DenseWeights
from ganmf_fast.scorers.factors import Factors
from ganmf_fast.scorers.lists import check_lists_fit, popularity, rank_lists, without_evidence
from ganmf_fast.scorers.weights import ItemWeights

if TYPE_CHECKING:
    import scipy.sparse as sp

__all__ = ["Recommendations", "Recommender"]


class _Arrays(NamedTuple):
    items: NDArray[np.int32]
    """Item numbers, shape (n users, n), padded with -1."""
    scores: NDArray[np.float32]
    """Their scores, of the same shape, padded with -inf."""


class Recommendations(_Arrays):
    """Top-N lists, best first.

    Attributes
    ----------
    items : int32 array, shape (n users, n)
        Item numbers, padded with -1.
    scores : float32 array
        Their scores, of the same shape, padded with -inf.
    skipped : int
        Number of unknown users, whose lists are empty; of profiles the number of interactions with
        unknown items, which were left out.
    """

    skipped: int = 0


class Recommender(BaseEstimator, ABC):
    """Base of all models: a scikit-learn estimator that ranks items for users.

    A model declares its parameters as fields (`ganmf_fast.base.params`) and implements `_fit`;
    everything else works on the scorer that `_fit` returns.

    Attributes
    ----------
    n_users_, n_items_ : int
        Shape of the matrix that was fitted.
    urm_ : Csr
        The matrix that was fitted.
    ids_ : Ids or None
        Ids of rows and columns, if `Interactions` were fitted.
    user_ids_, item_ids_ : array or None
        The same ids, as arrays.
    scorer_ : Scorer
        The fitted model in the form that scores and ranks.
    """

    iterative: ClassVar[bool] = False
    """Whether `fit` runs epochs and stops early on `validation`."""

    saved_attributes: ClassVar[tuple[str, ...]] = ()
    """Learned attributes that are saved: numbers, strings, and lists and dicts of them."""

    def fit(
        self, X: object, validation: object = None, callback: FitCallback | None = None
    ) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : scipy sparse matrix or array, 2-D numpy array, Csr, Interactions or Cooccurrence
            Shape (users, items), finite and non-negative. A `Cooccurrence` brings the counts that
            fits on one matrix share. A scipy matrix or an array is copied: what becomes of it
            afterwards does not change the model.
        validation : like `X`, optional
            Interactions of the same users with the same items, for early stopping of iterative
            models; ignored by the others.
        callback : callable, optional
            ``callback(epoch, values)`` is called by iterative models after each epoch, from 1 on,
            with the row of ``history_``: losses, and "validation" where it was evaluated. What it
            raises ends the fit.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If a parameter, `X`, `validation` or `callback` is not what it should be.
        """
        self._validate_params()
        if callback is not None and not callable(callback):
            raise TypeError(f"callback must be called as callback(epoch, values), not {callback!r}")
        prepared = X if isinstance(X, Cooccurrence) else None
        X = X if prepared is None else prepared.source
        urm, ids = as_csr(X, "X"), Ids.of(X)
        held_out = None
        if validation is not None:
            held_out = matching_csr(validation, "validation", (urm.n_rows, urm.n_cols), ids)
        with reporter(f"{type(self).__name__}: fit") as progress:
            scorer = self._fit(FitData(urm, held_out, progress, callback, prepared))
        self._set_fitted(urm, scorer, ids)
        return self

    @classmethod
    def prepare(cls, X: object) -> object:
        """What many fits of this model on one matrix share.

        Parameters
        ----------
        X : as for `fit`

        Returns
        -------
        object
            To be passed to `fit` in place of `X`: the validated matrix, or a `Cooccurrence`.
        """
        return as_csr(X, "X")

    def _validate_params(self) -> None:
        check_params(self)
        self._check_params()

    def _check_params(self) -> None:
        """Check what the ranges of single parameters do not say."""

    @abstractmethod
    def _fit(self, data: FitData) -> Scorer:
        """Learn from `data`."""

    @classmethod
    def from_parts(
        cls, params: dict[str, Any], urm: Csr, scorer: Scorer, ids: Ids | None
    ) -> "Recommender":
        """A fitted model from its parts, which are checked like those of a new one.

        Raises
        ------
        TypeError, ValueError
            If a parameter is unknown, missing or out of range, or the parts do not fit together.
        """
        known = set(cls().get_params(deep=False))
        if set(params) != known:
            raise ValueError(f"the parameters are {sorted(params)} instead of {sorted(known)}")
        model = cls(**params)
        model._validate_params()
        model._set_fitted(urm, scorer, ids)
        return model

    def _set_fitted(self, urm: Csr, scorer: Scorer, ids: Ids | None) -> None:
        if ids is not None and (len(ids.users), len(ids.items)) != (urm.n_rows, urm.n_cols):
            raise ValueError(
                f"there are {len(ids.users)} user ids and {len(ids.items)} item ids, "
                f"but the matrix is {urm.n_rows} x {urm.n_cols}"
            )
        if scorer.n_items != urm.n_cols or scorer.n_users not in (None, urm.n_rows):
            raise ValueError(
                f"the scorer knows {scorer.n_users} users and {scorer.n_items} items, "
                f"but the matrix is {urm.n_rows} x {urm.n_cols}"
            )
        self.urm_ = urm
        self.scorer_ = scorer
        self.n_users_ = urm.n_rows
        self.n_items_ = urm.n_cols
        self.ids_ = ids
        self.user_ids_ = None if ids is None else ids.users
        self.item_ids_ = None if ids is None else ids.items

    def __sklearn_is_fitted__(self) -> bool:
        """Whether `fit` has ended."""
        return hasattr(self, "scorer_")

    def _check_fitted(self) -> None:
        if not self.__sklearn_is_fitted__():
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet: call fit first")

    def recommend(
        self,
        users: object = None,
        n: Any = 20,
        exclude_seen: bool = True,
        candidates: object = None,
        exclude_items: object = None,
        unknown: str = "error",
        fallback: str | None = None,
        *,
        profiles: object = None,
    ) -> Any:
        """Best items for each user, or for each of some `profiles`.

        A user without interactions in the fitted matrix has an empty list, unless the model is
        the same for everybody or random (`TopPopular`, `Random`).

        Parameters
        ----------
        users : int or sequence of int; ids if the model was fitted on Interactions
            Rows of the fitted matrix, in any order, also repeatedly; not a boolean mask.
        n : int or sequence of int, default 20
            Length of the lists; with one length for each user, the arrays are as wide as the
            longest.
        exclude_seen : bool, default True
            Exclude the items that the user interacted with in the fitted matrix.
        candidates : sequence of items, optional
            The only items to consider, as numbers or ids like `users`.
        exclude_items : sequence of items, optional
            Items never to recommend, in the same form; unknown ones have no effect.
        unknown : {"error", "skip"}, default "error"
            Treatment of users and candidates that were not fitted. With "skip", the lists of
            unknown users are empty and counted in `Recommendations.skipped`; a frame leaves these
            users out, and `unknown_users` names them.
        fallback : {None, "popular"}, default None
            Lists of fitted users without interactions: empty, or the items with the most users in
            the fitted matrix, in the order of `TopPopular`, the score being that number.
        profiles : scipy sparse matrix or array, 2-D numpy array, Csr, Interactions, or items
            In place of `users`, the interactions of people who were not fitted: one row each, over
            the fitted items; Interactions, whose items are matched by id; or the items of one
            person, as a sequence of numbers or ids. What is said of users holds for them, seen
            items being those of the profile. `unknown` is about the items of Interactions and
            sequences; with "skip" those left out are counted in `Recommendations.skipped`.

        Returns
        -------
        Recommendations
            `items` int32 and `scores` float32 of shape (n users, n), best first, equal scores by
            ascending item number; -1 and -inf pad lists that run out of items. A model fitted on
            Interactions returns a frame in the type it was made from, with columns user, rank
            (from 1), item and score, and without padding. Users of `profiles` have their ids in
            Interactions, else the numbers of their rows.

        Raises
        ------
        NotFittedError
            Before `fit`.
        NotImplementedError
            If `profiles` need something that an old model file does not hold.
        TypeError, ValueError
            If a user, a candidate or an excluded item does not exist, no item is left, `n` is
            not positive or not one number for each user, or `profiles` is given together with
            users or is no matrix over the fitted items; the message names it.
        MemoryError
            If the lists do not fit.
        """
        self._check_fitted()
        if profiles is not None:
            if users is not None:
                raise TypeError("users and profiles are both given: recommend for one of them")
            return self._recommend_to(
                profiles, n, exclude_seen, candidates, exclude_items, unknown, fallback
            )
        if fallback is not None:
            check_choice("fallback", fallback, ("popular",))
        skips(unknown)
        rows = self._rows(users, unknown)
        lengths = _lengths(n, len(rows))
        n = int(lengths.max()) if len(rows) else np.max(n, initial=1)
        allowed = self._allowed(candidates, exclude_items, unknown)
        width = min(n, self.n_items_)
        check_lists_fit(len(rows), n)
        missing = rows < 0
        n_missing = int(missing.sum())
        # Any row does for an unknown user: the list is emptied.
        asked = np.where(missing, 0, rows) if n_missing else rows
        seen = self.urm_ if exclude_seen else None
        with reporter(f"{type(self).__name__}: recommend") as report:
            request = RankRequest(asked, width, seen, allowed)
            items, scores = rank_lists(self.scorer_, self.urm_, request, report)
            if fallback is not None:
                cold = without_evidence(self.scorer_, self.urm_, asked)
                request = RankRequest(asked[cold], width, seen, allowed)
                items[cold], scores[cold] = popularity(self.urm_).rank(self.urm_, request)
        beyond = np.arange(width) >= lengths[:, None]
        if n_missing:
            beyond |= missing[:, None]
        items[beyond], scores[beyond] = -1, -np.inf
        if self.ids_ is not None:
            real = items >= 0
            at, place = np.nonzero(real)
            return frame(
                {
                    "user": self.ids_.users[rows[at]],
                    "rank": place + 1,
                    "item": self.ids_.items[items[real]],
                    "score": scores[real],
                },
                self.ids_.frame_type,
            )
        pad = ((0, 0), (0, n - width))
        lists = Recommendations(
            np.pad(items, pad, constant_values=-1), np.pad(scores, pad, constant_values=-np.inf)
        )
        lists.skipped = n_missing
        return lists

    def _recommend_to(
        self,
        profiles: object,
        n: Any,
        exclude_seen: bool,
        candidates: object,
        exclude_items: object,
        unknown: str,
        fallback: str | None,
    ) -> Any:
        """`recommend` for profiles."""
        if fallback is not None:
            check_choice("fallback", fallback, ("popular",))
        found = read_profiles(profiles, self.n_items_, self.ids_, unknown)
        people = np.arange(found.rows.n_rows)
        lengths = _lengths(n, len(people))
        n = int(lengths.max()) if len(people) else np.max(n, initial=1)
        width = min(n, self.n_items_)
        allowed = self._allowed(candidates, exclude_items, unknown)
        check_lists_fit(len(people), n)
        seen = found.rows if exclude_seen else None
        with reporter(f"{type(self).__name__}: recommend") as report:
            scorer = self.scorer_of(found.rows)
            request = RankRequest(people, width, seen, allowed)
            items, scores = rank_lists(scorer, found.rows, request, report)
            if fallback is not None:
                cold = without_evidence(scorer, found.rows, people)
                request = RankRequest(cold, width, seen, allowed)
                items[cold], scores[cold] = popularity(self.urm_).rank(self.urm_, request)
        beyond = np.arange(width) >= lengths[:, None]
        items[beyond], scores[beyond] = -1, -np.inf
        if self.ids_ is not None:
            real = items >= 0
            at, place = np.nonzero(real)
            return frame(
                {
                    "user": found.names[at],
                    "rank": place + 1,
                    "item": self.ids_.items[items[real]],
                    "score": scores[real],
                },
                self.ids_.frame_type,
            )
        pad = ((0, 0), (0, n - width))
        lists = Recommendations(
            np.pad(items, pad, constant_values=-1), np.pad(scores, pad, constant_values=-np.inf)
        )
        lists.skipped = found.skipped
        return lists

    def unknown_users(self, users: object) -> list[Any]:
        """Those of some users that were not fitted, in their order.

        Parameters
        ----------
        users : as for `recommend`
        """
        self._check_fitted()
        users = list(users) if isinstance(users, Iterator) else users
        missing = self._rows(users, "skip") < 0
        given = [users] if len(missing) == 1 and np.ndim(users) == 0 else users  # type: ignore[arg-type]
        return [user for user, absent in zip(given, missing, strict=True) if absent]  # type: ignore[call-overload]

    def score_users(self, users: object) -> NDArray[np.float32]:
        """Scores of all items, for a few users at a time.

        Parameters
        ----------
        users : as for `recommend`

        Returns
        -------
        float32 array, shape (n users, n_items)
            Seen items keep their scores. Columns are in the order of `item_ids_`.
        """
        self._check_fitted()
        return self.scorer_.scores(self.urm_, self._rows(users))

    def similar_items(self, item: object, n: int = 10) -> Any:
        """Nearest items: by item weights for `item`, or by the cosine of item factors.

        Parameters
        ----------
        item : int, or an id if the model was fitted on Interactions
        n : int, default 10

        Returns
        -------
        Recommendations
            `items` int32 and `scores` float32 of shape (n,), nearest first, padded with -1 and
            -inf; or a frame with columns rank, item and score, without padding.

        Raises
        ------
        NotImplementedError
            If the model has no similarities of items.
        TypeError, ValueError
            If the item does not exist or `n` is not positive.
        """
        self._check_fitted()
        n = check_int("n", n, 1)
        if self.ids_ is None:
            found = numbers(item, "item", self.n_items_)
        else:
            found = self.ids_.item_index.positions(item)
        if len(found) != 1 or np.ndim(found) != 1:
            raise ValueError(f"item must be one item, not {len(found)}")
        try:
            near = self.scorer_.similarity(int(found[0]))
        except NotImplementedError as error:
            raise NotImplementedError(
                f"{type(self).__name__} has no similar_items: {error}"
            ) from None
        order = np.argsort(-near, kind="stable")[:n]
        order = order[np.isfinite(near[order])].astype(np.int32)
        if self.ids_ is not None:
            return frame(
                {
                    "rank": np.arange(1, len(order) + 1),
                    "item": self.ids_.items[order],
                    "score": near[order],
                },
                self.ids_.frame_type,
            )
        pad = (0, n - len(order))
        return Recommendations(
            np.pad(order, pad, constant_values=-1),
            np.pad(near[order], pad, constant_values=-np.inf),
        )

    def fold_in(self, profiles: object, unknown: str = "error") -> NDArray[np.float32]:
        """Scores of all items for users that were not fitted, from their interactions.

        Parameters
        ----------
        profiles : as for `recommend`
        unknown : {"error", "skip"}, default "error"
            Whether items that were not fitted are refused or left out.

        Returns
        -------
        float32 array, shape (n new users, n_items)
            Items of the profile keep their scores. For lists of many, `recommend` needs no such
            array.

        Raises
        ------
        NotImplementedError
            If the model file is an old one that does not hold what this needs.
        TypeError, ValueError
            If `profiles` is not a matrix over the fitted items.
        """
        self._check_fitted()
        rows = read_profiles(profiles, self.n_items_, self.ids_, unknown).rows
        return self.scorer_of(rows).scores(rows, np.arange(rows.n_rows))

    def scorer_of(self, profiles: Csr) -> Scorer:
        """What scores users that were not fitted: user r of it is row r of `profiles`.

        Parameters
        ----------
        profiles : Csr
            Over the fitted items.

        Raises
        ------
        NotImplementedError
            If the scorer is one of an old model file that knows fitted users only.
        """
        try:
            return self._scorer_of(profiles)
        except NotImplementedError as error:
            raise NotImplementedError(f"{type(self).__name__} has no fold_in: {error}") from None

    def _scorer_of(self, profiles: Csr) -> Scorer:
        return self.scorer_.of_profiles(profiles)

    @property
    def item_weights_(self) -> "sp.csr_array[np.float32] | NDArray[np.float32]":
        """Item weights W, shape (n_items, n_items), rows are the items of a profile.

        Sparse (csr), or a dense array where the model itself is dense (EASE); read-only.
        """
        scorer = getattr(self, "scorer_", None)
        if isinstance(scorer, ItemWeights):
            return to_scipy(scorer.weights)
        if isinstance(scorer, DenseWeights):
            return scorer.weights
        raise self._absent("item_weights_")

    @property
    def user_factors_(self) -> NDArray[np.float32]:
        """User factors, float32, shape (n_users, k), read-only."""
        return self._factors("user_factors_").user_factors

    @property
    def item_factors_(self) -> NDArray[np.float32]:
        """Item factors, float32, shape (n_items, k), read-only."""
        return self._factors("item_factors_").item_factors

    def _factors(self, name: str) -> Factors:
        scorer = getattr(self, "scorer_", None)
        if isinstance(scorer, Factors):
            return scorer
        raise self._absent(name)

    def _absent(self, name: str) -> AttributeError:
        if not self.__sklearn_is_fitted__():
            missing: AttributeError = NotFittedError(
                f"this {type(self).__name__} is not fitted yet: call fit first"
            )
            return missing
        return AttributeError(f"a fitted {type(self).__name__} has no {name}")

    def save(self, path: str | Path) -> None:
        """Write the fitted model, its parameters, matrix and ids to one safetensors file.

        The file is complete or not there at all. `ganmf_fast.load` reads it.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError
            If an id is neither a number nor a string nor a date.
        OSError
            If the file cannot be written.
        """
        self._check_fitted()
        learned = {name: getattr(self, name) for name in self.saved_attributes}
        ModelFile(
            type(self).__name__,
            self.get_params(deep=False),
            learned,
            self.urm_,
            self.scorer_,
            self.ids_,
        ).write(path)

    def _rows(self, users: object, unknown: str = "error") -> NDArray[np.int64]:
        """Rows of users; -1 for unknown ones where these are skipped."""
        if self.ids_ is not None:
            return find(self.ids_.user_index, users, unknown)
        return numbers(users, "user", self.n_users_, unknown)

    def _allowed(
        self, candidates: object, excluded: object, unknown: str
    ) -> NDArray[np.int32] | None:
        """Items that may be recommended, ascending; None for all of them."""
        if candidates is None and excluded is None:
            return None
        if candidates is None:
            allowed = np.arange(self.n_items_, dtype=np.int32)
        else:
            allowed = self._items(candidates, "candidate", unknown)
            if not len(allowed):
                raise ValueError("candidates is empty, or holds unknown items only")
        if excluded is not None:
            allowed = np.setdiff1d(allowed, self._items(excluded, "excluded item", "skip"))
            if not len(allowed):
                raise ValueError("exclude_items leaves no item to recommend")
        return allowed

    def _items(self, items: object, name: str, unknown: str) -> NDArray[np.int32]:
        """Numbers of some items, ascending, each once, without those that are skipped."""
        if self.ids_ is None:
            positions = numbers(items, name, self.n_items_, unknown)
        else:
            positions = find(self.ids_.item_index, items, unknown)
        return np.unique(positions[positions >= 0]).astype(np.int32)


def _lengths(n: object, n_users: int) -> NDArray[np.int64]:
    """Length of each list, from one number or from one for each user."""
    if np.ndim(n) == 0:  # type: ignore[arg-type]
        return np.full(n_users, check_int("n", n, 1), dtype=np.int64)
    lengths: NDArray[Any] = np.asarray(n)
    if lengths.shape != (n_users,) or lengths.dtype.kind not in "iu":
        raise TypeError(
            f"n must be an integer, or {n_users} integers, one for each user, not {n!r:.60}"
        )
    bad = np.flatnonzero(lengths < 1)
    if len(bad):
        raise ValueError(f"n must be at least 1, not {lengths[bad[0]]} for user {bad[0]} of users")
    return lengths.astype(np.int64)
