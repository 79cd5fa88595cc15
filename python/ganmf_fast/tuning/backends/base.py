"""What a search asks of a backend."""

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

from ganmf_fast.tuning.spaces import Dimension, Params
from ganmf_fast.tuning.trial import Trial


class Backend(Protocol):
    """A strategy of search with an ask-and-tell interface.

    A class with these methods is passed to `ganmf_fast.tune` as `backend`. With a method
    ``amend(params)``, which replaces the point suggested last by another one, its searches can
    begin with given points (``first``) and continue a journal of another machine (``moved=True``).

    Parameters
    ----------
    dimensions : mapping of str to Int, Real or Choice
    n_initial : int
        Number of initial points drawn at random.
    seed : int

    Attributes
    ----------
    packages : sequence of str
        Distributions whose versions decide the suggestions; they are written to the journal.
    prunes : bool
        Whether trials of iterative models that do worse than earlier ones are stopped.
    """

    packages: ClassVar[Sequence[str]]
    prunes: ClassVar[bool]

    def __init__(self, dimensions: Mapping[str, Dimension], n_initial: int, seed: int) -> None: ...

    def ask(self) -> Params:
        """Suggest the next point, as plain Python values."""

    def tell(self, trial: Trial) -> None:
        """Take in the result of the earliest point that has none yet."""


def load(module: str, package: str) -> Any:
    """Import the package of a backend.

    Raises
    ------
    ImportError
        If it is missing; the message names the extra.
    """
    if importlib.util.find_spec(module) is None:
        raise ImportError(f'the backend "{module}" needs {package}: pip install "ganmf-fast[tune]"')
    return importlib.import_module(module)
