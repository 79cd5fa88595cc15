"""The networks of all families, their matrices stored item by item, and sums over their weights.

Objective: GANMF's generator is a matrix factorisation, ``G(u) = P[u] Q^T``; its discriminator is a
linear autoencoder, ``D(x) = (x We + be) Wd + bd``, whose mean squared error on a profile is the
profile's energy. The other families have perceptrons.
Source: Dervishaj and Cremonesi, "GAN-based Matrix Factorization for Recommender Systems" (SAC'22).
Deviation: none in the mathematics. The decoder is stored transposed with its bias as the last
column, so that a row holds all that belongs to one item and the bias needs no terms of its own.
Cost: ``users K + items (K + 2 E + 1) + E`` parameters.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ganmf_fast.gan.matmul import affine

Activation = Callable[[Tensor], Tensor]


def sigmoid(x: Tensor) -> Tensor:
    """The logistic function, to the same bits for any number of threads.

    torch's own differs in the last bit between the bulk of a thread's part and its end.
    """
    return torch.tanh(x / 2).mul(0.5).add(0.5)


ACTIVATIONS: Mapping[str, Activation] = {
    "linear": lambda x: x,
    "tanh": torch.tanh,
    "sigmoid": sigmoid,
    "relu": torch.relu,
    # The slope that TensorFlow has by default.
    "LeakyReLU": lambda x: nn.functional.leaky_relu(x, 0.2),
}
"""By the names of the published code, as in :mod:`ganmf_fast.scorers.activations`."""


def glorot(rows: int, cols: int, rng: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Draw uniformly within ``sqrt(6 / (rows + cols))`` of zero, on the CPU (Glorot, 2010)."""
    bound = math.sqrt(6 / (rows + cols))
    return torch.empty(rows, cols, dtype=dtype).uniform_(-bound, bound, generator=rng)


def total(values: Tensor) -> Tensor:
    """Sum a matrix to the same bits for any number of threads.

    torch splits a sum to one number between its threads, but a sum along one dimension between
    the results; what remains to be summed is short enough for one thread.
    """
    return values.sum(dim=0 if values.shape[0] > values.shape[1] else 1).sum()


def _squares(values: Tensor) -> Tensor:
    """Sum the squares of a matrix as `total` would, without storing them; differentiable."""
    norms = torch.linalg.vector_norm(values, dim=1)
    # Pieces short enough for one thread.
    return torch.stack([piece @ piece for piece in norms.split(4096)]).sum()


def sum_of_squares(tensor: Tensor) -> float:
    """Sum of the squares of a vector or matrix, to the same bits for any number of threads."""
    tensor = tensor.detach()
    if tensor.dim() > 1:
        # Along the rows as they lie in memory, each by one thread.
        tensor = torch.linalg.vector_norm(tensor, dim=1)
    # Pieces short enough for one thread. In double precision: other bits than `_squares`.
    return sum((piece**2).sum().item() for piece in torch.split(tensor, 4096))


def gradient_norm(network: nn.Module) -> float:
    """Norm of the gradient of all parameters."""
    squares = (sum_of_squares(p.grad) for p in network.parameters() if p.grad is not None)
    return float(sum(squares) ** 0.5)


def with_ones(hidden: Tensor) -> Tensor:
    """``[hidden, 1]``: the column that is multiplied by the decoder's bias."""
    return nn.functional.pad(hidden, (0, 1), value=1.0)


class Generator(nn.Module):
    """Matrix factorisation: row ``u`` of the output is ``user_factors[u] @ item_factors.T``.

    `user_shrinkage` and `item_shrinkage` weigh the rows of the factors in :meth:`squares`; they
    are columns, or None for ones.
    """

    user_shrinkage: Tensor | None
    item_shrinkage: Tensor | None

    def __init__(
        self,
        n_users: int,
        n_items: int,
        num_factors: int,
        rng: torch.Generator,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        # Not in a checkpoint: a module sets them again when training continues.
        self.register_buffer("user_shrinkage", None, persistent=False)
        self.register_buffer("item_shrinkage", None, persistent=False)
        self.user_factors = nn.Parameter(glorot(n_users, num_factors, rng, dtype))
        self.item_factors = nn.Parameter(glorot(n_items, num_factors, rng, dtype))

    def forward(self, users: Tensor) -> Tensor:
        """Generate the profiles of `users`, one dense row each."""
        return self.user_factors[users] @ self.item_factors.T

    def squares(self) -> Tensor:
        """Half the weighted sum of all squared parameters."""
        users, items = self.user_factors**2, self.item_factors**2
        if self.user_shrinkage is not None and self.item_shrinkage is not None:
            users, items = users * self.user_shrinkage, items * self.item_shrinkage
        return (total(users) + total(items)) / 2

    def decay(self, reg: float) -> tuple[Tensor, Tensor]:
        """Gradients of ``reg squares()`` with respect to the factors of users and items."""
        users, items = self.user_factors * reg, self.item_factors * reg
        if self.user_shrinkage is not None and self.item_shrinkage is not None:
            users, items = users * self.user_shrinkage, items * self.item_shrinkage
        return users, items


def self_weights(encoder: Tensor, decoder: Tensor) -> Tensor:
    """Weight of each item in its own reconstruction: the diagonal of the product of both layers."""
    return (encoder * decoder[:, :-1]).sum(dim=1)


class Discriminator(nn.Module):
    """Linear autoencoder; `decoder` is ``(n_items, emb_dim + 1)``, its last column the bias."""

    def __init__(
        self, n_items: int, emb_dim: int, rng: torch.Generator, dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__()
        self.encoder = nn.Parameter(glorot(n_items, emb_dim, rng, dtype))
        self.encoder_bias = nn.Parameter(torch.zeros(emb_dim, dtype=dtype))
        weights = glorot(n_items, emb_dim, rng, dtype)
        self.decoder = nn.Parameter(torch.cat([weights, weights.new_zeros(n_items, 1)], dim=1))

    def encode(self, profiles: Tensor) -> Tensor:
        """Hidden layer of dense `profiles`."""
        return profiles @ self.encoder + self.encoder_bias

    def decode(self, hidden: Tensor) -> Tensor:
        """Reconstruction from the hidden layer."""
        return hidden @ self.decoder[:, :-1].T + self.decoder[:, -1]

    def squared_error(
        self, profiles: Tensor, seen: Tensor | None = None, weights: Tensor | None = None
    ) -> Tensor:
        """Squared error of the reconstruction, summed over all entries of `profiles`.

        Its input is `seen` where that is given, else the profiles themselves; `weights` are those
        of the entries, by default one.
        """
        residual = self.decode(self.encode(profiles if seen is None else seen)) - profiles
        return total(residual**2 if weights is None else residual**2 * weights)

    def squares(self) -> Tensor:
        """Half the sum of all squared parameters."""
        weights = _squares(self.encoder) + _squares(self.decoder)
        return (weights + (self.encoder_bias**2).sum()) / 2


class Perceptron(nn.Module):
    """Dense layers; the rows of the first kernels and of the output kernel belong to columns.

    Several inputs of the first layer stand for one whose columns are theirs, side by side: each
    has a kernel of its own, because they are sparse in different ways.

    Parameters
    ----------
    inputs : tuple of int
        Columns of each input.
    nodes, layers : int
        Width and number of the hidden layers, at least 1.
    outputs : int
    activation : callable
        After each hidden layer; the output is linear.
    rng : torch.Generator
    bias_bound : float
        Biases are drawn uniformly within it; weights are Glorot's.
    """

    def __init__(
        self,
        inputs: tuple[int, ...],
        nodes: int,
        layers: int,
        outputs: int,
        activation: Activation,
        rng: torch.Generator,
        bias_bound: float = 0.0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        width = sum(inputs)
        bound = math.sqrt(6 / (width + nodes))

        def uniform(*shape: int, bound: float) -> nn.Parameter:
            values = torch.zeros(*shape, dtype=dtype)
            return nn.Parameter(values.uniform_(-bound, bound, generator=rng) if bound else values)

        self.first = nn.ParameterList([uniform(n, nodes, bound=bound) for n in inputs])
        inner = math.sqrt(3 / nodes)
        self.inner = nn.ParameterList(
            [uniform(nodes, nodes, bound=inner) for _ in range(layers - 1)]
        )
        self.biases = nn.ParameterList([uniform(nodes, bound=bias_bound) for _ in range(layers)])
        self.output = uniform(outputs, nodes, bound=math.sqrt(6 / (nodes + outputs)))
        self.output_bias = uniform(outputs, bound=bias_bound)
        self._activation = activation

    def hidden(self, products: Tensor) -> Tensor:
        """Last hidden layer from the products of the inputs with the first kernels, summed."""
        layer = self._activation(products + self.biases[0])
        for kernel, bias in zip(self.inner, list(self.biases)[1:], strict=True):
            layer = self._activation(affine(layer, kernel.T, bias))
        return layer

    def head(self, hidden: Tensor) -> Tensor:
        """Output from the last hidden layer."""
        return affine(hidden, self.output, self.output_bias)


def mean_cosine(profiles: Tensor) -> dict[str, float]:
    """Mean cosine between different rows of `profiles`: 1 if all are alike, a collapse."""
    return _mean_cosine(profiles, (profiles * profiles).sum(dim=1), lambda summed: summed @ summed)


def mean_cosine_of_factors(
    factors: Tensor, item_factors: Tensor, sample: NDArray[np.int64]
) -> dict[str, float]:
    """As `mean_cosine` of ``factors[sample] @ item_factors.T``, without that product."""
    rows = factors[torch.from_numpy(sample).to(factors.device)]
    gram = item_factors.T @ item_factors
    squares = ((rows @ gram) * rows).sum(dim=1)
    return _mean_cosine(rows, squares, lambda summed: summed @ gram @ summed)


def _mean_cosine(
    rows: Tensor, squares: Tensor, norm: Callable[[Tensor], Tensor]
) -> dict[str, float]:
    nonzero = squares > 0
    n = int(nonzero.sum())
    if n < 2:
        return {}
    summed = (rows[nonzero] / squares[nonzero].sqrt()[:, None]).sum(dim=0)
    return {"generated_cosine": (norm(summed).item() - n) / (n * (n - 1))}
