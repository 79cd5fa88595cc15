"""``ganmf reproduce``."""

import importlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from ganmf_fast.cli.common import (
    Common,
    begin,
    load_torch_threads,
    numbers,
    print_json,
    say,
    show,
)
from ganmf_fast.cli.source import DataName, Source
from ganmf_fast.cli.tune import Lines
from ganmf_fast.data.interactions import Interactions
from ganmf_fast.experiments import environment
from ganmf_fast.experiments.experiment import Experiment, published_dataset
from ganmf_fast.experiments.figures import Figure4, Figure5, Figure6, Figure7
from ganmf_fast.experiments.table1 import Table1
from ganmf_fast.experiments.table2 import Table2, Table3
from ganmf_fast.experiments.tuned import tuned_params
from ganmf_fast.experiments.variants import Plan, Row, plans, read_params, select
from ganmf_fast.models import model_class
from ganmf_fast.results.result_table import Comparison, Entry
from ganmf_fast.results.store import FORMAT, Store
from ganmf_fast.results.tables import terminal_table
from ganmf_fast.split import Splits, paper_protocol

_NO_COMMON, _NO_SOURCE = Common(), Source()
_SOME_FAILED = 4

_KINDS: dict[str, type[Experiment]] = {
    kind.name: kind for kind in (Table2, Table3, Figure7, Figure5, Figure4, Figure6)
}
"""In the order of a whole run: figure 7 looks at models of table 2, and table 3 shares some."""

Output = Annotated[Path, Parameter(help="Folder of the run; finished models found there are kept.")]
Models = Annotated[
    str | None, Parameter(help="Rows, separated by commas; all that belong there by default.")
]
Params = Annotated[
    str,
    Parameter(
        help='"published", "tuned" by the paper\'s protocol on validation, or a JSON or TOML '
        'file: {"ItemKNN-cosine": {"topk": 100}}. Models without any are run with defaults.'
    ),
]
Calls = Annotated[int, Parameter(help="Trials for each model with --params tuned.")]
Cutoffs = Annotated[str, Parameter(help="Lengths of lists, separated by commas.")]
Points = Annotated[
    str | None, Parameter(help="Values on the axis, separated by commas; those of the paper.")
]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Running:
    """Options of every experiment that fits models."""

    seed: Annotated[int, Parameter(help="First seed of models, and seed of a split.")] = 1337
    seeds: Annotated[
        int, Parameter(help="How many seeds; models without a random choice run once.")
    ] = 1
    device: Annotated[str, Parameter(help='"cpu", "cuda" or "auto", for the GANs.')] = "auto"
    quick: Annotated[
        bool,
        Parameter(
            help="Few epochs and points, for a first look: everything written says so.",
            negative="",
        ),
    ] = False
    reuse: Annotated[
        list[Path] | None,
        Parameter(
            help="Folder of another run: its finished models of the same configuration are taken "
            "over. Can be given several times."
        ),
    ] = None

    def __post_init__(self) -> None:
        """Refuse what no experiment can do."""
        if self.seeds < 1:
            raise ValueError(f"seeds must be at least 1, not {self.seeds}")


_NO_RUNNING = Running()


def table1(
    *,
    data: Annotated[
        str, Parameter(help="Data sets as for other commands, separated by commas.")
    ] = "demo",
    output: Output,
    seed: Annotated[int, Parameter(help="Seed of a split.")] = 1337,
    source: Source = _NO_SOURCE,
    common: Common = _NO_COMMON,
) -> int:
    """Sizes and density of data sets."""
    begin(common)
    names = [name.strip() for name in data.split(",")]
    opened = [_splits(source.open(name), seed, name)[0] for name in names]
    return _show([Table1(opened, Store(output)).run()], output, common)


def table2(
    *,
    data: DataName = "demo",
    output: Output,
    models: Models = None,
    params: Params = "published",
    calls: Calls = 50,
    cutoffs: Cutoffs = "5,20",
    running: Running = _NO_RUNNING,
    source: Source = _NO_SOURCE,
    common: Common = _NO_COMMON,
) -> int:
    """The paper's comparison of models, with the published figure and the difference beside ours.

    It can be interrupted and run again; finished models are not run twice.
    """
    session = _Session.open(data, output, running, source, common)
    return _show([session.table("table2", models, params, cutoffs, calls)], output, common)


def table3(
    *,
    data: DataName = "demo",
    output: Output,
    models: Models = None,
    params: Params = "published",
    calls: Calls = 50,
    cutoffs: Cutoffs = "5,20",
    running: Running = _NO_RUNNING,
    source: Source = _NO_SOURCE,
    common: Common = _NO_COMMON,
) -> int:
    """GANMF beside binGANMF, as published and corrected.

    It can be interrupted and run again; finished models are not run twice.
    """
    session = _Session.open(data, output, running, source, common)
    return _show([session.table("table3", models, params, cutoffs, calls)], output, common)


def figure4(
    *,
    data: DataName = "demo",
    output: Output,
    models: Models = None,
    points: Points = None,
    running: Running = _NO_RUNNING,
    source: Source = _NO_SOURCE,
    common: Common = _NO_COMMON,
) -> int:
    """GANMF by the share of feature matching in its generator's loss."""
    return _one_figure("figure4", data, output, models, points, running, source, common)


def figure5(
    *,
    data: DataName = "demo",
    output: Output,
    models: Models = None,
    running: Running = _NO_RUNNING,
    source: Source = _NO_SOURCE,
    common: Common = _NO_COMMON,
) -> int:
    """Likeness of the profiles that GANMF makes, with and without feature matching."""
    return _one_figure("figure5", data, output, models, None, running, source, common)


def figure6(
    *,
    data: DataName = "demo",
    output: Output,
    models: Models = None,
    points: Points = None,
    running: Running = _NO_RUNNING,
    source: Source = _NO_SOURCE,
    common: Common = _NO_COMMON,
) -> int:
    """Factor models by their number of latent factors."""
    return _one_figure("figure6", data, output, models, points, running, source, common)


def figure7(
    *,
    data: DataName = "demo",
    output: Output,
    models: Models = None,
    running: Running = _NO_RUNNING,
    source: Source = _NO_SOURCE,
    common: Common = _NO_COMMON,
) -> int:
    """Models by the length of the users' profiles."""
    return _one_figure("figure7", data, output, models, None, running, source, common)


def all_(
    *,
    data: DataName = "demo",
    output: Output,
    models: Models = None,
    running: Running = _NO_RUNNING,
    source: Source = _NO_SOURCE,
    common: Common = _NO_COMMON,
) -> int:
    """Every table and figure, each in a folder of its own below OUTPUT.

    It can be interrupted and run again; finished models are not run twice, and models that several
    experiments share are fitted once.
    """
    session = _Session.open(data, output, running, source, common)
    wanted = None if models is None else select(_names(models))
    run = Store(output)
    found = []
    with run.locked("all"):
        names = [Table1.name, *_KINDS]
        config = {
            "format": FORMAT,
            "experiment": "all",
            "experiments": names,
            "quick": running.quick,
            "environment": environment.describe(),
        }
        run.write_text("config.json", json.dumps(config, indent=1) + "\n")
        say(f"== {Table1.name}")
        found.append(Table1([session.splits], Store(output / Table1.name)).run())
        stores = [Store(output / name) for name in _KINDS]
        for name, store in zip(_KINDS, stores, strict=True):
            say(f"== {name}")
            rows = _KINDS[name].default_rows(quick=running.quick)
            kept = [row for row in rows if wanted is None or row in wanted]
            if kept:
                found.append(session.figure(name, store, kept, None, stores))
            else:
                say(f"{name}: none of its models is asked for")
    return _show(found, output, common)


@dataclass(frozen=True)
class _Session:
    """What the experiments of one call share."""

    splits: Splits
    note: str
    running: Running
    common: Common
    output: Path

    @classmethod
    def open(
        cls, data: str, output: Path, running: Running, source: Source, common: Common
    ) -> "_Session":
        begin(common)
        splits, note = _splits(source.open(data), running.seed, data)
        return cls(splits, note, running, common, output)

    def table(
        self, name: str, models: str | None, params: str, cutoffs: str, calls: int
    ) -> Comparison:
        """Run one of the tables, whose parameters and cutoffs can be chosen."""
        ks = numbers("cutoffs", cutoffs)
        if min(ks) < 1:
            raise ValueError(f"cutoffs must be at least 1, not {min(ks)}")
        given = None if params in ("published", "tuned") else read_params(Path(params))
        rows = self.rows(name, models)
        origin = "file"
        if params == "tuned":
            origin, given = "tuned on validation", self._tuned(rows, calls)
        chosen = plans(rows, published_dataset(self.splits), given, origin)
        return self._run(name, chosen, Store(self.output), ks)

    def _tuned(self, rows: Sequence[Row], calls: int) -> dict[str, dict[str, Any]]:
        if any(model_class(row.model).iterative for row in rows):
            load_torch_threads(self.common)
        folder, running = self.output / "tuning", self.running
        try:
            return tuned_params(
                rows, self.splits, folder, running.seed, calls, running.device, [Lines()], say
            )
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"; finished trials are kept in {folder}, the same command goes on from there"
            ) from None

    def figure(
        self,
        name: str,
        store: Store,
        rows: Sequence[Row],
        points: str | None,
        others: Sequence[Store] = (),
    ) -> Comparison:
        """Run an experiment as the paper has it, but for the rows and points that are given."""
        kind = _KINDS[name]
        at = (
            kind.default_points(self.splits, quick=self.running.quick)
            if points is None
            else _points(points)
        )
        chosen = kind.plans(rows, published_dataset(self.splits), at)
        return self._run(name, chosen, store, (5, 20), others)

    def rows(self, name: str, models: str | None) -> list[Row]:
        if models is None:
            return _KINDS[name].default_rows(quick=self.running.quick)
        return select(_names(models))

    def _run(
        self,
        name: str,
        chosen: Sequence[Plan],
        store: Store,
        cutoffs: Sequence[int],
        others: Sequence[Store] = (),
    ) -> Comparison:
        if any(model_class(plan.row.model).iterative for plan in chosen):
            load_torch_threads(self.common)
        running = self.running
        elsewhere = [other for other in others if other.folder != store.folder]
        experiment = _KINDS[name](
            self.splits,
            chosen,
            store,
            seeds=range(running.seed, running.seed + running.seeds),
            cutoffs=cutoffs,
            device=running.device,
            split_note=self.note,
            quick=running.quick,
            reuse=[*elsewhere, *_stores(running.reuse or [])],
            say=say,
        )
        simulated = " (simulated data)" if self.splits.simulated else ""
        say(f"{experiment.dataset}{simulated}: {self.splits!r}")
        try:
            comparison = experiment.run()
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"; finished models are kept in {self.output}, the same command goes on from there"
            ) from None
        _draw(store, comparison)
        return comparison


def _one_figure(
    name: str,
    data: str,
    output: Path,
    models: str | None,
    points: str | None,
    running: Running,
    source: Source,
    common: Common,
) -> int:
    session = _Session.open(data, output, running, source, common)
    rows = session.rows(name, models)
    found = session.figure(name, Store(output), rows, points)
    return _show([found], output, common)


def _names(models: str | None) -> list[str] | None:
    return None if models is None else [name.strip() for name in models.split(",")]


def _points(points: str) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in points.split(","))
    except ValueError:
        raise ValueError(f"points must be numbers separated by commas, not {points!r}") from None
    if len(set(found)) < len(found):
        raise ValueError(f"points holds a number twice: {points}")
    return found


def _stores(folders: Sequence[Path]) -> list[Store]:
    """The experiments in other runs."""
    stores = []
    for folder in folders:
        if not folder.is_dir():
            raise ValueError(f"reuse must be folders of runs, but {str(folder)!r} is none")
        stores += [Store(path.parent) for path in sorted(folder.rglob("models")) if path.is_dir()]
    return stores


def _splits(opened: Splits | Interactions, seed: int, data: str) -> tuple[Splits, str]:
    if isinstance(opened, Splits):
        return opened, f"the splits stored in {Path(data).name}"
    return paper_protocol(opened, seed), f"split here by the paper's protocol with seed {seed}"


def _draw(store: Store, comparison: Comparison) -> None:
    """Draw the chart, if there is something to draw and to draw with."""
    try:
        chart = importlib.import_module("ganmf_fast.results.chart")
    except ImportError:
        say('charts are left out, since they need matplotlib: pip install "ganmf-fast[plots]"')
        return
    figure = chart.draw(comparison)
    if figure is not None:
        for kind in chart.FORMATS:
            store.write_text(f"chart.{kind}", chart.rendered(figure, kind))


def _show(found: Sequence[Comparison], output: Path, common: Common) -> int:
    if common.json:
        documents = [_document(comparison, output) for comparison in found]
        print_json(documents[0] if len(documents) == 1 else {"experiments": documents})
    else:
        for comparison in found:
            show(terminal_table(comparison))
    for comparison in found:
        for entry in comparison.entries:
            if entry.problem:
                point = comparison.point_name(entry.point)
                say(f"{entry.model}{f' at {point}' if point else ''}: {entry.problem}")
    say(f"tables, charts and the figures behind them are in {output}")
    return 0 if all(comparison.complete for comparison in found) else _SOME_FAILED


def _document(comparison: Comparison, output: Path) -> dict[str, Any]:
    document = {
        "experiment": comparison.experiment,
        "dataset": comparison.dataset,
        "simulated": comparison.simulated,
        "quick": comparison.quick or None,
        "splits": comparison.splits,
        "output": str(output),
        "complete": comparison.complete,
    }
    if comparison.axis:
        points = [
            {"model": e.model, comparison.axis: e.point, **_model(e)} for e in comparison.entries
        ]
        return document | {"points": points}
    return document | {"models": {entry.model: _model(entry) for entry in comparison.entries}}


def _model(entry: Entry) -> dict[str, Any]:
    return {
        "params": entry.params,
        "source": entry.source,
        "problem": entry.problem or None,
        "seeds": [run.seed for run in entry.runs],
        "metrics": {
            key[0] if key[1] is None else f"{key[0]}@{key[1]}": {
                "value": entry.mean(*key),
                "published": entry.published.get(key),
                "delta": entry.delta(*key),
            }
            for key in (entry.runs[0].values if entry.runs else ())
        },
    }
