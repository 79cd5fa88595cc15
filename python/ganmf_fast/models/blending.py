"""Blend and Fallback: several models as one.

Objective: a Blend ranks by the sum over models of weight times normalised score; a Fallback has for
each user the list of the first model that has one.
Source: Fox and Shaw, "Combination of multiple searches", TREC-2, 1994 (CombSUM), with the min-max
scale of Lee, SIGIR 1997; Montague and Aslam, "Relevance score normalization for metasearch", CIKM
2001 (z-scores); Cormack, Clarke, Büttcher, "Reciprocal rank fusion outperforms Condorcet and
individual rank learning methods", SIGIR 2009.
Deviation: scores are normalised over the whole catalogue, seen items included.
Cost: a block of dense scores for each model.
"""

from collections.abc import Sequence

from ganmf_fast.base.checks import check_choice, check_real
from ganmf_fast.base.text import shown
from ganmf_fast.models.base import Recommender
from ganmf_fast.models.wrapper import Wrapper, check_model
from ganmf_fast.scorers.combined import NORMALISATIONS, Blended, FirstKnown


class Blend(Wrapper):
    """A weighted sum of the scores of several models.

    Parameters
    ----------
    models : sequence of Recommender
        At least two, fitted or to be fitted.
    weights : sequence of float, optional
        One for each model, not negative and not all 0; only their proportions count. By default
        all are equal.
    normalisation : {"minmax", "zscore", "reciprocal_rank"}, default "minmax"
        Scale on which the scores of a user are added: from 0 to 1, by mean and standard deviation,
        or 1 / (60 + rank), which looks at the order alone.

    Attributes
    ----------
    models_ : list of Recommender
        The fitted models, in their order.

    Notes
    -----
    A model that knows nothing of a user adds nothing. A blend is not saved: save its models.

    References
    ----------
    E. A. Fox, J. A. Shaw. Combination of multiple searches. TREC-2, 1994. M. Montague, J. A. Aslam.
    Relevance score normalization for metasearch. CIKM 2001. G. V. Cormack, C. L. A. Clarke, S.
    Büttcher. Reciprocal rank fusion outperforms Condorcet and individual rank learning methods.
    SIGIR 2009.
    """

    def __init__(
        self,
        models: Sequence[Recommender],
        weights: Sequence[float] | None = None,
        normalisation: str = "minmax",
    ) -> None:
        self.models = models
        self.weights = weights
        self.normalisation = normalisation

    def _check_params(self) -> None:
        _check_models(self.models)
        check_choice("normalisation", self.normalisation, NORMALISATIONS)
        if self.weights is None:
            return
        if not isinstance(self.weights, list | tuple):
            raise TypeError(f"weights must be a list of numbers, not {shown(self.weights)}")
        if len(self.weights) != len(self.models):
            raise ValueError(
                f"weights holds {len(self.weights)} numbers but there are {len(self.models)} models"
            )
        if not sum(check_real("weights", weight, 0.0) for weight in self.weights):
            raise ValueError("weights are all 0: give one that is greater")

    def _given(self) -> list[Recommender]:
        return list(self.models)

    def _combined(self, models: list[Recommender]) -> Blended:
        given = [1.0] * len(models) if self.weights is None else [float(w) for w in self.weights]
        weights = tuple(weight / sum(given) for weight in given)
        return Blended(tuple(model.scorer_ for model in models), weights, self.normalisation)


class Fallback(Wrapper):
    """For each user, the list of the first of several models that has one.

    Parameters
    ----------
    models : sequence of Recommender
        At least two, fitted or to be fitted, in the order in which they are asked; the last is as a
        rule `TopPopular`, which has a list for everybody.

    Attributes
    ----------
    models_ : list of Recommender
        The fitted models, in their order.

    Notes
    -----
    A list that is short, since few items are left, is not filled up. Scores of users with lists of
    different models are not comparable. It is not saved: save its models.
    """

    def __init__(self, models: Sequence[Recommender]) -> None:
        self.models = models

    def _check_params(self) -> None:
        _check_models(self.models)

    def _given(self) -> list[Recommender]:
        return list(self.models)

    def _combined(self, models: list[Recommender]) -> FirstKnown:
        return FirstKnown(tuple(model.scorer_ for model in models))


def _check_models(models: object) -> None:
    if not isinstance(models, list | tuple):
        raise TypeError(f"models must be a list of models, not {shown(models)}")
    for model in models:
        check_model("models", model)
    if len(models) < 2:
        raise ValueError(f"models holds {len(models)}, but at least two are needed")
