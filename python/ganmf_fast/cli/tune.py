"""``ganmf tune``."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from rich.console import Console

from ganmf_fast.base.files import written_whole
from ganmf_fast.cli.common import (
    Common,
    begin,
    load_torch_threads,
    print_json,
    print_table,
    say,
)
from ganmf_fast.cli.models import given_params
from ganmf_fast.cli.source import DataName, Source
from ganmf_fast.experiments.variants import ROWS
from ganmf_fast.models import model_class
from ganmf_fast.split import Splits, paper_protocol
from ganmf_fast.tuning import TuningResult
from ganmf_fast.tuning import tune as search
from ganmf_fast.tuning.runs import RunIndex
from ganmf_fast.tuning.search import best_of, in_words
from ganmf_fast.tuning.trackers.base import Ending, Study, Tracker
from ganmf_fast.tuning.trial import Trial

__all__ = ["JOURNAL", "Index", "Lines", "tune"]

JOURNAL = "journal.jsonl"
"""Name of the journal in the folder of a search."""

Index = Annotated[
    Path | None, Parameter(help="File of the index of runs. Default: one for the user.")
]

_NO_COMMON, _NO_SOURCE = Common(), Source()
_FAILED, _SOME_FAILED = 1, 4
# What is asked for when a model is run, not found by a search.
_NOT_FOUND = ("seed", "device")


def tune(
    model: Annotated[str, Parameter(help="Row of the paper's table, such as GANMF-u, or a model.")],
    *,
    data: DataName,
    output: Annotated[Path, Parameter(help="Folder of the search; it goes on from what is there.")],
    calls: Annotated[int, Parameter(help="Trials in all.")] = 50,
    initial: Annotated[int, Parameter(help="Of these drawn at random.")] = 10,
    seed: Annotated[int, Parameter(help="Of the search, of the model, and of a split.")] = 1337,
    metric: Annotated[str, Parameter(help="What is maximised on validation.")] = "map",
    k: Annotated[int, Parameter(name="--k", help="Its cutoff.")] = 5,
    backend: Annotated[
        str, Parameter(help='"skopt", "published" (the authors\' search), "optuna" or "random".')
    ] = "skopt",
    executor: Annotated[
        str, Parameter(help='Where trials run: "local", or "ray" for the cluster of RAY_ADDRESS.')
    ] = "local",
    workers: Annotated[int, Parameter(help="Trials at a time.")] = 1,
    space: Annotated[
        Path | None, Parameter(help="TOML file with ranges of your own: [ItemKNN] ...")
    ] = None,
    param: Annotated[
        tuple[str, ...],
        Parameter(help="NAME=VALUE that is not searched; can be given again.", negative=""),
    ] = (),
    mask: Annotated[
        Literal["fitted", "known"],
        Parameter(help="Leave out of lists what was fitted, or early_stop as well."),
    ] = "fitted",
    ties: Annotated[
        Literal["index", "published"],
        Parameter(help="Order of equal scores: by item number, or as in the paper's lists."),
    ] = "index",
    first: Annotated[
        tuple[str, ...],
        Parameter(
            help="A point to try before all others, NAME=VALUE,NAME=VALUE; can be given again.",
            negative="",
        ),
    ] = (),
    moved: Annotated[
        bool,
        Parameter(help="Go on from a journal of another machine or of other versions."),
    ] = False,
    device: Annotated[str | None, Parameter(help='"cpu", "cuda" or "auto", for GANs.')] = None,
    final: Annotated[
        bool, Parameter(help="Fit the best parameters on train and measure them on test.")
    ] = True,
    tracker: Annotated[
        tuple[str, ...],
        Parameter(help='"mlflow" or "tensorboard"; can be given again.', negative=""),
    ] = (),
    index: Index = None,
    source: Source = _NO_SOURCE,
    common: Common = _NO_COMMON,
) -> int:
    """Search hyper-parameters by the paper's protocol, then fit the best on train.

    It can be interrupted and run again; finished trials are not run twice.
    """
    begin(common)
    name, fixed = _row(model)
    cls = model_class(name)
    fixed |= given_params(cls, param)
    if device is not None:
        if "device" not in cls().get_params():
            raise ValueError(f"{model} has no device")
        fixed["device"] = device
    if cls.iterative:
        load_torch_threads(common)
    opened = source.open(data)
    splits = opened if isinstance(opened, Splits) else paper_protocol(opened, seed)
    trackers: list[Tracker | str] = [RunIndex(index), Lines(), *tracker]
    try:
        result = search(
            name,
            splits,
            n_calls=calls,
            n_initial=initial,
            seed=seed,
            metric=metric,
            k=k,
            backend=backend,
            executor=executor,
            n_workers=workers,
            space=space,
            fixed=fixed,
            journal=output / JOURNAL,
            mask=mask,
            ties=ties,
            trackers=trackers,
            moved=moved,
            first=[given_params(cls, point.split(","), "first") for point in first],
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"; finished trials are kept in {output / JOURNAL}, the same command goes on from there"
        ) from None
    if best_of(result.history) is None:
        say(f"none of {len(result.history)} trials is done: {result.history[0].reason}")
        return _FAILED
    document = _document(model, result, final)
    _write(output / "result.json", document)
    found = {k: v for k, v in result.best_params.items() if k not in _NOT_FOUND}
    _write(output / "best.json", {model: found})
    if common.json:
        print_json(document)
    else:
        _show(document)
    say(f"{JOURNAL}, result.json and best.json (for reproduce --params) are in {output}")
    return _SOME_FAILED if result.n_failed else 0


def _row(name: str) -> tuple[str, dict[str, Any]]:
    """Model and fixed parameters of a row of the table, or of a model by its own name."""
    for row in ROWS:
        if row.name == name and not row.params_of:
            return row.model, dict(row.fixed)
    model_class(name)  # suggests a name
    return name, {}


class Lines:
    """A line for each finished trial, where no bar can be shown."""

    def __init__(self) -> None:
        self._trials: list[Trial] = []
        self._n_calls = self._earlier = 0
        self._started = 0.0
        self._on = not Console(stderr=True).is_terminal

    def begin(self, study: Study, earlier: Sequence[Trial]) -> None:
        """See `Tracker`."""
        self._n_calls, self._trials = study.n_calls, list(earlier)
        self._earlier, self._started = len(earlier), time.monotonic()
        if earlier:
            say(f"going on after {len(earlier)} finished trials")

    def trial(self, trial: Trial) -> None:
        """See `Tracker`."""
        self._trials.append(trial)
        if not self._on:
            return
        n = len(self._trials)
        what = trial.status if trial.value is None else f"{trial.value:.4f}"
        if trial.reason:
            what += f" ({trial.reason})"
        each = (time.monotonic() - self._started) / (n - self._earlier)
        left = _duration(each * max(self._n_calls - n, 0))
        best = in_words(best_of(self._trials)) or "no best yet"
        say(f"[{n}/{self._n_calls}] trial {trial.number}: {what}; {best}; {left} left")

    def end(self, ending: Ending) -> None:
        """See `Tracker`."""


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


def _document(model: str, result: TuningResult, final: bool) -> dict[str, Any]:
    header = dict(result.study.header)
    statuses = [trial.status for trial in result.history]
    document = {
        "model": model,
        "dataset": header["dataset"],
        "metric": header["metric"],
        "best_value": result.best_value,
        "best_params": result.best_params,
        "best_trial": result.best_trial.number,
        "trials": {status: statuses.count(status) for status in ("done", "pruned", "failed")},
        "seconds": sum(trial.seconds for trial in result.history),
        "test": result.final.test.to_dict() if final else None,
        "search": header,
    }
    plain: dict[str, Any] = json.loads(json.dumps(document))
    return plain


def _write(path: Path, content: Mapping[str, Any]) -> None:
    with written_whole(path) as part:
        part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _show(document: Mapping[str, Any]) -> None:
    rows = [(name, value) for name, value in document["best_params"].items()]
    rows.append((f"{document['metric']} on validation", document["best_value"]))
    if document["test"] is not None:
        for k, metrics in document["test"].items():
            rows += [(f"{m}@{k} on test", metrics[m]) for m in ("map", "ndcg", "recall")]
    title = f"{document['model']} on {document['dataset']}: trial {document['best_trial']}"
    print_table(title, ("best", "value"), [(name, _text(value)) for name, value in rows])


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
