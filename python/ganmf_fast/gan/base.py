"""What the estimators of all adversarial models share; torch is imported by fitting alone."""

from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from ganmf_fast import _core
from ganmf_fast._core import Csr
from ganmf_fast.base.checks import check_memory
from ganmf_fast.base.params import earlier_params
from ganmf_fast.gan.defaults import MOST_EPOCHS
from ganmf_fast.gan.settings import GANSettings
from ganmf_fast.models.base import Recommender
from ganmf_fast.models.checkpoint import check_checkpoint, config_of
from ganmf_fast.models.early_stopping import LessStandardError, epochs_for_more_data
from ganmf_fast.models.fit_data import FitData
from ganmf_fast.models.registry import need_torch
from ganmf_fast.scorers.base import Scorer
from ganmf_fast.scorers.factors import Factors
from ganmf_fast.scorers.metrics import PER_USER

if TYPE_CHECKING:
    from ganmf_fast.gan.checkpoint import TensorCheckpoint
    from ganmf_fast.gan.module import GANModule
    from ganmf_fast.gan.trainer import TrainingState

# Of these one is held out where the number of epochs is to be found.
_PARTS = 10


class GANRecommender(GANSettings, Recommender):
    """Base of the models that are trained against a discriminator.

    A model derives from its settings and from this class, and names its module.

    Attributes
    ----------
    best_epoch_ : int
        Epoch of the weights that were kept; with `published_quirks`, see there.
    history_ : list of dict
        One row an epoch: `epoch`; the means of the losses over the batches; `generated_cosine`, the
        mean cosine between 64 generated profiles (near 1 all look alike); `validation` (where
        checked); `seconds`, of these `validation_seconds` and those of each network, such as
        `d_seconds`; and with `gradient_norms` the norm of each network's gradient, such as
        `d_gradient`.

    Raises
    ------
    TypeError, ValueError
        From `fit`, if a parameter is not as described, the device does not exist, the checkpoint is
        damaged or belongs to another run, or with `data_parallel` this process is alone or fits
        something else than the others.
    ConnectionError
        From `fit` with `data_parallel`, if another process ends or does not answer for ten minutes
        (or for the timeout of your own process group).
    ImportError
        From `fit`, if torch is not installed.
    MemoryError
        From `fit`, if parameters, moments and gradients would not fit, or a batch does not fit
        into the GPU; then the message names a batch size that would.
    ArithmeticError
        From `fit`, if training diverges before the first check; later it is a warning, and the
        best weights are kept.
    """

    iterative: ClassVar[bool] = True
    saved_attributes: ClassVar[tuple[str, ...]] = ("best_epoch_", "history_")
    module: ClassVar[str]
    """Where the module of the model is: ``package.file:Class``, imported when it is fitted."""

    best_epoch_: int
    history_: list[dict[str, float]]

    def _fit(self, data: FitData) -> Scorer:
        need_torch(type(self).__name__)  # a model that was loaded is there without it
        from ganmf_fast.gan.checkpoint import TensorCheckpoint

        check_checkpoint(self.checkpoint_every, self.checkpoint_path)
        settings = self.resolved(self._profiles(data.urm))
        if settings.epochs is None and data.validation is None:
            settings.epochs = self._epochs_for(settings, data)
        elif settings.epochs is None:
            self._choose_sizes(settings, data)
        checkpoint = None
        if self.checkpoint_every and self.checkpoint_path is not None:
            path, config = Path(self.checkpoint_path), self._config(settings, data)
            earlier = earlier_params(type(self))
            checkpoint = TensorCheckpoint(path, self.checkpoint_every, config, earlier)
        module, run = self._trained(settings, data, checkpoint)
        self.history_ = run.history
        self.best_epoch_ = run.best_epoch
        if self.published_quirks and data.validation is not None:
            self.best_epoch_ = max(1, len(run.history) - self.freq * self.allow_worse + 1)
        self._keep_chosen(settings)
        scorer: Scorer = module.scorer()
        if isinstance(scorer, Factors) and run.has_companions:
            scorer = replace(scorer, profile_map=module.profile_map())
        return scorer

    def _profiles(self, urm: Csr) -> Csr:
        return urm.transpose() if self.by_item else urm

    def _trained(
        self,
        settings: Self,
        data: FitData,
        checkpoint: "TensorCheckpoint | None",
        *,
        keeps_start: bool = False,
    ) -> "tuple[GANModule, TrainingState]":
        """A module with its best weights, and how it got there.

        With `keeps_start`, a start that is a model is left only for one that is better by a
        standard error.
        """
        # In these methods and nowhere else, so that saved models work without torch.
        import torch

        from ganmf_fast.gan.trainer import train

        profiles, name = self._profiles(data.urm), type(self).__name__
        # A weight, its gradient and two moments, four bytes each.
        n_parameters = settings.n_parameters(profiles.n_rows, profiles.n_cols)
        need = 16 * n_parameters + 4 * settings.n_products()
        check_memory(need, name, "lower the sizes of its networks")
        try:
            module = self._module(settings, profiles)
        except np.linalg.LinAlgError:
            with data.range_named(name):
                raise
        except torch.cuda.OutOfMemoryError:
            raise MemoryError(
                f"{name} needs {need / 2**30:.1f} GiB for parameters, gradients and moments, more "
                "than the GPU has left; lower the sizes of its networks, or train on the CPU"
            ) from None
        if self.data_parallel:
            module.group.check_same_fit(self._config(settings, data))
        validate = None if data.validation is None else data.validate
        if module.starts_fitted and keeps_start and data.metric in PER_USER:
            validate = LessStandardError(data)
        return module, train(module, settings, validate, checkpoint, data.progress, data.callback)

    def _module(self, settings: Self, profiles: Csr) -> "GANModule":
        """Networks before training."""
        module: GANModule = resolve_name(self.module)(settings, profiles)
        return module

    def _epochs_for(self, settings: Self, data: FitData) -> int:
        """As many epochs as suit all interactions, by early stopping on a tenth of them.

        None where no epoch is better than a fitted start by what that tenth can tell.
        """
        labels = _core.split_k_fold(data.urm, _PARTS, per_user=True, seed=self.seed)
        rest, held_out = _core.part_cells(data.urm, labels, 0)
        if not (rest.nnz and held_out.nnz):
            return MOST_EPOCHS
        part = FitData(rest, held_out, data.progress, metric=data.metric, k=data.k)
        self._choose_sizes(settings, part)
        _, run = self._trained(settings, part, None, keeps_start=True)
        return epochs_for_more_data(run.best_epoch, data.urm.nnz / rest.nnz)

    def _choose_sizes(self, settings: Self, data: FitData) -> None:
        """Set the most epochs, and by the validation of `data` sizes that were not given."""
        settings.epochs = MOST_EPOCHS

    def _keep_chosen(self, settings: Self) -> None:
        """Remember what was used in place of parameters that were not given."""

    def _scorer_of(self, profiles: Csr) -> Scorer:
        if not self.maps_profiles and isinstance(self.scorer_, Factors):
            return self.scorer_.by_least_squares(profiles)
        return super()._scorer_of(profiles)

    def _config(self, settings: Self, data: FitData) -> dict[str, Any]:
        """All that the weights depend on."""
        return config_of(type(self).__name__, settings.get_params(deep=False), data)
