"""Searches of hyper-parameters as a report needs them, read from their journals.

A journal is lines of JSON: what is searched, then a line for each trial. What is read may come from
anyone and is checked as that of other runs; a line that is damaged costs its trial alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ganmf_fast.results import document
from ganmf_fast.results.document import DamagedError
from ganmf_fast.tuning.dependence import partial_dependence
from ganmf_fast.tuning.journal import parse_journal
from ganmf_fast.tuning.spaces import Dimension, Space, searched
from ganmf_fast.tuning.trial import Trial, best_of

JOURNAL = "journal.jsonl"

_MOST_TRIALS = 2000
# A Gaussian process takes the cube of their number.
_MOST_MODELLED = 300


@dataclass(frozen=True)
class SearchRecord:
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
        return best_of(self.trials)

    @property
    def label(self) -> str:
        """What is searched, on what, and in which folder if there may be others."""
        where = f" ({self.path})" if self.path else ""
        return f"{self.model} on {self.dataset}{where}"


def read_search(path: str, content: str | bytes, missing: Callable[[str], None]) -> SearchRecord:
    """A search from the content of its journal.

    Parameters
    ----------
    path : str
        See `SearchRecord`.
    content : str or bytes
    missing : callable
        Called with a phrase for each line that cannot be read.

    Raises
    ------
    ValueError
        If it is no journal, one of another format, or its header is damaged.
    """
    lines = content.encode() if isinstance(content, str) else content
    header, trials = parse_journal(lines, "it", missing)
    if len(trials) > _MOST_TRIALS:
        missing(f"has {len(trials)} trials, of which {_MOST_TRIALS} are shown")
    return search_record(header, trials[:_MOST_TRIALS], path)


def search_record(
    header: Mapping[str, Any], trials: Sequence[Trial], path: str = ""
) -> SearchRecord:
    """A search from the header of its journal and its trials.

    Raises
    ------
    ValueError
        If the header is damaged.
    """
    try:
        space = Space.resolve(document.table(header.get("space"), "space"), {}, (0, 0))
    except TypeError as error:
        raise DamagedError(str(error)) from None
    return SearchRecord(
        path=path,
        header=header,
        model=document.text(header, "model"),
        dataset=document.text(header, "dataset"),
        metric=document.text(header, "metric"),
        backend=document.text(header, "backend"),
        n_initial=document.whole(header.get("n_initial", 0), "n_initial"),
        space={name: dim for name, dim in space.effective.items() if searched(dim)},
        trials=tuple(trials),
    )


def best_so_far(trials: Sequence[Trial]) -> list[float]:
    """The best value up to each of some trials that are done."""
    found: list[float] = []
    for trial in trials:
        value = trial.value or 0.0
        found.append(max(found[-1], value) if found else value)
    return found


def improvements(search: SearchRecord) -> int:
    """How often a trial was better than all before."""
    return sum(b > a for a, b in pairwise(best_so_far(search.done)))


def dependence(search: SearchRecord) -> dict[str, tuple[list[Any], list[float]]]:
    """What each parameter does by itself, as a Gaussian process over the trials sees it.

    Returns
    -------
    dict of (points, values)
        Empty where there are too few trials or very many, or scikit-optimize is not installed.
    """
    if not 2 <= len(search.done) <= _MOST_MODELLED or not search.space:
        return {}
    seen = [
        ({name: trial.params[name] for name in search.space}, trial.value or 0.0)
        for trial in search.done
        if all(dim.height(trial.params.get(name)) is not None for name, dim in search.space.items())
    ]
    try:
        return partial_dependence(search.space, seen)
    except (ImportError, ValueError):
        return {}
