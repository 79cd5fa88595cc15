"""The paper's comparison (its table 2): every model on one data set, with the published figures.

Protocol: fit on ``train``, measure on ``test``. A model whose number of epochs is not given finds
it first, fitting on ``train_small`` and stopping early on ``early_stop``, and is then fitted on
``train`` with the best epoch, as the paper does. One model after the other; a finished one is
kept, whatever becomes of the rest.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganmf_fast import models, reference
from ganmf_fast.errors import ConflictError, difference, reason
from ganmf_fast.evaluation import Evaluation, evaluate
from ganmf_fast.evaluation.result import PER_USER
from ganmf_fast.experiments import environment
from ganmf_fast.experiments.environment import measured
from ganmf_fast.experiments.rows import ROWS, Plan
from ganmf_fast.experiments.store import Record, Store
from ganmf_fast.models.base import Recommender
from ganmf_fast.report.comparison import Comparison, Entry, Run
from ganmf_fast.report.tables import to_csv, to_latex, to_markdown
from ganmf_fast.split import Splits

__all__ = ["Table2", "published_dataset"]

Say = Callable[[str], None]


def published_dataset(splits: Splits) -> str | None:
    """Published data set that these splits belong to: by their content, else by their name."""
    found = reference.dataset_of(splits.data_hash)
    if found is None and splits.name in reference.dataset_names() and not splits.simulated:
        return splits.name
    return found


@dataclass(frozen=True)
class _Cell:
    """One model with one seed."""

    plan: Plan
    seed: int | None
    config: Record
    """All that decides the figures."""

    @property
    def name(self) -> str:
        return self.plan.row.name if self.seed is None else f"{self.plan.row.name}-{self.seed}"


class Table2:
    """The comparison on one data set, in one folder.

    Parameters
    ----------
    splits : Splits
    plans : sequence of Plan
        Models with their parameters.
    store : Store
        Where results lie; finished models found there are not run again.
    seeds : sequence of int
        Models with a random choice are run once with each.
    cutoffs : sequence of int, default (5, 20)
    device : str, default "auto"
        For models that have the parameter.
    split_note : str, optional
        How the data were split, for data that are not the published splits.
    say : callable, optional
        Called with a line of text when something has happened.

    Raises
    ------
    ConflictError
        If the folder holds a finished model of another configuration.
    """

    def __init__(
        self,
        splits: Splits,
        plans: Sequence[Plan],
        store: Store,
        seeds: Sequence[int],
        cutoffs: Sequence[int] = (5, 20),
        device: str = "auto",
        split_note: str = "",
        say: Say = lambda _text: None,
    ) -> None:
        self._splits = splits
        self._store = store
        self._cutoffs = tuple(sorted(cutoffs))
        self._device = device
        self._say = say
        self._dataset = published_dataset(splits)
        exact = reference.dataset_of(splits.data_hash) is not None
        self._split_note = "the splits published by the authors" if exact else split_note
        self._plans = list(plans)
        self._cells = [
            _Cell(plan, seed, self._config(plan, seed))
            for plan in plans
            for seed in (seeds if plan.seeded else [None])
        ]
        self._refuse_conflicts()

    @property
    def name(self) -> str:
        """Name of the data set."""
        return self._dataset or self._splits.name

    def _config(self, plan: Plan, seed: int | None) -> Record:
        params = {**plan.signature, **plan.params}
        if "device" in params:
            params["device"] = self._device
        if plan.stops_early:
            params["epochs"] = f"at most {params['epochs']}, stopped early"
        if seed is not None:
            params["seed"] = seed
        config = {
            "data": self._splits.data_hash,
            "cutoffs": list(self._cutoffs),
            "ties": plan.ties,
            "model": plan.row.model,
            "params": params,
        }
        # As it will be read back.
        stored: Record = json.loads(json.dumps(config))
        return stored

    def _refuse_conflicts(self) -> None:
        """Results that differ in data, cutoffs or parameters never share a folder."""
        shared = {key: self._cells[0].config[key] for key in ("data", "cutoffs")}
        wanted = {cell.plan.row.name: cell.config for cell in self._cells}
        for record in self._store.records().values():
            if record["status"] != "done":
                continue
            stored = record["config"]
            now = {**stored, **shared}
            if record["row"] in wanted:
                now = dict(wanted[record["row"]])
                if "seed" in now["params"]:
                    # More seeds may join.
                    now["params"] = {**now["params"], "seed": stored["params"].get("seed")}
            found = difference(stored, now)
            if found is not None:
                raise ConflictError(
                    f"{self._store.folder} holds {record['row']} of a run with {found}: choose "
                    "another output folder, or the earlier settings"
                )

    def run(self) -> Comparison:
        """Run what is not finished yet, writing tables after each model.

        Returns
        -------
        Comparison
            Also of models that earlier runs left in the folder.
        """
        with self._store.locked():
            self._write_config()
            for number, cell in enumerate(self._cells, start=1):
                place = f"[{number}/{len(self._cells)}] {cell.name}"
                record = self._store.read(cell.name)
                if record is not None and record["status"] == "done":
                    self._say(f"{place}: finished earlier")
                    continue
                self._say(f"{place} ...")
                record = self._run(cell)
                self._say(f"{place}: {self._outcome(record)}")
                self._write_tables()
            comparison = self._write_tables()
            # Once more, for what is known only now, such as a device that was used.
            self._write_config()
        return comparison

    def _run(self, cell: _Cell) -> Record:
        record: Record = {"row": cell.plan.row.name, "seed": cell.seed, "config": cell.config}
        record |= {"source": cell.plan.source, "params": cell.plan.params}
        try:
            result, evaluation = self._fit_and_evaluate(cell)
        except Exception as error:
            record |= {"status": "failed", "reason": reason(error)}
            self._store.write(cell.name, record, None)
            return record
        values = {f"{m}@{k}": evaluation[m, k] for m in evaluation.metrics for k in self._cutoffs}
        record |= {
            "status": "done",
            **result,
            "values": values,
            "versions": environment.versions(),
        }
        self._store.write(cell.name, record, _per_user(evaluation))
        return record

    def _fit_and_evaluate(self, cell: _Cell) -> tuple[Record, Evaluation]:
        splits = self._splits
        params = dict(cell.plan.params)
        if "device" in cell.plan.signature:
            params["device"] = self._device
        if cell.seed is not None:
            params["seed"] = cell.seed
        # Looked up as a user would, so that a missing extra is named.
        build = getattr(models, cell.plan.row.model)
        found: Record = {}
        with measured() as fit:
            if cell.plan.stops_early:
                search = build(**params).fit(splits.train_small, validation=splits.early_stop)
                params["epochs"] = found["epochs_found"] = _best_epoch(search)
                self._say(f"{cell.name}: best epoch {params['epochs']}, fitting on train")
            model = build(**params).fit(splits.train)
        with measured() as evaluating:
            evaluation = evaluate(
                model, splits.train, splits.test, self._cutoffs, ties=cell.plan.ties
            )
        found["cost"] = {
            "fit_seconds": fit.seconds,
            "fit_peak_mib": fit.peak_mib,
            "evaluate_seconds": evaluating.seconds,
            "evaluate_peak_mib": evaluating.peak_mib,
        }
        return found, evaluation

    def _outcome(self, record: Mapping[str, Any]) -> str:
        if record["status"] != "done":
            return f"failed, {record['reason']}"
        k, cost = self._cutoffs[0], record["cost"]
        published = self._published(record["row"]).get(("map", k))
        beside = "" if published is None else f" (published {published:.4f})"
        return (
            f"MAP@{k} {record['values'][f'map@{k}']:.4f}{beside}, "
            f"fit {cost['fit_seconds']:.1f} s, evaluate {cost['evaluate_seconds']:.1f} s"
        )

    def _published(self, row: str) -> dict[tuple[str, int], float]:
        known = {r.name: r.published for r in ROWS}
        if self._dataset is None or not known.get(row, False):
            return {}
        figures = reference.published(self._dataset, row) or {}
        return {(m, k): v for k in self._cutoffs for m, v in figures.get(k, {}).items()}

    def comparison(self) -> Comparison:
        """What the folder holds now."""
        records = self._store.records()
        by_row: dict[str, list[Record]] = {}
        for record in records.values():
            by_row.setdefault(record["row"], []).append(record)
        planned = {plan.row.name: plan for plan in self._plans}
        entries = []
        for row in ROWS:
            if row.name in planned or row.name in by_row:
                missing = [
                    cell.name
                    for cell in self._cells
                    if cell.plan.row.name == row.name and cell.name not in records
                ]
                plan = planned.get(row.name)
                entries.append(self._entry(row.name, plan, by_row.get(row.name, []), missing))
        return Comparison(
            self.name, self._splits.simulated, self._split_note, self._cutoffs, tuple(entries)
        )

    def _entry(
        self, row: str, plan: Plan | None, records: list[Record], missing: list[str]
    ) -> Entry:
        runs, problems = [], [f"{name} has not been run" for name in missing]
        for record in sorted(records, key=lambda r: (r["seed"] is not None, r["seed"])):
            if record["status"] != "done":
                problems.append(record["reason"])
                continue
            values = {}
            for key, value in record["values"].items():
                metric, _, k = key.partition("@")
                values[metric, int(k)] = value
            runs.append(Run(record["seed"], values, record["cost"]))
        source = plan.source if plan else records[0]["source"]
        params = dict(plan.params if plan else records[0]["params"])
        epochs = sorted({r["epochs_found"] for r in records if "epochs_found" in r})
        if epochs:
            params["epochs"] = epochs[0] if len(epochs) == 1 else epochs
            source += ", epochs by early stopping"
        problem = "; ".join(dict.fromkeys(problems))
        return Entry(row, tuple(runs), self._published(row), params, source, problem)

    def _write_tables(self) -> Comparison:
        comparison = self.comparison()
        self._store.write_text("results.csv", to_csv(comparison))
        self._store.write_text("table.md", to_markdown(comparison))
        self._store.write_text("table.tex", to_latex(comparison))
        return comparison

    def _write_config(self) -> None:
        splits = self._splits
        config = {
            "experiment": "table2",
            "dataset": {
                "name": self.name,
                "simulated": splits.simulated,
                "splits": self._split_note,
                "hash": splits.data_hash,
                "users": splits.n_users,
                "items": splits.n_items,
                "interactions": splits.n_interactions,
            },
            "cutoffs": list(self._cutoffs),
            "device": self._device,
            "models": {
                cell.name: {
                    "params": cell.config["params"],
                    "source": cell.plan.source,
                    "seed": cell.seed,
                }
                for cell in self._cells
            },
            "environment": environment.describe(),
        }
        self._store.write_text("config.json", json.dumps(config, indent=1) + "\n")


def _best_epoch(model: Recommender) -> int:
    return max(1, int(getattr(model, "best_epoch_", 1)))


def _per_user(evaluation: Evaluation) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {"users": np.asarray(evaluation.users)}
    for metric in evaluation.metrics:
        if metric in PER_USER:
            for k in evaluation.cutoffs:
                arrays[f"{metric}@{k}"] = evaluation.per_user(metric, k)
    return arrays
