"""Searches of hyper-parameters as a report needs them, read from their journals.

A journal is lines of JSON: what is searched, then a line for each trial. What is read may come from
anyone and is checked as that of other runs; a line that is damaged costs its trial alone.
"""

import importlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ganmf_fast.report import document
from ganmf_fast.report.document import DamagedError

__all__ = ["JOURNAL", "Dimension", "Search", "Trial", "dependence", "read_search"]

JOURNAL = "journal.jsonl"
FORMAT = 1

_MOST_TRIALS = 2000
_MOST_CHOICES = 100
# A Gaussian process takes the cube of their number.
_MOST_MODELLED = 300


@dataclass(frozen=True)
class Dimension:
    """What a parameter may be: numbers between two, or one of some values."""

    kind: str
    """"int", "real" or "choice"."""
    values: tuple[Any, ...]
    """Least and greatest, or the choices."""
    log: bool = False

    def height(self, value: Any) -> float | None:
        """Place of a value on its axis, from 0 to 1; None if it is none of the axis."""
        if self.kind == "choice":
            at = [str(choice) for choice in self.values]
            return at.index(str(value)) / (len(at) - 1) if str(value) in at else None
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        low, high = self.values
        if not low <= value <= high:
            return None
        scale: Callable[[float], float] = math.log if self.log else float
        return (scale(value) - scale(low)) / (scale(high) - scale(low))


@dataclass(frozen=True)
class Trial:
    """One question of a search and its answer."""

    number: int
    params: Mapping[str, Any]
    status: str
    value: float | None
    epochs: int | None
    seconds: float
    reason: str


@dataclass(frozen=True)
class Search:
    """A search and its trials, in the order of asking."""

    path: str
    """Its folder, from that of the run; empty if it is the same."""
    header: Mapping[str, Any]
    model: str
    dataset: str
    metric: str
    backend: str
    n_initial: int
    space: Mapping[str, Dimension]
    """The parameters that vary."""
    trials: tuple[Trial, ...]

    @property
    def done(self) -> list[Trial]:
        """Trials with a value."""
        return [trial for trial in self.trials if trial.value is not None]

    @property
    def best(self) -> Trial | None:
        """The first of the best trials."""
        return max(self.done, key=lambda trial: trial.value or 0.0, default=None)

    @property
    def label(self) -> str:
        """What is searched, on what, and in which folder if there may be others."""
        where = f" ({self.path})" if self.path else ""
        return f"{self.model} on {self.dataset}{where}"


def read_search(path: str, content: str, missing: Callable[[str], None]) -> Search:
    """A search from the text of its journal.

    Parameters
    ----------
    path : str
        See `Search`.
    content : str
    missing : callable
        Called with a phrase for each line that cannot be read.

    Raises
    ------
    DamagedError
        If it is no journal, or one of another format.
    """
    first, *lines = content.split("\n")
    header = document.table(_json(first), "its first line")
    if header.get("format") != FORMAT:
        raise DamagedError(f"it has format {header.get('format')!r:.20}, and {FORMAT} is known")
    trials: dict[int, Trial] = {}
    for number, line in enumerate(lines[:_MOST_TRIALS], start=2):
        if not line:
            continue
        try:
            trial = _trial(document.table(_json(line), "the line"))
        except DamagedError as error:
            missing(f"line {number} is damaged ({error})")
            continue
        trials[trial.number] = trial
    if len(lines) > _MOST_TRIALS:
        missing(f"has {len(lines)} lines, of which {_MOST_TRIALS} are shown")
    return Search(
        path=path,
        header=header,
        model=document.text(header, "model"),
        dataset=document.text(header, "dataset"),
        metric=document.text(header, "metric"),
        backend=document.text(header, "backend"),
        n_initial=document.whole(header.get("n_initial", 0), "n_initial"),
        space=_space(document.table(header.get("space"), "space")),
        trials=tuple(trials[number] for number in sorted(trials)),
    )


def _json(line: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        raise DamagedError("it is not JSON") from None


def _trial(line: Mapping[str, Any]) -> Trial:
    value, epochs = line.get("value"), line.get("epochs")
    status = document.text(line, "status")
    return Trial(
        document.whole(line.get("number"), "number"),
        document.table(line.get("params"), "params"),
        status,
        document.number(value, "value") if status == "done" else None,
        None if epochs is None else document.whole(epochs, "epochs"),
        document.number(line.get("seconds", 0.0), "seconds"),
        document.text(line, "reason"),
    )


def _space(content: Mapping[str, Any]) -> dict[str, Dimension]:
    found = ((name, _dimension(name, entry)) for name, entry in content.items())
    return {name: dim for name, dim in found if dim is not None and len(dim.values) > 1}


def _dimension(name: str, entry: object) -> Dimension | None:
    if not isinstance(entry, dict):
        return None
    for kind in ("int", "real", "choice"):
        values = entry.get(kind)
        if not isinstance(values, list) or len(values) > _MOST_CHOICES:
            continue
        if kind == "choice":
            if len({str(value) for value in values}) < len(values):
                raise DamagedError(f"space holds a choice of {name:.40} twice")
            return Dimension(kind, tuple(values))
        ends = [document.number(value, "space") for value in values]
        log = entry.get("log") is True
        if len(ends) != 2 or ends[0] >= ends[1] or (log and ends[0] <= 0):
            raise DamagedError(f"space holds no range for {name:.40}")
        return Dimension(kind, tuple(ends), log)
    return None


def best_so_far(trials: Sequence[Trial]) -> list[float]:
    """The best value up to each of some trials that are done."""
    found: list[float] = []
    for trial in trials:
        value = trial.value or 0.0
        found.append(max(found[-1], value) if found else value)
    return found


def improvements(search: Search) -> int:
    """How often a trial was better than all before."""
    return sum(b > a for a, b in pairwise(best_so_far(search.done)))


def dependence(search: Search) -> dict[str, tuple[list[Any], list[float]]]:
    """What each parameter does by itself, as a Gaussian process over the trials sees it.

    Returns
    -------
    dict of (points, values)
        Empty where there are too few trials or very many, or scikit-optimize is not installed.
    """
    if not 2 <= len(search.done) <= _MOST_MODELLED or not search.space:
        return {}
    try:
        backends = importlib.import_module("ganmf_fast.tuning.backends")
        spaces = importlib.import_module("ganmf_fast.tuning.spaces")
        space = {name: _as_searched(spaces, dim) for name, dim in search.space.items()}
        seen = [
            ({name: trial.params[name] for name in space}, trial.value)
            for trial in search.done
            if all(
                dim.height(trial.params.get(name)) is not None for name, dim in search.space.items()
            )
        ]
        found: dict[str, tuple[list[Any], list[float]]] = backends.Skopt.partial_dependence(
            space, seen
        )
    except (ImportError, ValueError):
        return {}
    return found


def _as_searched(spaces: Any, dimension: Dimension) -> Any:
    if dimension.kind == "choice":
        return spaces.Choice(dimension.values)
    low, high = dimension.values
    if dimension.kind == "int":
        return spaces.Int(int(low), int(high), dimension.log)
    return spaces.Real(low, high, dimension.log)
