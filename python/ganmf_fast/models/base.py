"""Base of all models: fitting, top-N lists, scores, similar items, saving."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError

from ganmf_fast._core import Csr
from ganmf_fast.base.checks import check_bool, check_choice, check_int, check_path
from ganmf_fast.base.executors import executor_maker
from ganmf_fast.base.params import check_params, earlier_params
from ganmf_fast.base.progress import reporter, verbosity
from ganmf_fast.base.text import shown
from ganmf_fast.base.urm import as_csr, row_of, rows_of, to_scipy
from ganmf_fast.data.frames import frame
from ganmf_fast.models.all_lists import AllLists, ListsTask, part_size, write_lists
from ganmf_fast.models.cooccurrence import Cooccurrence
from ganmf_fast.models.fit_data import FitCallback, FitData
from ganmf_fast.models.ids import Ids, in_common, matching_csr, skips
from ganmf_fast.models.item_filters import Catalogue, ItemFilters, item_filters
from ganmf_fast.models.model_file import ModelFile
from ganmf_fast.models.profiles import read_profiles
from ganmf_fast.models.ranking import Ranking, columns
from ganmf_fast.models.recommendations import Recommendations, lengths_of, padded
from ganmf_fast.models.scikit_learn import ScikitLearn
from ganmf_fast.scorers.base import Scorer
from ganmf_fast.scorers.dense import DenseWeights, score_blocks
from ganmf_fast.scorers.factors import Factors
from ganmf_fast.scorers.lists import check_lists_fit, popularity
from ganmf_fast.scorers.metrics import check_metrics
from ganmf_fast.scorers.popularity import Popularity
from ganmf_fast.scorers.weights import ItemWeights

if TYPE_CHECKING:
    import scipy.sparse as sp

_NO_FILTERS = ItemFilters()


class Recommender(ScikitLearn, ABC):
    """Base of all models: a scikit-learn estimator that ranks items for users.

    A model of one's own derives from it, declares its parameters as fields (``gf.hyperparameters``,
    ``gf.param``) and implements ``_fit(data)``, which is given a ``gf.FitData`` and returns one of
    ``gf.scorers``; everything else works on that.

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
        self,
        X: object,
        y: object = None,
        *,
        validation: object = None,
        callback: FitCallback | None = None,
        metric: str = "map",
        k: int = 5,
        verbose: bool | None = None,
    ) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : scipy sparse matrix or array, 2-D numpy array, Csr, Interactions or Cooccurrence
            Shape (users, items), finite and non-negative. A `Cooccurrence` brings the counts that
            fits on one matrix share. A scipy matrix or an array is copied: what becomes of it
            afterwards does not change the model.
        y : ignored
            Taken because scikit-learn passes it.
        validation : like `X`, optional
            Interactions of the same users with the same items, for early stopping of iterative
            models; ignored by the others. It warns of those that `X` holds.
        callback : callable, optional
            ``callback(epoch, values)`` is called by iterative models after each epoch, from 1 on,
            with the row of ``history_``: losses, and "validation" where it was evaluated. What it
            raises ends the fit.
        metric : str, default "map"
            What early stopping maximises on `validation`: a name from
            `ganmf_fast.evaluation.METRICS`.
        k : int, default 5
            Its cutoff.
        verbose : bool, optional
            Whether progress is shown: at once if True, never if False. By default it is once the
            fit has taken two seconds, as a bar on a terminal and in a notebook that has ipywidgets,
            elsewhere as a line every ten seconds; before a fit of more than a minute it is said how
            long it will take.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If a parameter or an argument is not what it should be.
        """
        self._validate_params()
        if np.ndim(y) > 1 or hasattr(y, "csr") or isinstance(y, Csr):  # type: ignore[arg-type]
            raise TypeError("y is ignored: pass held-out interactions as validation=")
        if callback is not None and not callable(callback):
            raise TypeError(
                f"callback must be called as callback(epoch, values), not {shown(callback)}"
            )
        if not isinstance(metric, str):
            raise TypeError(f"metric must be the name of a metric, not {shown(metric)}")
        check_metrics(metric)
        k = check_int("k", check_int("k", k, 1), 1, 2**31 - 1)
        prepared = X if isinstance(X, Cooccurrence) else None
        X = X if prepared is None else prepared.source
        urm, ids = as_csr(X, "X"), Ids.of(X)
        held_out = None
        if validation is not None:
            held_out = matching_csr(validation, "validation", (urm.n_rows, urm.n_cols), ids)
            if self.iterative:
                way_out = "they count as missed; pass validation without the interactions of X"
                which = "that X holds as well"
                if said := in_common(urm, held_out, ids, "validation", which, way_out):
                    warnings.warn(said, UserWarning, stacklevel=2)
        if verbose is not None:
            check_bool("verbose", verbose)
        name = type(self).__name__
        with verbosity(verbose), reporter(f"{name}: fit") as progress:
            scorer = self._fit(FitData(urm, held_out, progress, callback, prepared, metric, k))
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
        """Learn from `data`, whose parameters are checked, and return the form that ranks."""

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
        params = {**earlier_params(cls), **params}
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
        self.__dict__.pop("_popularity", None)
        self.urm_ = urm
        self.scorer_ = scorer
        self.n_users_ = urm.n_rows
        self.n_items_ = urm.n_cols
        self.ids_ = ids
        self._fit_params = self.get_params(deep=False)
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
        candidates : sequence, sparse matrix, frame or dict of items, optional
            The only items to consider, as numbers or ids like `users`: one sequence for all users;
            a matrix with a row for each of `users` and a column for each fitted item, whose
            nonzeros count; a frame of users and items, by well-known names of columns; or a dict of
            users and their items. A user who has none in the last three has an empty list; who is
            not among `users` has no effect.
        exclude_items : sequence, sparse matrix, frame or dict of items, optional
            Items never to recommend, in one of the same forms. Unknown ones have no effect, of
            which a warning tells if all are unknown; what is missing or of another type than the
            ids is refused.
        unknown : {"error", "skip"}, default "error"
            Treatment of users and candidates that were not fitted; those that are missing or of
            another type than the ids are always refused. With "skip", the lists of
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
            If a user or a candidate does not exist, no item is left, a matrix has another shape,
            `n` is not positive or not one number for each user, or `profiles` is given together
            with users or is no matrix over the fitted items; the message names it.
        MemoryError
            If the lists do not fit.
        """
        self._check_fitted()
        if fallback is not None:
            check_choice("fallback", fallback, ("popular",))
        skips(unknown)
        check_bool("exclude_seen", exclude_seen)
        catalogue, ranked, skipped = self._catalogue, self.urm_, 0
        if profiles is None:
            rows = catalogue.users(users, unknown, "users")
            skipped = int(np.count_nonzero(rows < 0)) if unknown == "skip" else 0
        elif users is not None:
            raise TypeError("users and profiles are both given: recommend for one of them")
        else:
            ranked, names, skipped = read_profiles(profiles, self.n_items_, self.ids_, unknown)
            rows, ids = np.arange(ranked.n_rows), self.ids_
            if ids is not None:
                ids = Ids(names, ids.items, ids.frame_type)
            catalogue = Catalogue(ranked.n_rows, self.n_items_, ids)
        longest, lengths = lengths_of(n, len(rows))
        check_lists_fit(len(rows), longest)
        filters = _NO_FILTERS
        if candidates is not None or exclude_items is not None:
            filters = item_filters(candidates, exclude_items, rows, catalogue, unknown)
        with reporter(f"{type(self).__name__}: recommend") as report:
            scorer = self.scorer_ if profiles is None else self.scorer_of(ranked)
            popular = None if fallback is None else self._popularity
            ranking = Ranking(scorer, ranked, longest, exclude_seen, popular)
            items, scores = ranking.lists(rows, filters, report)
        if lengths is not None:
            beyond = np.arange(items.shape[1]) >= lengths[:, None]
            items[beyond], scores[beyond] = -1, -np.inf
        if catalogue.ids is not None:
            return frame(columns(catalogue.ids, rows, items, scores), catalogue.ids.frame_type)
        return padded(items, scores, longest, skipped)

    def recommend_all(
        self,
        path: str | Path,
        users: object = None,
        n: int = 20,
        exclude_seen: bool = True,
        candidates: object = None,
        exclude_items: object = None,
        unknown: str = "error",
        fallback: str | None = None,
        n_workers: int = 1,
        executor: Any = "local",
    ) -> AllLists:
        """Write the lists of all users to parquet, in memory that does not grow with their number.

        Lists are written in parts. Whatever ends a call, such as Ctrl-C or a full disk, leaves
        finished parts, and the same call goes on after them; a call with another model or other
        arguments is refused.

        Parameters
        ----------
        path : str or Path
            A name that ends in ``.parquet`` becomes one file, joined of the parts in ``PATH.parts``
            when all of them are there, which takes their space twice for a while. Any other becomes
            a folder of parts, ``part-*.parquet``.
        users : optional
            As for `recommend`; all fitted users, in the order of `user_ids_`, by default.
        n : int, default 20
            Length of the lists.
        exclude_seen, candidates, exclude_items, unknown, fallback
            As for `recommend`.
        n_workers : int, default 1
            Number of workers among which the parts are divided; each receives the model. On one
            machine, threads do the same without copies.
        executor : {"local", "ray"} or callable, default "local"
            Where the workers run; see `ganmf_fast.base.executors`. The files are written here.

        Returns
        -------
        AllLists
            What was written: columns user, item, rank (int32, from 1) and score (float32), with the
            ids of the user's own, or row and item numbers without any; rows in the order of the
            users and of their lists. Users without a list have no row.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError, ValueError
            As of `recommend`; if `path` holds anything else, or an id cannot be saved.
        OSError
            If a file cannot be written; the message says how far the work is.
        ImportError
            If the executor needs a package that is missing; the message names the extra.
        """
        self._check_fitted()
        path = check_path("path", path)
        if fallback is not None:
            check_choice("fallback", fallback, ("popular",))
        skips(unknown)
        check_bool("exclude_seen", exclude_seen)
        n = check_int("n", n, 1)
        n_workers = check_int("n_workers", n_workers, 1)
        make = executor_maker(executor)
        skipped = 0
        rows = None if users is None else self._catalogue.users(users, unknown, "users")
        filters = _NO_FILTERS
        if candidates is not None or exclude_items is not None:
            asked = np.arange(self.n_users_) if rows is None else rows
            filters = item_filters(candidates, exclude_items, asked, self._catalogue, unknown)
        if rows is not None:
            known = np.flatnonzero(rows >= 0)
            skipped = len(rows) - len(known)
            rows, filters = rows[known], filters.of(known)
        popular = None if fallback is None else self._popularity
        ranking = Ranking(self.scorer_, self.urm_, n, exclude_seen, popular)
        size = part_size(min(n, self.n_items_))
        task = ListsTask(self._file().fingerprint(), ranking, self.ids_, rows, filters, size)
        with reporter(f"{type(self).__name__}: recommend") as report:
            n_rows = write_lists(task, path, make, n_workers, report)
        return AllLists(path, task.n_users, n_rows, skipped)

    @cached_property
    def _popularity(self) -> Popularity:
        return popularity(self.urm_)

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
        return score_blocks(
            lambda block: self.scorer_.scores(self.urm_, block), self._rows(users), self.n_items_
        )

    def similar_items(self, items: object, n: int = 10) -> Any:
        """Nearest items, by what the model holds of them.

        Item-weight models (neighbourhoods, walks, SLIM, EASE): the weights with which other items
        contribute to the score of an item. Factors: their cosine. CFGAN and CAAE: the cosine of the
        decoder's rows. `UserKNN`: the cosine of the items' users. `TopPopular` and `Random` know
        nothing of pairs.

        Parameters
        ----------
        items : one item or a sequence: int, or ids if the model was fitted on Interactions
        n : int, default 10

        Returns
        -------
        Recommendations
            `items` int32 and `scores` float32 of shape (n,), or (number of items, n) for a
            sequence, nearest first, padded with -1 and -inf. A model fitted on Interactions returns
            a frame without padding, with columns rank, item and score, or for a sequence item,
            rank, similar and score.

        Raises
        ------
        NotImplementedError
            If the model has no similarities of items.
        TypeError, ValueError
            If an item does not exist or `n` is not positive.
        """
        self._check_fitted()
        found = self._catalogue.items(items, "item")
        return self._similar("items", items, found, check_int("n", n, 1))

    def similar_users(self, users: object, n: int = 10) -> Any:
        """Nearest users, by what the model holds of them.

        Factors: their cosine. `UserKNN`: the neighbours. CFGAN and CAAE: the cosine of the last
        hidden layer. Item-weight models, to which a user is a profile: the cosine of profiles.
        `TopPopular` and `Random` know nothing of pairs.

        Parameters
        ----------
        users : one user or a sequence: int, or ids if the model was fitted on Interactions
        n : int, default 10

        Returns
        -------
        Recommendations or frame
            As of `similar_items`; `items` are rows of users.

        Raises
        ------
        NotImplementedError
            If the model has no similarities of users.
        TypeError, ValueError
            If a user does not exist or `n` is not positive.
        """
        self._check_fitted()
        return self._similar("users", users, self._rows(users), check_int("n", n, 1))

    def _similar(self, what: str, asked: object, found: NDArray[np.int64], n: int) -> Any:
        try:
            with reporter(f"{type(self).__name__}: similar {what}"):
                lists = getattr(self.scorer_, f"similar_{what}")(self.urm_, found, n)
        except NotImplementedError as error:
            raise NotImplementedError(
                f"{type(self).__name__} has no similar_{what}: {error}"
            ) from None
        is_one = (
            isinstance(asked, str | bytes)
            or not isinstance(asked, Iterable)
            or getattr(asked, "ndim", 1) == 0
        )
        near, scores = lists
        if self.ids_ is None:
            return Recommendations(near[0], scores[0]) if is_one else Recommendations(near, scores)
        ids, one, real = getattr(self.ids_, what), what[:-1], near >= 0
        at, place = np.nonzero(real)
        first = {} if is_one else {one: ids[found[at]]}
        similar = one if is_one else "similar"
        return frame(
            {**first, "rank": place + 1, similar: ids[near[real]], "score": scores[real]},
            self.ids_.frame_type,
        )

    def explain(self, user: object, item: object, n: int | None = None) -> Any:
        """Which items of a user's profile contribute how much to the score of an item.

        For item-weight models, EASE among them, the contributions sum to the score. For factors
        they explain the score that `fold_in` gives the user's profile, in closed form: they sum to
        what it exceeds that of an empty profile by; with ``norm_exponent`` they leave out the bias,
        which grows with the norm of the profile. For PureSVD this is the score, and for GANMF with
        ``user_factors="solved"`` up to that part; otherwise learned factors differ from it.

        Parameters
        ----------
        user, item : int, or ids if the model was fitted on Interactions
        n : int, optional
            Only the largest contributions; all that are not zero by default.

        Returns
        -------
        Recommendations
            `items` int32 and `scores` float32, the contributions, in descending order; or a frame
            with columns item and contribution.

        Raises
        ------
        NotImplementedError
            If the scores of the model are not sums over the items of a profile.
        TypeError, ValueError
            If the user or the item does not exist, or `n` is not positive.
        """
        self._check_fitted()
        row = _one("user", self._rows(user))
        column = _one("item", self._catalogue.items(item, "item"))
        try:
            profile = rows_of(self.urm_, np.array([row]))
            scorer = self._as_fitted()._scorer_of(profile)  # noqa: SLF001 - of this class
            parts = scorer.contributions(profile, 0, column)
        except NotImplementedError as error:
            raise NotImplementedError(f"{type(self).__name__} has no explain: {error}") from None
        items, _ = row_of(profile, 0)
        order = np.argsort(-parts, kind="stable")
        order = order[parts[order] != 0][: None if n is None else check_int("n", n, 1)]
        if self.ids_ is None:
            return Recommendations(items[order], parts[order])
        parted = {"item": self.ids_.items[items[order]], "contribution": parts[order]}
        return frame(parted, self.ids_.frame_type)

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
        scorer = self.scorer_of(rows)
        return score_blocks(
            lambda block: scorer.scores(rows, block), np.arange(rows.n_rows), self.n_items_
        )

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
            fitted = self._as_fitted()
            return fitted._scorer_of(profiles)  # noqa: SLF001 - of this class
        except NotImplementedError as error:
            raise NotImplementedError(f"{type(self).__name__} has no fold_in: {error}") from None

    def _as_fitted(self) -> Self:
        """The model with the parameters of its fit: what was set since is for the next one."""
        if all(getattr(self, name) is value for name, value in self._fit_params.items()):
            return self
        model: Self = object.__new__(type(self))
        model.__dict__.update(self.__dict__ | self._fit_params)
        return model

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

        The parameters are those of the fit, whatever was set since.
        The file is complete or not there at all. `ganmf_fast.load` reads it.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError
            If an id is neither a number nor a string nor a date.
        WriteError
            (an ``OSError``) If the file cannot be written; one that was there is unchanged.
        """
        self._check_fitted()
        self._file().write(check_path("path", path))

    def _file(self) -> ModelFile:
        return ModelFile(
            type(self).__name__,
            self._fit_params,
            {name: getattr(self, name) for name in self.saved_attributes},
            self.urm_,
            self.scorer_,
            self.ids_,
        )

    @property
    def _catalogue(self) -> Catalogue:
        return Catalogue(self.n_users_, self.n_items_, self.ids_)

    def _rows(self, users: object, unknown: str = "error") -> NDArray[np.int64]:
        """Rows of users; -1 for unknown ones where these are skipped."""
        return self._catalogue.users(users, unknown)


def _one(what: str, found: NDArray[np.int64]) -> int:
    if len(found) != 1:
        raise ValueError(f"{what} must be one {what}, not {len(found)}")
    return int(found[0])
