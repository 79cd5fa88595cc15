"""What scikit-learn asks of a model beside fitting: a score, the number of columns, tags."""

from typing import TYPE_CHECKING, Any

from sklearn.base import BaseEstimator

from ganmf_fast.base.checks import check_int
from ganmf_fast.base.text import shown
from ganmf_fast.models.ids import Ids, matching_csr, refuse_common
from ganmf_fast.scorers.lists import without_evidence
from ganmf_fast.scorers.metrics import check_metrics
from ganmf_fast.scorers.validation import users_with_items, validation_value

if TYPE_CHECKING:
    from ganmf_fast._core import Csr
    from ganmf_fast.scorers.base import Scorer


class ScikitLearn(BaseEstimator):
    """Part of `Recommender`."""

    if TYPE_CHECKING:
        n_users_: int
        n_items_: int
        urm_: Csr
        scorer_: Scorer
        ids_: Ids | None

        def _check_fitted(self) -> None: ...

    def score(self, X: object, y: object = None, metric: str = "map", k: int = 5) -> float:
        """A metric of the lists of fitted users on held-out interactions.

        Parameters
        ----------
        X : matrix or Interactions
            Held-out items of the users that were fitted. What was fitted is left out of the lists.
        y : ignored
        metric : str, default "map"
            A name from `ganmf_fast.evaluation.METRICS`.
        k : int, default 5
            Its cutoff.

        Returns
        -------
        float
            As of `ganmf_fast.evaluate`, which measures more at once.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError, ValueError
            If `X` is empty, of other users or items, holds what was fitted, or most of its users
            had no interactions there and would count as zero.
        """
        self._check_fitted()
        if not isinstance(metric, str):
            raise TypeError(f"metric must be the name of a metric, not {shown(metric)}")
        check_metrics(metric)
        held_out = matching_csr(X, "X", (self.n_users_, self.n_items_), self.ids_)
        refuse_common(
            self.urm_,
            held_out,
            self.ids_,
            "X",
            f"that {type(self).__name__} was fitted on",
            "fit on train alone, score on test",
        )
        users = users_with_items(held_out)
        unknown = without_evidence(self.scorer_, self.urm_, users)
        if 2 * len(unknown) > len(users):
            raise ValueError(
                f"X holds interactions of {len(users):,} users, and {len(unknown):,} of them had "
                f"none in what {type(self).__name__} was fitted on: hold interactions out, not "
                "users, in scikit-learn by cv=gf.model_selection.InteractionKFold()"
            )
        return validation_value(
            self.scorer_, self.urm_, held_out, metric, check_int("k", k, 1, self.n_items_)
        )

    @property
    def n_features_in_(self) -> int:
        """Number of items, as scikit-learn calls it."""
        self._check_fitted()
        return self.n_items_

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn may pass: sparse matrices without negative values, and no target."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = True
        return tags
