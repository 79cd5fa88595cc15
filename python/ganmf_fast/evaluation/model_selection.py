"""What scikit-learn's ``cross_validate`` and ``GridSearchCV`` need, as ``gf.model_selection``.

They cut the rows of what they are given into folds. Rows of a matrix are users, and a fold of users
leaves nothing to know those of the other fold by; here the samples are interactions instead, so
that every user is in train with some and in test with others.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganmf_fast._core import Csr
from ganmf_fast.base.checks import check_bool, check_int
from ganmf_fast.base.text import shown
from ganmf_fast.base.urm import as_csr, to_scipy
from ganmf_fast.data.interactions import interactions_of
from ganmf_fast.scorers.metrics import check_metrics
from ganmf_fast.split.input import check_seed
from ganmf_fast.split.methods import k_fold


class InteractionSamples:
    """Interactions as samples, which scikit-learn counts, indexes and divides.

    Its own folds, of neighbours, are as good as folds of users: pass ``cv=InteractionKFold()``.

    Parameters
    ----------
    X : matrix or Interactions
        Shape (users, items).

    Attributes
    ----------
    csr : Csr
        All of them as a matrix, in whose order they are counted; models are fitted on it.
    owner : Interactions or None
        The same with ids, if `X` has any.
    shape : tuple of int
        The number of interactions.
    """

    def __init__(self, X: object) -> None:
        self.csr = as_csr(X, "X")
        self.owner = interactions_of(X)
        self.shape = (self.csr.nnz,)

    def __len__(self) -> int:
        """Number of interactions."""
        return self.csr.nnz

    def __getitem__(self, positions: Any) -> Any:
        """Some of them, as a matrix or `Interactions` of all users and items."""
        if isinstance(positions, tuple):
            # scikit-learn leaves further axes as they are.
            positions = positions[0]
        kept = np.zeros(len(self), dtype=bool)
        kept[positions] = True
        csr = self.csr
        rows = np.repeat(np.arange(csr.n_rows, dtype=np.int32), np.diff(csr.indptr))
        values = None if csr.values is None else csr.values[kept]
        part = Csr.from_coo(rows[kept], csr.indices[kept], values, csr.n_rows, csr.n_cols)
        if self.owner is None:
            return to_scipy(part)
        times = self.owner.timestamps
        return replace(self.owner, csr=part, timestamps=None if times is None else times[kept])

    def __repr__(self) -> str:
        """Sizes."""
        return f"InteractionSamples({len(self):,} of {self.csr.n_rows:,} x {self.csr.n_cols:,})"


@dataclass(frozen=True)
class InteractionKFold:
    """Folds of interactions for ``cv=``: those of `ganmf_fast.split.k_fold`.

    Parameters
    ----------
    n_splits : int, default 5
        From 2 to 255.
    per_user : bool, default True
        Balance the folds of each user.
    seed : int, default 0
        From 0 to 2**64 - 1.
    """

    n_splits: int = 5
    per_user: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what `k_fold` would refuse."""
        check_int("n_splits", self.n_splits, 2, 255)
        check_bool("per_user", self.per_user)
        check_seed(self.seed)

    def split(
        self, X: object, y: object = None, groups: object = None
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Positions of train and test, fold by fold.

        Parameters
        ----------
        X : InteractionSamples
        y, groups : ignored

        Raises
        ------
        TypeError
            If `X` is a matrix or `Interactions`: its rows are users.
        """
        if not isinstance(X, InteractionSamples):
            raise TypeError(
                f"X must be InteractionSamples(data), not {shown(X)}: folds of rows are folds of "
                "users, and nothing is known of those of another fold (measure new users by "
                "split.cold_users)"
            )
        labels = k_fold(X.csr, self.n_splits, self.per_user, self.seed).labels
        for fold in range(self.n_splits):
            yield np.flatnonzero(labels != fold), np.flatnonzero(labels == fold)

    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int:
        """Number of folds."""
        return self.n_splits


@dataclass(frozen=True)
class RankingScorer:
    """A metric for ``scoring=``: ``score`` of a model of the library.

    Parameters
    ----------
    metric : str, default "map"
        A name from `ganmf_fast.evaluation.METRICS`.
    k : int, default 5
        Its cutoff.
    """

    metric: str = "map"
    k: int = 5

    def __post_init__(self) -> None:
        """Refuse a metric that does not exist."""
        check_metrics(self.metric)
        check_int("k", self.k, 1)

    def __call__(self, model: Any, X: object, y: object = None) -> float:
        """Value of the fitted model on held-out interactions."""
        return float(model.score(X, metric=self.metric, k=self.k))
