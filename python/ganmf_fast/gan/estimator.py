"""What the estimators of all adversarial families share; it knows no torch before fitting."""

import re
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ganmf_fast._core import Csr
from ganmf_fast.base.checks import check_bool, check_int, check_memory, check_real
from ganmf_fast.base.progress import Report
from ganmf_fast.base.urm import fingerprint
from ganmf_fast.models.base import Recommender, map_at_5
from ganmf_fast.scorers.base import Scorer

if TYPE_CHECKING:
    from ganmf_fast.gan.players import Players

_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")

# Parameters that do not decide the weights.
_BESIDE = frozenset({"checkpoint_every", "checkpoint_path", "data_parallel", "device"})


class Adversarial(Recommender):
    """Base of the models that are trained against a discriminator.

    A family says what its parameters may be (`_check_family`), how many numbers it holds
    (`_numbers`) and which players train it (`_players`).
    """

    iterative: ClassVar[bool] = True
    saved_attributes: ClassVar[tuple[str, ...]] = ("best_epoch_", "history_")

    mode: str = "user"
    epochs: int
    freq: int
    allow_worse: int
    seed: int
    device: str
    published_quirks: bool
    gradient_norms: bool
    checkpoint_every: int
    checkpoint_path: str | None
    data_parallel: bool = False
    tf32: bool = False
    best_epoch_: int
    history_: list[dict[str, float]]

    @abstractmethod
    def _check_family(self) -> None:
        """Check the parameters that only this family has."""

    @abstractmethod
    def _numbers(self, profiles: Csr) -> int:
        """Numbers that are learned."""

    @abstractmethod
    def _players(self, profiles: Csr) -> "Players":
        """Networks and optimisers; imports torch."""

    def _check_params(self) -> None:
        self._check_family()
        for name in ("epochs", "freq"):
            check_int(name, getattr(self, name), 1)
        for name in ("allow_worse", "checkpoint_every"):
            check_int(name, getattr(self, name), 0)
        check_int("seed", self.seed, 0, 2**63 - 1)
        for name in ("published_quirks", "gradient_norms", "data_parallel", "tf32"):
            check_bool(name, getattr(self, name))
        if not isinstance(self.device, str) or not _DEVICE.fullmatch(self.device):
            raise ValueError(
                f'device must be "auto", "cpu", "cuda" or "cuda:<number>", not {self.device!r}'
            )
        if self.checkpoint_path is not None and not isinstance(self.checkpoint_path, str):
            raise TypeError(f"checkpoint_path must be a string, not {self.checkpoint_path!r}")
        if self.checkpoint_every and self.checkpoint_path is None:
            raise ValueError(
                f"checkpoint_every is {self.checkpoint_every}, but checkpoint_path names no file"
            )

    def _fit(self, urm: Csr, validation: Csr | None, report: Report) -> Scorer:
        # Only here, so that saved models work without torch.
        import torch

        from ganmf_fast.gan.checkpoint import Checkpoint
        from ganmf_fast.gan.trainer import Schedule

        profiles = urm.transpose() if self.mode == "item" else urm
        # A weight, its gradient and two moments, four bytes each.
        need, name = 16 * self._numbers(profiles), type(self).__name__
        check_memory(need, name, "lower the sizes of its networks")
        try:
            players = self._players(profiles)
        except torch.cuda.OutOfMemoryError:
            raise MemoryError(
                f"{name} needs {need / 2**30:.1f} GiB for parameters, gradients and moments, more "
                "than the GPU has left; lower the sizes of its networks, or train on the CPU"
            ) from None
        if self.data_parallel:
            players.ranks.check_alike(self._config(urm, validation))
        checkpoint = None
        if self.checkpoint_every and self.checkpoint_path is not None:
            config = self._config(urm, validation)
            checkpoint = Checkpoint(Path(self.checkpoint_path), self.checkpoint_every, config)
        check = None
        if validation is not None:
            held_out = validation

            def check(scorer: Scorer) -> float:
                return map_at_5(scorer, urm, held_out)

        schedule = Schedule(self.epochs, self.freq, self.allow_worse)
        outcome = players.run(schedule, check, checkpoint, report)
        self.history_ = outcome.history
        self.best_epoch_ = outcome.best_epoch
        if self.published_quirks and validation is not None:
            self.best_epoch_ = max(1, outcome.epochs_run - self.freq * self.allow_worse + 1)
        return players.scorer()

    def _config(self, urm: Csr, validation: Csr | None) -> dict[str, Any]:
        """All that decides the weights."""
        params = {k: v for k, v in self.get_params(deep=False).items() if k not in _BESIDE}
        held_out = None if validation is None else fingerprint(validation)
        return {
            "model": type(self).__name__,
            **params,
            "data": fingerprint(urm),
            "validation": held_out,
        }

    def _check_ints(self, *names: str, low: int = 1) -> None:
        for name in names:
            check_int(name, getattr(self, name), low)

    def _check_rates(self, *names: str) -> None:
        for name in names:
            check_real(name, getattr(self, name), above=0.0)

    def _check_reals(self, *names: str, high: float = float("inf")) -> None:
        for name in names:
            check_real(name, getattr(self, name), 0.0, high)
