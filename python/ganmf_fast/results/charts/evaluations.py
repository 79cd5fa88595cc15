"""Figures of evaluations: means with their intervals, and a metric by the length of the list."""

from collections.abc import Sequence

from ganmf_fast.results.charts.base import (
    INK,
    ROW,
    SOFT,
    Spec,
    columns,
    dots,
    kind,
    kinds,
    layer,
    looks,
    quantity,
    spec,
    tooltip,
)
from ganmf_fast.results.charts.comparison import SHAPES

Interval = tuple[str, float, float, float]
"""Model, mean, and the ends of its interval."""


def intervals(title: str, found: Sequence[Interval]) -> Spec:
    """A dot for each model, best first, with the interval of its mean."""
    rows = [
        (model, kind(model), mean, low, high, f"{mean:.4f}", f"{low:.4f} .. {high:.4f}")
        for model, mean, low, high in found
    ]
    names = ("model", "kind", "mean", "low", "high", "label", "interval")
    room = max((row[4] for row in rows), default=1.0)
    x = quantity("mean", scale={"domainMin": 0, "domainMax": 1.15 * room})
    order = {"field": "mean", "op": "max", "order": "descending"}
    text = {"type": "text", "align": "left", "dx": 9, "color": SOFT}
    return spec(
        f"{title} of each model, best first.",
        columns(names, rows),
        height=ROW * len(rows),
        encoding={
            "y": {"field": "model", "title": None, "sort": order, "axis": {"grid": True}},
            "tooltip": tooltip(("model", "Model"), ("label", title), ("interval", "Interval")),
        },
        layer=[
            layer({"type": "rule", "color": INK}, x=quantity("low"), x2={"field": "high"}),
            layer(dots(80), x=x, **kinds(row[0] for row in rows)),
            layer(text, x=quantity("high"), text={"field": "label"}),
        ],
    )


def by_cutoff(title: str, found: Sequence[tuple[str, int, float]]) -> Spec:
    """A line for each model over the cutoffs."""
    models = list(dict.fromkeys(model for model, _, _ in found))
    series = [f"var(--series-{at % 8})" for at in range(len(models))]
    # Seven shapes beside eight colours, so that more than eight models still differ.
    shapes = [SHAPES[at % len(SHAPES)] for at in range(len(models))]
    places = sorted({k for _, k, _ in found})
    rows = [(model, k, value, f"{value:.4f}") for model, k, value in found]
    x = {
        "field": "k",
        "type": "quantitative",
        "title": "cutoff",
        "axis": {"values": places, "grid": False},
        "scale": {"type": "log", "nice": False, "domain": [places[0], places[-1]]},
    }
    y = quantity("value")
    colour = looks("model", models, series)
    return spec(
        f"{title} of each model by the length of the list.",
        columns(("model", "k", "value", "shown"), rows),
        height=260,
        layer=[
            layer({"type": "line", "strokeWidth": 1.8}, x=x, y=y, color=colour),
            layer(
                dots(60),
                x=x,
                y=y,
                color=colour,
                shape=looks("model", models, shapes),
                tooltip=tooltip(("model", "Model"), ("k", "Cutoff"), ("shown", title)),
            ),
        ],
    )
