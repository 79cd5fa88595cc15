"""Partial dependence of the value on each parameter, by a Gaussian process over the trials."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ganmf_fast.base.checks import plain
from ganmf_fast.tuning.backends.skopt import Skopt, one_quiet_thread
from ganmf_fast.tuning.spaces import Choice, Dimension, Params


def partial_dependence(
    dimensions: Mapping[str, Dimension],
    observed: Sequence[tuple[Params, float]],
    samples: int = 250,
) -> dict[str, tuple[list[Any], list[float]]]:
    """Mean predicted value along each parameter, the others averaged over random points.

    Parameters
    ----------
    dimensions : mapping of str to Int, Real or Choice
    observed : sequence of (params, value)
        At least two.
    samples : int, default 250
        Number of random points.

    Returns
    -------
    dict of (points, values)
        For each parameter, points along its range and the mean of the process there.

    Raises
    ------
    ImportError
        If scikit-optimize is missing.
    """
    backend = Skopt(dimensions, 1, 0)
    optimizer = backend.optimizer
    space = optimizer.space
    found = {}
    with one_quiet_thread():
        points = [backend.to_point(params) for params, _ in observed]
        optimizer.tell(points, [-value for _, value in observed])
        others = space.transform(space.rvs(n_samples=samples, random_state=0))
        column = 0
        for (name, offset), modelled in zip(backend.offsets.items(), space.dimensions, strict=True):
            dimension = dimensions[name]
            if isinstance(dimension, Choice):
                along = list(dimension.choices)
            else:
                # Evenly on the scale of the process; each integer once.
                steps = modelled.inverse_transform(np.linspace(0.0, 1.0, 40))
                along = [plain(x) for x in np.unique(steps)]
            end = column + modelled.transformed_size
            means = []
            for coordinates in np.asarray(modelled.transform(along)).reshape(len(along), -1):
                moved = others.copy()
                moved[:, column:end] = coordinates
                means.append(-float(optimizer.models[-1].predict(moved).mean()))
            found[name] = ([x - offset if offset else x for x in along], means)
            column = end
    return found
