"""Base of the models that are trained in epochs and can be interrupted, without torch."""

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from numpy.typing import NDArray

from ganmf_fast.base.params import earlier_params, hyperparameters, param
from ganmf_fast.models.base import Recommender
from ganmf_fast.models.checkpoint import Checkpoint, check_checkpoint, config_of
from ganmf_fast.models.early_stopping import Resumption, TrainingResult, run_epochs
from ganmf_fast.models.fit_data import FitData
from ganmf_fast.scorers.factors import Factors

Arrays = Mapping[str, NDArray[Any]]
T = TypeVar("T")


@hyperparameters
class IterativeSettings:
    """Settings of every such model."""

    epochs = 1

    _: KW_ONLY
    freq: int = param(5, "Epochs between two evaluations on `validation`.", at_least=1)
    allow_worse: int = param(
        5,
        "Patience: evaluations without improvement after which one more stops the training.",
        at_least=0,
    )
    seed: int = param(0, "Seed of first values, orders and draws.", at_least=0, at_most=2**63 - 1)
    checkpoint_every: int = param(
        0,
        "Epochs between two checkpoints in `checkpoint_path`; 0 is none. A fit that finds the "
        "checkpoint of an interrupted one continues from it and ends with the same model; a fit "
        "that ends removes it.",
        at_least=0,
    )
    checkpoint_path: str | None = param(None, "File of the checkpoint.")


class IterativeRecommender(IterativeSettings, Recommender):
    """Base of models whose fits are factors that are trained in epochs by a kernel.

    Attributes
    ----------
    best_epoch_ : int
        Epoch with the best value on `validation`, or the last.
    history_ : list of dict
        One row an epoch: `epoch`, losses, `validation` (where evaluated), `seconds`.
    """

    iterative: ClassVar[bool] = True
    saved_attributes: ClassVar[tuple[str, ...]] = ("best_epoch_", "history_")

    best_epoch_: int
    history_: list[dict[str, float]]

    def _check_params(self) -> None:
        check_checkpoint(self.checkpoint_every, self.checkpoint_path)

    def _file_digests(self) -> dict[str, str]:
        """SHA-256 of files whose content the weights depend on, by a name for messages."""
        return {}

    def _train(
        self,
        data: FitData,
        step: Callable[[], Mapping[str, float]],
        model: Callable[[], Factors],
        state: Callable[[], Arrays],
        restore: Callable[[int, Arrays], None],
    ) -> Factors:
        """Run the epochs, from a checkpoint if there is one; the model of the best epoch."""
        resumption = None
        if self.checkpoint_every and self.checkpoint_path is not None:
            config = config_of(type(self).__name__, self.get_params(deep=False), data)
            contents = self._file_digests()
            config |= contents
            # Files of earlier versions have no digests.
            path, earlier = Path(self.checkpoint_path), earlier_params(type(self)) | contents
            checkpoint = Checkpoint(path, int(self.checkpoint_every), config, earlier)
            resumption = Resumption(checkpoint, state, restore, Factors.from_tensors)
        result: TrainingResult[Factors] = run_epochs(
            data,
            step,
            model,
            epochs=int(self.epochs),
            freq=int(self.freq),
            allow_worse=int(self.allow_worse),
            resumption=resumption,
        )
        self.best_epoch_ = result.best_epoch
        self.history_ = result.history
        return result.best
