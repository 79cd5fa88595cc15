"""What IRGAN and CoFiGAN share: a generator and a discriminator, both factors with item biases.

Objective, source and steps: the kernel `ganmf_core::models::adversarial_mf` (docs/algorithms.md).
The generator starts from BPR-MF, fitted first or read from a file; the scores are its own.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganmf_fast import _core
from ganmf_fast._core import Csr
from ganmf_fast.base.checks import check_memory
from ganmf_fast.base.params import param
from ganmf_fast.models.bpr_mf import first_factors
from ganmf_fast.models.fit_data import FitData
from ganmf_fast.models.pretrained import PretrainedRecommender, Tables
from ganmf_fast.scorers.factors import Factors
from ganmf_fast.scorers.tensors import Floats

Discriminator = tuple[int, float, float, int, float, bool, bool, bool]
Generator = tuple[int, float, float, float | None]


# Declarations that both models have with defaults of their own.


def factors_beside_biases(default: int) -> Any:
    """`num_factors`."""
    return param(
        default,
        "Columns K of the factors, beside the biases.",
        at_least=1,
        search={"int": [5, 250], "at_most": "shorter side"},
    )


def rounds(default: int) -> Any:
    """`epochs`."""
    return param(
        default,
        "Number of rounds, in each of which both networks have their epochs; with `validation` the "
        "maximum.",
        at_least=1,
        search={"choice": [default]},
    )


def epochs_in_a_round(default: int, network: str) -> Any:
    """`d_epochs` or `g_epochs`."""
    doc = f"Epochs of the {network} in a round."
    return param(default, doc, at_least=0, search={"int": [1, 100], "log": True})


def learning_rate(default: float, network: str) -> Any:
    """`d_lr` or `g_lr`."""
    doc = f"Learning rate of the {network}."
    return param(default, doc, above=0, search={"real": [1e-4, 1e-1], "log": True})


def penalty_of_entries(default: float) -> Any:
    """`d_reg`."""
    return param(
        default,
        "Penalty on the discriminator's factors and bias of each entry of a batch.",
        at_least=0,
        search={"real": [1e-4, 1.0], "log": True},
    )


def interactions_in_a_batch() -> Any:
    """`d_batch`."""
    return param(16, "Interactions in a batch of the discriminator.", at_least=1)


class TwoFactorisations(PretrainedRecommender):
    """Base of factorisations that are trained against another one."""

    @abstractmethod
    def _discriminator(self) -> Discriminator:
        """Settings of the kernel's discriminator."""

    @abstractmethod
    def _generator(self) -> Generator:
        """Settings of the kernel's generator."""

    def _first_discriminator(self, data: FitData, rng: np.random.Generator) -> Tables:
        return first_factors(data.urm, int(self.num_factors), rng)

    def _in_order(self) -> bool:
        return False

    def _kernel(
        self,
        urm: Csr,
        tables: tuple[Floats, Floats, Floats, Floats],
        negatives: NDArray[np.int32] | None = None,
        done: int = 0,
        discriminator: Discriminator | None = None,
        generator: Generator | None = None,
    ) -> "_core.AdversarialMf":
        return _core.AdversarialMf(
            urm,
            discriminator or self._discriminator(),
            generator or self._generator(),
            self._in_order(),
            int(self.seed),
            tables,
            np.zeros(0, np.int32) if negatives is None else negatives,
            done,
        )

    def _fit(self, data: FitData) -> Factors:
        urm, k, name = data.urm, int(self.num_factors), type(self).__name__
        # Two models with their padding, the best one and the one that is evaluated.
        check_memory(16 * (urm.n_rows + urm.n_cols) * (k + 8), name, "lower num_factors")
        rng = np.random.default_rng([int(self.seed), 1])
        now: _core.AdversarialMf | None = None

        def begin() -> _core.AdversarialMf:
            # Before the first round, unless a checkpoint holds what came of it.
            nonlocal now
            if now is None:
                generator = self._first_generator(data)
                now = self._kernel(urm, (*generator, *self._first_discriminator(data, rng)))
            return now

        def step() -> dict[str, float]:
            d_loss, g_loss = begin().run()
            return {"d_loss": d_loss, "g_loss": g_loss}

        def model() -> Factors:
            tables, _ = begin().state()
            return Factors(tables[0], tables[1])

        def state() -> dict[str, NDArray[Any]]:
            tables, negatives = begin().state()
            names = ("g_users", "g_items", "d_users", "d_items")
            return {
                **dict(zip(names, tables, strict=True)),
                "negatives": negatives,
                "pretraining": self._pretraining_array(),
            }

        def restore(done: int, arrays: Mapping[str, NDArray[Any]]) -> None:
            nonlocal now
            tables = (arrays["g_users"], arrays["g_items"], arrays["d_users"], arrays["d_items"])
            now = self._kernel(urm, tables, arrays["negatives"], done)
            self._restore_pretraining(arrays)

        return self._train(data, step, model, state, restore)
