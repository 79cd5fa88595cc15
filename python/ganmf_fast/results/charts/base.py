"""What the figures share: data in columns, colours by name, tooltips, configuration.

Data stand in columns, ``{"columns": {name: list}}``, half as long as records. A colour is a name
of ``colours.css``, such as ``"var(--gan)"``, so that figures follow the light and the dark scheme
of the page. What a colour says, a shape or a dash says too.
"""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from ganmf_fast.base.text import printable
from ganmf_fast.results.families import is_gan
from ganmf_fast.results.result_table import Key, heading

Spec = dict[str, Any]

GAN, BASELINE, INK, SOFT = "var(--gan)", "var(--baseline)", "var(--ink)", "var(--soft)"
_KINDS = {"baseline": (BASELINE, "circle"), "GAN": (GAN, "diamond")}
ONCE: Spec = {"values": [{}]}
"""Data of a mark that is drawn once."""
ROW = 23
"""Height of a model, in pixels."""
CHOSEN = [{"filter": "datum.metric === metric"}]
"""The rows of the metric that `metric_choice` selects."""

CONFIG: Spec = {
    "background": "var(--ground)",
    "view": {"stroke": None},
    "axis": {
        "labelColor": INK,
        "titleColor": SOFT,
        "titleFontWeight": "normal",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "gridColor": "var(--line)",
        "domain": False,
        "tickColor": "var(--line)",
        "labelLimit": 220,
    },
    "axisX": {"titleAnchor": "end", "tickCount": 8, "labelFlush": False},
    "legend": {
        "orient": "top",
        "labelColor": INK,
        "titleColor": SOFT,
        "labelFontSize": 12,
        "columns": 6,
        "symbolSize": 90,
        "symbolStrokeWidth": 2,
        "labelLimit": 240,
    },
    "text": {"fontSize": 12},
}
"""Configuration of every figure."""


def kind(model: str) -> str:
    """What a model is: "GAN" or "baseline"."""
    return "GAN" if is_gan(model) else "baseline"


def kinds(models: Iterable[str]) -> Spec:
    """Colour and shape of the kinds that there are among models."""
    there = {kind(model) for model in models}
    found = {name: look for name, look in _KINDS.items() if name in there}
    colours, shapes = ([look[at] for look in found.values()] for at in (0, 1))
    return {
        "color": looks("kind", [*found], colours),
        "shape": looks("kind", [*found], shapes),
    }


def spec(description: str, data: dict[str, list[Any]], **rest: Any) -> Spec:
    """A specification, as wide as the page unless it has a width."""
    fluid = {"width": "container", "autosize": {"type": "fit-x", "contains": "padding"}}
    return {
        "description": printable(description),
        "data": {"columns": data},
        **safe(rest if "width" in rest else {**fluid, **rest}),
    }


def safe(part: Any) -> Any:
    """The part of a specification with its texts `printable`: others are no XML, which SVG is."""
    if isinstance(part, str):
        return printable(part)
    if isinstance(part, dict):
        return {name: safe(inner) for name, inner in part.items()}
    return [safe(inner) for inner in part] if isinstance(part, list | tuple) else part


def quantity(field: str, **rest: Any) -> Spec:
    """A field on a quantitative axis without a title."""
    return {"field": field, "type": "quantitative", "title": None, **rest}


def looks(field: str, found: Sequence[str], shown_as: Sequence[Any], **rest: Any) -> Spec:
    """A field whose values have a colour, shape or dash each, explained in a legend."""
    scale = {"domain": found, "range": shown_as}
    return {"field": field, "type": "nominal", "title": None, "scale": scale, **rest}


def layer(mark: Spec, where: str = "", data: Spec | None = None, **encoding: Any) -> Spec:
    """Marks of one kind: of all rows, of those that an expression holds for, or of other data."""
    return {
        **({"data": data} if data else {}),
        **({"transform": [{"filter": where}]} if where else {}),
        "mark": mark,
        "encoding": encoding,
    }


def dots(size: int, opacity: float = 1.0, **rest: Any) -> Spec:
    """A mark: filled points."""
    return {"type": "point", "filled": True, "size": size, "opacity": opacity, **rest}


def columns(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
    """Rows as columns; floats with six digits, more than a figure shows."""
    return {name: [_rounded(row[at]) for row in rows] for at, name in enumerate(names)}


def _rounded(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else safe(value)


def metric_choice(keys: Sequence[Key]) -> list[Spec]:
    """A list to choose the metric from, where there are several."""
    names = [heading(key) for key in keys]
    bind = {"input": "select", "options": names, "name": "Metric "}
    return [{"name": "metric", "value": names[0], **({"bind": bind} if len(names) > 1 else {})}]


def tooltip(*fields: tuple[str, str]) -> list[Spec]:
    """Fields that are shown of a mark under the pointer, with their titles."""
    return [{"field": field, "type": "nominal", "title": title} for field, title in fields]


@cache
def stylesheet() -> str:
    """The colours as CSS, of the light and of the dark scheme."""
    return files(__package__).joinpath("colours.css").read_text(encoding="utf-8")


@cache
def light() -> dict[str, str]:
    """The colours of the light scheme: ``"var(--gan)"`` -> ``"#b5430c"``."""
    scheme = stylesheet().partition("}")[0]
    return {f"var({name})": value for name, value in re.findall(r"(--[\w-]+): (#\w+);", scheme)}
