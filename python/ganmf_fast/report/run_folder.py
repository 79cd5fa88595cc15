"""The folder of a run as a report needs it: what can be read, and what cannot and why.

Folders may come from anyone and may be old, incomplete or damaged: nothing in them is trusted
before it is checked, nothing is run, and no part that cannot be read keeps the others from it.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganmf_fast import reference
from ganmf_fast.base.text import shown
from ganmf_fast.experiments.variants import VARIANTS
from ganmf_fast.report.run_record import (
    MOST_RECORDS,
    RunRecord,
    file_content,
    read_records,
    texts,
)
from ganmf_fast.results import document
from ganmf_fast.results.document import DamagedError
from ganmf_fast.results.result_table import Entry, ResultTable, Run
from ganmf_fast.results.search import JOURNAL, SearchRecord, read_search

_DEEPEST = 3


@dataclass(frozen=True)
class Problem:
    """A part that is missing."""

    where: str
    """File or folder, from the folder of the run."""
    what: str
    """What is wrong with it, and what the report lacks for that."""


@dataclass(frozen=True)
class ExperimentFolder:
    """One experiment on one data set."""

    path: str
    """Its folder, from that of the run; empty if it is the same."""
    comparison: ResultTable
    records: tuple[RunRecord, ...]
    config: Mapping[str, Any]
    """The content of ``config.json``, unchecked; empty if it cannot be read."""

    def records_of(self, entry: Entry) -> list[RunRecord]:
        """The records behind an entry, by seed."""
        found = [record for record in self.records if record.row == entry.model]
        # Groups of users are points that no record knows.
        exact = [record for record in found if record.point == entry.point]
        return sorted(exact or found, key=lambda record: -1 if record.seed is None else record.seed)


@dataclass(frozen=True)
class RunFolder:
    """All that a run left."""

    name: str
    experiments: tuple[ExperimentFolder, ...]
    searches: tuple[SearchRecord, ...] = ()
    problems: tuple[Problem, ...] = ()


def open_run(folder: Path) -> RunFolder:
    """Read the folder of one experiment or search, or of several in folders of their own.

    Raises
    ------
    ValueError
        If there is no such folder, or nothing of an experiment or a search in it.
    """
    if not folder.is_dir():
        raise ValueError(f"run must be the folder of a run, and {shown(str(folder), 400)} is none")
    problems: list[Problem] = []
    places = list(_folders(folder, _DEEPEST))
    experiments = [_experiment(folder, p, problems) for p in places if _has_experiment(p)]
    found = [_search(folder, p, problems) for p in places if (p / JOURNAL).is_file()]
    searches = [search for search in found if search is not None]
    if not experiments and not searches:
        raise ValueError(
            "run must hold results of ganmf reproduce or ganmf tune, and "
            f"{shown(str(folder), 400)} holds neither models/ nor comparison.json nor a "
            f"config.json with models nor a {JOURNAL} that can be read"
        )
    there = {experiment.path for experiment in experiments}
    problems += [
        Problem(name, "has not been run")
        for name in _names(folder / "config.json", "experiments")
        if name not in there
    ]
    return RunFolder(folder.resolve().name, tuple(experiments), tuple(searches), tuple(problems))


def _folders(folder: Path, depth: int) -> Iterator[Path]:
    """A folder and those in it, in order, but not the parts of an experiment."""
    yield folder
    if depth:
        inner = [Path(e.path) for e in os.scandir(folder) if e.is_dir(follow_symlinks=False)]
        for path in sorted(inner):
            if not path.name.startswith(".") and path.name != "models":
                yield from _folders(path, depth - 1)


def _has_experiment(folder: Path) -> bool:
    return (
        (folder / "models").is_dir()
        or (folder / "comparison.json").is_file()
        # One that was stopped before its first model was finished.
        or bool(_names(folder / "config.json", "models"))
    )


def _place(root: Path, folder: Path) -> str:
    path = folder.relative_to(root)
    return "" if path == Path() else path.as_posix()


def _search(root: Path, folder: Path, problems: list[Problem]) -> SearchRecord | None:
    path = _place(root, folder)
    where = f"{path}/{JOURNAL}".lstrip("/")
    try:
        return read_search(
            path,
            file_content(folder / JOURNAL),
            lambda what: problems.append(Problem(where, what)),
        )
    except ValueError as error:
        problems.append(Problem(where, f"{_said(error)}: the search is not shown"))
        return None


def _experiment(root: Path, folder: Path, problems: list[Problem]) -> ExperimentFolder:
    where = _place(root, folder)

    def missing(name: str, what: str) -> None:
        problems.append(Problem(f"{where}/{name}".lstrip("/"), what))

    config: dict[str, Any] = {}
    try:
        config = document.table(document.plain(file_content(folder / "config.json")), "config")
    except ValueError as error:
        missing(
            "config.json",
            f"{_said(error)}: data set, hardware and the models that were asked for are not known",
        )
    # Table 1 counts, and fits nothing.
    counted = config.get("experiment") == "table1" and not (folder / "models").exists()
    records = () if counted else tuple(read_records(folder / "models", missing))
    comparison = None
    try:
        comparison = document.read(file_content(folder / "comparison.json"))
    except ValueError as error:
        missing(
            "comparison.json",
            f"{_said(error)}: the figures are those of models/, without the conclusions drawn "
            "from them; the same command of ganmf reproduce, run again, writes it anew",
        )
    if comparison is None:
        comparison = _from_records(records, config)
    else:
        known = {(e.model, e.point, r.seed) for e in comparison.entries for r in e.runs}
        known |= {(model, None, seed) for model, _, seed in known}
        for record in records:
            if record.done and (record.row, record.point, record.seed) not in known:
                missing(f"models/{record.name}", "finished after comparison.json was written")
    models = folder / "models"
    run = {path.name for path in models.iterdir() if path.is_dir()} if models.is_dir() else set()
    for name in _names(folder / "config.json", "models"):
        if name not in run:
            missing(f"models/{name:.80}", "has not been run")
    for record in records:
        if not record.done:
            missing(f"models/{record.name}", f"failed: {record.reason}")
    return ExperimentFolder(where, comparison, records, config)


def _names(config: Path, field_name: str) -> list[str]:
    """Folders that the configuration of a run says there should be; none if it cannot be read."""
    try:
        found = document.table(document.plain(file_content(config)), "config").get(field_name)
    except ValueError:
        return []
    names = list(found)[:MOST_RECORDS] if isinstance(found, dict | list) else []
    return [name for name in names if isinstance(name, str) and name and Path(name).name == name]


def _said(error: Exception) -> str:
    return f"damaged ({error})" if isinstance(error, DamagedError) else str(error)


def _from_records(records: tuple[RunRecord, ...], config: Mapping[str, Any]) -> ResultTable:
    """The figures of the records, with what was published for the rows of table 2."""
    about = config.get("dataset")
    dataset = about if isinstance(about, dict) else {}
    data_hash, name = (texts(dataset).get(word, "") for word in ("hash", "name"))
    simulated = dataset.get("simulated") is True
    known = reference.published_dataset(data_hash, name, simulated=simulated)
    experiment = texts(config).get("experiment", "")
    order = {row.name: number for number, row in enumerate(VARIANTS)}
    places = sorted(
        dict.fromkeys((record.row, record.point) for record in records),
        key=lambda place: (order.get(place[0], len(order)), place[0], place[1] or 0.0),
    )
    entries = []
    for row, point in places:
        mine = [record for record in records if (record.row, record.point) == (row, point)]
        runs = [Run(c.seed, dict(c.values), dict(c.cost)) for c in mine if c.done]
        published = experiment in ("table2", "table3") and known is not None
        entries.append(
            Entry(
                row,
                tuple(sorted(runs, key=lambda run: run.seed or 0)),
                reference.published_figures(known, row) if published and known else {},
                dict(mine[0].given),
                mine[0].source,
                "; ".join(dict.fromkeys(record.reason for record in mine if record.reason)),
                point,
                another_split=published and reference.dataset_of(data_hash) is None,
            )
        )
    keys = dict.fromkeys(key for record in records for key in record.values)
    cutoffs = tuple(sorted({k for _, k in keys if k is not None}))
    usual = [(metric, k) for k in cutoffs for metric in ("map", "ndcg") if (metric, k) in keys]
    return ResultTable(
        dataset=name or "data that are not named",
        simulated=simulated,
        splits=texts(dataset).get("splits", ""),
        cutoffs=cutoffs,
        entries=tuple(entries),
        columns=tuple(usual or list(keys)[:4]),
        title=experiment or "Comparison",
        experiment=experiment,
        chart="lines" if any(point is not None for _, point in places) else "bars",
        axis=texts(config).get("axis", "")
        or ("point" if any(point is not None for _, point in places) else ""),
    )
