"""Curves of a training: losses, the value on validation, and the alarm of a collapse, by epoch."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from ganmf_fast.results.charts.base import (
    BASELINE,
    GAN,
    INK,
    ONCE,
    SOFT,
    Spec,
    columns,
    dots,
    layer,
    looks,
    quantity,
    spec,
)

COLLAPSE = 0.95
"""Mean cosine between generated profiles from which on a generator counts as collapsed."""

CURVES = (
    ("d_loss", "Discriminator loss"),
    ("g_loss", "Generator loss"),
    ("validation", "MAP@5 on validation"),
    ("generated_cosine", "Mean cosine between generated profiles"),
)
_STAGES = ("search", "final")


class CurvePoint(NamedTuple):
    """One epoch of a curve."""

    epoch: int
    value: float
    stage: str
    seed: str
    point: float | str | None
    """Of a figure; None in a table."""


def curve(name: str, title: str, rows: Sequence[CurvePoint], best: int = 0) -> Spec:
    """A quantity by epoch.

    Parameters
    ----------
    name : str
        Column of the history.
    title : str
    rows : sequence of CurvePoint
        At least one.
    best : int, default 0
        Epoch whose weights were kept, which is marked; 0 for none.
    """
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
    kept = layer(
        {"type": "rule", "color": SOFT, "strokeWidth": 1},
        data=ONCE,
        x={"datum": best, "type": "quantitative"},
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
            *([kept] if best else []),
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
