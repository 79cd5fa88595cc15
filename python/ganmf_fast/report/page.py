"""The page: what was read, put into the template with the scripts it needs.

The page asks for nothing from outside, and a content security policy within it forbids it to:
only its own two scripts are run, by their hashes, and whatever text a run folder holds is text.
Vega reads its expressions with an interpreter, so that nothing needs `eval`.
"""

import base64
import hashlib
from collections.abc import Callable, Iterable
from functools import cache
from importlib.resources import files
from itertools import count
from typing import Any

import vl_convert
from jinja2 import Environment, FunctionLoader, StrictUndefined

from ganmf_fast.base.text import printable
from ganmf_fast.report import gan_charts
from ganmf_fast.report.findings import collapses, findings, main_tables
from ganmf_fast.report.model_pages import anchor, is_table, model_pages
from ganmf_fast.report.provenance import literal, provenance, size, title
from ganmf_fast.report.run_folder import ExperimentFolder, RunFolder
from ganmf_fast.results.charts import comparison as tables
from ganmf_fast.results.charts import search as searches
from ganmf_fast.results.charts.base import CONFIG, stylesheet
from ganmf_fast.results.charts.cost import cost
from ganmf_fast.results.charts.training import COLLAPSE
from ganmf_fast.results.families import is_gan
from ganmf_fast.results.result_table import Entry, Key, ResultTable, heading, shown, signed

LIMIT = 5_000_000
"""Bytes that a page stays below."""
_MOST_TEXT = 5000


def render(folder: RunFolder) -> str:
    """The whole page.

    Raises
    ------
    ValueError
        If it would be larger than `LIMIT`.
    """
    experiments = sorted(folder.experiments, key=lambda e: _order(e.comparison))
    taken: set[str] = set()
    pages = model_pages(experiments, taken)
    scripts = [_vega(), _resource("page.js")]
    shown_as = {(page.dataset, page.model): page.anchor for page in pages}
    text = (
        _environment()
        .get_template("report.html.jinja")
        .render(
            folder=folder,
            title=title(folder),
            experiments=experiments,
            tables=[e for e in experiments if is_table(e)],
            others=[e for e in experiments if not is_table(e)],
            main=main_tables(folder),
            findings=findings(folder),
            pages=pages,
            searches=[(anchor(f"search-{s.label}", taken), s) for s in folder.searches],
            chart_config=CONFIG,
            anchor=lambda comparison, model: shown_as.get((comparison.label, model)),
            policy=_policy(scripts),
            style=stylesheet() + _resource("style.css"),
            scripts=scripts,
            figures=_figures(),
        )
    )
    n_bytes = len(text.encode())
    if n_bytes > LIMIT:
        raise ValueError(
            f"the report would have {n_bytes / 1e6:.1f} MB, more than {LIMIT / 1e6:.0f}: report on "
            "the folders in it one by one"
        )
    return text


def _order(comparison: ResultTable) -> tuple[str, str]:
    # Tables before figures; table 2 is what the others are read beside.
    name = comparison.experiment
    return ("" if name == "table2" else name, comparison.label)


def _figures() -> dict[str, Callable[..., Any]]:
    """Specifications by the name of a figure, and numbers for them."""
    return {
        "number": count(1).__next__,
        "quality": tables.quality,
        "differences": tables.differences,
        "points": tables.points,
        "cost": cost,
        "alarms": gan_charts.alarms,
        "heatmaps": gan_charts.heatmaps,
        "convergence": searches.convergence,
        "parallel": searches.parallel,
        "dependences": searches.dependences,
    }


@cache
def _environment() -> Environment:
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        # Before it is escaped as HTML; what is HTML already is of another class.
        finalize=lambda value: printable(value, _MOST_TEXT) if type(value) is str else value,
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
        "literal": literal,
        "short": searches.shown,
        "bytes": lambda mib: f"{mib:,.0f}",
    }
    environment.filters.update(filters)
    environment.globals.update(
        COLLAPSE=COLLAPSE,
        is_gan=is_gan,
        collapsed=_collapsed,
        mean_cost=_mean_cost,
        provenance=provenance,
        size=size,
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
