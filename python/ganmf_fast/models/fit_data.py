"""Input of a fit, in one object."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ganmf_fast._core import Csr
from ganmf_fast.base.progress import Report
from ganmf_fast.base.urm import to_scipy
from ganmf_fast.models.cooccurrence import Cooccurrence
from ganmf_fast.scorers.base import Scorer
from ganmf_fast.scorers.validation import user_values, validation_value

if TYPE_CHECKING:
    import numpy as np
    import scipy.sparse as sp
    from numpy.typing import NDArray

FitCallback: TypeAlias = Callable[[int, Mapping[str, float]], object]
"""Called as ``callback(epoch, values)`` after each epoch; what it raises ends the fit."""


@contextmanager
def range_named(argument: str, rows: Csr, model: str, **params: float) -> Iterator[None]:
    """Name the values and the parameters from which no finite numbers can be computed.

    Raises
    ------
    ValueError
        In place of one that is raised within.
    """
    try:
        yield
    except ValueError as error:
        highest = 1.0 if rows.values is None else rows.values.max(initial=0)
        given = "".join(f", and {name} is {value:g}" for name, value in params.items())
        change = "".join(f" or choose another {name}" for name in params)
        raise ValueError(
            f"{argument} holds values up to {highest:g}{given}, beyond what {model} can be "
            f"computed from ({error}): divide {argument} by a constant{change}"
        ) from None


@dataclass(frozen=True, eq=False)
class FitData:
    """Input of `Recommender._fit`.

    Attributes
    ----------
    urm : Csr
        The matrix to fit, shape (users, items).
    validation : Csr or None
        Interactions for early stopping, of the same shape.
    progress : callable
        ``progress(done, total, text="")``.
    callback : callable or None
        ``callback(epoch, values)``, after each epoch of iterative models.
    prepared : Cooccurrence or None
        Counts shared by the fits on this matrix.
    metric : str
        What early stopping maximises on `validation`.
    k : int
        Its cutoff.
    """

    urm: Csr
    validation: Csr | None
    progress: Report
    callback: FitCallback | None = None
    prepared: Cooccurrence | None = None
    metric: str = "map"
    k: int = 5

    @property
    def matrix(self) -> "sp.csr_array[np.float32]":
        """`urm` as a scipy array, read-only."""
        return to_scipy(self.urm)

    def validate(self, scorer: Scorer) -> float:
        """Value of a model on `validation`, which must be there."""
        return validation_value(scorer, self.urm, self._held_out(), self.metric, self.k)

    def user_values(self, scorer: Scorer) -> "NDArray[np.float64]":
        """What `validate` is the mean of, for a metric that has a value for each user."""
        return user_values(scorer, self.urm, self._held_out(), self.metric, self.k)

    def range_named(self, model: str, **params: float) -> AbstractContextManager[None]:
        """`range_named` of X."""
        return range_named("X", self.urm, model, **params)

    def _held_out(self) -> Csr:
        if self.validation is None:
            raise ValueError("there is no validation")
        return self.validation
