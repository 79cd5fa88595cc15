"""What a fit gets, in one object."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ganmf_fast._core import Csr
from ganmf_fast.base.progress import Report

__all__ = ["FitCallback", "FitData"]

FitCallback: TypeAlias = Callable[[int, Mapping[str, float]], object]
"""Called as ``callback(epoch, values)`` after each epoch; what it raises ends the fit."""


@dataclass(frozen=True)
class FitData:
    """What `Recommender.fit` hands to `_fit`.

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
    prepared : object
        What `Recommender.prepare` shares between fits of one matrix, or None.
    """

    urm: Csr
    validation: Csr | None
    progress: Report
    callback: FitCallback | None = None
    prepared: object = None
