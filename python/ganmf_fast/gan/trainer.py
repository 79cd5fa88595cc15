"""The loop that trains all adversarial models: epochs, early stopping, best weights, checkpoints.

Objective: an epoch is a sequence of passes, each of which trains one network on some batches; the
module says which. With a `validate` callable every `freq`-th epoch and the last one are checked, by
the rule of :class:`~ganmf_fast.models.early_stopping.EarlyStopping`.
Source: Dervishaj and Cremonesi (SAC'22), as their published code trains.
Deviation: the best weights are kept rather than the last; the last epoch is always checked.
Cost: that of the passes, and one copy of the kept weights.
"""

import logging
import math
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from ganmf_fast.base import json_files
from ganmf_fast.base.progress import Report
from ganmf_fast.gan.checkpoint import TensorCheckpoint, with_prefix
from ganmf_fast.gan.device import computing
from ganmf_fast.gan.distributed import SharedCheckpoint
from ganmf_fast.gan.module import DivergedError, GANModule, refuse_unlike
from ganmf_fast.gan.settings import GANSettings
from ganmf_fast.models.checkpoint import TrainingFacts
from ganmf_fast.models.early_stopping import EarlyStopping
from ganmf_fast.models.fit_data import FitCallback
from ganmf_fast.models.history import with_current_names
from ganmf_fast.scorers.base import Scorer

_log = logging.getLogger(__name__)


def train(
    module: GANModule,
    settings: GANSettings,
    validate: Callable[[Scorer], float] | None,
    checkpoint: TensorCheckpoint | None,
    progress: Report,
    callback: FitCallback | None = None,
) -> "TrainingState":
    """Train `module` on its device, together with the other processes of its group.

    Raises
    ------
    MemoryError
        If the GPU has not enough memory; the message names a batch size that would fit.
    """
    group = module.group
    if group.size > 1:
        # Another kind of processor may have drawn or decomposed to other last bits.
        group.broadcast(t for net in module.networks.values() for t in net.state_dict().values())
        if checkpoint is not None:
            checkpoint = SharedCheckpoint(**vars(checkpoint), group=group)
        if group.rank:
            progress = _no_progress

    def check(scored: Callable[[Scorer], float]) -> float:
        return group.on_first(lambda: scored(module.scorer()))

    validated = None if validate is None else lambda: check(validate)
    try:
        with computing(module.device, settings.tf32, module.multiplications()):
            return Trainer(module, settings, validated, checkpoint).run(progress, callback)
    except torch.cuda.OutOfMemoryError:
        raise module.footprint().too_large(module.device) from None


@dataclass
class TrainingState:
    """Where training is, beside the state of the module."""

    stopping: EarlyStopping
    history: list[dict[str, float]] = field(default_factory=list)
    kept: list[Tensor] = field(default_factory=list)
    """The best weights and their companions; empty before the first check."""
    has_companions: bool = True
    """Whether those of the best weights are known, as in old checkpoints they are not."""

    @property
    def best_epoch(self) -> int:
        """Epoch of the best weights, 0 if these are the start; the last one if none was checked."""
        return self.stopping.best_epoch if self.stopping.has_best else len(self.history)


@dataclass
class Trainer:
    """One run of the loop.

    Parameters
    ----------
    module : GANModule
    settings : GANSettings
    validate : callable, optional
        The value to maximise, of the weights as they are.
    checkpoint : TensorCheckpoint, optional
        What to continue from, and what to leave behind every few epochs until the end.
    """

    module: GANModule
    settings: GANSettings
    validate: Callable[[], float] | None = None
    checkpoint: TensorCheckpoint | None = None

    def run(self, progress: Report, callback: FitCallback | None = None) -> TrainingState:
        """Train; afterwards the module has the best weights, or the last without `validate`.

        Raises
        ------
        DivergedError
            If a loss or a weight is not finite and no check came before; after one it is a
            ConvergenceWarning, and the best weights are kept.
        """
        state = self._resume()
        stopping, history, last = state.stopping, state.history, self.settings.epochs
        if not history and self.validate is not None and self.module.starts_fitted:
            self._check(0, state, self.validate())
        while len(history) < last and not stopping.exhausted:
            epoch = len(history) + 1
            started = time.perf_counter()
            row: dict[str, float] = {"epoch": epoch}
            try:
                row.update(self._epoch(epoch))
            except DivergedError as error:
                _diverged(epoch, error, stopping)
                break
            history.append(row)
            row.update(self.module.diagnose())
            if self.validate is not None and (epoch % self.settings.freq == 0 or epoch == last):
                before = time.perf_counter()
                row["validation"] = value = self.validate()
                row["validation_seconds"] = time.perf_counter() - before
                self._check(epoch, state, value)
            row["seconds"] = time.perf_counter() - started
            _log.debug("epoch %d: %s", epoch, row)
            if self.checkpoint is not None and epoch % self.checkpoint.every == 0:
                self._save(state, self.checkpoint)
            progress(epoch, last, _in_words(row, state))
            if callback is not None:
                callback(epoch, dict(row))
        tensors = self._to_keep()
        for tensor, best in zip(tensors, state.kept, strict=False):
            tensor.copy_(best)
        state.has_companions = len(state.kept) in (0, len(tensors))
        if self.checkpoint is not None:
            self.checkpoint.remove()
        return state

    def _check(self, epoch: int, state: TrainingState, value: float) -> None:
        """Keep the weights if their value is the best so far."""
        if state.stopping.update(epoch, value):
            state.kept = [tensor.clone() for tensor in self._to_keep()]

    def _to_keep(self) -> list[Tensor]:
        return [*self.module.weights(), *self.module.companions()]

    def _epoch(self, epoch: int) -> dict[str, float]:
        """Train every network; means of the losses, and the seconds of each network."""
        losses: dict[str, list[float]] = {}
        seconds: dict[str, float] = {}
        started = time.perf_counter()
        for network, batches in self.module.epoch(epoch):
            for batch in batches:
                found = self.module.step(network, batch)
                if not all(map(math.isfinite, found.values())):
                    raise DivergedError(_listed(found))
                for name, value in found.items():
                    losses.setdefault(name, []).append(value)
            ended = time.perf_counter()
            name = f"{network}_seconds"
            seconds[name] = seconds.get(name, 0.0) + ended - started
            started = ended
        means = {name: math.fsum(values) / len(values) for name, values in losses.items()}
        if not all(bool(torch.isfinite(tensor).all()) for tensor in self.module.weights()):
            raise DivergedError(f"a weight, with {_listed(means)}")
        return {**means, **seconds}

    def _resume(self) -> TrainingState:
        """Where an earlier run was at its last checkpoint, or the very beginning."""
        stopping = EarlyStopping(self.settings.allow_worse)
        if self.checkpoint is None or (found := self.checkpoint.read()) is None:
            return TrainingState(stopping)
        stored, tensors = found
        kept = {f"kept.{n}": tensor for n, tensor in enumerate(self._to_keep())}
        if not kept.keys() <= tensors.keys():  # an older version kept no companions
            kept = dict(zip(kept, self.module.weights(), strict=False))
        try:
            facts = json_files.typed(stored, TrainingFacts)
            has_best = facts.best_value > -math.inf
            if has_best:
                refuse_unlike(kept, tensors)
            self.module.restore(with_prefix("state.", tensors))
        except ValueError as error:
            raise self.checkpoint.refusal(f"is damaged: {error}") from None
        for name in ("best_epoch", "best_value", "without_improvement"):
            setattr(stopping, name, getattr(facts, name))
        _log.info("continuing after epoch %d", facts.epochs_run)
        return TrainingState(
            stopping,
            with_current_names(facts.history),
            [tensors[n].to(one.device) for n, one in kept.items() if has_best],
        )

    def _save(self, state: TrainingState, checkpoint: TensorCheckpoint) -> None:
        facts: dict[str, Any] = {
            "best_epoch": state.stopping.best_epoch,
            "best_value": state.stopping.best_value,
            "epochs_run": len(state.history),
            "without_improvement": state.stopping.without_improvement,
            "history": state.history,
        }
        tensors = {f"state.{name}": tensor for name, tensor in self.module.state().items()}
        tensors |= {f"kept.{n}": tensor for n, tensor in enumerate(state.kept)}
        checkpoint.write(facts, tensors)


def _diverged(epoch: int, error: DivergedError, stopping: EarlyStopping) -> None:
    message = f"training diverged in epoch {epoch} ({error}); lower the learning rates"
    if not stopping.has_best:
        raise DivergedError(message) from None
    warnings.warn(
        f"{message}; the weights of epoch {stopping.best_epoch} are kept",
        ConvergenceWarning,
        stacklevel=6,
    )


def _listed(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} = {value:g}" for name, value in values.items())


def _in_words(row: Mapping[str, float], state: TrainingState) -> str:
    """Text beside the progress bar: losses and the values of validation."""
    words = [f"{name} {row[name]:.4g}" for name in ("d_loss", "g_loss") if name in row]
    best = state.stopping
    last = next((r["validation"] for r in reversed(state.history) if "validation" in r), None)
    if last is not None:
        words.append(f"validation {last:.4f}, best {best.best_value:.4f} ({best.best_epoch})")
    return ", ".join(words)


def _no_progress(done: int, total: int, text: str = "", /) -> None:
    """Only the first process reports progress."""
