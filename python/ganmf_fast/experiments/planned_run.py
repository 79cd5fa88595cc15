"""One model with one seed: its configuration, its fit and its measurement."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import NamedTuple

from ganmf_fast.base.errors import reason
from ganmf_fast.experiments import environment
from ganmf_fast.experiments.environment import measured
from ganmf_fast.experiments.run_specs import RunSpec
from ganmf_fast.gan.base import GANRecommender
from ganmf_fast.models.base import Recommender
from ganmf_fast.models.early_stopping import stopped_epochs
from ganmf_fast.results.store import Record
from ganmf_fast.split import Splits

Log = Callable[[str], None]
Values = dict[str, float]
Files = dict[str, bytes]


class Point(NamedTuple):
    """A variant at a point of a figure: runs that differ in their seeds alone."""

    row: str
    point: float | None


@dataclass(frozen=True)
class PlannedRun:
    """A run that is kept as a whole or not at all."""

    spec: RunSpec
    seed: int | None
    device: str
    config: Record
    """Everything that decides the figures."""

    @property
    def arguments(self) -> Record:
        """Arguments of the constructor, with seed and device where the model has them."""
        params = dict(self.spec.params)
        if "device" in self.spec.signature:
            params["device"] = self.device
        if self.seed is not None:
            params["seed"] = self.seed
        return params

    @property
    def name(self) -> str:
        """Name of its folder, such as ``"GANMF-u@0.2-1337"``."""
        point = "" if self.spec.point is None else f"@{_short(self.spec.point)}"
        seed = "" if self.seed is None else f"-{self.seed}"
        return f"{self.spec.variant.name}{point}{seed}"

    @property
    def point(self) -> Point:
        """Runs that it is averaged with."""
        return Point(self.spec.variant.name, self.spec.point)

    @property
    def description(self) -> Record:
        """The part of its record that is known before it is run."""
        return {
            "row": self.spec.variant.name,
            "point": self.spec.point,
            "seed": self.seed,
            "config": self.config,
            "source": self.spec.source,
            "params": self.spec.params,
        }

    def run(self, splits: Splits, measure: "Measure", log: Log) -> tuple[Record, Files]:
        """Fit and measure; returns the record, also of a failure, and the files beside it.

        A model whose number of epochs is not given determines it first, fitted on ``train_small``
        and stopped early on ``early_stop``; then it is fitted on ``train``.
        """
        try:
            result, files = self._fit_and_measure(splits, measure, log)
        except Exception as error:
            return {**self.description, "status": "failed", "reason": reason(error)}, {}
        versions = environment.versions()
        return {**self.description, "status": "done", **result, "versions": versions}, files

    def _fit_and_measure(
        self, splits: Splits, measure: "Measure", log: Log
    ) -> tuple[Record, Files]:
        params = self.arguments
        build = self.spec.variant.make
        if isinstance(build, type) and issubclass(build, GANRecommender):
            resolve_name(build.module)  # or the first GAN would have the time and memory of torch
        found: Record = {}
        histories: dict[str, list[Record]] = {}
        with measured() as fit:
            if self.spec.stops_early:
                search = build(**params).fit(splits.train_small, validation=splits.early_stop)
                best = {"epochs": 1} | stopped_epochs(search)
                best = {name: max(1, n) for name, n in best.items()}
                params |= best
                found |= {f"{name}_found": n for name, n in best.items()}
                histories["search"] = getattr(search, "history_", [])
                log(f"{self.name}: best epoch {best['epochs']}, fitting on train")
            model = build(**params).fit(splits.train)
        histories["final"] = getattr(model, "history_", [])
        with measured() as measuring:
            found["values"], files = measure(self.spec, model)
        if any(histories.values()):
            files["history.json"] = json.dumps(histories).encode()
        found["cost"] = {
            "fit_seconds": fit.seconds,
            "fit_peak_mib": fit.peak_mib,
            "evaluate_seconds": measuring.seconds,
            "evaluate_peak_mib": measuring.peak_mib,
        }
        if fit.extra_mib is not None:
            found["cost"]["fit_extra_mib"] = fit.extra_mib
        return found, files


def _short(point: float) -> str:
    """A number in six digits, or in as many as it has."""
    text = f"{point:g}"
    return text if float(text) == point else repr(float(point))


Measure = Callable[[RunSpec, Recommender], tuple[Values, Files]]
"""Figures of a fitted model, and the files that go with them."""
