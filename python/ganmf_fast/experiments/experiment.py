"""Base of the paper's experiments: planned runs in a folder, carried out one after the other.

Protocol: fit on ``train``, evaluate on ``test``; see `PlannedRun.run` for the number of epochs. A
finished run is kept even if a later one fails, and the tables are rewritten after each.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ganmf_fast import reference
from ganmf_fast.base.errors import ConflictError, DataError, difference
from ganmf_fast.evaluation import Evaluation, evaluate
from ganmf_fast.evaluation.significance import compare_values
from ganmf_fast.experiments import environment
from ganmf_fast.experiments.planned_run import Files, Log, PlannedRun, Point, Values
from ganmf_fast.experiments.run_specs import QUICK_EPOCHS, RunSpec, run_specs
from ganmf_fast.experiments.variants import VARIANTS, ModelVariant, select
from ganmf_fast.results.result_table import (
    PUBLISHED_SPLITS,
    Chart,
    Entry,
    Key,
    ResultTable,
    Run,
    heading,
    key_of,
    shown,
)
from ganmf_fast.results.store import FORMAT, Record, Store, npz
from ganmf_fast.results.tables import write_tables
from ganmf_fast.scorers.metrics import PER_USER
from ganmf_fast.split import Splits
from ganmf_fast.tuning.trackers.base import Ending, Study, Trackers
from ganmf_fast.tuning.trial import Trial

# Missing runs that are listed by name; there may be a thousand.
_NAMED = 3


def _name_of(key: Key) -> str:
    """A figure's name that every tracking server takes: ``"map_at_5"``."""
    metric, k = key
    return metric if k is None else f"{metric}_at_{k}"


def published_dataset(splits: Splits) -> str | None:
    """Published data set that these splits belong to: by their content, else by their name."""
    return reference.published_dataset(splits.data_hash, splits.name, simulated=splits.simulated)


class Experiment:
    """Models side by side on one data set, in one folder.

    Parameters
    ----------
    splits : Splits
    specs : sequence of RunSpec
        Variants with their parameters and, in a figure, their points.
    store : Store
        Folder of the results; finished runs found there are not run again.
    seeds : sequence of int
        Models with a random choice are run once with each.
    cutoffs : sequence of int, default (5, 20)
    device : str, default "auto"
        For models that have the parameter.
    split_note : str, optional
        How the data were split, for data that are not the published splits.
    quick : bool, default False
        Few epochs; every file written says so.
    reuse : sequence of Store
        Folders of other experiments; their finished runs of exactly the same configuration are
        copied.
    log : callable, optional
        Called with a line of text on each event.

    Raises
    ------
    ConflictError
        If the folder holds a finished run of another configuration.
    """

    name: ClassVar[str] = ""
    title: ClassVar[str] = ""
    axis: ClassVar[str] = ""
    chart: ClassVar[Chart] = "bars"
    rows: ClassVar[tuple[str, ...]] = ()
    """Names of its variants."""
    quick_rows: ClassVar[tuple[str, ...]] = ()
    """Those of a quick run, if not all."""
    of_the_paper: ClassVar[bool] = True
    """Whether it belongs to a whole run."""
    options: ClassVar[tuple[str, ...]] = ("models",)
    """Options of `reproduce` that it has, beside those of every experiment."""
    extra: ClassVar[Record] = {}
    """What its runs measure, where that is not metrics of top-N lists."""

    def __init__(
        self,
        splits: Splits,
        specs: Sequence[RunSpec],
        store: Store,
        seeds: Sequence[int],
        cutoffs: Sequence[int] = (5, 20),
        device: str = "auto",
        split_note: str = "",
        quick: bool = False,
        reuse: Sequence[Store] = (),
        log: Log = lambda _text: None,
        trackers: Trackers | None = None,
    ) -> None:
        self._trackers = Trackers(()) if trackers is None else trackers
        self._splits = splits
        self.store = store
        self._cutoffs = tuple(sorted(cutoffs))
        self._device = device
        self._quick = quick
        self._reuse = reuse
        self._log = log
        self._dataset = published_dataset(splits)
        self._exact = reference.dataset_of(splits.data_hash) is not None
        self._split_note = PUBLISHED_SPLITS if self._exact else split_note
        self._specs = [spec.quick() for spec in specs] if quick else list(specs)
        self._planned = [
            PlannedRun(spec, seed, device, self._config(spec, seed))
            for spec in self._specs
            for seed in (seeds if spec.seeded else [None])
        ]
        self._refuse_conflicts()

    @classmethod
    def default_rows(cls, *, quick: bool) -> list[ModelVariant]:
        """Variants that are run if none are named."""
        return select(cls.quick_rows if quick and cls.quick_rows else cls.rows)

    @classmethod
    def default_points(cls, splits: Splits, *, quick: bool) -> tuple[float, ...]:
        """Points that are run if none are named."""
        return ()

    @staticmethod
    def run_specs(
        rows: Sequence[ModelVariant], dataset: str | None, points: Sequence[float]
    ) -> list[RunSpec]:
        """Runs of these variants at these points, with the parameters of table 2."""
        return run_specs(rows, dataset)

    @property
    def dataset(self) -> str:
        """Name of the data set."""
        return self._dataset or self._splits.name

    def _measure(self, spec: RunSpec, model: Any) -> tuple[Values, Files]:
        """Figures of a fitted model, and the files that go with them."""
        evaluation = evaluate(
            model, self._splits.known, self._splits.test, self._cutoffs, ties=spec.ties
        )
        values = {f"{m}@{k}": evaluation[m, k] for m in evaluation.metrics for k in self._cutoffs}
        return values, {"per_user.npz": npz(_per_user(evaluation))}

    def _published(self, point: Point) -> tuple[dict[Key, float], dict[Key, float]]:
        """Published figures of a variant at a point: the comparable ones and the others."""
        dataset, cutoffs = self._dataset or "", self._cutoffs
        figures = reference.published_figures(dataset, point.row)
        older = reference.older_ndcg(dataset, point.row)
        return (
            {key: value for key, value in figures.items() if key[1] in cutoffs},
            {("ndcg", k): value for k, value in older.items() if k in cutoffs},
        )

    def _known_difference(self, row: str) -> str:
        """Known reason why figures of a variant differ from the published ones."""
        return next((known.known_difference for known in VARIANTS if known.name == row), "")

    def _quick_change(self, row: str) -> str:
        """What a quick run changes for a variant, if anything."""
        variants = (*VARIANTS, *(spec.variant for spec in self._specs))
        iterative = any(known.name == row and known.iterative for known in variants)
        return f"quick run: at most {QUICK_EPOCHS} epochs" if self._quick and iterative else ""

    def _columns(self) -> tuple[Key, ...]:
        """Metrics shown in tables."""
        return tuple((metric, k) for k in self._cutoffs for metric in ("map", "ndcg"))

    def _config(self, spec: RunSpec, seed: int | None) -> Record:
        """Everything that decides the figures of a run, as it is read back from its record."""
        complete = getattr(spec.variant.known_class, "completed", dict)
        params = complete({**spec.signature, **spec.params})
        if "device" in params:
            params["device"] = self._device
        if spec.stops_early:
            params["epochs"] = f"at most {params['epochs']}, stopped early"
        if seed is not None:
            params["seed"] = seed
        config = {
            "data": self._splits.data_hash,
            "cutoffs": list(self._cutoffs),
            "ties": spec.ties,
            "model": spec.variant.model,
            "params": params,
            "quick": self._quick,
            **self.extra,
        }
        # Defaults of one's own model may be anything.
        stored: Record = json.loads(json.dumps(config, default=repr))
        return stored

    def _refuse_conflicts(self) -> None:
        """Results that differ in data, cutoffs or parameters never share a folder."""
        shared = {key: self._planned[0].config[key] for key in ("data", "cutoffs", "quick")}
        wanted = {run.point: run.config for run in self._planned}
        for record in self.store.records().values():
            if record["status"] != "done":
                continue
            stored = record["config"]
            now = {**stored, **shared}
            point = Point(record["row"], record["point"])
            if point in wanted:
                now = dict(wanted[point])
                if "seed" in now["params"]:
                    # More seeds may join.
                    now["params"] = {**now["params"], "seed": stored["params"].get("seed")}
            found = difference(stored, now)
            if found is not None:
                raise ConflictError(
                    f"{self.store.folder} holds {point.row} of a run with {found}: choose "
                    "another output folder, or the earlier settings"
                )

    def run(self) -> ResultTable:
        """Run what is not finished yet, rewriting the tables after each run.

        Returns
        -------
        ResultTable
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
            with self._tracked() as tell:
                for number, run in enumerate(self._planned, start=1):
                    label = f"[{number}/{len(self._planned)}] {run.name}"
                    if self._is_done(run):
                        self._log(f"{label}: finished earlier")
                        continue
                    self._log(f"{label} ...")
                    self._log(f"{label}: {self._copied(run) or self._run(run)}")
                    write_tables(self.store, self.comparison())
                    tell(number - 1)
            comparison = self.comparison()
            write_tables(self.store, comparison)
            # Once more, for what is known only now, such as a device that was used.
            self._write_config()
        return comparison

    def _is_done(self, run: PlannedRun) -> bool:
        record = self.store.read(run.name)
        return record is not None and record["status"] == "done"

    @contextmanager
    def _tracked(self) -> Iterator[Callable[[int], None]]:
        """Tell trackers of the beginning and the end; what is given tells them of a run."""
        header = {
            "model": self.name,
            "params": {"device": self._device, "quick": self._quick},
            "dataset": self.dataset,
            "data": self._splits.data_hash,
            "metric": _name_of(self._columns()[0]),
            "backend": "reproduce",
            "seed": next((run.seed for run in self._planned if run.seed is not None), None),
        }
        # A file of the folder stands for it: trackers write beside it.
        study = Study(header, len(self._planned), self.store.folder / "config.json")
        earlier = [self._trial(at) for at, run in enumerate(self._planned) if self._is_done(run)]
        self._trackers.begin(study, earlier)
        ending: Ending = "failed"
        try:
            yield lambda at: self._trackers.trial(self._trial(at))
            ending = "done"
        except KeyboardInterrupt:
            ending = "interrupted"
            raise
        finally:
            self._trackers.end(ending)

    def _trial(self, at: int) -> Trial:
        """A finished run, as a search calls it."""
        run = self._planned[at]
        record = self.store.read(run.name) or {"status": "failed", "reason": "it cannot be read"}
        cost = record.get("cost", {})
        fit, evaluate = (cost.get(f"{name}_seconds") or 0.0 for name in ("fit", "evaluate"))
        figures = {
            _name_of(key_of(text)): value for text, value in record.get("values", {}).items()
        }
        value = figures.get(_name_of(self._columns()[0]))
        return Trial(
            at,
            {"run": run.name, **record.get("params", {})},
            record["status"] if value is not None else "failed",
            value=value,
            metrics=figures,
            epochs=record.get("epochs_found"),
            seconds=fit + evaluate,
            fit_seconds=fit,
            seed=record.get("seed"),
            reason=record.get("reason", ""),
        )

    def _copied(self, run: PlannedRun) -> str:
        """Copy the same run from another experiment, if one has it; returns a note on it."""
        for store in self._reuse:
            name = store.find(run.config)
            record = None if name is None else store.read(name)
            if name is not None and record is not None:
                self.store.write(run.name, record | run.description, store.files(name))
                return f"taken over from {store.folder}"
        return ""

    def _run(self, run: PlannedRun) -> str:
        """Carry out a run; returns a note on its result."""
        record, files = run.run(self._splits, self._measure, self._log)
        self.store.write(run.name, record, files)
        if record["status"] == "failed":
            return f"failed, {record['reason']}"
        key, cost = self._columns()[0], record["cost"]
        values = {key_of(text): value for text, value in record["values"].items()}
        published = self._published(run.point)[0].get(key)
        split = "" if self._exact else " on another split"
        beside = "" if published is None else f" (published{split} {published:.4f})"
        figure = f"{heading(key)} {shown(key, values[key])}{beside}, " if key in values else ""
        return f"{figure}fit {cost['fit_seconds']:.1f} s, evaluate {cost['evaluate_seconds']:.1f} s"

    def comparison(self) -> ResultTable:
        """The content of the folder."""
        return ResultTable(
            self.dataset,
            self._splits.simulated,
            self._split_note,
            self._cutoffs,
            tuple(self._entries()),
            self._columns(),
            title=self.title,
            experiment=self.name,
            quick=f"at most {QUICK_EPOCHS} epochs, and fewer points" if self._quick else "",
            axis=self.axis,
            chart=self.chart,
        )

    def _entries(self) -> list[Entry]:
        records = self.store.records()
        found: dict[Point, list[Record]] = {}
        for record in records.values():
            found.setdefault(Point(record["row"], record["point"]), []).append(record)
        planned = {Point(spec.variant.name, spec.point): spec for spec in self._specs}
        order = {row.name: number for number, row in enumerate(VARIANTS)}
        points = sorted(
            {*found, *planned},
            key=lambda p: (order.get(p.row, len(order)), p.row, p.point or 0.0),
        )
        missing: dict[Point, list[str]] = {}
        for run in self._planned:
            if run.name not in records:
                missing.setdefault(run.point, []).append(run.name)
        return [
            self._entry(point, planned.get(point), found.get(point, []), missing.get(point, []))
            for point in points
        ]

    def _entry(
        self, point: Point, spec: RunSpec | None, records: list[Record], missing: list[str]
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
        source = spec.source if spec else records[0]["source"]
        params = dict(spec.params if spec else records[0]["params"])
        for name in ("epochs", "pretrain_epochs"):
            found = sorted({r[f"{name}_found"] for r in records if f"{name}_found" in r})
            if found:
                params[name] = found[0] if len(found) == 1 else found
        if any("epochs_found" in record for record in records):
            source += ", epochs by early stopping"
        published, incomparable = self._published(point)
        return Entry(
            point.row,
            tuple(runs),
            published,
            params,
            source,
            "; ".join(dict.fromkeys(problems)),
            point.point,
            incomparable,
            self._quick_change(point.row) or self._known_difference(point.row),
            another_split=not self._exact and bool(published or incomparable),
        )

    def _significance(self, comparison: ResultTable) -> dict[Key, dict[str, float]]:
        """For each column: model -> p-value of its difference from the best, after Holm.

        The values of a user are means over the seeds.
        """
        names = {f"{metric}@{k}": (metric, k) for metric, k in comparison.columns}
        values: dict[Key, dict[str, list[NDArray[np.float64]]]] = {
            key: {} for key in names.values()
        }
        evaluated: set[int] = set()
        for name, record in self.store.records().items():
            arrays = self.store.per_user(name, self._splits.n_users, names)
            if arrays:
                evaluated.add(len(arrays.pop("users")))
            if len(evaluated) > 1:
                raise DataError(f"{self.store.folder} holds models measured on other users")
            for text, array in arrays.items():
                values[names[text]].setdefault(record["row"], []).append(array)
        found = {}
        for key, users in values.items():
            best = [e.model for e in comparison.entries if comparison.rank(e, *key) == 1]
            if len(best) == 1 and best[0] in users and len(users) > 1:
                means = {model: np.mean(arrays, axis=0) for model, arrays in users.items()}
                pairs = compare_values(means, best[0])
                found[key] = dict(zip(pairs["a"], pairs["t_p_holm"], strict=True))
        return found

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
                run.name: {
                    "row": run.spec.variant.name,
                    "point": run.spec.point,
                    "params": run.config["params"],
                    "source": run.spec.source,
                    "seed": run.seed,
                }
                for run in self._planned
            },
            "environment": environment.describe(),
        }
        self.store.write_text("config.json", json.dumps(config, indent=1) + "\n")


def _per_user(evaluation: Evaluation) -> Mapping[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {"users": np.asarray(evaluation.users)}
    for metric in evaluation.metrics:
        if metric in PER_USER:
            for k in evaluation.cutoffs:
                arrays[f"{metric}@{k}"] = evaluation.per_user(metric, k)
    return arrays
