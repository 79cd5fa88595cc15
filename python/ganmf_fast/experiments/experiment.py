"""What the experiments of the paper share: cells in a folder, done one after the other.

Protocol: fit on ``train``, measure on ``test``. A model whose number of epochs is not given finds
it first, fitting on ``train_small`` and stopping early on ``early_stop``, and is then fitted on
``train`` with the best epoch, as the paper does. A finished cell is kept, whatever becomes of the
rest; tables are written anew after each.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ganmf_fast import models, reference
from ganmf_fast.evaluation import Evaluation, evaluate
from ganmf_fast.evaluation.result import PER_USER
from ganmf_fast.evaluation.significance import compare_values
from ganmf_fast.experiments import environment
from ganmf_fast.experiments.environment import measured
from ganmf_fast.experiments.variants import QUICK_EPOCHS, ROWS, Plan, Row, plans, select
from ganmf_fast.models import model_class
from ganmf_fast.models.base import Recommender
from ganmf_fast.results.document import to_json
from ganmf_fast.results.result_table import (
    Chart,
    Comparison,
    Entry,
    Key,
    Run,
    heading,
    key_of,
    shown,
)
from ganmf_fast.results.store import FORMAT, ConflictError, Record, Store, difference, npz
from ganmf_fast.results.tables import summary_csv, to_csv, to_latex, to_markdown
from ganmf_fast.split import Splits

__all__ = [
    "Cell",
    "Chart",
    "Experiment",
    "Files",
    "Place",
    "Say",
    "Values",
    "published_dataset",
    "write_tables",
]

Say = Callable[[str], None]
Values = dict[str, float]
Files = dict[str, bytes]

# Of the runs that are still to come, those that are named; there may be a thousand.
_NAMED = 3


def published_dataset(splits: Splits) -> str | None:
    """Published data set that these splits belong to: by their content, else by their name."""
    found = reference.dataset_of(splits.data_hash)
    if found is None and splits.name in reference.dataset_names() and not splits.simulated:
        return splits.name
    return found


@dataclass(frozen=True)
class Place:
    """A row at a point: what seeds are averaged over."""

    row: str
    point: float | None


@dataclass(frozen=True)
class Cell:
    """One model with one seed: what is done as a whole, or not at all."""

    plan: Plan
    seed: int | None
    config: Record
    """All that decides the figures."""

    @property
    def name(self) -> str:
        """Name of its folder, such as ``"GANMF-u@0.2-1337"``."""
        point = "" if self.plan.point is None else f"@{self.plan.point:g}"
        seed = "" if self.seed is None else f"-{self.seed}"
        return f"{self.plan.row.name}{point}{seed}"


class Experiment:
    """Models side by side on one data set, in one folder.

    Parameters
    ----------
    splits : Splits
    plans : sequence of Plan
        Models with their parameters and, in a figure, their points.
    store : Store
        Where results lie; finished models found there are not run again.
    seeds : sequence of int
        Models with a random choice are run once with each.
    cutoffs : sequence of int, default (5, 20)
    device : str, default "auto"
        For models that have the parameter.
    split_note : str, optional
        How the data were split, for data that are not the published splits.
    quick : bool, default False
        Few epochs; everything that is written says so.
    reuse : sequence of Store
        Folders of other experiments, from which finished models of exactly the same configuration
        are taken over.
    say : callable, optional
        Called with a line of text when something has happened.

    Raises
    ------
    ConflictError
        If the folder holds a finished model of another configuration.
    """

    name: ClassVar[str] = ""
    title: ClassVar[str] = ""
    axis: ClassVar[str] = ""
    chart: ClassVar[Chart] = "bars"
    rows: ClassVar[tuple[str, ...]] = ()
    """What belongs to it."""
    quick_rows: ClassVar[tuple[str, ...]] = ()
    """What is left of them in a quick run, if not all."""
    extra: ClassVar[Record] = {}
    """What cells measure, where it is something else than metrics of lists."""

    def __init__(
        self,
        splits: Splits,
        plans: Sequence[Plan],
        store: Store,
        seeds: Sequence[int],
        cutoffs: Sequence[int] = (5, 20),
        device: str = "auto",
        split_note: str = "",
        quick: bool = False,
        reuse: Sequence[Store] = (),
        say: Say = lambda _text: None,
    ) -> None:
        self._splits = splits
        self.store = store
        self._cutoffs = tuple(sorted(cutoffs))
        self._device = device
        self._quick = quick
        self._reuse = reuse
        self._say = say
        self._dataset = published_dataset(splits)
        exact = reference.dataset_of(splits.data_hash) is not None
        self._split_note = "the splits published by the authors" if exact else split_note
        self._plans = [plan.quick() for plan in plans] if quick else list(plans)
        self._cells = [
            Cell(plan, seed, self._config(plan, seed))
            for plan in self._plans
            for seed in (seeds if plan.seeded else [None])
        ]
        self._refuse_conflicts()

    @classmethod
    def default_rows(cls, *, quick: bool) -> list[Row]:
        """Rows that are run if none are named."""
        return select(cls.quick_rows if quick and cls.quick_rows else cls.rows)

    @classmethod
    def default_points(cls, splits: Splits, *, quick: bool) -> tuple[float, ...]:
        """Points that are run if none are named."""
        del splits, quick
        return ()

    @staticmethod
    def plans(rows: Sequence[Row], dataset: str | None, points: Sequence[float]) -> list[Plan]:
        """What is run for these rows at these points, with the parameters of table 2."""
        del points
        return plans(rows, dataset)

    # What an experiment may do in its own way --------------------------------------------------

    def _measure(self, cell: Cell, model: Recommender) -> tuple[Values, Files]:
        """Figures of a fitted model, and the files that go with them."""
        evaluation = evaluate(
            model,
            self._splits.train,
            self._splits.test,
            self._cutoffs,
            ties=cell.plan.ties,
        )
        values = {f"{m}@{k}": evaluation[m, k] for m in evaluation.metrics for k in self._cutoffs}
        return values, {"per_user.npz": npz(_per_user(evaluation))}

    def _published(self, place: Place) -> tuple[dict[Key, float], dict[Key, float]]:
        """Published figures of a row at a point: those to compare with, and those not to."""
        known = {row.name: row.published for row in ROWS}
        if self._dataset is None or not known.get(place.row, False):
            return {}, {}
        figures = reference.published(self._dataset, place.row) or {}
        older = reference.older_ndcg(self._dataset, place.row)
        return (
            {(m, k): v for k in self._cutoffs for m, v in figures.get(k, {}).items()},
            {("ndcg", k): v for k, v in older.items() if k in self._cutoffs},
        )

    def _why(self, row: str) -> str:
        """Known reason why figures of a row differ from the published ones."""
        return next((known.why for known in ROWS if known.name == row), "")

    def _cut(self, row: str) -> str:
        """What a quick run has taken from a row, if anything."""
        iterative = any(r.name == row and model_class(r.model).iterative for r in ROWS)
        return f"quick run: at most {QUICK_EPOCHS} epochs" if self._quick and iterative else ""

    def _columns(self) -> tuple[Key, ...]:
        """Metrics shown in tables."""
        return tuple((metric, k) for k in self._cutoffs for metric in ("map", "ndcg"))

    def comparison(self) -> Comparison:
        """What the folder holds now."""
        entries = self._entries()
        return replace(self._frame(), entries=tuple(entries))

    # Cells -------------------------------------------------------------------------------------

    @property
    def dataset(self) -> str:
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
            "quick": self._quick,
            **self.extra,
        }
        # As it will be read back.
        stored: Record = json.loads(json.dumps(config))
        return stored

    def _refuse_conflicts(self) -> None:
        """Results that differ in data, cutoffs or parameters never share a folder."""
        shared = {key: self._cells[0].config[key] for key in ("data", "cutoffs", "quick")}
        wanted = {(cell.plan.row.name, cell.plan.point): cell.config for cell in self._cells}
        for record in self.store.records().values():
            if record["status"] != "done":
                continue
            stored = record["config"]
            now = {**stored, **shared}
            if (record["row"], record["point"]) in wanted:
                now = dict(wanted[record["row"], record["point"]])
                if "seed" in now["params"]:
                    # More seeds may join.
                    now["params"] = {**now["params"], "seed": stored["params"].get("seed")}
            found = difference(stored, now)
            if found is not None:
                raise ConflictError(
                    f"{self.store.folder} holds {record['row']} of a run with {found}: choose "
                    "another output folder, or the earlier settings"
                )

    def run(self) -> Comparison:
        """Run what is not finished yet, writing tables after each model.

        Returns
        -------
        Comparison
            Also of models that earlier runs left in the folder.

        Raises
        ------
        ConflictError
            If the folder holds another experiment.
        RuntimeError
            If another process is writing to it.
        """
        with self.store.locked(self.name):
            self._write_config()
            for number, cell in enumerate(self._cells, start=1):
                place = f"[{number}/{len(self._cells)}] {cell.name}"
                record = self.store.read(cell.name)
                if record is not None and record["status"] == "done":
                    self._say(f"{place}: finished earlier")
                    continue
                self._say(f"{place} ...")
                self._say(f"{place}: {self._take_over(cell) or self._run(cell)}")
                self._write_tables()
            comparison = self._write_tables()
            # Once more, for what is known only now, such as a device that was used.
            self._write_config()
        return comparison

    def _take_over(self, cell: Cell) -> str:
        """Copy the same model from another experiment, if one has it; say from where."""
        for store in self._reuse:
            name = store.find(cell.config)
            record = None if name is None else store.read(name)
            if name is not None and record is not None:
                record |= self._facts(cell)
                self.store.write(cell.name, record, store.files(name))
                return f"taken over from {store.folder}"
        return ""

    def _facts(self, cell: Cell) -> Record:
        """What a record says of its cell, beside what came out."""
        return {
            "row": cell.plan.row.name,
            "point": cell.plan.point,
            "seed": cell.seed,
            "config": cell.config,
            "source": cell.plan.source,
            "params": cell.plan.params,
        }

    def _run(self, cell: Cell) -> str:
        """Do a cell and say what came out."""
        record = self._facts(cell)
        try:
            result, files = self._fit_and_measure(cell)
        except Exception as error:
            reason = _reason(error)
            self.store.write(cell.name, record | {"status": "failed", "reason": reason}, {})
            return f"failed, {reason}"
        record |= {"status": "done", **result, "versions": environment.versions()}
        self.store.write(cell.name, record, files)
        return self._outcome(record)

    def _fit_and_measure(self, cell: Cell) -> tuple[Record, Files]:
        splits = self._splits
        params = dict(cell.plan.params)
        if "device" in cell.plan.signature:
            params["device"] = self._device
        if cell.seed is not None:
            params["seed"] = cell.seed
        # Looked up as a user would, so that a missing extra is named.
        build = getattr(models, cell.plan.row.model)
        found: Record = {}
        histories: dict[str, list[Record]] = {}
        with measured() as fit:
            if cell.plan.stops_early:
                search = build(**params).fit(splits.train_small, validation=splits.early_stop)
                params["epochs"] = found["epochs_found"] = _best_epoch(search)
                histories["search"] = getattr(search, "history_", [])
                self._say(f"{cell.name}: best epoch {params['epochs']}, fitting on train")
            model = build(**params).fit(splits.train)
        histories["final"] = getattr(model, "history_", [])
        with measured() as measuring:
            found["values"], files = self._measure(cell, model)
        if any(histories.values()):
            files["history.json"] = json.dumps(histories).encode()
        found["cost"] = {
            "fit_seconds": fit.seconds,
            "fit_peak_mib": fit.peak_mib,
            "evaluate_seconds": measuring.seconds,
            "evaluate_peak_mib": measuring.peak_mib,
        }
        return found, files

    def _outcome(self, record: Record) -> str:
        key, cost = self._columns()[0], record["cost"]
        values = {key_of(text): value for text, value in record["values"].items()}
        published = self._published(Place(record["row"], record["point"]))[0].get(key)
        beside = "" if published is None else f" (published {published:.4f})"
        figure = f"{heading(key)} {shown(key, values[key])}{beside}, " if key in values else ""
        return f"{figure}fit {cost['fit_seconds']:.1f} s, evaluate {cost['evaluate_seconds']:.1f} s"

    # What is written ---------------------------------------------------------------------------

    def _quick_note(self) -> str:
        return f"at most {QUICK_EPOCHS} epochs, and fewer points" if self._quick else ""

    def _frame(self) -> Comparison:
        """The comparison without its entries."""
        return Comparison(
            self.dataset,
            self._splits.simulated,
            self._split_note,
            self._cutoffs,
            (),
            self._columns(),
            title=self.title,
            experiment=self.name,
            quick=self._quick_note(),
            axis=self.axis,
            chart=self.chart,
        )

    def _entries(self) -> list[Entry]:
        records = self.store.records()
        done: dict[Place, list[Record]] = {}
        for record in records.values():
            done.setdefault(Place(record["row"], record["point"]), []).append(record)
        planned = {Place(plan.row.name, plan.point): plan for plan in self._plans}
        order = {row.name: number for number, row in enumerate(ROWS)}
        places = sorted(
            {*done, *planned}, key=lambda p: (order.get(p.row, 0), p.row, p.point or 0.0)
        )
        entries = []
        for place in places:
            missing = [
                cell.name
                for cell in self._cells
                if Place(cell.plan.row.name, cell.plan.point) == place and cell.name not in records
            ]
            entries.append(self._entry(place, planned.get(place), done.get(place, []), missing))
        return entries

    def _entry(
        self, place: Place, plan: Plan | None, records: list[Record], missing: list[str]
    ) -> Entry:
        runs, problems = [], [f"{name} has not been run" for name in missing[:_NAMED]]
        if len(missing) > _NAMED:
            problems.append(f"nor have {len(missing) - _NAMED:,} more")
        for record in sorted(records, key=lambda r: (r["seed"] is not None, r["seed"])):
            if record["status"] != "done":
                problems.append(record["reason"])
                continue
            values = {key_of(text): value for text, value in record["values"].items()}
            runs.append(Run(record["seed"], values, record["cost"]))
        source = plan.source if plan else records[0]["source"]
        params = dict(plan.params if plan else records[0]["params"])
        epochs = sorted({r["epochs_found"] for r in records if "epochs_found" in r})
        if epochs:
            params["epochs"] = epochs[0] if len(epochs) == 1 else epochs
            source += ", epochs by early stopping"
        published, incomparable = self._published(place)
        return Entry(
            place.row,
            tuple(runs),
            published,
            params,
            source,
            "; ".join(dict.fromkeys(problems)),
            place.point,
            incomparable,
            self._cut(place.row) or self._why(place.row),
        )

    def _significance(self, comparison: Comparison) -> dict[Key, dict[str, float]]:
        """For each column: model -> p-value of its difference from the best, after Holm.

        The values of a user are means over the seeds.
        """
        names = {f"{metric}@{k}": (metric, k) for metric, k in comparison.columns}
        values: dict[Key, dict[str, list[NDArray[np.float64]]]] = {
            key: {} for key in names.values()
        }
        for name, record in self.store.records().items():
            for text, array in self.store.arrays(name, keys=names).items():
                values[names[text]].setdefault(record["row"], []).append(array)
        found = {}
        for key, users in values.items():
            best = [e.model for e in comparison.entries if comparison.rank(e, *key) == 1]
            if len(best) == 1 and best[0] in users and len(users) > 1:
                means = {model: np.mean(arrays, axis=0) for model, arrays in users.items()}
                pairs = compare_values(means, best[0])
                found[key] = dict(zip(pairs["a"], pairs["t_p_holm"], strict=True))
        return found

    def _write_tables(self) -> Comparison:
        comparison = self.comparison()
        write_tables(self.store, comparison)
        return comparison

    def _write_config(self) -> None:
        splits = self._splits
        config = {
            "format": FORMAT,
            "experiment": self.name,
            "axis": self.axis or None,
            "dataset": {
                "name": self.dataset,
                "simulated": splits.simulated,
                "splits": self._split_note,
                "hash": splits.data_hash,
                "users": splits.n_users,
                "items": splits.n_items,
                "interactions": splits.n_interactions,
            },
            "cutoffs": list(self._cutoffs),
            "quick": self._quick,
            "device": self._device,
            "models": {
                cell.name: {
                    "row": cell.plan.row.name,
                    "point": cell.plan.point,
                    "params": cell.config["params"],
                    "source": cell.plan.source,
                    "seed": cell.seed,
                }
                for cell in self._cells
            },
            "environment": environment.describe(),
        }
        self.store.write_text("config.json", json.dumps(config, indent=1) + "\n")


def write_tables(store: Store, comparison: Comparison) -> None:
    """Write a comparison in every form that tables have."""
    store.write_text("results.csv", to_csv(comparison))
    store.write_text("summary.csv", summary_csv(comparison))
    store.write_text("table.md", to_markdown(comparison))
    store.write_text("table.tex", to_latex(comparison))
    store.write_text("comparison.json", to_json(comparison))


def _best_epoch(model: Recommender) -> int:
    return max(1, int(getattr(model, "best_epoch_", 1)))


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, ImportError | ValueError | ArithmeticError | MemoryError):
        return text
    return f"{type(error).__name__}: {text}"


def _per_user(evaluation: Evaluation) -> Mapping[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {"users": np.asarray(evaluation.users)}
    for metric in evaluation.metrics:
        if metric in PER_USER:
            for k in evaluation.cutoffs:
                arrays[f"{metric}@{k}"] = evaluation.per_user(metric, k)
    return arrays
