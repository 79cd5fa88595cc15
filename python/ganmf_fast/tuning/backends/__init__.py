"""Search backends: Gaussian process, tree-structured Parzen estimator, random.

A backend suggests points (`ask`) and is given their results (`tell`), in the order of asking. It
may be asked again before it is told, as often as there are workers beyond the first. Its
suggestions depend on nothing but the seed and the results so far, which makes a search resumable:
replaying `ask` and `tell` from a journal brings a new backend to the state of the old one. Giving
a new one the old points instead (x0 and y0 in scikit-optimize) does not: its random numbers start
again.
"""

from typing import cast

from ganmf_fast.base.errors import unknown
from ganmf_fast.base.text import shown
from ganmf_fast.tuning.backends.base import Backend
from ganmf_fast.tuning.backends.optuna import Optuna, median_pruner
from ganmf_fast.tuning.backends.random import RandomSearch
from ganmf_fast.tuning.backends.skopt import Published, Skopt

__all__ = [
    "BACKENDS",
    "Backend",
    "Optuna",
    "Published",
    "RandomSearch",
    "Skopt",
    "backend_class",
    "median_pruner",
]

BACKENDS: dict[str, type[Backend]] = {
    "skopt": cast("type[Backend]", Skopt),
    "published": cast("type[Backend]", Published),
    "optuna": cast("type[Backend]", Optuna),
    "random": cast("type[Backend]", RandomSearch),
}
"""Backends by name."""

# A journal records a backend that is passed as a class by its module and name.
for _backend in BACKENDS.values():
    _backend.__module__ = __name__


def backend_class(backend: object) -> type[Backend]:
    """The backend with a name, or a class with this interface unchanged.

    Raises
    ------
    TypeError, ValueError
        If there is no backend of this name, or the class has no `ask` or `tell`.
    """
    if isinstance(backend, str):
        if backend not in BACKENDS:
            raise ValueError(unknown("backend", backend, BACKENDS))
        return BACKENDS[backend]
    if not (callable(backend) and hasattr(backend, "ask") and hasattr(backend, "tell")):
        raise TypeError(
            f"backend must be a name or a class with the methods ask and tell, not {shown(backend)}"
        )
    return cast("type[Backend]", backend)
