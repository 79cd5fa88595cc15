"""What IRGAN and CoFiGAN share: a generator and a discriminator, both factors with item biases.

Objective, source and steps: the kernel `ganmf_core::models::adversarial_mf` (docs/algorithms.md).
The generator starts from BPR-MF, fitted first or read from a file; the scores are its own.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import KW_ONLY
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganmf_fast import _core
from ganmf_fast._core import Csr
from ganmf_fast.base.checks import check_memory
from ganmf_fast.base.params import hyperparameters, param
from ganmf_fast.base.text import shown
from ganmf_fast.models.bpr_mf import BPRMF, first_factors
from ganmf_fast.models.fit_data import FitData
from ganmf_fast.models.iterative import IterativeRecommender
from ganmf_fast.models.load import load
from ganmf_fast.scorers.factors import Factors
from ganmf_fast.scorers.tensors import Floats

__all__ = ["Discriminator", "Generator", "Tables", "TwoFactorisations"]

Tables = tuple[Floats, Floats]
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


@hyperparameters
class TwoFactorisationsSettings:
    """Settings of both models."""

    num_factors = 1

    _: KW_ONLY
    start_path: str | None = param(
        None,
        "File of a saved model with `num_factors` factors and item biases, such as a BPRMF of the "
        "same matrix, that the generator starts from in place of pre-training.",
    )


class TwoFactorisations(TwoFactorisationsSettings, IterativeRecommender):
    """Base of factorisations that are trained against another one.

    Attributes
    ----------
    pretraining_ : list of dict
        History of the pre-training; empty with `start_path`.
    """

    saved_attributes = ("best_epoch_", "history_", "pretraining_")

    pretraining_: list[dict[str, float]]

    @abstractmethod
    def _start(self) -> BPRMF:
        """The model that pre-training fits; its steps give new users their factors."""

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
            pretraining = [
                [row["epoch"], row["loss"], row.get("validation", np.nan), row["seconds"]]
                for row in self.pretraining_
            ]
            return {
                **dict(zip(names, tables, strict=True)),
                "negatives": negatives,
                "pretraining": np.array(pretraining, np.float64).reshape(-1, 4),
            }

        def restore(done: int, arrays: Mapping[str, NDArray[Any]]) -> None:
            nonlocal now
            tables = (arrays["g_users"], arrays["g_items"], arrays["d_users"], arrays["d_items"])
            now = self._kernel(urm, tables, arrays["negatives"], done)
            self.pretraining_ = [
                {"epoch": int(epoch), "loss": loss, "seconds": seconds}
                | ({} if np.isnan(value) else {"validation": value})
                for epoch, loss, value, seconds in arrays["pretraining"].tolist()
            ]

        return self._train(data, step, model, state, restore)

    def _first_generator(self, data: FitData) -> Tables:
        """Factors that the generator starts from."""
        self.pretraining_ = []
        if self.start_path is not None:
            return self._from_file("start_path", data.urm)
        model = self._start()
        if not model.epochs:
            rng = np.random.default_rng(int(self.seed))
            return first_factors(data.urm, int(self.num_factors), rng)
        scorer = model.fit(data.urm, data.validation, metric=data.metric, k=data.k).scorer_
        if not isinstance(scorer, Factors):  # which BPRMF always has
            raise TypeError(f"pre-training left {type(scorer).__name__} behind")
        self.pretraining_ = model.history_
        return scorer.user_factors, scorer.item_factors

    def _from_file(self, name: str, urm: Csr) -> Tables:
        """Factors with item biases of a saved model."""
        path = getattr(self, name)
        scorer = load(path).scorer_
        width = int(self.num_factors) + 1
        shapes = [(urm.n_rows, width), (urm.n_cols, width)]
        if (
            not isinstance(scorer, Factors)
            or [scorer.user_factors.shape, scorer.item_factors.shape] != shapes
            or not (scorer.user_factors[:, -1] == 1).all()
        ):
            raise ValueError(
                f"{name} names {shown(path)}, which does not hold factors of {urm.n_rows} users "
                f"and {urm.n_cols} items with num_factors = {self.num_factors} and item biases: "
                "fit a BPRMF with these on the same matrix"
            )
        return scorer.user_factors, scorer.item_factors

    def _scorer_of(self, profiles: Csr) -> Factors:
        fitted = self._factors("item_factors_")
        start = self._start()
        epochs = max(int(start.epochs), 1)
        users = _core.bpr_fold_in(profiles, start.rule(), fitted.item_factors, 1.0, epochs)
        return fitted.with_users(users)
