"""Figures of how GANs trained and of what they made, as :mod:`~ganmf_fast.report.charts`."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganmf_fast.report.charts import (
    BASELINE,
    GAN,
    INK,
    ONCE,
    ROW,
    SOFT,
    Spec,
    columns,
    spec,
    tooltip,
)
from ganmf_fast.report.findings import COLLAPSE, collapses, named
from ganmf_fast.report.reading import Cell, Experiment

__all__ = ["CURVES", "alarms", "heatmaps", "training"]

_COSINE_SIDE = 48
_SQUARE = 6 * _COSINE_SIDE


def alarms(experiments: Sequence[Experiment]) -> list[tuple[str, Spec]]:
    """Mean cosine between made profiles at the end of training: a figure for each data set."""
    found: dict[str, dict[str, float]] = {}
    for experiment in experiments:
        ends = found.setdefault(experiment.comparison.label, {})
        for name, cosine in collapses(experiment).items():
            ends[name] = max(cosine, ends.get(name, cosine))
    return [(label, _alarm(label, ends)) for label, ends in found.items() if ends]


def _alarm(label: str, ends: Mapping[str, float]) -> Spec:
    rows = [
        (name, cosine, "collapsed" if cosine >= COLLAPSE else "varied", f"{cosine:.4f}")
        for name, cosine in ends.items()
    ]
    words = ["varied", "collapsed"]
    y = {"field": "model", "type": "nominal", "title": None, "sort": None, "axis": {"grid": True}}
    return spec(
        f"Mean cosine between made profiles at the end of training on {label}, by model.",
        columns(("model", "cosine", "state", "shown"), rows),
        height=ROW * len({row[0] for row in rows}),
        layer=[
            {
                "mark": {"type": "rule", "color": SOFT, "opacity": 0.5},
                "encoding": {
                    "y": y,
                    "x": {"field": "cosine", "type": "quantitative"},
                    "x2": {"datum": 0},
                },
            },
            {
                "data": ONCE,
                "mark": {"type": "rule", "color": INK, "strokeDash": [4, 3]},
                "encoding": {"x": {"datum": COLLAPSE, "type": "quantitative"}},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 80, "opacity": 1},
                "encoding": {
                    "y": y,
                    "x": {
                        "field": "cosine",
                        "type": "quantitative",
                        "title": "mean cosine between made profiles",
                        "scale": {"domainMin": 0, "domainMax": 1},
                    },
                    "color": {
                        "field": "state",
                        "title": None,
                        "scale": {"domain": words, "range": [BASELINE, "var(--worse)"]},
                    },
                    "shape": {
                        "field": "state",
                        "title": None,
                        "scale": {"domain": words, "range": ["circle", "triangle-up"]},
                    },
                    "tooltip": tooltip(
                        ("model", "Model"), ("shown", "Mean cosine"), ("state", "State")
                    ),
                },
            },
        ],
    )


CURVES = (
    ("d_loss", "Discriminator loss"),
    ("g_loss", "Generator loss"),
    ("validation", "MAP@5 on validation"),
    ("made_cosine", "Mean cosine between made profiles"),
)
_STAGES = ("search", "final")


def training(cells: Sequence[Cell], most: int) -> list[tuple[str, Spec]]:
    """Curves of the training runs of a model: a title and a figure for each quantity that there is.

    Parameters
    ----------
    cells : sequence of Cell
        All of a table, or all at points of figures.
    most : int
        Points that a line is thinned out to.
    """
    made = []
    for name, title in CURVES:
        rows: list[_Point] = []
        for cell in cells:
            for history in cell.histories:
                values = history.columns.get(name)
                if values is None:
                    continue
                there = np.flatnonzero(~np.isnan(values))
                epochs = history.columns["epoch"]
                rows += [
                    _Point(
                        int(epochs[at]),
                        float(f"{values[at]:.4g}"),
                        history.stage,
                        "-" if cell.seed is None else str(cell.seed),
                        cell.point,
                    )
                    for at in there[_spread(len(there), most)]
                    if not np.isnan(epochs[at])
                ]
        if rows:
            made.append((title, _curve(name, title, rows)))
    return made


class _Point(NamedTuple):
    """One epoch of a curve."""

    epoch: int
    value: float
    stage: str
    seed: str
    point: float | str | None
    """Of a figure; None in a table."""


def _spread(n: int, most: int) -> NDArray[np.int64]:
    """At most `most` of n places, evenly spread, the first and the last among them."""
    return (
        np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64))
        if n
        else np.empty(0, np.int64)
    )


def _curve(name: str, title: str, rows: Sequence[_Point]) -> Spec:
    stages = [stage for stage in _STAGES if any(row.stage == stage for row in rows)]
    dashes = {"final": [1, 0], "search": [5, 3]}
    places = sorted({row.point for row in rows if row.point is not None})
    # What a colour means: the stage in a table, the point where there are several.
    if places:
        parts, coloured = ["epoch", "value", "stage", "seed", "point"], "point"
        means = [f"{place:g}" for place in places]
        rows = [row._replace(point=f"{row.point:g}") for row in rows]
        tones = [f"var(--series-{at % 8})" for at in range(len(places))]
    else:
        parts, coloured, means = ["epoch", "value", "stage", "seed"], "stage", stages
        tones = [{"final": GAN, "search": BASELINE}[stage] for stage in stages]
    values = [row.value for row in rows]
    # Losses that fall by orders of magnitude are a line at the bottom on a linear axis.
    log = name.endswith("loss") and min(values) > 0 and max(values) > 50 * min(values)
    scale: Spec = {"type": "log"} if log else {"zero": name == "validation"}
    axis = {"values": _decades(min(values), max(values)), "format": "~g"} if log else {}
    alarm = [
        {
            "data": ONCE,
            "mark": {"type": "rule", "color": INK, "strokeDash": [2, 3]},
            "encoding": {"y": {"datum": COLLAPSE, "type": "quantitative"}},
        }
    ]
    if name == "made_cosine":
        low = min(values)
        scale = {"domainMax": 1, "domainMin": 0 if low > -0.05 else low}
    encoding: Spec = {
        "x": {
            "field": "epoch",
            "type": "quantitative",
            "title": "epoch",
            "axis": {"tickMinStep": 1},
            "scale": {"nice": False},
        },
        "y": {
            "field": "value",
            "type": "quantitative",
            "title": None,
            "scale": scale,
            "axis": axis,
        },
        "color": {
            "field": coloured,
            "type": "nominal",
            "title": None,
            "scale": {"domain": means, "range": tones},
            "legend": {} if len(means) > 1 else None,
        },
        "strokeDash": {
            "field": "stage",
            "title": None,
            "scale": {"domain": stages, "range": [dashes[stage] for stage in stages]},
            "legend": {} if len(stages) > 1 else None,
        },
        "detail": {"field": "seed"},
    }
    hover = {
        "name": "hover",
        "select": {
            "type": "point",
            "on": "pointerover",
            "nearest": True,
            "clear": "pointerout",
            "fields": ["epoch", *parts[2:]],
        },
    }
    shown = {"condition": {"param": "hover", "empty": False, "value": 1}, "value": 0}
    # Lines are told apart without their colours by the point at their ends.
    ends = [
        {
            "mark": {"type": "text", "align": "right", "dy": -7},
            "encoding": {
                "x": {**encoding["x"], "aggregate": "max"},
                "y": {**encoding["y"], "aggregate": {"argmax": "epoch"}},
                "color": encoding["color"],
                "text": {"field": "point", "type": "nominal"},
                "detail": [{"field": "stage"}, {"field": "seed"}],
            },
        }
    ]
    return spec(
        f"{title} by epoch.",
        columns(parts, rows),
        height=170,
        layer=[
            *(alarm if name == "made_cosine" else []),
            {
                "mark": {"type": "line", "strokeWidth": 1.6, "point": name == "validation"},
                "encoding": encoding,
            },
            {
                "params": [hover],
                "mark": {
                    "type": "point",
                    "filled": True,
                    "size": 60,
                    "color": INK,
                    # All columns: with `nearest`, Vega-Lite 6 finds no text of a chosen one.
                    "tooltip": {"content": "data"},
                },
                "encoding": {"x": encoding["x"], "y": encoding["y"], "opacity": shown},
            },
            *(ends if places else []),
        ],
    )


def _decades(low: float, high: float) -> list[float]:
    """Powers of ten between two numbers, at most six of them."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [10.0**power for power in powers][:: math.ceil(len(powers) / 6)]


def heatmaps(experiment: Experiment) -> list[tuple[str, Spec]]:
    """Cosines between the profiles made for some users: a title and a figure for each point."""
    made: dict[str, Spec] = {}
    for cell in experiment.cells:
        if cell.cosine is not None:
            title = named(experiment.comparison, cell.row, cell.point)
            made.setdefault(title, _square(title, cell.cosine))
    return list(made.items())


def _square(title: str, cosine: NDArray[np.float32]) -> Spec:
    some = _spread(len(cosine), _COSINE_SIDE)
    square = cosine[np.ix_(some, some)]
    a, b = np.divmod(np.arange(square.size), len(square))
    low = min(0.0, float(square.min()))
    # Whole pixels, so that no seams show.
    tight = {"padding": 0, "round": True}
    return spec(
        f"{title}: cosines between made profiles.",
        {"a": a.tolist(), "b": b.tolist(), "cosine": [round(float(v), 3) for v in square.ravel()]},
        # A square, where others are as wide as the page.
        width=_SQUARE,
        height=_SQUARE,
        mark={"type": "rect"},
        encoding={
            "x": {"field": "a", "type": "ordinal", "axis": None, "scale": tight},
            "y": {"field": "b", "type": "ordinal", "axis": None, "scale": tight},
            "color": {
                "field": "cosine",
                "type": "quantitative",
                "title": "cosine",
                "scale": {
                    "domain": [low, 1],
                    "range": ["var(--ground)", "var(--gan)"],
                    "interpolate": "rgb",
                },
                "legend": {
                    "type": "symbol",
                    "format": ".2f",
                    "symbolType": "square",
                    "values": [0, 0.25, 0.5, 0.75, 1],
                    "symbolStrokeColor": SOFT,
                    "symbolStrokeWidth": 1,
                },
            },
            "tooltip": [
                {"field": "a", "type": "ordinal", "title": "User"},
                {"field": "b", "type": "ordinal", "title": "and user"},
                {"field": "cosine", "type": "quantitative", "title": "Cosine", "format": ".3f"},
            ],
        },
    )
