"""Base of models that are made of other models: re-ranked, blended, or one in place of another."""

from abc import abstractmethod
from pathlib import Path
from typing import Any, NoReturn, Self, TypeAlias

import numpy as np
from sklearn.base import clone

from ganmf_fast._core import Csr
from ganmf_fast.base.checks import check_bool
from ganmf_fast.base.progress import verbosity
from ganmf_fast.base.text import shown
from ganmf_fast.base.urm import as_csr, fingerprint
from ganmf_fast.models.base import Recommender
from ganmf_fast.models.cooccurrence import Cooccurrence
from ganmf_fast.models.fit_data import FitCallback, FitData
from ganmf_fast.models.ids import Ids
from ganmf_fast.models.model_file import ModelFile
from ganmf_fast.scorers.base import Scorer
from ganmf_fast.scorers.combined import Blended, FirstKnown
from ganmf_fast.scorers.reranked import Reranked

Combination: TypeAlias = Blended | FirstKnown | Reranked
"""What is made of the scorers of other models."""


class Wrapper(Recommender):
    """A model made of others, which `fit` fits.

    Attributes
    ----------
    models_ : list of Recommender
        The fitted models.
    """

    @abstractmethod
    def _given(self) -> list[Recommender]:
        """The models of which this one is made, as they were given."""

    @abstractmethod
    def _combined(self, models: list[Recommender]) -> Combination:
        """What ranks, from the fitted models, which are of the same users and items."""

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
        """Fit the models that this one is made of; the models that were given stay as they are.

        A model that is fitted on `X` already, with its matrix and ids, is taken as it is; of
        others a clone is fitted.

        Parameters
        ----------
        X, y, validation, callback, metric, k, verbose
            As for `Recommender.fit`, which every model is passed them.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If a parameter or an argument is not what it should be.
        """
        self._validate_params()
        if verbose is not None:
            check_bool("verbose", verbose)
        source = X.source if isinstance(X, Cooccurrence) else X
        urm, ids = as_csr(source, "X"), Ids.of(source)
        with verbosity(verbose):
            models = [
                model
                if _is_fitted_on(model, urm, ids)
                else clone(model).fit(
                    X, y, validation=validation, callback=callback, metric=metric, k=k
                )
                for model in self._given()
            ]
        scorer = self._combined(models)
        self.models_ = models
        self._set_fitted(models[0].urm_, scorer, ids)
        return self

    def _scorer_of(self, profiles: Csr) -> Scorer:
        # What a model knows of new users may be more than its scorer does.
        combination: Combination = self.scorer_  # type: ignore[assignment]
        return combination.with_parts([model.scorer_of(profiles) for model in self.models_])

    def _fit(self, data: FitData) -> Scorer:
        # Never called: `fit` is overridden, and fits the models one by one.
        raise NotImplementedError("its models are fitted one by one")

    def save(self, path: str | Path) -> NoReturn:
        """Refused: save the models of `models_`, load them, and make this one of them again.

        Raises
        ------
        NotImplementedError
        """
        self._check_fitted()
        name = type(self).__name__
        raise NotImplementedError(
            f"{name} is not saved: save the models of its models_, and give those that gf.load "
            f"reads to a new {name}, whose fit on the same data takes them as they are"
        )

    def _file(self) -> ModelFile:
        # For the fingerprint alone: parameters that are no numbers are in the arrays.
        plain = {
            name: value
            for name, value in self.get_params(deep=False).items()
            if value is None or isinstance(value, bool | int | float | str | np.generic)
        }
        return ModelFile(type(self).__name__, plain, {}, self.urm_, self.scorer_, self.ids_)


def check_model(name: str, model: object) -> None:
    """Refuse what is no model of this library.

    Raises
    ------
    TypeError
        The message names the argument.
    """
    if isinstance(model, type):
        raise TypeError(f"{name} must be a model, not the class {model.__name__}: call it first")
    if not isinstance(model, Recommender):
        raise TypeError(
            f"{name} must be a model of this library or a subclass of gf.Recommender, not "
            f"{shown(model)}"
        )


def _is_fitted_on(model: Recommender, urm: Csr, ids: Ids | None) -> bool:
    if not model.__sklearn_is_fitted__() or (model.ids_ is None) != (ids is None):
        return False
    if ids is not None and model.ids_ is not None:
        known: list[tuple[Any, Any]] = [
            (model.ids_.users, ids.users),
            (model.ids_.items, ids.items),
        ]
        if not all(np.array_equal(ours, theirs) for ours, theirs in known):
            return False
    return model.urm_ is urm or fingerprint(model.urm_) == fingerprint(urm)
