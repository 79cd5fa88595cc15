"""The page: what was read, put into the template with the scripts it needs.

The page asks for nothing from outside, and a content security policy within it forbids it to:
only its own two scripts are run, by their hashes, and whatever text a run folder holds is text.
Vega reads its expressions with an interpreter, so that nothing needs `eval`.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import vl_convert
from jinja2 import Environment, FunctionLoader, StrictUndefined

from ganmf_fast.report import gan_charts
from ganmf_fast.report.findings import COLLAPSE, collapses, findings, main_tables
from ganmf_fast.report.run_folder import ExperimentFolder, RunFolder, RunRecord
from ganmf_fast.results.charts import comparison as tables
from ganmf_fast.results.charts import search as searches
from ganmf_fast.results.charts.base import CONFIG, Spec, stylesheet
from ganmf_fast.results.charts.cost import cost
from ganmf_fast.results.families import is_gan
from ganmf_fast.results.result_table import Entry, Key, ResultTable, heading, shown, signed

__all__ = ["LIMIT", "render"]

LIMIT = 5_000_000
"""Bytes that a page stays below."""

Facts = list[tuple[str, list[tuple[str, str]]]]

# Of all curves together, and of each; a point takes about 30 bytes.
_POINTS = 40_000
_PER_LINE = 200


@dataclass(frozen=True)
class Page:
    """What the report holds on one model on one data set."""

    anchor: str
    model: str
    dataset: str
    places: tuple[tuple[ExperimentFolder, Entry], ...]
    """Where it occurs: tables first, then the points of figures."""
    records: tuple[RunRecord, ...]
    """Its runs, each once."""
    curves: tuple[tuple[str, Spec], ...]
    point_curves: tuple[tuple[str, Spec], ...]
    """Those of the runs at points of figures."""

    @property
    def tables(self) -> list[tuple[ExperimentFolder, Entry]]:
        """Tables it is a row of, but not one with the same runs again."""
        found: list[tuple[ExperimentFolder, Entry]] = []
        for experiment, entry in self.places:
            if _is_table(experiment) and entry.runs not in [other.runs for _, other in found]:
                found.append((experiment, entry))
        return found


def render(folder: RunFolder) -> str:
    """The whole page.

    Raises
    ------
    ValueError
        If it would be larger than `LIMIT`.
    """
    experiments = sorted(folder.experiments, key=lambda e: _order(e.comparison))
    taken: set[str] = set()
    pages = _pages(experiments, taken)
    scripts = [_vega(), _resource("page.js")]
    shown_as = {(page.dataset, page.model): page.anchor for page in pages}
    text = (
        _environment()
        .get_template("report.html.jinja")
        .render(
            folder=folder,
            experiments=experiments,
            tables=[e for e in experiments if _is_table(e)],
            others=[e for e in experiments if not _is_table(e)],
            main=main_tables(folder),
            findings=findings(folder),
            pages=pages,
            searches=[(_anchor(f"search-{s.label}", taken), s) for s in folder.searches],
            chart_config=CONFIG,
            anchor=lambda comparison, model: shown_as.get((comparison.label, model)),
            policy=_policy(scripts),
            style=stylesheet() + _resource("style.css"),
            scripts=scripts,
            figures=_Figures(),
        )
    )
    size = len(text.encode())
    if size > LIMIT:
        raise ValueError(
            f"the report would have {size / 1e6:.1f} MB, more than {LIMIT / 1e6:.0f}: report on "
            "the folders in it one by one"
        )
    return text


def _is_table(experiment: ExperimentFolder) -> bool:
    return experiment.comparison.chart == "bars"


def _order(comparison: ResultTable) -> tuple[str, str]:
    # Tables before figures; table 2 is what the others are read beside.
    name = comparison.experiment
    return ("" if name == "table2" else name, comparison.label)


# pages of models -------------------------------------------------------------------------------


def _pages(experiments: Sequence[ExperimentFolder], taken: set[str]) -> list[Page]:
    places: dict[tuple[str, str], list[tuple[ExperimentFolder, Entry]]] = {}
    for experiment in experiments:
        comparison = experiment.comparison
        for entry in comparison.entries if comparison.cutoffs or experiment.records else ():
            places.setdefault((comparison.label, entry.model), []).append((experiment, entry))
    runs = {key: _runs(found) for key, found in places.items()}
    lines = sum(len(record.histories) * 4 for records in runs.values() for record in records)
    most = min(_PER_LINE, max(20, _POINTS // max(lines, 1)))

    def curves(model: str, records: Iterable[RunRecord], *, of_points: bool) -> tuple[Any, ...]:
        chosen = [record for record in records if (record.point is not None) == of_points]
        return tuple(gan_charts.training(chosen, most)) if is_gan(model) else ()

    return [
        Page(
            _anchor(f"model-{dataset}-{model}", taken),
            model,
            dataset,
            tuple(found),
            runs[dataset, model],
            curves(model, runs[dataset, model], of_points=False),
            curves(model, runs[dataset, model], of_points=True),
        )
        # All of a data set together.
        for (dataset, model), found in sorted(places.items(), key=lambda item: item[0][0])
    ]


def _runs(places: Iterable[tuple[ExperimentFolder, Entry]]) -> tuple[RunRecord, ...]:
    """Records behind entries; one that figures took over from a table counts once."""
    found: dict[str, RunRecord] = {}
    for experiment, entry in places:
        for record in experiment.records_of(entry):
            found.setdefault(json.dumps([record.params, record.seed], sort_keys=True), record)
    return tuple(found.values())


def _anchor(text: str, taken: set[str]) -> str:
    """A name for links, of plain letters, that no other thing has."""
    stem = re.sub(r"[^a-z0-9]+", "-", text.lower())[:80].strip("-")
    name, number = stem, 2
    while name in taken:
        name, number = f"{stem}-{number}", number + 1
    taken.add(name)
    return name


# what the template calls -----------------------------------------------------------------------


class _Figures:
    """Specifications of figures, each with a number of its own."""

    quality = staticmethod(tables.quality)
    differences = staticmethod(tables.differences)
    points = staticmethod(tables.points)
    cost = staticmethod(cost)
    alarms = staticmethod(gan_charts.alarms)
    heatmaps = staticmethod(gan_charts.heatmaps)
    convergence = staticmethod(searches.convergence)
    parallel = staticmethod(searches.parallel)
    dependences = staticmethod(searches.dependences)

    def __init__(self) -> None:
        self._drawn = 0

    def number(self) -> int:
        """The next number."""
        self._drawn += 1
        return self._drawn


def _environment() -> Environment:
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        loader=FunctionLoader(_resource),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    filters: dict[str, Callable[..., Any]] = {
        "heading": heading,
        "signed": signed,
        "value": _value,
        "seconds": _seconds,
        "literal": _literal,
        "short": searches.shown,
        "bytes": lambda mib: f"{mib:,.0f}",
    }
    environment.filters.update(filters)
    environment.globals.update(
        COLLAPSE=COLLAPSE,
        is_gan=is_gan,
        collapsed=_collapsed,
        mean_cost=_mean_cost,
        provenance=_provenance,
        size=_size,
        metrics=_metrics,
        verdicts=_verdicts,
        judged=_judged,
        published_columns=_published_columns,
    )
    return environment


def _value(entry: Entry, key: Key) -> str:
    mean = entry.mean(*key)
    return "\N{EM DASH}" if mean is None else shown(key, mean)


def _seconds(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _literal(value: object) -> str:
    """A value as it stands in a configuration, cut off where it is absurdly long."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= 200 else text[:200] + "\N{HORIZONTAL ELLIPSIS}"


def _mean_cost(entry: Entry, name: str) -> float | None:
    found = [run.cost[name] for run in entry.runs if name in run.cost]
    return sum(found) / len(found) if found else None


def _metrics(entry: Entry) -> tuple[list[str], list[int | None]]:
    """Names of the metrics of an entry, and the cutoffs that they have."""
    keys = list(entry.runs[0].values) if entry.runs else []
    return list(dict.fromkeys(m for m, _ in keys)), list(dict.fromkeys(k for _, k in keys))


def _collapsed(experiment: ExperimentFolder) -> list[str]:
    return [
        f"{name} ({cosine:.3f})"
        for name, cosine in collapses(experiment).items()
        if cosine >= COLLAPSE
    ]


def _size(folder: RunFolder) -> str:
    """How much there is, in a line."""
    experiments, searches = folder.experiments, folder.searches
    labels = dict.fromkeys(e.comparison.label for e in experiments)
    labels |= dict.fromkeys(search.dataset for search in searches)
    models = {entry.model for e in experiments for entry in e.comparison.entries if e.records}
    records = [record for e in experiments for record in e.records if record.done]
    seeds = {record.seed for record in records if record.seed is not None}
    counts = {
        "experiment": len(experiments) if len(experiments) > 1 else 0,
        "model": len(models),
        "finished run": len(records),
        "seed": len(seeds),
        "search": len(searches),
    }
    ends = {"search": "es"}
    words = [f"{n} {w}{ends.get(w, 's') if n > 1 else ''}" for w, n in counts.items() if n]
    return ", ".join((*labels, *words))


def _provenance(experiments: Sequence[ExperimentFolder]) -> list[tuple[ExperimentFolder, Facts]]:
    """Facts of each experiment; groups that are those of the first are not repeated."""
    first: Facts = []
    found = []
    for experiment in experiments:
        facts = _facts(experiment)
        found.append((experiment, [group for group in facts if group not in first]))
        first = first or facts
    return found


def _published_columns(comparison: ResultTable) -> list[Key]:
    """Metrics that anything is published for."""
    return [
        k for k in comparison.columns if any(k in entry.published for entry in comparison.entries)
    ]


def _verdicts(comparison: ResultTable) -> dict[str, int]:
    """How often each verdict was given."""
    found: dict[str, int] = {}
    for entry in comparison.entries:
        for key in comparison.columns:
            verdict = entry.verdict(*key)
            if verdict is not None:
                found[verdict.word] = found.get(verdict.word, 0) + 1
    return found


def _judged(comparison: ResultTable) -> list[tuple[Entry, Key, Any]]:
    """Every figure outside the tolerance, with its verdict."""
    return [
        (entry, key, verdict)
        for entry in comparison.entries
        for key in comparison.columns
        if (verdict := entry.verdict(*key)) is not None and verdict.word != "within tolerance"
    ]


def _facts(experiment: ExperimentFolder) -> Facts:
    """Provenance of an experiment: groups of names and values, as far as they are known."""
    config = experiment.config
    data, about = _table(config, "dataset"), _table(config, "environment")
    hardware, git = _table(about, "hardware"), _table(about, "git")
    seeds = sorted({record.seed for record in experiment.records if record.seed is not None})
    source = "not known (no git checkout)"
    if git:
        changed = ", with uncommitted changes" if git.get("changed") is True else ", unchanged"
        source = f"{_literal(git.get('commit'))}{changed}"
    groups = {
        "Data": {
            "Data set": data.get("name"),
            "Split": data.get("splits"),
            "Hash of the five splits (SHA-256)": data.get("hash"),
            "Users": data.get("users"),
            "Items": data.get("items"),
            "Interactions": data.get("interactions"),
        },
        "Run": {
            "Quick": config.get("quick"),
            "Cutoffs": config.get("cutoffs"),
            "Seeds": seeds or None,
            "Device asked for": config.get("device"),
            "Source code": source,
        },
        "Machine": {
            "Processor": hardware.get("processor"),
            "CPUs": hardware.get("cpus"),
            "Threads": hardware.get("threads"),
            "Memory, MiB": hardware.get("memory_mib"),
            "GPU": hardware.get("gpu") or "none used",
            "Platform": hardware.get("platform"),
        },
        "Versions": {
            name: "not installed" if version is None else version
            for name, version in _table(about, "versions").items()
        },
    }
    if not config:
        groups = {"Run": {"Seeds": seeds or None}}
    return [
        (name, [(label, _plain(value)) for label, value in group.items() if value is not None])
        for name, group in groups.items()
    ]


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list):
        return ", ".join(map(_literal, value[:50]))
    return _literal(value)


def _table(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = holder.get(name)
    return found if isinstance(found, dict) else {}


# scripts -----------------------------------------------------------------------------------------


@cache
def _resource(name: str) -> str:
    return files("ganmf_fast.report").joinpath(name).read_text(encoding="utf-8")


@cache
def _vega() -> str:
    """Vega, Vega-Lite and Vega-Embed in one script, which calls nothing from outside."""
    script: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    # An end tag within a string would end the script.
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _policy(scripts: Iterable[str]) -> str:
    """Content security policy: these scripts, the page's own style, nothing from anywhere."""
    sums = (base64.b64encode(hashlib.sha256(script.encode()).digest()) for script in scripts)
    allowed = " ".join(f"'sha256-{digest.decode()}'" for digest in sums)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
