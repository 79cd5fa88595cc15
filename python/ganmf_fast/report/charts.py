"""Figures of comparisons, as Vega-Lite specifications with their data.

Data stand in columns, ``{"columns": {name: list}}``, which the page makes records of: half as long
as records. A colour is the name of one of the page's, such as ``"var(--gan)"``, so that figures
follow the light and the dark scheme. What a colour says, a shape or a dash says too.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ganmf_fast.report.families import is_gan
from ganmf_fast.report.findings import named
from ganmf_fast.results.result_table import Comparison, Entry, Key, heading, signed

__all__ = [
    "BASELINE",
    "GAN",
    "INK",
    "ONCE",
    "ROW",
    "SOFT",
    "Spec",
    "columns",
    "cost",
    "differences",
    "points",
    "quality",
    "spec",
    "tooltip",
]

Spec = dict[str, Any]

GAN, BASELINE, INK, SOFT = "var(--gan)", "var(--baseline)", "var(--ink)", "var(--soft)"
_KINDS = ["baseline", "GAN"]
_COLOUR = {"domain": _KINDS, "range": [BASELINE, GAN]}
_SHAPES = (
    "circle",
    "square",
    "triangle-up",
    "cross",
    "diamond",
    "triangle-down",
    "triangle-right",
)
_SHAPE = {"domain": _KINDS, "range": ["circle", "diamond"]}
_AS_WIDE_AS_THE_PAGE: Spec = {
    "width": "container",
    "autosize": {"type": "fit-x", "contains": "padding"},
}
# For marks that stand for themselves.
ONCE: Spec = {"values": [{}]}
ROW = 23
_COST_WIDTH, _COST_HEIGHT = 250, 300


def _kind(model: str) -> str:
    return _KINDS[is_gan(model)]


def spec(description: str, data: dict[str, list[Any]], **rest: Any) -> Spec:
    """A specification, as wide as the page unless it says how wide."""
    return {
        "description": description,
        "data": {"columns": data},
        **(rest if "width" in rest else {**_AS_WIDE_AS_THE_PAGE, **rest}),
    }


def columns(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
    """Rows as columns."""
    return {name: [_short(row[at]) for row in rows] for at, name in enumerate(names)}


def _short(value: Any) -> Any:
    """Six digits are more than a figure shows."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _choice(keys: Sequence[Key]) -> list[Spec]:
    """A list to choose the metric from, where there are several."""
    names = [heading(key) for key in keys]
    bind = {"input": "select", "options": names, "name": "Metric "}
    return [{"name": "metric", "value": names[0], **({"bind": bind} if len(names) > 1 else {})}]


_CHOSEN = [{"filter": "datum.metric === metric"}]


def tooltip(*fields: tuple[str, str]) -> list[Spec]:
    """What is shown of a mark that is pointed at: fields with their titles."""
    return [{"field": field, "type": "nominal", "title": title} for field, title in fields]


# models side by side ---------------------------------------------------------------------------


def quality(comparison: Comparison) -> Spec:
    """A bar for each model, best first, with the spread over seeds and the published value."""
    rows = []
    for key in comparison.columns:
        for entry in comparison.entries:
            mean = entry.mean(*key)
            if mean is None:
                continue
            spread = entry.deviation(*key) or 0.0
            theirs = entry.published.get(key)
            end = mean + spread
            # The value stands behind the published one where that would run through it.
            if theirs is not None and end < theirs < 1.12 * end:
                end = theirs
            rows.append(
                (
                    heading(key), entry.model, _kind(entry.model), mean, mean - spread,
                    mean + spread, theirs, end, _value(entry, key), _published(entry, key),
                )
            )  # fmt: skip
    names = (
        "metric", "model", "kind", "mean", "low", "high", "published", "end", "ours", "theirs",
    )  # fmt: skip
    y = {
        "field": "model",
        "type": "nominal",
        "title": None,
        "sort": {"field": "mean", "op": "max", "order": "descending"},
        "axis": {"grid": False},
    }
    tips = tooltip(
        ("model", "Model"), ("metric", "Metric"), ("ours", "Here"), ("theirs", "Published")
    )
    published = [
        {
            "mark": {"type": "tick", "color": INK, "thickness": 2, "size": 18},
            "encoding": {"x": {"field": "published", "type": "quantitative"}},
        }
    ]
    return spec(
        f"Bars of each model on {comparison.label}, best first; the table below holds the values.",
        columns(names, rows),
        height=ROW * len({row[1] for row in rows}),
        params=_choice(comparison.columns),
        transform=_CHOSEN,
        encoding={"y": y, "tooltip": tips},
        layer=[
            {
                "mark": {"type": "bar", "height": 11, "opacity": 0.55},
                "encoding": {
                    "x": {"field": "mean", "type": "quantitative", "title": None},
                    "color": {"field": "kind", "scale": _COLOUR, "legend": None},
                },
            },
            {
                "mark": {"type": "rule", "color": INK},
                "encoding": {
                    "x": {"field": "low", "type": "quantitative"},
                    "x2": {"field": "high"},
                },
            },
            {
                "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1},
                "encoding": {
                    "x": {"field": "mean", "type": "quantitative"},
                    "color": {"field": "kind", "scale": _COLOUR, "title": None},
                    "shape": {"field": "kind", "scale": _SHAPE, "title": None},
                },
            },
            *(published if comparison.any_published else []),
            {
                "mark": {"type": "text", "align": "left", "dx": 9, "color": SOFT},
                "encoding": {
                    "x": {"field": "end", "type": "quantitative"},
                    "text": {"field": "mean", "type": "quantitative", "format": ".4f"},
                },
            },
        ],
    )


def _value(entry: Entry, key: Key) -> str:
    mean, deviation = entry.mean(*key), entry.deviation(*key)
    if mean is None:
        return "\N{EM DASH}"
    seeds = f" ± {deviation:.4f} over {len(entry.runs)} seeds" if deviation is not None else ""
    return f"{mean:.4f}{seeds}"


def _published(entry: Entry, key: Key) -> str:
    published, delta = entry.published.get(key), entry.delta(*key)
    if published is None:
        return "nothing"
    return f"{published:.4f}" + ("" if delta is None else f" (difference {signed(delta)})")


def differences(comparison: Comparison) -> Spec | None:
    """Differences from the published figures, or None if there are none."""
    rows = []
    for key in comparison.columns:
        for entry in comparison.entries:
            delta, verdict = entry.delta(*key), entry.verdict(*key)
            if delta is None or verdict is None:
                continue
            spread = 2 * (entry.deviation(*key) or 0.0)
            name = named(comparison, entry.model, entry.point)
            reason = verdict.reason or "-"
            rows.append(
                (
                    heading(key), name, verdict.word, delta, delta - spread, delta + spread,
                    signed(delta), _value(entry, key), _published(entry, key), reason,
                )
            )  # fmt: skip
    if not rows:
        return None
    words = ["within tolerance", "better", "worse", "higher", "lower"]
    found = [word for word in words if any(row[2] == word for row in rows)]
    shapes = ["circle", *["triangle-up", "triangle-down"] * 2]
    tones = [SOFT, *["var(--better)", "var(--worse)"] * 2]
    places = [words.index(word) for word in found]
    keys = [key for key in comparison.columns if any(row[0] == heading(key) for row in rows)]
    names = ("metric", "model", "verdict", "delta", "low", "high", "shown", "ours", "theirs", "why")
    y = {"field": "model", "type": "nominal", "title": None, "sort": None, "axis": {"grid": True}}
    return spec(
        f"Differences from the published figures on {comparison.label}.",
        columns(names, rows),
        height=ROW * len({row[1] for row in rows}),
        params=_choice(keys),
        transform=_CHOSEN,
        layer=[
            {
                "data": ONCE,
                "mark": {"type": "rect", "color": SOFT, "opacity": 0.16},
                "encoding": {
                    "x": {"datum": -1e-3, "type": "quantitative"},
                    "x2": {"datum": 1e-3},
                },
            },
            {
                "data": ONCE,
                "mark": {"type": "rule", "color": INK, "opacity": 0.6},
                "encoding": {"x": {"datum": 0, "type": "quantitative"}},
            },
            {
                "mark": {"type": "rule", "color": SOFT},
                "encoding": {
                    "y": y,
                    "x": {"field": "low", "type": "quantitative", "title": None},
                    "x2": {"field": "high"},
                },
            },
            {
                "mark": {"type": "point", "filled": True, "size": 75, "opacity": 1},
                "encoding": {
                    "y": y,
                    "tooltip": tooltip(
                        ("model", "Model"), ("shown", "Difference"), ("ours", "Here"),
                        ("theirs", "Published"), ("verdict", "Verdict"), ("why", "Reason"),
                    ),
                    "x": {"field": "delta", "type": "quantitative", "axis": {"format": "+.3f"}},
                    "color": {
                        "field": "verdict",
                        "title": None,
                        "scale": {"domain": found, "range": [tones[at] for at in places]},
                    },
                    "shape": {
                        "field": "verdict",
                        "title": None,
                        "scale": {"domain": found, "range": [shapes[at] for at in places]},
                    },
                },
            },
        ],
    )  # fmt: skip


def cost(comparison: Comparison, measure: str, unit: str) -> Spec | None:
    """Quality against a cost on a logarithmic axis; models that none beats in both are named."""
    key = comparison.columns[0]
    rows: list[tuple[str, str, float, float, str, str]] = []
    for entry in comparison.entries:
        mean = entry.mean(*key)
        taken = [run.cost[measure] for run in entry.runs if run.cost.get(measure, 0.0) > 0]
        if mean is not None and taken:
            mine = max(sum(taken) / len(taken), 1e-3)
            shown = f"{mine:,.2f} {unit}"
            rows.append((entry.model, _kind(entry.model), mean, mine, shown, _value(entry, key)))
    if len(rows) < 2:
        return None
    ticks, domain = _log_axis([row[3] for row in rows])
    labels = _labels(rows, domain)
    means = [row[2] for row in rows]
    room = 0.06 * (max(means) - min(means)) or 0.01
    names = ("model", "kind", "mean", "cost", "shown", "ours", "label", "side")
    x = {
        "field": "cost",
        "type": "quantitative",
        "title": unit,
        "scale": {"type": "log", "domain": domain, "nice": False},
        "axis": {"values": ticks, "format": ","},
    }
    y = {
        "field": "mean",
        "type": "quantitative",
        "title": None,
        "scale": {"domain": [min(means) - room, max(means) + room], "nice": False},
    }
    return spec(
        f"{heading(key)} against {measure} on {comparison.label}.",
        columns(names, [(*row, *labels.get(row[0], ("", ""))) for row in rows]),
        height=_COST_HEIGHT,
        encoding={
            "tooltip": tooltip(("model", "Model"), ("ours", heading(key)), ("shown", "Cost"))
        },
        layer=[
            {
                "mark": {"type": "point", "filled": True, "size": 85, "opacity": 0.9},
                "encoding": {
                    "x": x,
                    "y": y,
                    "color": {"field": "kind", "scale": _COLOUR, "title": None},
                    "shape": {"field": "kind", "scale": _SHAPE, "title": None},
                },
            },
            *(
                {
                    "transform": [{"filter": f"datum.side == '{side}'"}],
                    "mark": {"type": "text", "align": align, "dx": dx, "color": INK},
                    "encoding": {"x": x, "y": y, "text": {"field": "label", "type": "nominal"}},
                }
                for side, align, dx in (("right", "left", 8), ("left", "right", -8))
            ),
        ],
    )


def _log_axis(values: Sequence[float]) -> tuple[list[float], list[float]]:
    """Ticks at powers of ten, and at twice and five times them on a short axis; and the domain."""
    low, high = min(values) / 1.5, max(values) * 1.5
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    ratio = high / low
    steps = (1,) if ratio > 300 else (1, 2, 5) if ratio > 10 else (1, 1.5, 2, 3, 5, 7)
    ticks = [float(f"{step}e{decade}") for decade in decades for step in steps]
    return [tick for tick in ticks if low <= tick <= high], [low, high]


def _labels(
    rows: Sequence[tuple[str, str, float, float, str, str]], domain: Sequence[float]
) -> dict[str, tuple[str, str]]:
    """Names of the best GAN and of the models that none beats in both, where there is room.

    Each with the side of its mark that it stands on: rather one without other marks, and rather
    the one that is nearer to the middle.
    """
    gans = [row for row in rows if row[1] == "GAN"]
    first = max(gans, key=lambda row: row[2], default=None)
    front = [
        row
        for row in rows
        if not any(o[2] >= row[2] and o[3] <= row[3] and o[2:4] != row[2:4] for o in rows)
    ]
    wanted = dict.fromkeys([*([first] if first else []), *sorted(front, key=lambda row: -row[2])])
    low = min(row[2] for row in rows)
    tall = max(row[2] for row in rows) - low or 1.0
    wide = math.log(domain[1] / domain[0])
    # In pixels of the narrowest figure, so that names are apart on a phone, too.
    at = {
        row[0]: (
            _COST_WIDTH * math.log(row[3] / domain[0]) / wide,
            (_COST_HEIGHT - 40) * (row[2] - low) / tall,
        )
        for row in rows
    }
    placed: list[tuple[float, float, float]] = []
    found: dict[str, tuple[str, str]] = {}
    for name in (row[0] for row in wanted):
        x, y = at[name]
        long = 7 * len(name) + 12
        free = []
        for side, a, b in (("right", x, x + long), ("left", x - long, x)):
            apart = all(abs(y - v) > 14 or a > d or b < c for c, d, v in placed)
            if apart and a >= 0 and b <= _COST_WIDTH:
                hidden = sum(a < u < b and abs(y - v) < 10 for u, v in at.values())
                outward = (side == "right") == (x > _COST_WIDTH / 2)
                free.append((hidden, outward, side, a, b))
        if free:
            _, _, side, a, b = min(free)
            placed.append((a, b, y))
            found[name] = (name, side)
    return found


# figures of the paper ---------------------------------------------------------------------------


def points(comparison: Comparison) -> Spec:
    """A line for each model over the points of a figure; published values dashed."""
    named = bool(comparison.point_names)
    rows = []
    for key in comparison.columns:
        for entry in comparison.entries:
            mean, theirs = entry.mean(*key), entry.published.get(key)
            if entry.point is None:
                continue
            at = comparison.point_name(entry.point) if named else entry.point
            for value, source in ((mean, "here"), (theirs, "published")):
                if value is not None:
                    rows.append(
                        (
                            heading(key), entry.model, at, entry.point, value, source,
                            _value(entry, key), _published(entry, key),
                        )
                    )  # fmt: skip
    models = comparison.models
    series = [f"var(--series-{at % 8})" for at in range(len(models))]
    # Seven shapes beside eight colours, so that more than eight models still differ.
    shapes = [_SHAPES[at % len(_SHAPES)] for at in range(len(models))]
    shape = {"field": "model", "title": None, "scale": {"domain": models, "range": shapes}}
    names = ("metric", "model", "at", "order", "value", "source", "ours", "theirs")
    sources = [s for s in ("here", "published") if any(row[5] == s for row in rows)]
    dash = {
        "field": "source",
        "title": None,
        "scale": {"domain": sources, "range": [[1, 0], [4, 3]][: len(sources)]},
        "legend": {} if len(sources) > 1 else None,
    }
    x: Spec = {
        "field": "at",
        "type": "ordinal" if named else "quantitative",
        "title": comparison.axis,
    }
    if named:
        x |= {
            "sort": {"field": "order"},
            "axis": {"labelAngle": 0, "labelExpr": "split(datum.label, ' ')"},
            "scale": {"padding": 0.3},
        }
    return spec(
        f"{comparison.title} on {comparison.label}: a line for each model.",
        columns(names, rows),
        height=300,
        params=_choice(comparison.columns),
        transform=_CHOSEN,
        encoding={
            "x": x,
            "y": {
                "field": "value",
                "type": "quantitative",
                "title": None,
                "scale": {"zero": False},
            },
            "color": {
                "field": "model",
                "title": None,
                "scale": {"domain": models, "range": series},
            },
            "tooltip": tooltip(
                ("model", "Model"), ("at", comparison.axis), ("metric", "Metric"), ("ours", "Here"),
                ("theirs", "Published"),
            ),
        },
        layer=[
            {"mark": {"type": "line", "strokeWidth": 1.8}, "encoding": {"strokeDash": dash}},
            {
                "mark": {"type": "point", "filled": True, "size": 75, "opacity": 1},
                "encoding": {"shape": shape},
            },
        ],
    )  # fmt: skip
