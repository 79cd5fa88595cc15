"""Activations of perceptrons by their names in the published code, and their slopes."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

__all__ = ["ACTIVATIONS", "SLOPES", "sigmoid"]

# The slope of LeakyReLU below zero that TensorFlow has by default.
_LEAK = np.float32(0.2)


def sigmoid(x: Any) -> Any:
    """The logistic function, without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * x))


ACTIVATIONS: Mapping[str, Callable[[Any], Any]] = {
    "linear": lambda x: x,
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "relu": lambda x: np.maximum(x, 0),
    "LeakyReLU": lambda x: np.where(x < 0, _LEAK * x, x),
}

SLOPES: Mapping[str, Callable[[Any], Any]] = {
    "linear": np.ones_like,
    "tanh": lambda y: 1 - y * y,
    "sigmoid": lambda y: y * (1 - y),
    "relu": lambda y: np.where(y > 0, 1, 0).astype(y.dtype),
    "LeakyReLU": lambda y: np.where(y < 0, _LEAK, 1).astype(y.dtype),
}
"""Derivatives as functions of the activation's value."""
