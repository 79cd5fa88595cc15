"""A comparison as a JSON document, from which it can be read again.

What is read may come from anyone: types are checked, numbers are finite, texts are short and hold
no control characters.
"""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar, get_args

from ganmf_fast.base import json_files
from ganmf_fast.base.text import printable, shown
from ganmf_fast.results.result_table import (
    PUBLISHED_SPLITS,
    Chart,
    Entry,
    Key,
    ResultTable,
    Run,
    key_of,
)

FORMAT = 1
"""Version of the document."""

_TEXT = 500
_MANY = 5000

_RANKED: tuple[Literal["all", "point", "none"], ...] = ("all", "point", "none")
_CHARTS = get_args(Chart)

T = TypeVar("T")
W = TypeVar("W", bound=str)


class DamagedError(ValueError):
    """What was read is not what it should be; the message is a phrase that says where."""


def to_json(comparison: ResultTable) -> str:
    """The comparison, all but its heatmaps, which cells hold; metrics are called ``"map@5"``."""
    content = {
        "format": FORMAT,
        "experiment": comparison.experiment,
        "title": comparison.title,
        "dataset": comparison.dataset,
        "simulated": comparison.simulated,
        "splits": comparison.splits,
        "quick": comparison.quick,
        "subject": comparison.subject,
        "axis": comparison.axis,
        "ranked": comparison.ranked,
        "chart": comparison.chart,
        "cutoffs": list(comparison.cutoffs),
        "columns": [_name(key) for key in comparison.columns],
        "points": [
            {"point": point, "name": name} for point, name in comparison.point_names.items()
        ],
        "significance": {
            _name(key): dict(values) for key, values in comparison.significance.items()
        },
        "entries": [_entry(entry) for entry in comparison.entries],
    }
    return json.dumps(content, indent=1) + "\n"


def _name(key: Key) -> str:
    return key[0] if key[1] is None else f"{key[0]}@{key[1]}"


def _named(values: Mapping[Key, float]) -> dict[str, float]:
    return _finite({_name(key): value for key, value in values.items()})


def _finite(values: Mapping[str, float]) -> dict[str, float]:
    """Without what JSON has no word for, such as a peak of memory that was not measured."""
    return {name: value for name, value in values.items() if math.isfinite(value)}


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "model": entry.model,
        "point": entry.point,
        "params": dict(entry.params),
        "source": entry.source,
        "problem": entry.problem,
        "why": entry.known_difference,
        "another_split": entry.another_split,
        "published": _named(entry.published),
        "incomparable": _named(entry.incomparable),
        "runs": [
            {"seed": run.seed, "values": _named(run.values), "cost": _finite(run.cost)}
            for run in entry.runs
        ],
    }


def overview(comparison: ResultTable) -> dict[str, Any]:
    """Each model or point with the mean of every metric beside the published value."""
    content: dict[str, Any] = {
        "experiment": comparison.experiment,
        "dataset": comparison.dataset,
        "simulated": comparison.simulated,
        "quick": comparison.quick or None,
        "splits": comparison.splits,
        "complete": comparison.complete,
    }
    if not comparison.axis:
        models = {entry.model: _means(entry) for entry in comparison.entries}
        return content | {"models": models}
    points = [
        {"model": entry.model, comparison.axis: entry.point, **_means(entry)}
        for entry in comparison.entries
    ]
    return content | {"points": points}


def _means(entry: Entry) -> dict[str, Any]:
    return {
        "params": entry.params,
        "source": entry.source,
        "problem": entry.problem or None,
        "seeds": [run.seed for run in entry.runs],
        "metrics": {
            _name(key): {
                "value": entry.mean(*key),
                "published": entry.published.get(key),
                "delta": entry.delta(*key),
            }
            for key in (entry.runs[0].values if entry.runs else ())
        },
    }


def plain(content: str | bytes) -> Any:
    """What JSON holds.

    Raises
    ------
    DamagedError
        If it is none, or beyond the bounds of `base.json_files`.
    """
    try:
        return json_files.parse(content)
    except ValueError as error:
        raise DamagedError(str(error)) from None


def read(content: str | bytes) -> ResultTable:
    """The comparison of a document.

    Raises
    ------
    DamagedError
        If it is not one, or of another version.
    """
    document = table(plain(content), "document")
    if document.get("format") != FORMAT:
        raise DamagedError(
            f"it has format {shown(document.get('format'), 20)}, and {FORMAT} is known"
        )
    splits = text(document, "splits")

    def read_entry(value: object) -> Entry:
        # Documents of earlier versions do not say it.
        return _read_entry(value, another_split=bool(splits) and splits != PUBLISHED_SPLITS)

    return ResultTable(
        dataset=text(document, "dataset"),
        simulated=document.get("simulated") is True,
        splits=splits,
        cutoffs=tuple(_list(document, "cutoffs", _positive)),
        entries=tuple(_list(document, "entries", read_entry)),
        columns=tuple(_list(document, "columns", _key)),
        title=text(document, "title"),
        experiment=text(document, "experiment"),
        quick=text(document, "quick"),
        subject=text(document, "subject"),
        axis=text(document, "axis"),
        point_names=dict(_list(document, "points", _point)),
        ranked=_one_of(document, "ranked", _RANKED),
        chart=_one_of(document, "chart", _CHARTS),
        significance={
            _key(name): {_short(model): number(p, "significance") for model, p in row.items()}
            for name, row in _tables(document, "significance").items()
        },
    )


def _one_of(holder: Mapping[str, Any], name: str, words: tuple[W, ...]) -> W:
    for word in words:
        if holder.get(name) == word:
            return word
    raise DamagedError(f"{name} is {shown(holder.get(name))}, none of {', '.join(words)}")


def _read_entry(value: object, *, another_split: bool) -> Entry:
    entry = table(value, "entries")
    return Entry(
        model=text(entry, "model"),
        runs=tuple(_list(entry, "runs", _run)),
        published=_values(entry, "published"),
        params=table(entry.get("params"), "params"),
        source=text(entry, "source"),
        problem=text(entry, "problem"),
        point=None if entry.get("point") is None else number(entry["point"], "point"),
        incomparable=_values(entry, "incomparable"),
        known_difference=text(entry, "why"),
        another_split=entry.get("another_split", another_split) is True,
    )


def _run(value: object) -> Run:
    run = table(value, "runs")
    seed = run.get("seed")
    cost = table(run.get("cost"), "cost")
    return Run(
        None if seed is None else whole(seed, "seed"),
        _values(run, "values"),
        {_short(name): number(taken, "cost") for name, taken in cost.items()},
    )


def _point(value: object) -> tuple[float, str]:
    point = table(value, "points")
    return number(point.get("point"), "points"), text(point, "name")


def _values(holder: Mapping[str, Any], name: str) -> dict[Key, float]:
    return {_key(key): number(v, name) for key, v in table(holder.get(name), name).items()}


def _tables(holder: Mapping[str, Any], name: str) -> dict[str, dict[str, Any]]:
    return {key: table(value, name) for key, value in table(holder.get(name), name).items()}


def _key(value: object) -> Key:
    if not isinstance(value, str):
        raise DamagedError(f"a metric is {shown(value)}")
    try:
        return key_of(_short(value))
    except ValueError:
        raise DamagedError(f"a metric is {shown(value)}") from None


def _positive(value: object) -> int:
    found = whole(value, "cutoffs")
    if found < 1:
        raise DamagedError(f"cutoffs holds {found}")
    return found


def _list(holder: Mapping[str, Any], name: str, read_one: Callable[[object], T]) -> list[T]:
    found = holder.get(name)
    if not isinstance(found, list) or len(found) > _MANY:
        raise DamagedError(f"{name} is no list, or a very long one")
    return [read_one(value) for value in found]


def table(value: object, name: str) -> dict[str, Any]:
    """A JSON object; `name` is how an error calls it."""
    if not isinstance(value, dict) or len(value) > _MANY:
        raise DamagedError(f"{name} is no table of names and values, or a very long one")
    return value


def text(holder: Mapping[str, Any], name: str) -> str:
    """A text of an object, empty if it is not there."""
    found = holder.get(name, "")
    if not isinstance(found, str):
        raise DamagedError(f"{name} is {shown(found)}, not a text")
    return _short(found)


def number(value: object, name: str) -> float:
    """A finite number."""
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300:
        return float(value)
    raise DamagedError(f"{name} holds {shown(value)}, not a number")


def whole(value: object, name: str) -> int:
    """A whole number."""
    found = number(value, name)
    if not found.is_integer() or math.fabs(found) >= 2**63:
        raise DamagedError(f"{name} holds {found:g}, not a whole number")
    return int(found)


def _short(value: str) -> str:
    """A text of a line, cut off where it is absurdly long."""
    return printable(value, _TEXT)
