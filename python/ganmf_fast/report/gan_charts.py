"""Figures of the training of GANs and of the profiles that they generate."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ganmf_fast.report.findings import COLLAPSE, collapses
from ganmf_fast.report.run_folder import ExperimentFolder
from ganmf_fast.report.run_record import RunRecord
from ganmf_fast.results.charts.base import (
    BASELINE,
    GAN,
    INK,
    ONCE,
    ROW,
    SOFT,
    Spec,
    columns,
    dots,
    layer,
    looks,
    quantity,
    spec,
    tooltip,
)
from ganmf_fast.results.charts.heatmap import evenly, square

__all__ = ["CURVES", "alarms", "heatmaps", "training"]


def alarms(experiments: Sequence[ExperimentFolder]) -> list[tuple[str, Spec]]:
    """Mean cosine between generated profiles at the end of training: a figure for each data set."""
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
    y = {"field": "model", "title": None, "sort": None, "axis": {"grid": True}}
    x = quantity(
        "cosine",
        title="mean cosine between generated profiles",
        scale={"domainMin": 0, "domainMax": 1},
    )
    return spec(
        f"Mean cosine between generated profiles at the end of training on {label}, by model.",
        columns(("model", "cosine", "state", "shown"), rows),
        height=ROW * len({row[0] for row in rows}),
        layer=[
            layer({"type": "rule", "color": SOFT, "opacity": 0.5}, y=y, x=x, x2={"datum": 0}),
            layer(
                {"type": "rule", "color": INK, "strokeDash": [4, 3]},
                data=ONCE,
                x={"datum": COLLAPSE, "type": "quantitative"},
            ),
            layer(
                dots(80),
                y=y,
                x=x,
                color=looks("state", words, [BASELINE, "var(--worse)"]),
                shape=looks("state", words, ["circle", "triangle-up"]),
                tooltip=tooltip(("model", "Model"), ("shown", "Mean cosine"), ("state", "State")),
            ),
        ],
    )


CURVES = (
    ("d_loss", "Discriminator loss"),
    ("g_loss", "Generator loss"),
    ("validation", "MAP@5 on validation"),
    ("generated_cosine", "Mean cosine between generated profiles"),
)
_STAGES = ("search", "final")


def training(records: Sequence[RunRecord], most: int) -> list[tuple[str, Spec]]:
    """Curves of the training runs of a model: a title and a figure for each quantity that there is.

    Parameters
    ----------
    records : sequence of RunRecord
        All of a table, or all at points of figures.
    most : int
        Points that a line is thinned out to.
    """
    made = []
    for name, title in CURVES:
        rows: list[_Point] = []
        for record in records:
            for history in record.histories:
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
                        "-" if record.seed is None else str(record.seed),
                        record.point,
                    )
                    for at in there[evenly(len(there), most)]
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
    alarm = layer(
        {"type": "rule", "color": INK, "strokeDash": [2, 3]},
        data=ONCE,
        y={"datum": COLLAPSE, "type": "quantitative"},
    )
    if name == "generated_cosine":
        low = min(values)
        scale = {"domainMax": 1, "domainMin": 0 if low > -0.05 else low}
    x = {
        "field": "epoch",
        "type": "quantitative",
        "title": "epoch",
        "axis": {"tickMinStep": 1},
        "scale": {"nice": False},
    }
    y = quantity("value", scale=scale, axis=axis)
    colour = looks(coloured, means, tones, legend={} if len(means) > 1 else None)
    dash = looks(
        "stage",
        stages,
        [dashes[stage] for stage in stages],
        legend={} if len(stages) > 1 else None,
    )
    near = {"type": "point", "on": "pointerover", "nearest": True, "clear": "pointerout"}
    hover = {"name": "hover", "select": {**near, "fields": ["epoch", *parts[2:]]}}
    # All columns: with `nearest`, Vega-Lite 6 finds no text of a chosen one.
    under = layer(
        dots(60, color=INK, tooltip={"content": "data"}),
        x=x,
        y=y,
        opacity={"condition": {"param": "hover", "empty": False, "value": 1}, "value": 0},
    )
    # Lines are told apart without their colours by the point at their ends.
    end = layer(
        {"type": "text", "align": "right", "dy": -7},
        x={**x, "aggregate": "max"},
        y={**y, "aggregate": {"argmax": "epoch"}},
        color=colour,
        text={"field": "point"},
        detail=[{"field": "stage"}, {"field": "seed"}],
    )
    return spec(
        f"{title} by epoch.",
        columns(parts, rows),
        height=170,
        layer=[
            *([alarm] if name == "generated_cosine" else []),
            layer(
                {"type": "line", "strokeWidth": 1.6, "point": name == "validation"},
                x=x,
                y=y,
                color=colour,
                strokeDash=dash,
                detail={"field": "seed"},
            ),
            {"params": [hover], **under},
            *([end] if places else []),
        ],
    )


def _decades(low: float, high: float) -> list[float]:
    """Powers of ten between two numbers, at most six of them."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [10.0**power for power in powers][:: math.ceil(len(powers) / 6)]


def heatmaps(experiment: ExperimentFolder) -> list[tuple[str, Spec]]:
    """Cosines between the profiles generated for some users: title and figure of each point."""
    made: dict[str, Spec] = {}
    for record in experiment.records:
        if record.cosine is not None:
            title = experiment.comparison.name_of(record.row, record.point)
            made.setdefault(title, square(title, record.cosine))
    return list(made.items())
