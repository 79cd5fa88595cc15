"""The base of what is trained: networks, optimisers, random numbers, and the steps of a family.

The loop is in :mod:`~ganmf_fast.gan.trainer`. A new family needs its settings, an estimator that
names its module, and a module derived from :class:`GANModule`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from ganmf_fast._core import Csr
from ganmf_fast.base.text import shown
from ganmf_fast.gan.adam import Moments, TensorFlowAdam
from ganmf_fast.gan.checkpoint import with_prefix
from ganmf_fast.gan.device import Footprint, find_device
from ganmf_fast.gan.distributed import ProcessGroup
from ganmf_fast.gan.networks import Perceptron, gradient_norm, sum_of_squares
from ganmf_fast.gan.settings import GANSettings
from ganmf_fast.scorers.autoencoder import Autoencoder
from ganmf_fast.scorers.base import Scorer
from ganmf_fast.scorers.factors import Factors
from ganmf_fast.scorers.profile_maps import ProfileMap

Losses: TypeAlias = Mapping[str, float]
T = TypeVar("T")

# Generated profiles whose cosines are looked at: near one, the generator has collapsed.
_SAMPLE = 64


class DivergedError(ArithmeticError):
    """A loss, a weight or an output became infinite or NaN."""


def refuse_unlike(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """Refuse tensors of a file that are missing, of another type or shape, or not finite.

    Raises
    ------
    ValueError
    """
    for name, one in wanted.items():
        other = found.get(name)
        if other is None:
            raise ValueError(f"{name} is missing")
        # A number is kept as an array of one.
        shape = tuple(one.shape)
        if other.dtype != one.dtype or tuple(other.shape) not in {shape, shape or (1,)}:
            raise ValueError(
                f"{name} is {other.dtype} of shape {tuple(other.shape)}, not {one.dtype} of {shape}"
            )
        if not bool(torch.isfinite(other).all()):
            raise ValueError(f"{name} holds NaN or infinity")


class GANModule(ABC):
    """Networks that are trained against each other.

    A family fills `networks` and `optimisers`, and trains a network called "d" in a method
    ``train_d(batch)``, which returns its losses.

    Parameters
    ----------
    settings : GANSettings
    profiles : Csr
        The rows that are learned: users, or items.

    Attributes
    ----------
    group : ProcessGroup
        The processes that train together.
    networks : dict of str to Module
    optimisers : dict of str to TensorFlowAdam
    rng : torch.Generator
    sample : int64 array
        Rows whose generated profiles :meth:`diagnose` looks at: the same in every epoch.
    starts_fitted : bool
        Whether the networks are a model before the first epoch, which is then evaluated too.
    """

    starts_fitted = False

    def __init__(self, settings: GANSettings, profiles: Csr) -> None:
        self.profiles = profiles
        self.group = ProcessGroup.join() if settings.data_parallel else ProcessGroup()
        self.device = find_device(settings.device, self.group.local_rank)
        # Weights are drawn on the CPU, so that every device starts from the same ones.
        self.rng = torch.Generator().manual_seed(settings.seed)
        self.networks: dict[str, nn.Module] = {}
        self.optimisers: dict[str, TensorFlowAdam] = {}
        self._gradient_norms = settings.gradient_norms
        spread = np.linspace(0, profiles.n_rows - 1, min(_SAMPLE, profiles.n_rows))
        self.sample = spread.astype(np.int64)

    @abstractmethod
    def epoch(self, number: int) -> Iterator[tuple[str, Iterable[Any]]]:
        """Passes of an epoch (from 1 on): the name of a network, and the batches it is trained on.

        Each pass is finished before the next is asked for.
        """

    def step(self, network: str, batch: Any) -> Losses:
        """Train a network on a batch."""
        losses: Losses = getattr(self, f"train_{network}")(batch)
        return losses

    def weights(self) -> Sequence[Tensor]:
        """What the fitted model consists of: kept when best, put back in the end."""
        return [parameter.detach() for parameter in self.networks["g"].parameters()]

    def companions(self) -> Sequence[Tensor]:
        """What `profile_map` reads beside `weights`: kept and put back with them."""
        return ()

    def profile_map(self) -> ProfileMap | None:
        """Factors of users who are not among the rows, in a form that needs no torch."""
        return None

    @abstractmethod
    def diagnose(self) -> Losses:
        """Columns of the history beside the losses, at the end of an epoch."""

    @abstractmethod
    def scorer(self) -> Scorer:
        """The weights as they are, in the form that ranks."""

    @abstractmethod
    def footprint(self) -> Footprint:
        """Memory of the training run on its device."""

    @abstractmethod
    def multiplications(self) -> int:
        """Multiplications of a step."""

    def n_parameters(self) -> int:
        """Number of parameters of all networks."""
        return sum(p.numel() for net in self.networks.values() for p in net.parameters())

    def moments(self) -> Mapping[str, Moments]:
        """What the optimisers remember."""
        return self.optimisers

    def state(self) -> dict[str, Tensor]:
        """All that the remaining epochs depend on."""
        found = {"rng": self.rng.get_state()}
        parts: dict[str, nn.Module | Moments] = {
            **{f"net.{name}": network for name, network in self.networks.items()},
            **{f"adam.{name}": moments for name, moments in self.moments().items()},
        }
        for name, part in parts.items():
            found |= {f"{name}.{key}": tensor for key, tensor in part.state_dict().items()}
        return found

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what :meth:`state` returned.

        Raises
        ------
        ValueError
            If it is that of other networks, or holds what no training leaves behind.
        """
        wanted = self.state()
        # What optimisers remember may be missing: then it is as before the first step.
        refuse_unlike({n: t for n, t in wanted.items() if n in state or n[:5] != "adam."}, state)
        if unknown := [name for name in state if name not in wanted]:
            raise ValueError(f"there is no {shown(unknown[0])} in these networks")
        try:
            self.rng.set_state(state["rng"])
        except RuntimeError as error:
            raise ValueError(f"rng: {error}") from None
        for name, network in self.networks.items():
            network.load_state_dict(with_prefix(f"net.{name}.", state))
        for name, moments in self.moments().items():
            moments.load_state_dict(with_prefix(f"adam.{name}.", state))

    def shuffled(self) -> NDArray[np.int64]:
        """All rows in random order."""
        order: NDArray[np.int64] = torch.randperm(self.profiles.n_rows, generator=self.rng).numpy()
        return order

    def alternated(
        self, batches: Sequence[T], d_steps: int, g_steps: int
    ) -> Iterator[tuple[str, Sequence[T]]]:
        """Passes of the discriminator over all batches, then of the generator over the same."""
        for network, passes in (("d", d_steps), ("g", g_steps)):
            for _ in range(passes):
                yield network, batches

    def adam_step(self, name: str, loss: Tensor, reg: float) -> dict[str, float]:
        """One step of Adam on `loss` with half the sum of squares of the network times `reg`.

        Returns
        -------
        dict
            The whole loss, and the norm of its gradient if asked for.
        """
        gradients = torch.autograd.grad(loss, list(self.networks[name].parameters()))
        return self.step_along(name, loss, gradients, reg)

    def step_along(
        self, name: str, loss: Tensor, gradients: Iterable[Tensor], reg: float
    ) -> dict[str, float]:
        """As `adam_step`, of a loss whose gradients are known; they are changed."""
        penalty = 0.0
        for parameter, gradient in zip(self.networks[name].parameters(), gradients, strict=True):
            parameter.grad = gradient
            if reg:
                gradient.add_(parameter.detach(), alpha=reg)
                penalty += reg / 2 * sum_of_squares(parameter)
        found = {f"{name}_loss": loss.item() + penalty, **self.gradient_norm(name)}
        self.optimisers[name].step()
        return found

    def gradient_norm(self, name: str) -> dict[str, float]:
        """Norm of a network's gradient, if asked for."""
        if not self._gradient_norms:
            return {}
        return {f"{name}_gradient": gradient_norm(self.networks[name])}


def discriminator_loss(real: Tensor, generated: Tensor) -> tuple[Tensor, dict[str, float]]:
    """Cross-entropy of logits of real and of generated profiles, and their mean probabilities."""
    loss = cross_entropy(real, torch.ones_like(real))
    loss = loss + cross_entropy(generated, torch.zeros_like(generated))
    with torch.no_grad():
        return loss, {
            "real_score": real.sigmoid().mean().item(),
            "generated_score": generated.sigmoid().mean().item(),
        }


def factors_scorer(rows: Tensor, columns: Tensor, by_item: bool) -> Factors:
    """Factors of profiles and of their columns in the form that ranks, without torch."""
    users, items = (columns, rows) if by_item else (rows, columns)
    return Factors(array_of(users), array_of(items))


def autoencoder_scorer(network: Perceptron, activation: str, block: int = 0) -> Autoencoder:
    """A generator of profiles from profiles in the form that ranks, without torch."""
    return Autoencoder(
        array_of(network.first[0]),
        tuple(map(array_of, network.inner)),
        tuple(map(array_of, network.biases)),
        array_of(network.output),
        array_of(network.output_bias),
        activation,
        block,
    )


def array_of(tensor: Tensor) -> NDArray[np.float32]:
    """A copy of the values, on the CPU."""
    return tensor.numpy(force=True).copy()
