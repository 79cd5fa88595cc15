"""The two linear networks of GANMF, the matrices of both stored item by item.

Objective: the generator is a matrix factorisation, ``G(u) = P[u] Q^T``; the discriminator is a
linear autoencoder, ``D(x) = (x We + be) Wd + bd``, whose mean squared error on a profile is the
profile's energy.
Source: Dervishaj and Cremonesi, "GAN-based Matrix Factorization for Recommender Systems" (SAC'22).
Deviation: none in the mathematics. The decoder is stored transposed with its bias as the last
column, so that a row holds all that belongs to one item and the bias needs no terms of its own.
Cost: ``users K + items (K + 2 E + 1) + E`` numbers.
"""

import math

import torch
from torch import Tensor, nn


def glorot(rows: int, cols: int, rng: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Draw uniformly within ``sqrt(6 / (rows + cols))`` of zero, on the CPU (Glorot, 2010)."""
    bound = math.sqrt(6 / (rows + cols))
    return torch.empty(rows, cols, dtype=dtype).uniform_(-bound, bound, generator=rng)


def total(values: Tensor) -> Tensor:
    """Sum a matrix to the same bits for any number of threads.

    torch splits a sum to one number between its threads, but a sum along one dimension between
    the results; what is left to sum then is short enough for one thread.
    """
    return values.sum(dim=0 if values.shape[0] > values.shape[1] else 1).sum()


class Generator(nn.Module):
    """Matrix factorisation: row ``u`` of the output is ``user_factors[u] @ item_factors.T``."""

    def __init__(
        self,
        n_users: int,
        n_items: int,
        num_factors: int,
        rng: torch.Generator,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.user_factors = nn.Parameter(glorot(n_users, num_factors, rng, dtype))
        self.item_factors = nn.Parameter(glorot(n_items, num_factors, rng, dtype))

    def forward(self, users: Tensor) -> Tensor:
        """Make the profiles of `users`, one dense row each."""
        return self.user_factors[users] @ self.item_factors.T

    def squares(self) -> Tensor:
        """Half the sum of all squared parameters."""
        return (total(self.user_factors**2) + total(self.item_factors**2)) / 2


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

    def energy(self, profiles: Tensor) -> Tensor:
        """Mean squared error of the reconstruction over all cells of `profiles`."""
        residual = self.decode(self.encode(profiles)) - profiles
        return total(residual**2) / residual.numel()

    def squares(self) -> Tensor:
        """Half the sum of all squared parameters."""
        weights = total(self.encoder**2) + total(self.decoder**2)
        return (weights + (self.encoder_bias**2).sum()) / 2
