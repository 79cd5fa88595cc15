"""Activations of perceptrons by their names in the published code, and layers as saved arrays."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganmf_fast.scorers.tensors import Floats, Tensors, scalar

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


def layers_to(inner: Sequence[Floats], biases: Sequence[Floats], activation: str) -> Tensors:
    """The hidden layers of a perceptron as arrays that are saved, by name."""
    return {
        **{f"inner.{n}": kernel for n, kernel in enumerate(inner)},
        **{f"biases.{n}": bias for n, bias in enumerate(biases)},
        "activation": np.array([list(ACTIVATIONS).index(activation)]),
    }


def layers_from(
    tensors: Mapping[str, NDArray[Any]],
) -> tuple[tuple[Floats, ...], tuple[Floats, ...], str]:
    """Inner kernels, biases and activation, from what `layers_to` made of them.

    Raises
    ------
    KeyError, ValueError
        If an array is missing, or the activation is unknown.
    """
    number = scalar("activation", tensors, np.int64)
    if not 0 <= number < len(ACTIVATIONS):
        raise ValueError(f"there is no activation {number}")
    layers = sum(name.startswith("biases.") for name in tensors)
    inner = tuple(tensors[f"inner.{n}"] for n in range(layers - 1))
    biases = tuple(tensors[f"biases.{n}"] for n in range(layers))
    return inner, biases, list(ACTIVATIONS)[number]
