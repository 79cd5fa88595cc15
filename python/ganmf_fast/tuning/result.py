"""The result of a search: its trials, the best of them, and the final model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl

from ganmf_fast.base.notebook import html_table
from ganmf_fast.evaluation import Evaluation
from ganmf_fast.models.base import Recommender
from ganmf_fast.models.early_stopping import stopped_epochs
from ganmf_fast.tuning.protocols import Protocol
from ganmf_fast.tuning.spaces import Params
from ganmf_fast.tuning.trackers.base import Study
from ganmf_fast.tuning.trial import Trial, best_of
from ganmf_fast.tuning.tuned_model import TunedModel

_BEST = 5
"""Trials that a notebook shows."""


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Final:
    """The last step of the protocol: the model with the best parameters, fitted on ``train``."""

    model: Any
    """The fitted model."""
    test: Evaluation | None
    """Its evaluation on ``test``, at cutoffs 5 and 20; None of data without a test."""


class TuningResult:
    """The result of a search.

    Attributes
    ----------
    study : Study
        Description of the search.
    best_params : dict
        All parameters of the best trial that differ from the defaults of the model: searched ones,
        constants, and for an iterative model the best number of epochs, also of pre-training.
        ``Model(**best_params)`` is the model to fit on ``train``.
    best_value : float
        Its value on ``validation``, or the mean over the folds of the protocol "dense".
    best_trial : Trial
        The earliest of equals.
    history : list of Trial
        Every trial, in the order of suggestion.
    final, refitted : Final
        The final model and its evaluation on ``test``; both the same with the protocol "dense".
    """

    def __init__(
        self,
        study: Study,
        history: Sequence[Trial],
        tuned: TunedModel,
        protocol: Protocol,
        stopping: Mapping[str, Any] | None = None,
    ) -> None:
        self.study = study
        self.history = list(history)
        self._tuned = tuned
        self._protocol = protocol
        self._stopping = dict(stopping or {})

    @property
    def best_trial(self) -> Trial:
        """The best trial.

        Raises
        ------
        RuntimeError
            If no trial is done.
        """
        best = best_of(self.history)
        if best is None:
            first = next((t.reason for t in self.history if t.status == "failed"), "none was run")
            raise RuntimeError(f"none of {len(self.history)} trials is done: {first}")
        return best

    @property
    def best_value(self) -> float:
        """Value of the best trial."""
        return self.best_trial.value or 0.0

    @property
    def best_params(self) -> Params:
        """Parameters of the best trial; see the class."""
        best = self.best_trial
        return {**self.study.header["params"], **best.params, **self._taken(best.found_epochs)}

    def _taken(self, epochs: Params) -> Params:
        """What the model has parameters for."""
        known = self._tuned.params
        return {n: value for n, value in epochs.items() if self._tuned.takes_any or n in known}

    @property
    def n_failed(self) -> int:
        """Number of trials that failed."""
        return sum(trial.status == "failed" for trial in self.history)

    @cached_property
    def trials(self) -> pl.DataFrame:
        """One row per trial: number, status, value, searched parameters, epochs, seconds, reason.

        A parameter with the name of one of these columns is prefixed by ``param_``.
        """
        rows = []
        for trial in self.history:
            row: dict[str, Any] = {"number": trial.number, "status": trial.status}
            row["value"] = trial.value
            after = {"epochs": trial.epochs, "seconds": trial.seconds, "reason": trial.reason}
            for name, value in trial.params.items():
                taken = name in row or name in after
                row[f"param_{name}" if taken else name] = value
            rows.append(row | after)
        return pl.DataFrame(rows, infer_schema_length=None)

    @cached_property
    def final(self) -> Final:
        """Model with the best parameters, fitted on ``train`` and evaluated on ``test``.

        Computed at the first access.
        """
        return self._final(self.best_params)

    @cached_property
    def refitted(self) -> Final:
        """As `final`, with the number of epochs determined again on more data.

        The epochs of the best trial were determined on ``train_small``, and GANMF needs more epochs
        for more data (docs/results/epochs.md). Here the model is fitted on ``train_small`` and
        ``validation`` together, stopped early on ``early_stop``, and then fitted on ``train`` for
        as many epochs. For a model without epochs it is `final`.
        """
        best, more = self.best_trial, self._protocol.again()
        if more is None or best.epochs is None or "epochs" not in self.best_params:
            return self.final
        model = self._tuned.make(**{**self.study.header["params"], **best.params})
        rule = self._stopping if isinstance(model, Recommender) else {}
        fitted, early_stop = more
        model.fit(fitted, validation=early_stop, **rule)
        return self._final({**self.best_params, **self._taken(stopped_epochs(model))})

    def _final(self, params: Params) -> Final:
        model = self._tuned.make(**params)
        model.fit(self._protocol.train)
        return Final(model, self._protocol.test(model, self.study.header.get("ties", "index")))

    def _repr_html_(self) -> str:
        """What notebooks show: the best trials, and how many failed."""
        metric = self.study.header["metric"]
        done = sorted(
            (trial for trial in self.history if trial.value is not None),
            key=lambda trial: (-(trial.value or 0.0), trial.number),
        )
        names = list(dict.fromkeys(name for trial in done for name in trial.params))
        rows = [
            (trial.number, trial.value, *(_short(trial.params.get(name, "")) for name in names))
            for trial in done[:_BEST]
        ]
        title = f"Tuning of {self.study.header['model']}: best of {len(self.history)} trials"
        notes = [f"{self.n_failed:,} trials failed"] if self.n_failed else []
        return html_table(title, ("trial", metric, *names), rows, notes)

    def __repr__(self) -> str:
        """The best trial in one line."""
        header = self.study.header
        name = f"Tuning({header['model']}, {len(self.history)} trials"
        best = best_of(self.history)
        if best is None:
            return f"{name}, none done)"
        params = ", ".join(f"{key}={value!r}" for key, value in best.params.items())
        return f"{name}: best {header['metric']} {best.value:.4f} with {params})"
