"""The experiments of the paper by name: what one call runs, shares between them, and draws."""

import importlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from ganmf_fast import reference
from ganmf_fast.base.checks import check_bool, check_choice, check_int, check_real, plain
from ganmf_fast.base.text import one_line, shown
from ganmf_fast.data.interactions import Interactions
from ganmf_fast.experiments import environment
from ganmf_fast.experiments.experiment import Experiment, published_dataset
from ganmf_fast.experiments.figures import Figure4, Figure5, Figure6, Figure7
from ganmf_fast.experiments.planned_run import Log
from ganmf_fast.experiments.run_specs import RunSpec, read_params, run_specs
from ganmf_fast.experiments.table1 import Table1
from ganmf_fast.experiments.table2 import Adversarial, Table2, Table3
from ganmf_fast.experiments.tuned import tuned_params
from ganmf_fast.experiments.variants import ModelVariant, select
from ganmf_fast.results.result_table import ResultTable
from ganmf_fast.results.store import FORMAT, Store
from ganmf_fast.split import Split, Splits, paper_protocol
from ganmf_fast.split.open_data import FileReading, open_data
from ganmf_fast.tuning.trackers.base import Tracker, Trackers

Name = Literal[
    "table1", "table2", "table3", "figure4", "figure5", "figure6", "figure7", "adversarial", "all"
]
"""What can be reproduced."""

NAMES: tuple[str, ...] = get_args(Name)

EXPERIMENTS: dict[str, type[Experiment]] = {
    kind.name: kind for kind in (Table2, Table3, Figure7, Figure5, Figure4, Figure6, Adversarial)
}
"""Those that fit models, in the order of a whole run: later ones share runs of table 2."""

_RUNNING = ("seeds", "device", "quick", "reuse")
_DEFAULTS: dict[str, Any] = {
    "models": None, "params": "published", "n_calls": 50, "cutoffs": (5, 20), "points": None,
    "seeds": 1, "device": "auto", "quick": False, "reuse": (),
}  # fmt: skip


def options_of(experiment: str) -> tuple[str, ...]:
    """Options of `reproduce` that an experiment has, beside data, output and seed."""
    if experiment == Table1.name:
        return ()
    kind = EXPERIMENTS.get(experiment)
    return (*(("models",) if kind is None else kind.options), *_RUNNING)


def reproduce(
    experiment: str,
    data: Any = "demo",
    *,
    output: str | Path,
    models: Sequence[Any] | None = None,
    params: str | Path | Mapping[str, Mapping[str, Any]] = "published",
    n_calls: int = 50,
    cutoffs: Sequence[int] = (5, 20),
    points: Sequence[float] | None = None,
    seed: int = 1337,
    seeds: int = 1,
    device: str = "auto",
    quick: bool = False,
    reuse: Sequence[str | Path] = (),
    data_dir: str | Path | None = None,
    offline: bool = False,
    reading: FileReading | None = None,
    log: Log | None = None,
    trackers: Iterable[Tracker | str] = (),
) -> ResultTable | dict[str, ResultTable]:
    """Run an experiment of the GANMF paper, or one beside it, and write its tables and charts.

    It can be interrupted and called again: finished runs in `output` are not repeated.

    Parameters
    ----------
    experiment : {"table1", "table2", "table3", "figure4", "figure5", "figure6", "figure7", \
            "adversarial", "all"}
        ``"adversarial"`` has the adversarial models of other papers, with their defaults, which no
        figures are published for. ``"all"`` puts each experiment of the paper into a folder of its
        own below `output`, and fits runs that several experiments share once.
    data : str, Path, Splits, Split, Interactions or matrix, default "demo"
        Name of a data set, folder of five splits, file, or data in memory. Whatever is not split
        is split by the paper's protocol; a `Split` is divided as `Splits.from_split` does. Table 1
        also takes a list of these.
    output : str or Path
        Folder of the run.
    models : sequence of str or class, optional
        Names of variants such as ``"GANMF-u"``, or of models, in any case; one's own as a class
        with `fit` and `recommend`, or as ``"package.module:Class"``, which is imported. By default
        all of the experiment.
    params : {"published", "dense", "tuned"}, path or mapping, default "published"
        For tables: the published parameters; those that ``tune(protocol="dense")`` found on the
        paper's data sets, of GANMF those that are best on validation (docs/results/above-ease.md);
        those of a search by the paper's protocol on validation; or variant -> parameters, also from
        a JSON or TOML file. Variants without any are run with defaults; with ``"dense"`` they are
        left out.
    n_calls : int, default 50
        Trials of each variant with ``params="tuned"``.
    cutoffs : sequence of int, default (5, 20)
        For tables.
    points : sequence of float, optional
        For figures 4 and 6: values on the axis; by default those of the paper.
    seed : int, default 1337
        First seed of the models, and seed of the split.
    seeds : int, default 1
        Number of seeds; models without a random choice are run once.
    device : {"auto", "cpu", "cuda"}, default "auto"
        For the GANs.
    quick : bool, default False
        Few epochs and points; every file written says so.
    reuse : sequence of path, optional
        Folders of other runs; their finished runs of the same configuration are copied.
    data_dir : str or Path, optional
        Folder of data sets, see `ganmf_fast.datasets.load`.
    offline : bool, default False
        Never use the network.
    reading : FileReading, optional
        How data that are a file are to be read; by default columns are found by their names.
    log : callable, optional
        Called with a line of text on each event; by default the logger ``ganmf_fast``.
    trackers : iterable of Tracker, "mlflow", "tensorboard", "wandb" or "trackio"
        As for `ganmf_fast.tune`: an experiment is a search to them, and each of its runs a trial.
        "tensorboard" writes to ``tensorboard/`` in the folder of the experiment. Table 1 has no
        runs.

    Returns
    -------
    ResultTable
        For ``"all"`` a dict of them by the name of the experiment.

    Raises
    ------
    ValueError
        If an argument is wrong, or the experiment does not have an option.
    ConflictError
        If `output` holds results of another configuration.
    DataError
        If the data are missing or damaged.
    """
    given: dict[str, Any] = {
        "models": models, "params": params, "n_calls": n_calls, "cutoffs": cutoffs,
        "points": points, "seeds": seeds, "device": device, "quick": quick, "reuse": reuse,
    }  # fmt: skip
    given = _checked(experiment, given | {"seed": seed})
    cutoffs, points, seed, seeds = (given[name] for name in ("cutoffs", "points", "seed", "seeds"))
    params, n_calls = given["params"], given["n_calls"]
    log = logging.getLogger("ganmf_fast").info if log is None else log
    notified = Trackers(trackers)
    several = isinstance(data, list | tuple) and experiment == Table1.name
    opened = [
        _splits(one, seed, data_dir, offline, reading) for one in (data if several else [data])
    ]
    if experiment == Table1.name:
        return Table1([splits for splits, _ in opened], Store(Path(output))).run()
    (splits, note), *_ = opened
    dataset = published_dataset(splits)
    if dataset is not None and reference.dataset_of(splits.data_hash) is None:
        log(
            "these are not the splits that the authors published, so that their figures are "
            f"context only: `ganmf data fetch {dataset} --published-splits` gets those"
        )
    session = _Session(
        splits, note, Path(output), range(seed, seed + seeds), device, quick, _stores(reuse), log,
        notified,
    )  # fmt: skip
    if experiment == "all":
        return session.all(None if models is None else select(models))
    kind = EXPERIMENTS[experiment]
    rows = kind.default_rows(quick=quick) if models is None else select(models)
    if "params" in kind.options:
        if params == "dense":
            rows = _with_dense_params(rows, dataset, by_default=models is None)
        specs = session.with_params(rows, params, n_calls)
    else:
        specs = session.at_points(kind, rows, points)
    table, store = session.run(kind, specs, Store(Path(output)), cutoffs)
    _draw(store, table, log)
    return table


def _with_dense_params(
    rows: Sequence[ModelVariant], dataset: str | None, *, by_default: bool
) -> list[ModelVariant]:
    known = reference.dense_params(dataset or "")
    if not known:
        raise ValueError(
            "params='dense' is for the data sets of the paper, and these are none: search "
            'parameters with tune(protocol="dense"), and give them as a file'
        )
    kept = [row for row in rows if row.name in known]
    if not by_default and len(kept) < len(rows):
        missing = next(row.name for row in rows if row.name not in known)
        raise ValueError(
            f"models has {missing}, of which params='dense' has no parameters for {dataset} "
            f"(it has {', '.join(known)})"
        )
    return kept


def _checked(experiment: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Options as plain values."""
    if experiment not in NAMES:
        raise ValueError(f"experiment must be one of {', '.join(NAMES)}, not {shown(experiment)}")
    points = given["points"]
    if points is not None:
        points = _numbers("points", points, whole=experiment == Figure6.name)
    checked = {
        **given,
        "cutoffs": tuple(map(int, _numbers("cutoffs", given["cutoffs"], whole=True))),
        "points": points,
        "seed": check_int("seed", given["seed"], 0, 2**32 - 1),
        "seeds": check_int("seeds", given["seeds"], 1),
        "n_calls": check_int("n_calls", given["n_calls"], 1),
        "params": _plain_params(given["params"]),
        "quick": check_bool("quick", given["quick"]),
        "device": check_choice("device", given["device"], ("auto", "cpu", "cuda")),
    }
    for name in sorted(given.keys() - {*options_of(experiment), "seed"}):
        if checked[name] is not _DEFAULTS[name] and checked[name] != _DEFAULTS[name]:
            raise ValueError(f"{experiment} has no option {name}")
    if checked["params"] != "tuned" and checked["n_calls"] != _DEFAULTS["n_calls"]:
        raise ValueError(
            f'n_calls is {checked["n_calls"]}, but nothing is searched: give params="tuned" '
            "(--params tuned) as well"
        )
    return checked


def _numbers(name: str, values: Any, *, whole: bool) -> tuple[Any, ...]:
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise TypeError(f"{name} must be a sequence of numbers, not {shown(values)}")
    found = tuple(map(plain, values))
    for value in found:
        number = check_real(name, value)
        if whole and (number < 1 or not number.is_integer()):
            raise ValueError(f"{name} must be whole numbers from 1 on, not {shown(value)}")
    if not found:
        raise ValueError(f"{name} holds no number")
    if len(set(found)) < len(found):
        raise ValueError(f"{name} holds a number twice: {','.join(map(str, found))}")
    return found


def _plain_params(params: Any) -> Any:
    """Parameters by name of the variant, without scalars of NumPy; or what names them."""
    if isinstance(params, str | Path):
        return params
    if not isinstance(params, Mapping):
        raise TypeError(
            'params must be "published", "dense", "tuned", a path or a dict, such as '
            f'{{"EASE-R": {{"l2": 100}}}}, not {shown(params)}'
        )
    for name, values in params.items():
        if not isinstance(values, Mapping):
            raise TypeError(f"params of {shown(name)} must be a dict, not {shown(values)}")
    return {
        name: {key: plain(value) for key, value in values.items()}
        for name, values in params.items()
    }


@dataclass(frozen=True)
class _Session:
    """What the experiments of one call share."""

    splits: Splits
    split_note: str
    output: Path
    seeds: range
    device: str
    quick: bool
    reuse: Sequence[Store]
    log: Log
    trackers: Trackers

    def with_params(
        self,
        rows: Sequence[ModelVariant],
        params: str | Path | Mapping[str, Mapping[str, Any]],
        n_calls: int,
    ) -> list[RunSpec]:
        """Runs with published, tuned or given parameters."""
        dataset = published_dataset(self.splits)
        given: Mapping[str, Mapping[str, Any]] | None = None
        source = "file"
        if params == "dense":
            given = reference.dense_params(dataset or "")
            source = "chosen at the density of use"
        elif params == "tuned":
            folder, source = self.output / "tuning", "tuned on validation"
            with _kept("trials", folder):
                given = tuned_params(
                    rows, self.splits, folder, self.seeds[0], n_calls, self.device, self.log
                )
        elif isinstance(params, Mapping):
            given, source = params, "given"
        elif params != "published":
            given = read_params(Path(params))
        return run_specs(rows, dataset, given, source)

    def at_points(
        self,
        kind: type[Experiment],
        rows: Sequence[ModelVariant],
        points: Sequence[float] | None = None,
    ) -> list[RunSpec]:
        """Runs of an experiment as in the paper, apart from the given rows and points."""
        if points is None:
            points = kind.default_points(self.splits, quick=self.quick)
        return kind.run_specs(rows, published_dataset(self.splits), points)

    def run(
        self,
        kind: type[Experiment],
        specs: Sequence[RunSpec],
        store: Store,
        cutoffs: Sequence[int] = (5, 20),
        others: Sequence[Store] = (),
    ) -> tuple[ResultTable, Store]:
        """Carry out an experiment in its folder."""
        experiment = kind(
            self.splits,
            specs,
            store,
            seeds=self.seeds,
            cutoffs=cutoffs,
            device=self.device,
            split_note=self.split_note,
            quick=self.quick,
            reuse=[*(other for other in others if other is not store), *self.reuse],
            log=self.log,
            trackers=self.trackers,
        )
        simulated = " (simulated data)" if self.splits.simulated else ""
        self.log(f"{experiment.dataset}{simulated}: {one_line(repr(self.splits))}")
        with _kept("models", self.output):
            return experiment.run(), store

    def all(self, wanted: Sequence[ModelVariant] | None) -> dict[str, ResultTable]:
        """Every experiment of the paper, each in a folder of its own."""
        whole = Store(self.output)
        kinds = {name: kind for name, kind in EXPERIMENTS.items() if kind.of_the_paper}
        stores = {name: Store(self.output / name) for name in kinds}
        found = {}
        with whole.locked("all"):
            config = {
                "format": FORMAT,
                "experiment": "all",
                "experiments": [Table1.name, *kinds],
                "quick": self.quick,
                "environment": environment.describe(),
            }
            whole.write_text("config.json", json.dumps(config, indent=1) + "\n")
            self.log(f"== {Table1.name}")
            found[Table1.name] = Table1([self.splits], Store(self.output / Table1.name)).run()
            for name, kind in kinds.items():
                self.log(f"== {name}")
                rows = kind.default_rows(quick=self.quick)
                kept = [row for row in rows if wanted is None or row in wanted]
                if not kept:
                    self.log(f"{name}: none of its models is asked for")
                    continue
                specs = self.at_points(kind, kept)
                found[name], _ = self.run(kind, specs, stores[name], others=list(stores.values()))
            # At the end, so that what draws does not count as memory of later runs.
            for name, store in stores.items():
                if name in found:
                    _draw(store, found[name], self.log)
        return found


@contextmanager
def _kept(what: str, folder: Path) -> Iterator[None]:
    """Add to an interruption what is kept, and where."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"; finished {what} are kept in {folder}, the same command goes on from there"
        ) from None


def _splits(
    data: Any,
    seed: int,
    data_dir: str | Path | None,
    offline: bool,
    reading: FileReading | None,
) -> tuple[Splits, str]:
    """Splits of the data, and a phrase on how they were split."""
    note = "the splits that were given"
    if isinstance(data, str | Path):
        note = f"the splits stored in {Path(data).name}"
        data = open_data(str(data), data_dir, offline, reading)
    if isinstance(data, Split):
        data = Splits.from_split(data, seed)
    if isinstance(data, Splits):
        return data, note
    if not isinstance(data, Interactions):
        data = Interactions.from_matrix(data)
    return paper_protocol(data, seed), f"split here by the paper's protocol with seed {seed}"


def _stores(folders: Sequence[str | Path]) -> list[Store]:
    """The experiments in other runs."""
    stores = []
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise ValueError(
                f"reuse must be folders of runs, but {shown(str(folder), 400)} is none"
            )
        stores += [Store(path.parent) for path in sorted(folder.rglob("models")) if path.is_dir()]
    return stores


def _draw(store: Store, table: ResultTable, log: Log) -> None:
    """Write the charts of a table, if it has any and vl-convert is installed."""
    try:
        files = importlib.import_module("ganmf_fast.results.charts.files")
    except ImportError:
        log('charts are left out, since they need vl-convert: pip install "ganmf-fast[report]"')
        return
    figure = files.table_figure(table)
    if figure is None:
        return
    charts = {f"chart.{kind}": files.rendered(figure, kind) for kind in files.FORMATS}
    with store.locked(table.experiment):
        for name, chart in charts.items():
            store.write_text(name, chart)
