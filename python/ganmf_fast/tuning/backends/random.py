"""Random search: each point is drawn uniformly, from the seed and the number of the trial."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from ganmf_fast.tuning.spaces import Choice, Dimension, Int, Params
from ganmf_fast.tuning.trial import Trial


class RandomSearch:
    """Independent uniform points; see `Backend`."""

    packages: ClassVar[Sequence[str]] = ()
    prunes: ClassVar[bool] = False

    def __init__(self, dimensions: Mapping[str, Dimension], n_initial: int, seed: int) -> None:
        self._dimensions = dimensions
        self._seed = seed
        self._asked = 0

    def ask(self) -> Params:
        """See `Backend`."""
        rng = np.random.default_rng([self._seed, self._asked])
        self._asked += 1
        return {name: _draw(rng, dimension) for name, dimension in self._dimensions.items()}

    def amend(self, params: Params) -> None:
        """Do nothing: no later point depends on an earlier one."""

    def tell(self, trial: Trial) -> None:
        """Do nothing: suggestions do not depend on results."""


def _draw(rng: np.random.Generator, dimension: Dimension) -> Any:
    if isinstance(dimension, Choice):
        return dimension.choices[int(rng.integers(len(dimension.choices)))]
    if isinstance(dimension, Int) and not dimension.log:
        return int(rng.integers(dimension.low, dimension.high, endpoint=True))
    low, high = float(dimension.low), float(dimension.high)
    if dimension.log:
        drawn = min(max(math.exp(rng.uniform(math.log(low), math.log(high))), low), high)
    else:
        drawn = float(rng.uniform(low, high))
    return round(drawn) if isinstance(dimension, Int) else drawn
